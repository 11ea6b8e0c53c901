/* Rotary position embedding, in place: x (n_tok, n_head, head_dim); rope.h has the formula.
 *
 * Called by rope_encode. Grid: x threadgroups of 64 threads over the rotated pairs, y tokens, z groups of ROPE_HEADS heads. A
 * thread computes one angle and turns its pair in each of its heads. Moves 8 bytes an element; about 60 operations an
 * angle and 6 a pair. The angles: rope.metal.h. */
#include "kernels/rope.metal.h"

kernel void rope(constant rope_metal_args &a [[buffer(0)]], device float *x [[buffer(1)]], device const int *pos [[buffer(2)]],
                 device const float *freq_factors [[buffer(3)]], uint3 at [[thread_position_in_grid]]) {
    const uint i = at.x, n_pair = a.n_rot / 2;
    if (i >= n_pair) return;
    const float2 cs = turn_of(a, i, pos[at.y], freq_factors);
    const uint u = a.mode == ROPE_NORMAL ? 2 * i : i, v = a.mode == ROPE_NORMAL ? 2 * i + 1 : i + n_pair;
    const uint first = at.z * ROPE_HEADS, last = min(first + ROPE_HEADS, a.n_head);
    device float *head = x + ((ulong)at.y * a.n_head + first) * a.head_dim;
    for (uint h = first; h < last; h++, head += a.head_dim) {
        const float p = head[u], q = head[v];
        head[u] = turned_first(p, q, cs);
        head[v] = turned_second(p, q, cs);
    }
}
