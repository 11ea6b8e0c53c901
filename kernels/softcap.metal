/* out[i] = cap * tanh(x[i] / cap).
 *
 * Called by softcap_encode. Grid: threadgroups of 256 threads, 4 elements a thread. Moves 8 bytes and does about 20 operations
 * an element. precise::tanh, because the fast one is NaN for large arguments. In place x is read through out. */
#include <metal_stdlib>
#include "kernels/softcap.h"
using namespace metal;

constant bool in_place [[function_constant(0)]];

kernel void softcap(constant softcap_args &a [[buffer(0)]], device float *out [[buffer(1)]], device const float *x [[buffer(2)]],
                    uint id [[thread_position_in_grid]]) {
    const uint i = id * 4;
    device const float *src = in_place ? (device const float *)out : x;
    if (i + 4 <= a.n) {
        const float4 v = float4(*(device const packed_float4 *)(src + i));
        *(device packed_float4 *)(out + i) = packed_float4(precise::tanh(v / a.cap) * a.cap);
        return;
    }
    for (uint j = i; j < a.n; j++) out[j] = precise::tanh(src[j] / a.cap) * a.cap;
}
