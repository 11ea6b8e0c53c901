/* Matrix-matrix form: a tile of MM_MAT_ROWS rows of W by MM_MAT_TOK tokens by simdgroup matrices.
 *
 * For MM_MAT_K columns at a time W is decoded to T and x converted to T in threadgroup memory, both as 8 x 8 blocks
 * that simdgroup_load reads as they lie; four simdgroups then multiply 32 rows by 16 tokens each into 8 float matrices.
 * T is half, but float for F32 weights. The result goes through threadgroup memory, where ragged edges are cut, tokens
 * find their rows of y and the bias is added.
 * Errors: W and x each round to half (2^-11 of themselves, or 2^-25 where that is more: halves below 2^-14 are
 * spaced evenly), sums to float. |x| above 65504 becomes an infinity and shows as such.
 * Moves W once per MM_MAT_TOK tokens and x once per MM_MAT_ROWS rows (neighbouring threadgroups share both in the
 * caches); 2 operations per weight and token. Threadgroup memory: 8 KB, 12 KB for F32. */
#pragma once
#include "kernels/matmul_vec.metal.h"

/* What a tile computes. Token t of the tile is row t of x and y, or that of slot[t]. */
struct mat_job {
    uint n_in, n_row, row0; /* row0: of the tile, in w, y and bias */
    uint n_tok;             /* of the tile; 1..MM_MAT_TOK */
    uint x_div;             /* row of x = slot / x_div */
    device const uint *slot;
    device const float *x;
    device const uchar *w;
    device const float *bias;
    device float *y;
};

template <bool LIST> static METAL_FUNC uint slot_of(thread const mat_job &j, uint t) {
    return LIST ? j.slot[min(t, j.n_tok - 1)] : min(t, j.n_tok - 1);
}

static METAL_FUNC void store4(threadgroup half *p, float4 v) { *(threadgroup half4 *)p = half4(v); }
static METAL_FUNC void store4(threadgroup float *p, float4 v) { *(threadgroup float4 *)p = v; }

/* Columns k.. (16) of one row of W into its blocks: the block of rows r / 8 and columns k / 8 lies at 64 (r / 8 * 4 + k / 8). */
template <typename W, typename T>
static METAL_FUNC void stage_w(device const uchar *row, uint n_in, uint k, uint r, threadgroup T *tile) {
    chunk c;
    if (k + 16 <= n_in) {
        W::unpack(row, k / 16, c);
    } else { /* past the end of the row: zeros */
        for (ushort i = 0; i < 16; i++) c.q[i / 4][i % 4] = W::tail && k + i < n_in ? w_one<W>(row, k + i) : 0.0f;
        c.d = 1;
        c.m = 0;
    }
    threadgroup T *to = tile + 64 * (r / 8 * 4 + k % MM_MAT_K / 8) + 8 * (r % 8);
    for (ushort i = 0; i < 4; i++)
        store4(to + i / 2 * 64 + i % 2 * 4, fma(c.q[i], float4(c.d), float4(c.m)));
}

/* Columns k.. (8) of token t, transposed: the block of columns k / 8 and tokens t / 8 lies at 64 (k / 8 * 4 + t / 8). */
template <typename T>
static METAL_FUNC void stage_x(device const float *x, uint n_in, uint k, uint t, threadgroup T *tile) {
    threadgroup T *to = tile + 64 * (k % MM_MAT_K / 8 * 4 + t / 8) + t % 8;
    if (k + 8 <= n_in) {
        device const packed_float4 *p = (device const packed_float4 *)(x + k);
        const float4 a = float4(p[0]), b = float4(p[1]);
        for (ushort i = 0; i < 4; i++) {
            to[8 * i] = T(a[i]);
            to[8 * i + 32] = T(b[i]);
        }
    } else {
        for (ushort i = 0; i < 8; i++) to[8 * i] = k + i < n_in ? T(x[k + i]) : T(0.0f);
    }
}

