/* Keys and values of a step into the paged pool, keys turned on their way; kv_write.h has the layout and the types.
 *
 * Called by kv_write_encode. Grid: x threadgroups of 128 threads over the 4-element pieces of n_tok * n_head_kv rows; y 0: keys,
 * 1: values. Moves 4 bytes an element in, 2 (F16) or 34/32 (Q8_0) out; an element that is turned computes its own
 * angle, about 60 operations. F16 is rounded once; Q8_0 divides by the unrounded d. A slot belongs to one token, so no
 * two threads write one byte. */
#include "kernels/rope.metal.h"
#include "gguf/blocks.h"
#include "kernels/kv_write.h"

constant bool has_rope [[function_constant(1)]];

/* Elements j.. of a row of x, turned when it is a key. */
static inline float4 piece_of(constant rope_metal_args &a, device const float *row, uint j, bool key, device const int *pos, uint t,
                              device const float *freq_factors) {
    if (!has_rope || !key) return float4(*(device const packed_float4 *)(row + j));
    float4 v = float4(0);
    for (uint i = 0; i < 4; i++) v[i] = turned(a, row, j + i, pos[t], freq_factors);
    return v;
}

/* The row of the pool for row r of the step, row = (token, kv head); false: the slot is outside the pool. */
static inline bool pool_row(constant kv_write_args &a, device const uint *slots, uint r, thread ulong &row) {
    const uint slot = slots[r / a.n_head_kv], block = slot / a.block_tok;
    row = ((ulong)block * a.n_head_kv + r % a.n_head_kv) * a.block_tok + slot % a.block_tok;
    return block < a.n_block;
}

kernel void kv_write_f16(constant kv_write_metal_args &args [[buffer(0)]], device half *k_pool [[buffer(1)]],
                         device half *v_pool [[buffer(2)]], device const float *k [[buffer(3)]], device const float *v [[buffer(4)]],
                         device const uint *slots [[buffer(5)]], device const int *pos [[buffer(6)]],
                         device const float *freq_factors [[buffer(7)]], uint2 at [[thread_position_in_grid]]) {
    constant kv_write_args &a = args.kv;
    const bool values = at.y == 1;
    const uint dim = values ? a.head_dim_v : a.head_dim, n_piece = (dim + 3) / 4;
    const uint r = at.x / n_piece, i = at.x % n_piece * 4;
    if (r >= a.n_tok * a.n_head_kv) return;
    ulong row;
    if (!pool_row(a, slots, r, row)) return;
    device const float *x = (values ? v : k) + (ulong)r * dim;
    device half *out = (values ? v_pool : k_pool) + row * dim;
    if (i + 4 <= dim) {
        const float4 top = clamp(piece_of(args.rope, x, i, !values, pos, r / a.n_head_kv, freq_factors), -65504.0f, 65504.0f);
        *(device packed_half4 *)(out + i) = packed_half4(half4(top));
        return;
    }
    for (uint j = i; j < dim; j++) {
        const float e = has_rope && !values ? turned(args.rope, x, j, pos[r / a.n_head_kv], freq_factors) : x[j];
        out[j] = (half)clamp(e, -65504.0f, 65504.0f);
    }
}

/* 8 lanes make a block of 32. Every lane takes part in the maximum, also those beyond the last block. */
kernel void kv_write_q8_0(constant kv_write_metal_args &args [[buffer(0)]], device block_q8_0 *k_pool [[buffer(1)]],
                          device block_q8_0 *v_pool [[buffer(2)]], device const float *k [[buffer(3)]],
                          device const float *v [[buffer(4)]], device const uint *slots [[buffer(5)]],
                          device const int *pos [[buffer(6)]], device const float *freq_factors [[buffer(7)]],
                          uint2 at [[thread_position_in_grid]]) {
    constant kv_write_args &a = args.kv;
    const bool values = at.y == 1;
    const uint n_block = (values ? a.head_dim_v : a.head_dim) / QK;
    const uint r = at.x / 8 / n_block, b = at.x / 8 % n_block, piece = at.x % 8;
    const bool inside = r < a.n_tok * a.n_head_kv;
    float4 x = float4(0);
    if (inside)
        x = piece_of(args.rope, (values ? v : k) + (ulong)r * n_block * QK, b * QK + piece * 4, !values, pos, r / a.n_head_kv,
                     freq_factors);
    const float4 size = fabs(x);
    float top = max(max(size.x, size.y), max(size.z, size.w));
    for (ushort m = 4; m > 0; m /= 2) top = max(top, simd_shuffle_xor(top, m));
    const float d = top / 127.0f, inv = d > 0 ? 1.0f / d : 0.0f;
    ulong row;
    if (!inside || !pool_row(a, slots, r, row)) return;
    device block_q8_0 *out = (values ? v_pool : k_pool) + row * n_block + b;
    if (piece == 0) out->d = as_type<ushort>((half)min(d, 65504.0f));
    const float4 q = clamp(rint(x * inv), -127.0f, 127.0f);
    for (ushort j = 0; j < 4; j++) out->qs[piece * 4 + j] = (char)q[j];
}
