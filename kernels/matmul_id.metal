/* Matrix products per expert (matmul_id.h): lists of slots by expert, vec and mat form.
 *
 * table holds the device address of each expert's row 0; an expert that no id names is not read. */
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;
#include "kernels/matmul_mat.metal.h"

struct expert {
    device const uchar *w;
};

/* Slots by expert, for the mat form (matmul_metal.h has the layout), in one threadgroup: n_slot ids read twice by each
 * thread (all read the same one at a time), 4 bytes a slot and 16 a tile written. A thread owns the four experts from
 * 4 tid and is the only one to count or place their slots, so the order is that of the ids whatever runs first. */
kernel void matmul_id_lists(constant matmul_id_args &a [[buffer(0)]], device matmul_id_tile *lists [[buffer(1)]],
                            device const uint *ids [[buffer(2)]], ushort tid [[thread_index_in_threadgroup]],
                            ushort sg [[simdgroup_index_in_threadgroup]], ushort lane [[thread_index_in_simdgroup]]) {
    threadgroup uint next[MM_LIST_EXPERTS];
    threadgroup uint2 totals[MM_LIST_THREADS / 32];
    const uint n_slot = a.n_tok * a.n_used, mine = 4 * tid;
    for (uint e = mine; e < mine + 4; e++) next[e] = 0;
    for (uint s = 0; s < n_slot; s++)
        if (ids[s] / 4 == tid && ids[s] < a.n_expert) next[ids[s]]++;
    uint2 sum = uint2(0, 0); /* slots, tiles */
    for (uint e = mine; e < mine + 4; e++) sum += uint2(next[e], (next[e] + MM_MAT_TOK - 1) / MM_MAT_TOK);
    uint2 before = simd_prefix_exclusive_sum(sum);
    if (lane == 31) totals[sg] = before + sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (ushort i = 0; i < sg; i++) before += totals[i];
    if (tid == MM_LIST_THREADS - 1) lists->n = before.y + sum.y;
    uint first = before.x, tile = before.y;
    for (uint e = mine; e < mine + 4; e++) {
        const uint n = next[e];
        for (uint i = 0; i < n; i += MM_MAT_TOK) {
            device matmul_id_tile *t = lists + 1 + tile++;
            t->expert = e;
            t->first = first + i;
            t->n = min(n - i, (uint)MM_MAT_TOK);
        }
        next[e] = first;
        first += n;
    }
    device uint *slots = (device uint *)(lists + 1 + matmul_id_tile_max(n_slot, a.n_expert));
    for (uint s = 0; s < n_slot; s++)
        if (ids[s] / 4 == tid && ids[s] < a.n_expert) slots[next[ids[s]]++] = s;
}

/* One slot at a time, for few tokens: an expert is read once per slot that names it (from the caches when slots
 * share it). Grid: x over rows as in matmul_vec, y slots. */
template <typename W>
kernel void matmul_id_vec(constant matmul_id_args &a [[buffer(0)]], device float *y [[buffer(1)]],
                          device const float *x [[buffer(2)]], device const expert *table [[buffer(3)]],
                          device const uint *ids [[buffer(4)]], device const float *bias [[buffer(5)]],
                          uint2 group [[threadgroup_position_in_grid]], ushort sg [[simdgroup_index_in_threadgroup]],
                          ushort lane [[thread_index_in_simdgroup]]) {
    const uint first = (group.x * MM_VEC_SIMD + sg) * MM_VEC_ROWS(1), s = group.y, e = ids[s];
    if (first >= a.n_out || e >= a.n_expert) return; /* the whole simdgroup */
    device const float *from = x + (ulong)(a.x_per_slot ? s : s / a.n_used) * a.n_in;
    vec_rows<W, 1, MM_VEC_ROWS(1)>(1, a.n_in, a.n_out, first, y + (ulong)s * a.n_out, from, table[e].w,
                                   has_bias ? bias + (ulong)e * a.n_out : bias, lane);
}

/* One tile of the lists and one of rows. Grid: x over the most tiles that there can be, y over rows. */
template <typename W, typename T>
kernel void matmul_id_mat(constant matmul_id_args &a [[buffer(0)]], device float *y [[buffer(1)]],
                          device const float *x [[buffer(2)]], device const expert *table [[buffer(3)]],
                          device const matmul_id_tile *lists [[buffer(4)]], device const float *bias [[buffer(5)]],
                          threadgroup uchar *memory [[threadgroup(0)]], uint2 group [[threadgroup_position_in_grid]],
                          ushort tid [[thread_index_in_threadgroup]], ushort sg [[simdgroup_index_in_threadgroup]]) {
    if (group.x >= lists->n) return; /* the whole threadgroup */
    device const matmul_id_tile *tile = lists + 1 + group.x;
    mat_job j;
    j.n_in = a.n_in;
    j.n_row = a.n_out;
    j.row0 = group.y * MM_MAT_ROWS;
    j.n_tok = tile->n;
    j.x_div = a.x_per_slot ? 1 : a.n_used;
    j.slot = (device const uint *)(lists + 1 + matmul_id_tile_max(a.n_tok * a.n_used, a.n_expert)) + tile->first;
    j.x = x;
    j.w = table[tile->expert].w;
    j.bias = has_bias ? bias + (ulong)tile->expert * a.n_out : bias;
    j.y = y;
    mat_tile<W, T, true>(j, memory, tid, sg);
}

typedef decltype(matmul_id_vec<w_F32>) matmul_id_vec_kernel;
typedef decltype(matmul_id_mat<w_F32, float>) matmul_id_mat_kernel;
#define MATMUL_ID(T, in)                                                                                             \
    template [[host_name("matmul_id_vec_" #T)]] kernel matmul_id_vec_kernel matmul_id_vec<w_##T>;                    \
    template [[host_name("matmul_id_mat_" #T)]] kernel matmul_id_mat_kernel matmul_id_mat<w_##T, in>;
#define HALF(T) MATMUL_ID(T, half)
MATMUL_ID(F32, float)
HALF(F16)
HALF(BF16)
W_SMALL(HALF)
W_SUPER(HALF)
