/* Attention of few tokens, each by itself; attention.h has the formula.
 *
 * Called by attention_encode for decode steps. Grid: x (kv head, chunk of G of its query heads), y tokens, z segments of the context
 * when it is split (then attention_merge follows), else 1. ATTENTION_DECODE_SG simdgroups a threadgroup.
 * A simdgroup takes every fourth chunk of 32 positions of a segment through an online softmax of its own:
 *   scores: 8 lanes a row, 8 elements at a time, 8 rows a lane; K is loaded once for G heads; a transposing sum leaves
 *     lane l with the score of one position
 *   values: as many lanes a row as it has pieces of 8 elements, several rows side by side when it has less than 32
 * At the end of a segment the simdgroups' results are merged in order, then segments in order. All cuts lie at fixed
 * positions, so that a token's bits depend on nothing but its own sequence.
 * Moves the keys and values of n_pos positions once per chunk of G heads; 2 n_head n_pos (head_dim + head_dim_v) operations in
 * float. G heads of up to 256 * NV elements; threadgroup memory 10 KB (NV 1, G 4) to 18 KB. */
#include <metal_stdlib>
#include "kernels/attention_kv.metal.h"
using namespace metal;

#define N_SG ATTENTION_DECODE_SG

/* v[i] summed over the 8 lanes of a row, for the i that is the lane's number among them. */
static inline float sum_of_row(thread float *v, ushort sub) {
    for (ushort n = 4; n > 0; n /= 2) {
        for (ushort i = 0; i < n; i++) {
            const bool up = (sub & n) != 0;
            const float keep = up ? v[i + n] : v[i], give = up ? v[i] : v[i + n];
            v[i] = keep + simd_shuffle_xor(give, n);
        }
    }
    return v[0];
}

/* The lanes that share a row of n pieces: a power of two. */
static inline uint lanes_of(uint n) { return n > 16 ? 32 : n > 8 ? 16 : n > 4 ? 8 : n > 2 ? 4 : n; }

