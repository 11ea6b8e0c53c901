/* out[r,i] = x[r,i] / sqrt(mean_i(x[r,i]^2) + eps) * weight[i]; with y, x += y before that.
 *
 * Called by rms_norm_encode: a simdgroup a row for rows of up to RMS_NORM_SIMD_DIM elements (heads; RMS_NORM_ROWS rows a
 * threadgroup), a threadgroup a row for longer ones. Moves 8 bytes an element (x is read twice, the second time from the
 * cache), 16 with y, 4 operations. The sum: a chain of dim / (4 * threads) fma in each of 4 * threads floats, then a tree. A
 * row's bits depend on dim alone. In place x is read through out. A thread meets the same elements in all passes, so
 * what it adds to x only it reads. */
#include <metal_stdlib>
#include "kernels/rms_norm.h"
using namespace metal;

constant bool in_place [[function_constant(0)]];
constant bool has_weight [[function_constant(1)]];
constant bool has_y [[function_constant(2)]];

/* x += y, for the part of a row that falls to one of n threads. */
static inline void add_part(device float *x, device const float *y, uint dim, uint tid, uint n) {
    for (uint i = tid; i < dim / 4; i += n) {
        device packed_float4 *p = (device packed_float4 *)x + i;
        *p = packed_float4(float4(*p) + float4(((device const packed_float4 *)y)[i]));
    }
    const uint tail = dim / 4 * 4 + tid;
    if (tail < dim) x[tail] += y[tail];
}

/* The sum of squares of the part of a row that falls to one of n threads. */
static inline float part_of_sum(device const float *x, uint dim, uint tid, uint n) {
    float4 sum = float4(0);
    for (uint i = tid; i < dim / 4; i += n) {
        const float4 v = float4(((device const packed_float4 *)x)[i]);
        sum = fma(v, v, sum);
    }
    const uint tail = dim / 4 * 4 + tid;
    if (tail < dim) sum.x = fma(x[tail], x[tail], sum.x);
    return (sum.x + sum.y) + (sum.z + sum.w);
}

static inline float stretch(constant rms_norm_args &a, float sum) { return 1.0f / precise::sqrt(sum / (float)a.dim + a.eps); }

static inline void write_part(device float *out, device const float *x, device const float *weight, float s, uint dim, uint tid,
                              uint n) {
    for (uint i = tid; i < dim / 4; i += n) {
        float4 v = float4(((device const packed_float4 *)x)[i]) * s;
        if (has_weight) v *= float4(((device const packed_float4 *)weight)[i]);
        ((device packed_float4 *)out)[i] = packed_float4(v);
    }
    const uint tail = dim / 4 * 4 + tid;
    if (tail < dim) out[tail] = x[tail] * s * (has_weight ? weight[tail] : 1.0f);
}

kernel void rms_norm(constant rms_norm_args &a [[buffer(0)]], device float *out [[buffer(1)]], device float *x [[buffer(2)]],
                     device const float *weight [[buffer(3)]], device const float *y [[buffer(4)]],
                     uint row [[threadgroup_position_in_grid]],
                     ushort tid [[thread_index_in_threadgroup]], ushort n_thread [[threads_per_threadgroup]],
                     ushort lane [[thread_index_in_simdgroup]], ushort sg [[simdgroup_index_in_threadgroup]],
                     ushort n_sg [[simdgroups_per_threadgroup]]) {
    threadgroup float part[32];
    const ulong at = (ulong)row * a.dim;
    if (has_y) add_part(x + at, y + at, a.dim, tid, n_thread);
    device const float *v = (in_place ? out : x) + at;
    float sum = simd_sum(part_of_sum(v, a.dim, tid, n_thread));
    if (lane == 0) part[sg] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    sum = simd_sum(lane < n_sg ? part[lane] : 0.0f);
    write_part(out + at, v, weight, stretch(a, sum), a.dim, tid, n_thread);
}

kernel void rms_norm_heads(constant rms_norm_args &a [[buffer(0)]], device float *out [[buffer(1)]],
                           device float *x [[buffer(2)]], device const float *weight [[buffer(3)]],
                           device const float *y [[buffer(4)]], uint group [[threadgroup_position_in_grid]],
                           ushort lane [[thread_index_in_simdgroup]], ushort sg [[simdgroup_index_in_threadgroup]]) {
    const uint row = group * RMS_NORM_ROWS + sg;
    if (row >= a.n_row) return; // a whole simdgroup
    const ulong at = (ulong)row * a.dim;
    if (has_y) add_part(x + at, y + at, a.dim, lane, 32);
    device const float *v = (in_place ? out : x) + at;
    const float sum = simd_sum(part_of_sum(v, a.dim, lane, 32));
    write_part(out + at, v, weight, stretch(a, sum), a.dim, lane, 32);
}