template <typename W, typename T, bool LIST>
static METAL_FUNC void mat_tile(thread const mat_job &j, threadgroup uchar *memory, ushort tid, ushort sg) {
    threadgroup T *tile_w = (threadgroup T *)memory, *tile_x = tile_w + MM_MAT_ROWS * MM_MAT_K;
    device const uchar *row = w_row<W>(j.w, min(j.row0 + tid / 2, j.n_row - 1), j.n_in);
    device const float *x = j.x + (ulong)(slot_of<LIST>(j, tid / 4) / j.x_div) * j.n_in;
    simdgroup_matrix<float, 8, 8> sum[4][2];
    for (ushort r = 0; r < 4; r++)
        for (ushort t = 0; t < 2; t++) sum[r][t] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    for (uint k = 0; k < j.n_in; k += MM_MAT_K) {
        stage_w<W, T>(row, j.n_in, k + tid % 2 * 16, tid / 2, tile_w);
        stage_x<T>(x, j.n_in, k + tid % 4 * 8, tid / 4, tile_x);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        threadgroup const T *pw = tile_w + 64 * (sg % 2 * 16), *px = tile_x + 64 * (sg / 2 * 2);
        for (ushort b = 0; b < MM_MAT_K / 8; b++) {
            simdgroup_matrix<T, 8, 8> mw[4], mx[2];
            for (ushort r = 0; r < 4; r++) simdgroup_load(mw[r], pw + 64 * (r * 4 + b), 8);
            for (ushort t = 0; t < 2; t++) simdgroup_load(mx[t], px + 64 * (b * 4 + t), 8);
            for (ushort r = 0; r < 4; r++)
                for (ushort t = 0; t < 2; t++) simdgroup_multiply_accumulate(sum[r][t], mw[r], mx[t], sum[r][t]);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    threadgroup float *out = (threadgroup float *)memory; /* (token, row) */
    threadgroup float *to = out + sg / 2 * 16 * MM_MAT_ROWS + sg % 2 * 32;
    for (ushort r = 0; r < 4; r++)
        for (ushort t = 0; t < 2; t++)
            simdgroup_store(sum[r][t], to + t * 8 * MM_MAT_ROWS + r * 8, MM_MAT_ROWS, ulong2(0, 0), true);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const uint o = j.row0 + tid % MM_MAT_ROWS;
    if (o >= j.n_row) return; /* no barrier follows */
    const float bias = has_bias ? j.bias[o] : 0.0f;
    for (uint t = tid / MM_MAT_ROWS; t < j.n_tok; t += MM_MAT_THREADS / MM_MAT_ROWS)
        j.y[(ulong)slot_of<LIST>(j, t) * j.n_row + o] = out[t * MM_MAT_ROWS + tid % MM_MAT_ROWS] + bias;
}

/* The kernel that matmul_encode calls for many tokens. Grid: x over tokens (tiles that share rows of W run
 * together), y over rows. */
template <typename W, typename T>
kernel void matmul_mat(constant matmul_args &a [[buffer(0)]], device float *y [[buffer(1)]],
                       device const float *x [[buffer(2)]], device const uchar *w [[buffer(3)]],
                       device const float *bias [[buffer(4)]], threadgroup uchar *memory [[threadgroup(0)]],
                       uint2 group [[threadgroup_position_in_grid]], ushort tid [[thread_index_in_threadgroup]],
                       ushort sg [[simdgroup_index_in_threadgroup]]) {
    const uint first = group.x * MM_MAT_TOK;
    mat_job j;
    j.n_in = a.n_in;
    j.n_row = a.n_out;
    j.row0 = group.y * MM_MAT_ROWS;
    j.n_tok = min(a.n_tok - first, (uint)MM_MAT_TOK);
    j.x_div = 1;
    j.x = x + (ulong)first * a.n_in;
    j.w = w;
    j.bias = bias;
    j.y = y + (ulong)first * a.n_out;
    mat_tile<W, T, false>(j, memory, tid, sg);
}
