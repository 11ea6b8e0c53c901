/* out[i] = act(gate[i]) * up[i]; glu.h has the activations.
 *
 * Called by glu_encode. Grid: threadgroups of 256 threads, 4 elements a thread. Moves 12 bytes and does about 15 (silu) or 30
 * (gelu) operations an element, in float. Where e^-x overflows, silu is -0. In place the operand that is also the
 * result is read through out. */
#include <metal_stdlib>
#include "kernels/glu.h"
using namespace metal;

constant uint out_is [[function_constant(0)]]; // 0: neither operand, 1: gate, 2: up

static inline float4 silu(float4 x) { return x / (1.0f + precise::exp(-x)); }

static inline float4 gelu_tanh(float4 x) {
    const float root_2_pi = 0.797884561f;
    return 0.5f * x * (1.0f + precise::tanh(root_2_pi * x * (1.0f + 0.044715f * x * x)));
}

static inline float4 gated(uint act, float4 gate, float4 up) {
    return (act == GLU_SILU ? silu(gate) : gelu_tanh(gate)) * up;
}

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
    for (uint j = i; j < a.n; j++) out[j] = gated(a.act, float4(g[j]), float4(u[j])).x;
}
