/* Matrix-vector form: y[t,o] = sum_i x[t,i] W[o,i] + bias[o] for up to NT tokens, all in float.
 *
 * A simdgroup takes MM_VEC_ROWS rows of W. Lane l decodes chunks l, l + 32, ... of 16 columns of each row once and multiplies
 * them with every token's x; the lanes are summed at the end. Per chunk, token and row:
 *   s = sum of q x (four chains of fma, then a fixed tree), acc = fma(d, s, acc), with a minimum acc = fma(m, sum x, acc).
 * Order and roundings are written out, so a value's bits are the same for every NT.
 * Moves the rows of W once and x once per MM_VEC_ROWS rows (from the caches); 2 operations per weight and token. */
#pragma once
#include "kernels/matmul_metal.h"
#include "kernels/unpack.metal.h"

constant bool has_bias [[function_constant(0)]];

static METAL_FUNC float sum4(float4 v) { return (v.x + v.y) + (v.z + v.w); }

struct x16 {
    float4 v[4];
    float sum;
};

template <bool SUM> static METAL_FUNC void load_x(device const float *x, uint c, thread x16 &o) {
    device const packed_float4 *p = (device const packed_float4 *)x + 4 * c;
    for (ushort i = 0; i < 4; i++) o.v[i] = float4(p[i]);
    o.sum = SUM ? sum4((o.v[0] + o.v[1]) + (o.v[2] + o.v[3])) : 0;
}

static METAL_FUNC float dot16(thread const chunk &w, thread const x16 &x) {
    float4 s = w.q[0] * x.v[0];
    for (ushort i = 1; i < 4; i++) s = fma(w.q[i], x.v[i], s);
    return sum4(s);
}

template <int NR> struct w_rows {
    device const uchar *at[NR];
};
template <int NT, int NR> struct vec_sums {
    vec<float, NR> at[NT];
};

/* The sums of NR rows of W times n_tok rows of x, in every lane. */
template <typename W, int NT, int NR>
static METAL_FUNC void sum_rows(uint n_tok, uint n_in, thread const w_rows<NR> &rows, device const float *x, ushort lane,
                                thread vec_sums<NT, NR> &o) {
    for (int t = 0; t < NT; t++) o.at[t] = vec<float, NR>(0.0f);
    for (uint c = lane; c < n_in / 16; c += 32) {
        chunk k[NR];
        for (int r = 0; r < NR; r++) W::unpack(rows.at[r], c, k[r]);
        for (int t = 0; t < NT; t++) {
            if (NT > 1 && (uint)t >= n_tok) break;
            x16 v;
            load_x<W::minimum>(x + (ulong)t * n_in, c, v);
            for (int r = 0; r < NR; r++) {
                o.at[t][r] = fma(k[r].d, dot16(k[r], v), o.at[t][r]);
                if (W::minimum) o.at[t][r] = fma(k[r].m, v.sum, o.at[t][r]);
            }
        }
    }
    const uint last = n_in / 16 * 16 + lane;
    if (W::tail && last < n_in)
        for (int t = 0; t < NT; t++)
            for (int r = 0; r < NR; r++)
                if ((uint)t < n_tok) o.at[t][r] = fma(w_one<W>(rows.at[r], last), x[(ulong)t * n_in + last], o.at[t][r]);
    for (int t = 0; t < NT; t++)
        if ((uint)t < n_tok) o.at[t] = simd_sum(o.at[t]);
}

/* Rows first.. of w (row 0 of n_row) times n_tok rows of x; bias and y are those of row 0 and token 0. */
template <typename W, int NT, int NR>
static METAL_FUNC void vec_rows(uint n_tok, uint n_in, uint n_row, uint first, device float *y, device const float *x,
                            device const uchar *w, device const float *bias, ushort lane) {
    w_rows<NR> rows;
    for (int r = 0; r < NR; r++) rows.at[r] = w_row<W>(w, min(first + r, n_row - 1), n_in);
    vec_sums<NT, NR> s;
    sum_rows<W, NT, NR>(n_tok, n_in, rows, x, lane, s);
    for (int t = 0; t < NT; t++) {
        if ((uint)t >= n_tok) break;
        for (int r = 0; r < NR; r++)
            if (lane == r && first + r < n_row) y[(ulong)t * n_row + first + r] = s.at[t][r] + (has_bias ? bias[first + r] : 0.0f);
    }
}

/* The kernel that matmul_encode calls for up to NT tokens. Grid: x over rows, MM_VEC_SIMD * NR a threadgroup. */
template <typename W, int NT>
kernel void matmul_vec(constant matmul_args &a [[buffer(0)]], device float *y [[buffer(1)]],
                       device const float *x [[buffer(2)]], device const uchar *w [[buffer(3)]],
                       device const float *bias [[buffer(4)]], uint group [[threadgroup_position_in_grid]],
                       ushort sg [[simdgroup_index_in_threadgroup]], ushort lane [[thread_index_in_simdgroup]]) {
    const uint first = (group * MM_VEC_SIMD + sg) * MM_VEC_ROWS(NT);
    if (first >= a.n_out) return; /* the whole simdgroup; no barrier follows */
    vec_rows<W, NT, MM_VEC_ROWS(NT)>(a.n_tok, a.n_in, a.n_out, first, y, x, w, bias, lane);
}