template <typename T, ushort G, ushort NV>
kernel void attention_decode(constant attention_args &a [[buffer(0)]], device float *out [[buffer(1)]],
                             device float *work [[buffer(2)]], const device float *q [[buffer(3)]],
                             const device T *k_pool [[buffer(4)]], const device T *v_pool [[buffer(5)]],
                             const device uint *tables [[buffer(6)]], const device uint *seqs [[buffer(7)]],
                             const device int *pos [[buffer(8)]], const device float *sinks [[buffer(9)]],
                             uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                             uint lane [[thread_index_in_simdgroup]], uint sg [[simdgroup_index_in_threadgroup]]) {
    threadgroup float4 query[G * 64 * NV];          // (G, 256 * NV)
    threadgroup float4 sum[G * 64 * NV];            // (G, 256 * NV)
    threadgroup float weight[N_SG * G * 32];        // (simdgroup, head, position)
    threadgroup uint row_of[N_SG * 32];
    threadgroup float part_m[N_SG * G];
    threadgroup float part_l[N_SG * G];
    const uint per_kv = a.n_head / a.n_head_kv, n_chunk = (per_kv + G - 1) / G;
    const uint kv_head = group.x / n_chunk, g0 = group.x % n_chunk * G, n_g = min((uint)G, per_kv - g0);
    const uint head0 = kv_head * per_kv + g0, token = group.y;
    const uint n_k8 = (head_dim + 7) / 8, n_v8 = (head_dim_v + 7) / 8, v_lanes = lanes_of(n_v8);
    const uint sub = lane % 8, quarter = lane / 8, v_first = lane % v_lanes;
    const device uint *table = tables + (ulong)seqs[token] * a.table_stride;
    const uint end = (uint)max(pos[token] + 1, 0), begin = a.window > 0 && end > a.window ? end - a.window : 0;
    const bool split = a.n_segment > 1;

    for (uint i = tid; i < G * 256 * NV; i += 32 * N_SG) { // heads that are not there repeat the last
        const uint d = i % (256 * NV), head = head0 + min(i / (256 * NV), n_g - 1);
        ((threadgroup float *)query)[i] = d < head_dim ? q[((ulong)token * a.n_head + head) * head_dim + d] : 0.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    float total[G * NV * 2], total_m[G], total_l[G]; // element i * 128 + tid of (G, 256 * NV)
    for (ushort i = 0; i < G * NV * 2; i++) total[i] = 0;
    for (ushort g = 0; g < G; g++) {
        total_m[g] = ATTENTION_MASKED;
        total_l[g] = 0;
    }
    const uint first_segment = split ? group.z : begin / ATTENTION_SEGMENT;
    const uint last_segment = split ? group.z + 1 : (end + ATTENTION_SEGMENT - 1) / ATTENTION_SEGMENT;
    for (uint segment = first_segment; segment < last_segment; segment++) {
        const uint lo = max(begin, segment * ATTENTION_SEGMENT), hi = min(end, (segment + 1) * ATTENTION_SEGMENT);
        float4 acc[G][NV][2];
        float m[G], l[G];
        for (ushort g = 0; g < G; g++) {
            m[g] = ATTENTION_MASKED;
            l[g] = 0;
            for (ushort k = 0; k < NV; k++) acc[g][k][0] = acc[g][k][1] = float4(0);
        }
        for (uint c = segment * (ATTENTION_SEGMENT / 32) + sg; c * 32 < hi; c += N_SG) {
            if (c * 32 + 32 <= lo) continue;
            row_of[sg * 32 + lane] = pool_row(a, table, kv_head, clamp(c * 32 + lane, lo, hi - 1)); // masked: any that exists
            simdgroup_barrier(mem_flags::mem_threadgroup);
            float s[G][8];
            for (ushort g = 0; g < G; g++)
                for (ushort i = 0; i < 8; i++) s[g][i] = 0;
            for (uint u = sub; u < n_k8; u += 8) {
                for (ushort i = 0; i < 8; i++) {
                    float4 k0, k1;
                    load8(k_pool + (ulong)row_of[sg * 32 + i * 4 + quarter] * row_units(head_dim, k_pool), u, head_dim, k0, k1);
                    for (ushort g = 0; g < G; g++)
                        s[g][i] += dot(query[g * 64 * NV + u * 2], k0) + dot(query[g * 64 * NV + u * 2 + 1], k1);
                }
            }
            const uint mine = sub * 4 + quarter, at = c * 32 + mine;
            for (ushort g = 0; g < G; g++) {
                const bool seen = at >= lo && at < hi;
                const float dot_product = sum_of_row(s[g], (ushort)sub);
                const float score = seen ? capped(a, dot_product) : ATTENTION_MASKED;
                const float top = max(m[g], simd_max(score)), keep = fast::exp(m[g] - top);
                const float p = seen ? fast::exp(score - top) : 0.0f;
                weight[(sg * G + g) * 32 + mine] = p;
                l[g] = fma(l[g], keep, p);
                m[g] = top;
                for (ushort k = 0; k < NV; k++) {
                    acc[g][k][0] *= keep;
                    acc[g][k][1] *= keep;
                }
            }
            simdgroup_barrier(mem_flags::mem_threadgroup);
            for (uint j = lane / v_lanes; j < 32; j += 32 / v_lanes) {
                const device T *row = v_pool + (ulong)row_of[sg * 32 + j] * row_units(head_dim_v, v_pool);
                for (ushort k = 0; k < NV; k++) {
                    if (v_first + 32 * k >= n_v8) continue;
                    float4 v0, v1;
                    load8(row, v_first + 32 * k, head_dim_v, v0, v1);
                    for (ushort g = 0; g < G; g++) {
                        const float4 p = float4(weight[(sg * G + g) * 32 + j]);
                        acc[g][k][0] = fma(p, v0, acc[g][k][0]);
                        acc[g][k][1] = fma(p, v1, acc[g][k][1]);
                    }
                }
            }
            simdgroup_barrier(mem_flags::mem_threadgroup); // the next chunk overwrites row_of and weight
        }
        for (ushort g = 0; g < G; g++) {
            l[g] = simd_sum(l[g]);
            for (uint n = v_lanes; n < 32; n *= 2) {
                for (ushort k = 0; k < NV; k++) {
                    acc[g][k][0] += simd_shuffle_xor(acc[g][k][0], (ushort)n);
                    acc[g][k][1] += simd_shuffle_xor(acc[g][k][1], (ushort)n);
                }
            }
            if (lane == 0) {
                part_m[sg * G + g] = m[g];
                part_l[sg * G + g] = l[g];
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        float segment_m[G], segment_l[G];
        for (ushort g = 0; g < G; g++) {
            segment_m[g] = ATTENTION_MASKED;
            segment_l[g] = 0;
            for (ushort i = 0; i < N_SG; i++) segment_m[g] = max(segment_m[g], part_m[i * G + g]);
            for (ushort i = 0; i < N_SG; i++)
                segment_l[g] = fma(part_l[i * G + g], fast::exp(part_m[i * G + g] - segment_m[g]), segment_l[g]);
        }
        if (sg == 0 && lane < v_lanes) {
            for (ushort g = 0; g < G; g++)
                for (ushort k = 0; k < NV; k++)
                    sum[g * 64 * NV + (v_first + 32 * k) * 2] = sum[g * 64 * NV + (v_first + 32 * k) * 2 + 1] = float4(0);
        }
        for (uint i = 0; i < N_SG; i++) {
            if (sg == i && lane < v_lanes) {
                for (ushort g = 0; g < G; g++) {
                    const float4 keep = float4(fast::exp(m[g] - segment_m[g]));
                    for (ushort k = 0; k < NV; k++) {
                        const uint to = g * 64 * NV + (v_first + 32 * k) * 2;
                        sum[to] = fma(acc[g][k][0], keep, sum[to]);
                        sum[to + 1] = fma(acc[g][k][1], keep, sum[to + 1]);
                    }
                }
            }
            threadgroup_barrier(mem_flags::mem_threadgroup);
        }
        for (ushort g = 0; g < G; g++) {
            float keep, take;
            join(total_m[g], total_l[g], segment_m[g], segment_l[g], keep, take);
            for (ushort i = 0; i < NV * 2; i++) {
                if (i * 128 + tid >= head_dim_v) continue;
                const float x = ((threadgroup float *)sum)[g * 256 * NV + i * 128 + tid];
                total[g * NV * 2 + i] = split ? x : fma(total[g * NV * 2 + i], keep, x * take);
            }
        }
    }

    for (ushort g = 0; g < G; g++) {
        if (g >= n_g) continue;
        const ulong row = (ulong)token * a.n_head + head0 + g;
        device float *to = split ? work + (row * a.n_segment + group.z) * (head_dim_v + 2) : out + row * head_dim_v;
        const float scale = split ? 1.0f : final_scale(total_m[g], total_l[g], sinks, head0 + g);
        for (ushort i = 0; i < NV * 2; i++)
            if (i * 128 + tid < head_dim_v) to[i * 128 + tid] = total[g * NV * 2 + i] * scale;
        if (split && tid == 0) {
            to[head_dim_v] = total_m[g];
            to[head_dim_v + 1] = total_l[g];
        }
    }
}

#define DECODE(name, T, G, NV)                                                                                              \
    template [[host_name("attention_decode_" name "_" #G "_" #NV)]] kernel void attention_decode<T, G, NV>(                 \
        constant attention_args &, device float *, device float *, const device float *, const device T *, const device T *, \
        const device uint *, const device uint *, const device int *, const device float *, uint3, uint, uint, uint);
#define DECODES(name, T) DECODE(name, T, 1, 1) DECODE(name, T, 2, 1) DECODE(name, T, 4, 1) \
    DECODE(name, T, 1, 2) DECODE(name, T, 2, 2) DECODE(name, T, 4, 2)
DECODES("f16", half)
DECODES("q8_0", block_q8_0)

/* Joins the segments of a split context in order, as the loop above does. Grid: x heads, y tokens; threads over elements. */
kernel void attention_merge(constant attention_args &a [[buffer(0)]], device float *out [[buffer(1)]],
                            const device float *work [[buffer(2)]], const device float *sinks [[buffer(3)]],
                            uint2 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                            uint n_thread [[threads_per_threadgroup]]) {
    const ulong row = (ulong)group.y * a.n_head + group.x;
    const device float *parts = work + row * a.n_segment * (head_dim_v + 2);
    for (uint d = tid; d < head_dim_v; d += n_thread) {
        float m = ATTENTION_MASKED, l = 0, x = 0, keep, take;
        for (uint i = 0; i < a.n_segment; i++) {
            const device float *part = parts + (ulong)i * (head_dim_v + 2);
            if (part[head_dim_v + 1] == 0) continue; // no position of this segment is seen
            join(m, l, part[head_dim_v], part[head_dim_v + 1], keep, take);
            x = fma(x, keep, part[d] * take);
        }
        out[row * head_dim_v + d] = x * final_scale(m, l, sinks, group.x);
    }
}
