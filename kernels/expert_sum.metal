/* out[t,i] = sum over k of weights[t,k] * x[t,k,i], in the order of k.
 *
 * Called by expert_sum_encode after the experts' down products. Grid: x threadgroups over dim, 4 elements a thread; y tokens.
 * Moves 4 n_tok dim (n_used + 1) bytes, 2 n_tok dim n_used operations. A chain of fma in float. */
#include <metal_stdlib>
#include "kernels/expert_sum.h"
using namespace metal;

kernel void expert_sum(constant expert_sum_args &a [[buffer(0)]], device float *out [[buffer(1)]],
                       device const float *x [[buffer(2)]], device const float *weights [[buffer(3)]],
                       uint2 at [[thread_position_in_grid]]) {
    const uint i = at.x * 4;
    device const float *row = x + (ulong)at.y * a.n_used * a.dim, *w = weights + (ulong)at.y * a.n_used;
    device float *y = out + (ulong)at.y * a.dim;
    if (i + 4 <= a.dim) {
        float4 sum = float4(0);
        for (uint k = 0; k < a.n_used; k++, row += a.dim)
            sum = fma(float4(w[k]), float4(*(device const packed_float4 *)(row + i)), sum);
        *(device packed_float4 *)(y + i) = packed_float4(sum);
        return;
    }
    for (uint j = i; j < a.dim; j++) {
        float sum = 0;
        for (uint k = 0; k < a.n_used; k++) sum = fma(w[k], row[(ulong)k * a.dim + j], sum);
        y[j] = sum;
    }
}
