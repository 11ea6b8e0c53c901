/* out[i,:] = x[row_ids[i],:], zeros for an id outside x.
 *
 * Called by gather_rows_encode, for the rows whose logits are wanted. Grid: x threadgroups over dim, 4 elements a thread; y rows.
 * Moves 8 n_out dim bytes, no arithmetic: exact. */
#include <metal_stdlib>
#include "kernels/gather_rows.h"
using namespace metal;

kernel void gather_rows(constant gather_rows_args &a [[buffer(0)]], device float *out [[buffer(1)]],
                        device const float *x [[buffer(2)]], device const uint *row_ids [[buffer(3)]],
                        uint2 at [[thread_position_in_grid]]) {
    const uint i = at.x * 4, id = row_ids[at.y];
    const bool inside = id < a.n_row;
    device const float *row = x + (ulong)(inside ? id : 0) * a.dim;
    device float *y = out + (ulong)at.y * a.dim;
    if (i + 4 <= a.dim) {
        *(device packed_float4 *)(y + i) = inside ? *(device const packed_float4 *)(row + i) : packed_float4(0);
        return;
    }
    for (uint j = i; j < a.dim; j++) y[j] = inside ? row[j] : 0;
}
