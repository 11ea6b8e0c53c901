/* What both attention kernels share: facts of the model, rows of the paged pool, the merging of partial softmaxes.
 *
 * A partial result over some positions is (m, l, x): the largest score, sum of e^(s - m), sum of e^(s - m) v. Masked scores are
 * ATTENTION_MASKED, a finite number: their weight is set to 0, never computed. exp is the fast one: off by 3 + |2x| units of
 * 2^-23, which e^x outweighs. */
#pragma once
#include <metal_stdlib>
#include "gguf/blocks.h"
#include "kernels/attention.h"
using namespace metal;

constant uint head_dim [[function_constant(0)]];
constant uint head_dim_v [[function_constant(1)]];
constant uint block_tok [[function_constant(2)]];
constant bool wide [[function_constant(3)]];      // F16 rows are multiples of 16 bytes and lie so
constant bool has_sinks [[function_constant(4)]];

#define ATTENTION_MASKED -1.0e38f

/* Elements of a row of dim elements. */
static inline uint row_units(uint dim, const device half *) { return dim; }
static inline uint row_units(uint dim, const device block_q8_0 *) { return dim / QK; }

/* Elements 8u .. 8u + 7 of a row, zeros beyond dim. */
static inline void load8(const device half *row, uint u, uint dim, thread float4 &a, thread float4 &b) {
    const device half *p = row + u * 8;
    if (wide) {
        const uint4 bits = *(const device uint4 *)p;
        a = float4(as_type<half4>(bits.xy));
        b = float4(as_type<half4>(bits.zw));
    } else if (u * 8 + 8 <= dim) {
        a = float4(half4(((const device packed_half4 *)p)[0]));
        b = float4(half4(((const device packed_half4 *)p)[1]));
    } else {
        a = float4(0);
        b = float4(0);
        for (uint i = 0; i < 4; i++) {
            if (u * 8 + i < dim) a[i] = (float)p[i];
            if (u * 8 + 4 + i < dim) b[i] = (float)p[4 + i];
        }
    }
}

static inline void load8(const device block_q8_0 *row, uint u, uint dim, thread float4 &a, thread float4 &b) {
    const device block_q8_0 *block = row + u / 4;
    const device packed_char4 *q = (const device packed_char4 *)(block->qs + u % 4 * 8);
    const float d = (float)as_type<half>(block->d);
    a = float4(char4(q[0])) * d;
    b = float4(char4(q[1])) * d;
}

/* The row of the pool that holds a position of the sequence whose blocks table lists. */
static inline uint pool_row(constant attention_args &a, const device uint *table, uint kv_head, uint pos) {
    const uint block = min(table[pos / block_tok], a.n_block - 1);
    return (block * a.n_head_kv + kv_head) * block_tok + pos % block_tok;
}

static inline float capped(constant attention_args &a, float dot) {
    const float s = dot * a.scale;
    return a.softcap > 0 ? a.softcap * precise::tanh(s / a.softcap) : s;
}

/* Joins (m1, l1) to (m, l): x becomes x * keep + x1 * take. */
static inline void join(thread float &m, thread float &l, float m1, float l1, thread float &keep, thread float &take) {
    const float top = max(m, m1);
    keep = fast::exp(m - top);
    take = fast::exp(m1 - top);
    l = fma(l, keep, l1 * take);
    m = top;
}

/* What x is multiplied with in the end: 1 / (l + e^(sink - m)), and 0 when there was no position. */
static inline float final_scale(float m, float l, const device float *sinks, uint head) {
    if (!has_sinks) return l > 0 ? 1.0f / l : 0.0f;
    const float top = max(m, sinks[head]), keep = fast::exp(m - top);
    return keep / fma(l, keep, fast::exp(sinks[head] - top));
}
