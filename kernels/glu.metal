/* out[i] = act(gate[i]) * up[i]; glu.h has the activations.
 *
 * Called by glu_encode. Grid: threadgroups of 256 threads, 4 elements a thread. Moves 12 bytes and does about 15 (silu) or 30
 * (gelu) operations an element, in float. In place the operand that is also the
 * result is read through out. */
#include "kernels/glu.metal.h"

constant uint out_is [[function_constant(0)]]; // 0: neither operand, 1: gate, 2: up

kernel void glu(constant glu_args &a [[buffer(0)]], device float *out [[buffer(1)]], device const float *gate [[buffer(2)]],
                device const float *up [[buffer(3)]], uint id [[thread_position_in_grid]]) {
    const uint i = id * 4;
    device const float *g = out_is == 1 ? (device const float *)out : gate;
    device const float *u = out_is == 2 ? (device const float *)out : up;
    if (i + 4 <= a.n) {
        const float4 y = gated(a.act, float4(*(device const packed_float4 *)(g + i)), float4(*(device const packed_float4 *)(u + i)));
        *(device packed_float4 *)(out + i) = packed_float4(y);
        return;
    }
    for (uint j = i; j < a.n; j++) out[j] = gated(a.act, g[j], u[j]);
}
