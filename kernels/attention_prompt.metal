/* Attention of many tokens with simdgroup matrices; attention.h has the formula.
 *
 * Called by attention_encode for prompts. Grid: x tiles of 32 rows, y kv heads. A row is a (token, query head of the kv head):
 * with grouped heads a tile is few tokens, and keys and values are loaded once for all of them. 4 * CS simdgroups: four
 * groups of 8 rows, whose head elements are shared by CS simdgroups of up to 128 each (CS 1, 2, 4: heads of up to
 * 128, 256, 512). The tile of K, then V, holds 32 / CS positions as floats in threadgroup memory.
 * Per step: S = Q K^T (each simdgroup over its elements), online softmax by 4 * CS lanes a row, O = diag(f) O + P V.
 * Tokens of several sequences in a tile: one sequence after the other, rows of the others masked. Positions are cut at
 * multiples of 32 / CS: in this form, too, a token's bits depend on nothing but its own sequence, but they are
 * not the bits of attention_decode, which sums in another order. A NaN in a value reaches all rows of its tile.
 *
 * Moves K and V of the tile's positions once per tile, 32 rows of q and of out; 64 n_pos (head_dim + head_dim_v) operations. Products
 * and sums in float: half tiles would halve the threadgroup traffic and cost 2^-11 a product. 23 to 27 KB. */
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
#include "kernels/attention_kv.metal.h"
using namespace metal;

#define N_ROW ATTENTION_PROMPT_ROWS
#define Q_STRIDE 136 // floats of a row of 128: 8 more, so that 8 rows lie in different banks

/* Rows of positions first .. first + n - 1 in floats, zeros where the position is outside [lo, hi). */
template <typename T>
static inline void load_tile(threadgroup float *tile, uint stride, const device T *pool, uint dim, constant attention_args &a,
                             const device uint *table, uint kv_head, uint first, uint n, uint lo, uint hi, uint tid, uint n_thread) {
    const uint n8 = (dim + 7) / 8;
    for (uint i = tid; i < n * n8; i += n_thread) {
        const uint j = i / n8, u = i % n8, at = first + j;
        float4 v0 = float4(0), v1 = float4(0);
        if (at >= lo && at < hi) load8(pool + (ulong)pool_row(a, table, kv_head, at) * row_units(dim, pool), u, dim, v0, v1);
        threadgroup float4 *to = (threadgroup float4 *)(tile + j * stride + u * 8);
        to[0] = v0;
        to[1] = v1;
    }
}

