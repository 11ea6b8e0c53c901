// One threadgroup per row: out[r,i] = x[r,i] / sqrt(mean(x[r]^2) + eps) * weight[i].
#include <metal_stdlib>
#include "tests/soft/sample.h"
using namespace metal;

kernel void sample_norm(constant sample_args &a [[buffer(0)]], device float *out [[buffer(1)]],
                        device const float *x [[buffer(2)]], device const float *weight [[buffer(3)]],
                        uint row [[threadgroup_position_in_grid]], ushort tid [[thread_index_in_threadgroup]],
                        ushort lane [[thread_index_in_simdgroup]], ushort sg [[simdgroup_index_in_threadgroup]],
                        ushort n_sg [[simdgroups_per_threadgroup]], ushort n_thread [[threads_per_threadgroup]]) {
    threadgroup float part[32];
    device const float *row_x = x + (ulong)row * a.dim;
    float sum = 0;
    for (uint i = tid; i < a.dim; i += n_thread) sum += row_x[i] * row_x[i];
    sum = simd_sum(sum);
    if (lane == 0) part[sg] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    sum = simd_sum(lane < n_sg ? part[lane] : 0.0f);
    float scale = rsqrt(sum / a.dim + a.eps);
    for (uint i = tid; i < a.dim; i += n_thread) out[(ulong)row * a.dim + i] = row_x[i] * scale * weight[i];
}

// Smallest and largest with a prefix sum beside them: the other reductions.
kernel void sample_simd(device const int *x [[buffer(0)]], device int *out [[buffer(1)]],
                        ushort lane [[thread_index_in_simdgroup]], uint gid [[thread_position_in_grid]]) {
    int v = x[gid];
    int best = simd_max(v), least = simd_min(v);
    int before = simd_prefix_exclusive_sum(v), upto = simd_prefix_inclusive_sum(v);
    int left = simd_shuffle_up(v, 1), right = simd_shuffle_down(v, 1);
    int swapped = simd_shuffle_xor(v, 1), third = simd_broadcast(v, 3);
    ulong votes = (ulong)(simd_vote::vote_t)simd_ballot(v > 0);
    float4 four = simd_sum(float4((float)v, 1, 2, 3));
    int sums = (int)four.x + (int)four.y + (int)four.w;
    out[gid] = best + 3 * least + 5 * before + 7 * upto + 11 * left + 13 * right + 17 * swapped + 19 * third +
               (int)(votes & 0xff) + sums + (simd_all(v > -1000000) ? 1 : 0) + (simd_any(v == 1 << 30) ? 1 : 0) + lane;
}
