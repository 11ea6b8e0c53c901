/* y[t,o] = act(gate[t,o]) * up[t,o], gate and up each a matrix-vector product as matmul_vec.metal.h makes it, and with its
 * bits: a simdgroup takes half of its rows from either matrix, so that both share what is loaded of x.
 * Moves both matrices once; the products stay in registers. Grid: x over rows, MM_VEC_SIMD * MM_VEC_ROWS(NT) / 2 a threadgroup. */
#pragma once
#include "kernels/glu.metal.h"
#include "kernels/matmul_glu.h"
#include "kernels/matmul_vec.metal.h"

constant bool has_up_bias [[function_constant(1)]];

template <typename W, int NT>
kernel void matmul_glu_vec(constant matmul_glu_args &a [[buffer(0)]], device float *y [[buffer(1)]],
                           device const float *x [[buffer(2)]], device const uchar *gate [[buffer(3)]],
                           device const uchar *up [[buffer(4)]], device const float *gate_bias [[buffer(5)]],
                           device const float *up_bias [[buffer(6)]], uint group [[threadgroup_position_in_grid]],
                           ushort sg [[simdgroup_index_in_threadgroup]], ushort lane [[thread_index_in_simdgroup]]) {
    const int n_row = MM_VEC_ROWS(NT) / 2;
    const uint first = (group * MM_VEC_SIMD + sg) * n_row;
    if (first >= a.n_out) return; /* the whole simdgroup; no barrier follows */
    w_rows<2 * n_row> rows;
    for (int r = 0; r < n_row; r++) {
        const uint o = min(first + r, a.n_out - 1);
        rows.at[r] = w_row<W>(gate, o, a.n_in);
        rows.at[n_row + r] = w_row<W>(up, o, a.n_in);
    }
    vec_sums<NT, 2 * n_row> s;
    sum_rows<W, NT, 2 * n_row>(a.n_tok, a.n_in, rows, x, lane, s);
    for (int t = 0; t < NT; t++) {
        if ((uint)t >= a.n_tok) break;
        for (int r = 0; r < n_row; r++) {
            const uint o = first + r;
            if (lane != r || o >= a.n_out) continue;
            const float g = s.at[t][r] + (has_bias ? gate_bias[o] : 0.0f), u = s.at[t][n_row + r] + (has_up_bias ? up_bias[o] : 0.0f);
            y[(ulong)t * a.n_out + o] = gated(a.act, g, u);
        }
    }
}