template <typename T, ushort CS>
kernel void attention_prompt(constant attention_args &a [[buffer(0)]], device float *out [[buffer(1)]],
                             const device float *q [[buffer(2)]], const device T *k_pool [[buffer(3)]],
                             const device T *v_pool [[buffer(4)]], const device uint *tables [[buffer(5)]],
                             const device uint *seqs [[buffer(6)]], const device int *pos [[buffer(7)]],
                             const device float *sinks [[buffer(8)]], uint2 group [[threadgroup_position_in_grid]],
                             uint tid [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]],
                             uint sg [[simdgroup_index_in_threadgroup]]) {
    constexpr ushort n_pos = 32 / CS, s_stride = n_pos + 8;
    constexpr ushort n_mine = (n_pos + 4 * CS - 1) / (4 * CS); // scores of a row that one of its 4 * CS lanes looks after
    const uint n_thread = 128 * CS, stride = 128 * CS + 8;
    threadgroup float tile[N_ROW * Q_STRIDE];                 // n_pos rows of K or V; Q and O, 128 columns at a time
    threadgroup float score[CS * N_ROW * (32 / CS + 8)];      // (CS, row, position): parts of S; the first one becomes P
    threadgroup float factor[4 * 64];                         // diagonal matrices
    const uint per_kv = a.n_head / a.n_head_kv, n_row = a.n_tok * per_kv, kv_head = group.y, row0 = group.x * N_ROW;
    const uint rs = sg / CS, cs = sg % CS;                    // 8 rows, and which part of their elements
    const uint k_cols = (head_dim + 7) / 8 * 8, v_cols = (head_dim_v + 7) / 8 * 8;
    const uint k_part = (k_cols / 8 + CS - 1) / CS * 8, v_part = (v_cols / 8 + CS - 1) / CS * 8;
    const uint k0 = cs * k_part, v0 = cs * v_part;

    for (uint i = tid; i < 4 * 64; i += n_thread) factor[i] = 0;
    simdgroup_matrix<float, 8, 8> query[16], o[16];
    for (uint c = 0; c < CS; c++) {
        for (uint i = tid; i < N_ROW * k_part; i += n_thread) {
            const uint r = row0 + i / k_part, d = c * k_part + i % k_part;
            const ulong at = (ulong)(r / per_kv) * a.n_head + kv_head * per_kv + r % per_kv;
            tile[i / k_part * Q_STRIDE + i % k_part] = r < n_row && d < head_dim ? q[at * head_dim + d] : 0.0f;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (cs == c) {
            for (ushort i = 0; i < 16; i++)
                if (i * 8 < k_part) simdgroup_load(query[i], tile + rs * 8 * Q_STRIDE + i * 8, Q_STRIDE);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    for (ushort i = 0; i < 16; i++) o[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);

    // Lane r of every simdgroup knows row r; the softmax of row `row` is done by 4 * CS lanes.
    const uint my_token = min(row0 + lane, n_row - 1) / per_kv;
    const uint my_seq = seqs[my_token], my_end = (uint)max(pos[my_token] + 1, 0);
    const uint my_begin = a.window > 0 && my_end > a.window ? my_end - a.window : 0;
    const uint row = tid / (4 * CS), sub = tid % (4 * CS);
    bool done = row0 + lane >= n_row;
    float m = ATTENTION_MASKED, l = 0;

    for (;;) { // over the sequences in the tile
        const uint next = simd_min(done ? 32u : lane);
        if (next == 32) break;
        const uint seq = simd_shuffle(my_seq, (ushort)next);
        const bool active = !done && my_seq == seq;
        const uint begin = simd_min(active ? my_begin : UINT_MAX), end = simd_max(active ? my_end : 0u);
        const uint row_begin = simd_shuffle(active ? my_begin : 0u, (ushort)row);
        const uint row_end = simd_shuffle(active ? my_end : 0u, (ushort)row);
        const device uint *table = tables + (ulong)seq * a.table_stride;
        done = done || active;
        for (uint first = begin / n_pos * n_pos; first < end; first += n_pos) {
            load_tile(tile, stride, k_pool, head_dim, a, table, kv_head, first, n_pos, begin, end, tid, n_thread);
            threadgroup_barrier(mem_flags::mem_threadgroup);
            for (ushort j = 0; j < n_pos; j += 8) {
                simdgroup_matrix<float, 8, 8> s = make_filled_simdgroup_matrix<float, 8, 8>(0.0f), keys;
                for (ushort i = 0; i < 16; i++) {
                    if (i * 8 < k_part && k0 + i * 8 < k_cols) {
                        simdgroup_load(keys, tile + j * stride + k0 + i * 8, stride, ulong2(0, 0), true);
                        simdgroup_multiply_accumulate(s, query[i], keys, s);
                    }
                }
                simdgroup_store(s, score + (cs * N_ROW + rs * 8) * s_stride + j, s_stride);
            }
            threadgroup_barrier(mem_flags::mem_threadgroup);

            float v[n_mine], top = m;
            for (ushort i = 0; i < n_mine; i++) {
                const uint j = sub + i * 4 * CS, at = first + j;
                float dot_product = 0;
                for (uint c = 0; c < CS && j < n_pos; c++) dot_product += score[(c * N_ROW + row) * s_stride + j];
                const bool seen = j < n_pos && at >= row_begin && at < row_end;
                v[i] = seen ? capped(a, dot_product) : ATTENTION_MASKED;
                top = max(top, v[i]);
            }
            for (ushort mask = 1; mask < 4 * CS; mask *= 2) top = max(top, simd_shuffle_xor(top, mask));
            const float keep = fast::exp(m - top);
            m = top;
            l *= keep;
            for (ushort i = 0; i < n_mine; i++) {
                const uint j = sub + i * 4 * CS, at = first + j;
                const float p = j < n_pos && at >= row_begin && at < row_end ? fast::exp(v[i] - top) : 0.0f;
                if (j < n_pos) score[row * s_stride + j] = p;
                l += p;
            }
            if (sub == 0) factor[rs * 64 + row % 8 * 9] = keep;
            load_tile(tile, stride, v_pool, head_dim_v, a, table, kv_head, first, n_pos, begin, end, tid, n_thread);
            threadgroup_barrier(mem_flags::mem_threadgroup);

            if (simd_any(factor[rs * 64 + lane % 8 * 9] != 1.0f)) { // rare after the first steps
                simdgroup_matrix<float, 8, 8> diagonal, scaled;
                simdgroup_load(diagonal, factor + rs * 64, 8);
                for (ushort i = 0; i < 16; i++) {
                    if (i * 8 < v_part && v0 + i * 8 < v_cols) {
                        simdgroup_multiply(scaled, diagonal, o[i]);
                        o[i] = scaled;
                    }
                }
            }
            for (ushort j = 0; j < n_pos; j += 8) {
                simdgroup_matrix<float, 8, 8> p, values;
                simdgroup_load(p, score + rs * 8 * s_stride + j, s_stride);
                for (ushort i = 0; i < 16; i++) {
                    if (i * 8 < v_part && v0 + i * 8 < v_cols) {
                        simdgroup_load(values, tile + j * stride + v0 + i * 8, stride);
                        simdgroup_multiply_accumulate(o[i], p, values, o[i]);
                    }
                }
            }
            threadgroup_barrier(mem_flags::mem_threadgroup); // the next tile overwrites this one
        }
    }

    for (ushort mask = 1; mask < 4 * CS; mask *= 2) l += simd_shuffle_xor(l, mask);
    const uint my_row = min(row0 + row, n_row - 1);
    if (sub == 0) score[row] = final_scale(m, l, sinks, kv_head * per_kv + my_row % per_kv);
    for (uint c = 0; c < CS; c++) {
        if (cs == c) {
            for (ushort i = 0; i < 16; i++)
                if (i * 8 < v_part && v0 + i * 8 < v_cols) simdgroup_store(o[i], tile + rs * 8 * Q_STRIDE + i * 8, Q_STRIDE);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint i = tid; i < N_ROW * v_part; i += n_thread) {
            const uint r = row0 + i / v_part, d = c * v_part + i % v_part;
            const ulong to = (ulong)(r / per_kv) * a.n_head + kv_head * per_kv + r % per_kv;
            if (r < n_row && d < head_dim_v)
                out[to * head_dim_v + d] = tile[i / v_part * Q_STRIDE + i % v_part] * score[i / v_part];
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
}

#define PROMPT(name, T, CS)                                                                                               \
    template [[host_name("attention_prompt_" name "_" #CS)]] kernel void attention_prompt<T, CS>(                         \
        constant attention_args &, device float *, const device float *, const device T *, const device T *,              \
        const device uint *, const device uint *, const device int *, const device float *, uint2, uint, uint, uint);
PROMPT("f16", half, 1)
PROMPT("f16", half, 2)
PROMPT("f16", half, 4)
PROMPT("q8_0", block_q8_0, 1)
PROMPT("q8_0", block_q8_0, 2)
PROMPT("q8_0", block_q8_0, 4)
