/* out[i] = x[i] * factor.
 *
 * Called by scale_encode. Grid: threadgroups of 256 threads, 4 elements a thread. Moves 8 bytes and does 1 operation an
 * element. One rounding. In place x is read through out, so that no two arguments overlap. */
#include <metal_stdlib>
#include "kernels/scale.h"
using namespace metal;

constant bool in_place [[function_constant(0)]];

kernel void scale(constant scale_args &a [[buffer(0)]], device float *out [[buffer(1)]], device const float *x [[buffer(2)]],
                  uint id [[thread_position_in_grid]]) {
    const uint i = id * 4;
    device const float *src = in_place ? (device const float *)out : x;
    if (i + 4 <= a.n) {
        *(device packed_float4 *)(out + i) = packed_float4(float4(*(device const packed_float4 *)(src + i)) * a.factor);
        return;
    }
    for (uint j = i; j < a.n; j++) out[j] = src[j] * a.factor;
}
