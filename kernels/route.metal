/* The n_used largest of n_expert logits in falling order, and their weights; route.h has the formula.
 *
 * Called by route_encode. Grid: threadgroups of ROUTE_ROWS simdgroups, a simdgroup a token. Lane l looks after experts l, l + 32, ...
 * and offers its best one that is not taken; the best offer wins, and its lane looks again. Moves 4 n_expert bytes (from
 * the cache after the first round) and 8 n_used; n_used rounds of two simd reductions. Sums in float: over all experts a chain of
 * n_expert / 32 in each lane and a tree, over the chosen ones a chain. NaN come last, equal ones by id. */
#include <metal_stdlib>
#include "kernels/order.metal.h"
#include "kernels/route.h"
using namespace metal;

/* A lane's best expert that is not taken; n when none is left. */
static inline uint best_left(device const float *x, uint n, uint lane, const thread uint *taken, thread uint &key) {
    uint best = n;
    key = 0;
    for (uint i = lane, j = 0; i < n; i += 32, j++) {
        if (taken[j / 32] >> (j % 32) & 1) continue;
        const uint k = order_key(x[i]);
        if (best < n && k <= key) continue;
        best = i;
        key = k;
    }
    return best;
}

kernel void route(constant route_args &a [[buffer(0)]], device int *ids [[buffer(1)]], device float *weights [[buffer(2)]],
                  device const float *logits [[buffer(3)]], uint group [[threadgroup_position_in_grid]],
                  ushort lane [[thread_index_in_simdgroup]], ushort sg [[simdgroup_index_in_threadgroup]]) {
    const uint t = group * ROUTE_ROWS + sg, n = a.n_expert;
    if (t >= a.n_tok) return; // a whole simdgroup
    device const float *x = logits + (ulong)t * n;
    device int *id_out = ids + (ulong)t * a.n_used;
    device float *w_out = weights + (ulong)t * a.n_used;
    uint taken[ROUTE_MAX_EXPERT / 1024] = {0};
    uint key, mine = best_left(x, n, lane, taken, key);
    float top = 0, chosen = 0;
    for (uint r = 0; r < a.n_used; r++) {
        const uint best = simd_max(mine < n ? key : 0u);
        const uint id = simd_min(mine < n && key == best ? mine : n);
        top = r == 0 ? x[id] : top;
        const float p = precise::exp(x[id] - top);
        chosen += p;
        if (lane == r % 32) {
            id_out[r] = (int)id;
            w_out[r] = p;
        }
        if (mine == id) {
            taken[id / 1024] |= 1u << (id / 32 % 32);
            mine = best_left(x, n, lane, taken, key);
        }
    }
    float all = 0;
    for (uint i = lane; i < n; i += 32) all += precise::exp(x[i] - top);
    all = simd_sum(all);
    const float sum = a.flags & (ROUTE_RENORM | ROUTE_SOFTMAX_CHOSEN) ? chosen : all;
    for (uint r = lane; r < a.n_used; r += 32) w_out[r] = w_out[r] / sum * a.scale;
}
