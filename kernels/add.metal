/* out[i] = a[i] + b[i % n_b]: sums of activations (n_b = n) and biases (n_b = a row's length).
 *
 * Called by add_encode. Grid: threadgroups of 256 threads, 4 elements a thread. Moves 12 bytes an element (8 with a bias, whose
 * row stays in the cache), 1 operation. One rounding. In place the operand that is also the result is
 * read through out, so that no two arguments overlap. */
#include <metal_stdlib>
#include "kernels/add.h"
using namespace metal;

constant uint out_is [[function_constant(0)]]; // 0: neither operand, 1: a, 2: b

kernel void add(constant add_args &k [[buffer(0)]], device float *out [[buffer(1)]], device const float *a [[buffer(2)]],
                device const float *b [[buffer(3)]], uint id [[thread_position_in_grid]]) {
    const uint i = id * 4, j = k.n_b == k.n ? i : i % k.n_b;
    device const float *x = out_is == 1 ? (device const float *)out : a;
    device const float *y = out_is == 2 ? (device const float *)out : b;
    if (i + 4 <= k.n && j + 4 <= k.n_b) {
        const float4 sum = float4(*(device const packed_float4 *)(x + i)) + float4(*(device const packed_float4 *)(y + j));
        *(device packed_float4 *)(out + i) = packed_float4(sum);
        return;
    }
    for (uint e = i; e < min(i + 4, k.n); e++) out[e] = x[e] + y[e % k.n_b];
}
