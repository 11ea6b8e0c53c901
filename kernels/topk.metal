/* The k best logits of each row; topk.h has the order.
 *
 * Called by topk_encode, for sampling: k numbers come back instead of a row of logits. A logit and its id make one
 * 64-bit number whose order is the one wanted, so that sorting is exact and no two are equal.
 *
 * topk_argmax (k = 1): a threadgroup a row, 4 n bytes, 2 n operations and a tree.
 * topk_*: grid x slices, y rows; a threadgroup sorts up to TOPK_SLICE numbers (bitonic, descending, in threadgroup memory: 66
 * steps for 2048, 2048 * 33 comparisons) and keeps k. Moves 4 n bytes, then 16 k a slice. first: numbers come
 * from logits, else from the pass before; last: ids and values go out, else numbers for the next pass. */
#include <metal_stdlib>
#include "kernels/order.metal.h"
#include "kernels/topk.h"
using namespace metal;

static inline ulong rank_of(float x, uint id) { return (ulong)order_key(x) << 32 | (ulong)(~id); }
static inline uint id_of(ulong rank) { return ~(uint)rank; }

static inline void sort_down(threadgroup ulong *rank, uint size, uint tid) {
    for (uint len = 2; len <= size; len *= 2) {
        for (uint stride = len / 2; stride > 0; stride /= 2) {
            for (uint p = tid; p < size / 2; p += TOPK_THREADS) {
                const uint i = 2 * p - (p & (stride - 1)), j = i + stride;
                const ulong a = rank[i], b = rank[j];
                const bool falling = (i & len) == 0;
                if ((a < b) == falling) {
                    rank[i] = b;
                    rank[j] = a;
                }
            }
            threadgroup_barrier(mem_flags::mem_threadgroup);
        }
    }
}

template <bool first, bool last>
kernel void topk(constant topk_args &a [[buffer(0)]], device int *ids [[buffer(1)]], device float *values [[buffer(2)]],
                 device ulong *dst [[buffer(3)]], device const float *x [[buffer(4)]], device const ulong *src [[buffer(5)]],
                 uint2 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]]) {
    threadgroup ulong rank[TOPK_SLICE];
    device const float *row = x + (ulong)group.y * a.n;
    for (uint i = tid; i < a.size; i += TOPK_THREADS) {
        const uint from = group.x * TOPK_SLICE + i;
        ulong r = 0; // below every logit's
        if (from < a.n_in) r = first ? rank_of(row[from], from) : src[(ulong)group.y * a.n_in + from];
        rank[i] = r;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    sort_down(rank, a.size, tid);
    for (uint i = tid; i < a.k; i += TOPK_THREADS) {
        const ulong r = i < a.size ? rank[i] : 0;
        if (last) {
            ids[(ulong)group.y * a.k + i] = (int)id_of(r);
            values[(ulong)group.y * a.k + i] = row[id_of(r)];
        } else {
            dst[((ulong)group.y * a.n_slice + group.x) * a.k + i] = r;
        }
    }
}

#define TOPK(name, first, last)                                                                                        \
    template [[host_name(name)]] kernel void topk<first, last>(constant topk_args &, device int *, device float *,     \
                                                               device ulong *, device const float *, device const ulong *, \
                                                               uint2, uint);
TOPK("topk_only", true, true)
TOPK("topk_first", true, false)
TOPK("topk_next", false, false)
TOPK("topk_last", false, true)

kernel void topk_argmax(constant topk_args &a [[buffer(0)]], device int *ids [[buffer(1)]], device float *values [[buffer(2)]],
                        device const float *x [[buffer(3)]], uint row [[threadgroup_position_in_grid]],
                        ushort tid [[thread_index_in_threadgroup]], ushort n_thread [[threads_per_threadgroup]],
                        ushort lane [[thread_index_in_simdgroup]], ushort sg [[simdgroup_index_in_threadgroup]],
                        ushort n_sg [[simdgroups_per_threadgroup]]) {
    threadgroup uint keys[32];
    threadgroup uint best_ids[32];
    device const float *v = x + (ulong)row * a.n;
    uint key = 0, id = tid < a.n ? tid : UINT_MAX;
    for (uint i = tid; i < a.n; i += n_thread) {
        const uint k = order_key(v[i]);
        if (k > key) {
            key = k;
            id = i;
        }
    }
    uint top = simd_max(key), top_id = simd_min(key == top ? id : UINT_MAX);
    if (lane == 0) {
        keys[sg] = top;
        best_ids[sg] = top_id;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    key = lane < n_sg ? keys[lane] : 0;
    id = lane < n_sg ? best_ids[lane] : UINT_MAX;
    top = simd_max(key);
    top_id = simd_min(key == top ? id : UINT_MAX);
    if (tid == 0) {
        ids[row] = (int)top_id;
        values[row] = v[top_id];
    }
}
