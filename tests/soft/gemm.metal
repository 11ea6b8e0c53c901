// c (m, n) = a (m, k) b (k, n), half by half into float; m, n multiples of 32, k of 8. 128 threads, a tile of 32 x 32.
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
#include "tests/soft/sample.h"
using namespace metal;

template <typename T, typename T4, void (*unpack)(device const T *, thread T4 &)>
kernel void sample_gemm(constant sample_gemm_args &g [[buffer(0)]], device float *c [[buffer(1)]], device const T *a [[buffer(2)]],
                        device const T *b [[buffer(3)]], threadgroup T *shared [[threadgroup(0)]],
                        uint2 group [[threadgroup_position_in_grid]], ushort tid [[thread_index_in_threadgroup]],
                        ushort sg [[simdgroup_index_in_threadgroup]]) {
    threadgroup T tile_b[8 * 32];
    threadgroup T *tile_a = shared; // 32 x 8
    simdgroup_matrix<float, 8, 8> sum[4];
    for (int i = 0; i < 4; i++) sum[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    for (uint k = 0; k < g.k; k += 8) {
        if (tid < 64) {
            T4 v;
            unpack(a + (ulong)(group.y * 32 + tid / 2) * g.k + k + tid % 2 * 4, v);
            *(threadgroup T4 *)(tile_a + tid * 4) = v;
        }
        for (ushort i = tid; i < 256; i += 128) tile_b[i] = b[(ulong)(k + i / 32) * g.n + group.x * 32 + i % 32];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_matrix<T, 8, 8> ma, mb;
        simdgroup_load(ma, tile_a + sg * 64, 8);
        for (int i = 0; i < 4; i++) {
            simdgroup_load(mb, tile_b + 8 * i, 32);
            simdgroup_multiply_accumulate(sum[i], ma, mb, sum[i]);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    for (int i = 0; i < 4; i++) simdgroup_store(sum[i], c + (ulong)(group.y * 32 + sg * 8) * g.n + group.x * 32 + 8 * i, g.n);
}

template <typename T, typename T4> void copy4(device const T *p, thread T4 &v) { v = T4(p[0], p[1], p[2], p[3]); }

template [[host_name("sample_gemm_f16")]] kernel void sample_gemm<half, half4, copy4<half, half4>>(
    constant sample_gemm_args &, device float *, device const half *, device const half *, threadgroup half *, uint2, ushort, ushort);
typedef decltype(sample_gemm<float, float4, copy4<float, float4>>) gemm_f32;
template [[host_name("sample_gemm_f32")]] kernel gemm_f32 sample_gemm<float, float4, copy4<float, float4>>;
