// One result per form of the language that kernels use; tests/test_softexec.c knows the answers.
#include <metal_stdlib>
#include "tests/soft/sample.h"
using namespace metal;

constant float table[4] = {1, 2, 4, 8};
constexpr constant uchar bytes[] = {3, 5, 7};
constant uint2 pairs[2] = {uint2(1, 2), uint2(3, 4)};

using wide = vec<float, 4>;
typedef half4 narrow;

struct pair_sum {
    float a, b;
    float total() const thread { return a + b; }
};

template <typename T> static inline T twice(T x) { return T(2) * x; }
template <typename T4> static inline T4 widen(device const half *p) { return (T4)(*(device const half4 *)p); }

template <typename T2> static inline void matmul_like(thread T2 &v) { v = v * v; }

static inline void fill(thread float4x4 &m, float v) {
    for (int i = 0; i < 4; i++) m[i] = float4(v + i);
}

[[max_total_threads_per_threadgroup(64)]] kernel void
forms(constant sample_args &args [[buffer(0)]], device float *out [[buffer(1)]], device const half *h [[buffer(2)]],
      const device ulong *addresses [[buffer(3)]], device atomic_uint *counter [[buffer(4)]], constant float2 *scales [[buffer(5)]],
      threadgroup char *scratch [[threadgroup(1)]], uint3 group [[threadgroup_position_in_grid]],
      uint3 pos [[thread_position_in_threadgroup]], uint3 grid [[thread_position_in_grid]], ushort lane [[thread_index_in_simdgroup]],
      uint3 size [[threads_per_threadgroup]], uint3 groups [[threadgroups_per_grid]]) {
    threadgroup float a[4], b[64];
    threadgroup uint2 c;
    threadgroup half *moved = (threadgroup half *)scratch;
    uint i = 0;
    if (grid.x == 0) {
        a[0] = 1;
        a[3] = 5;
        c = pairs[1];
    }
    b[pos.x] = (float)pos.x;
    moved[pos.x] = (half)pos.x;
    threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
    atomic_fetch_add_explicit(counter, 1u, memory_order_relaxed);
    float total = simd_sum(b[pos.x] * 0.5 + (float)moved[pos.x]);
    half4 hs = simd_shuffle_xor(half4(half(lane), 1.0h, 2.0h, 3.0h), ushort(1));
    uint votes = (uint)(simd_vote::vote_t)simd_ballot(lane < 4);
    if (lane != 0 || group.x != 0 || pos.x != 0) return;
    out[i++] = total;                                             // 0: (0 + .. + 31) * 1.5 = 744
    out[i++] = (float)hs.x + (float)hs.w;                         // 1: 1 + 3
    out[i++] = table[args.dim & 3] + bytes[2];                    // 2: 4 + 7
    wide w = wide(1, 2, 3, 4);
    out[i++] = dot(w, float4(hs));                                // 3: 1 + 2 + 6 + 12
    out[i++] = (w.xy + w.zw).y + w.wzyx.x;                        // 4: 6 + 4
    int4 q = (int4)(w * 1.9f);
    out[i++] = (float)(q.x + q.y + q.z + q.w);                    // 5: 1 + 3 + 5 + 7
    narrow n = narrow(w);
    out[i++] = (float)n.z + widen<float4>(h).y;                   // 6: 3 + 2
    out[i++] = twice<float2>(scales[1]).x;                        // 7: 2 * 3
    float4x4 m;
    fill(m, 1);
    out[i++] = m[3][0] + m[0].x;                                  // 8: 4 + 1
    out[i++] = select(1.0f, 2.0f, w.x > 0.5f) + select(w, -w, w > 2.0f).z; // 9: 2 - 3
    out[i++] = all(w > 0.5f) && any(w > 3.5f) && !any(w > 4.5f) ? 1 : 0;   // 10
    half2 hh = as_type<half2>(0x40003c00u);
    out[i++] = (float)hh.x + (float)hh.y;                         // 11: 1 + 2
    device const float *far = (device const float *)addresses[0];
    out[i++] = far[1];                                            // 12: 42
    out[i++] = clamp(max(3.0f, w.x), 0.0f, 2.5f) + min(7, 3) + abs(-2); // 13: 2.5 + 3 + 2
    bfloat bf = bfloat(1.5f);
    out[i++] = (float)bf + as_type<float>((uint)as_type<ushort>(bf) << 16); // 14: 3
    out[i++] = (float)(c.x * 10 + c.y) + a[0] + a[3];             // 15: 34 + 6
    pair_sum s = {1, 2};
    out[i++] = s.total();                                         // 16: 3
    out[i++] = (float)votes + (float)popcount(votes) + (float)clz(1u); // 17: 15 + 4 + 31
    float4 acc = 0.0f;
#pragma unroll
    for (short k = 0; k < 4; ++k) acc[k] += (float)k;
    out[i++] = acc.x + acc.y + acc.z + acc.w;                     // 18: 6
    out[i++] = fma(2.0f, 3.0f, 1.0f) + precise::exp(0.0f) + sqrt(16.0f) + rsqrt(4.0f) + fract(1.25f) + sign(-3.0f); // 19: 7 + 1 + 4 + .5 + .25 - 1
    uchar4 u = as_type<uchar4>(0x04030201u);
    out[i++] = (float)(u.x + u.y + u.z + u.w) + float4(u).w;      // 20: 10 + 4
    device const packed_float4 *loose = (device const packed_float4 *)(out + 1);
    out[i++] = float4(loose[0]).x;                                // 21: out[1] = 4
    float4 built = float4(w.xy, float2(5.0f));
    out[i++] = built.w + built.y + vec<float, 2>(6.0f).x;         // 22: 5 + 2 + 6
    out[i++] = (float)(size.x + groups.x) + (-(float)lane) + (float)(ushort)70000; // 23: 32 + 2 + 4464
    out[i++] = exp2(half(3.0h)) + 1e-1 * 10.0 + 1.5e3f;           // 24: 8 + 1 + 1500
    threadgroup float *walk = a;
    walk += 3;
    out[i++] = *walk;                                             // 25: 5
    out[i++] = (float)bfloat(scales[0].x + 0.0039f) + (float)bfloat(-scales[0].x - 0.0041f); // 26: 1 - 1.0078125
    matmul_like<half2>(hh);
    out[i++] = (float)hh.y;                                       // 27: 4
}
