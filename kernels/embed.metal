/* Token embeddings: out[t,:] = scale * table[ids[t],:], zeros for an id outside the table.
 *
 * Called by embed_encode, once per step. Grid: x threadgroups of EMBED_THREADS threads over chunks of 16 elements,
 * y tokens. Moves a table row (of its type) in and 4 bytes an element out; 2 operations an element. Decoded in float: one
 * rounding where the type has a minimum or d * q exceeds 24 bits, one for the scale. */
#include <metal_stdlib>
using namespace metal;
#include "kernels/embed.h"
#include "kernels/unpack.metal.h"

template <typename W>
kernel void embed(constant embed_args &a [[buffer(0)]], device float *out [[buffer(1)]],
                  device const uchar *table [[buffer(2)]], device const uint *ids [[buffer(3)]],
                  uint2 group [[threadgroup_position_in_grid]], ushort tid [[thread_index_in_threadgroup]]) {
    const uint c = group.x * EMBED_THREADS + tid, id = ids[group.y], n = a.n_embd;
    if (c * 16 >= n) return;
    device float *y = out + (ulong)group.y * n + c * 16;
    const uint left = min(n - c * 16, 16u);
    if (id >= a.n_vocab) {
        for (uint i = 0; i < left; i++) y[i] = 0;
        return;
    }
    device const uchar *row = w_row<W>(table, id, n);
    if (left < 16) {
        for (uint i = 0; i < left; i++) y[i] = w_one<W>(row, c * 16 + i) * a.scale;
        return;
    }
    chunk w;
    W::unpack(row, c, w);
    for (ushort i = 0; i < 4; i++)
        ((device packed_float4 *)y)[i] = packed_float4(fma(w.q[i], float4(w.d), float4(w.m)) * a.scale);
}

#define EMBED(T) template [[host_name("embed_" #T)]] kernel void embed<w_##T>(constant embed_args &, device float *, \
    device const uchar *, device const uint *, uint2, ushort);
W_FLOAT(EMBED)
W_SMALL(EMBED)
W_SUPER(EMBED)
