/* Attention of a step's tokens over the paged KV pool of a layer (kernels/kv_write.h has its layout).
 *
 * q, out (n_tok, n_head, head_dim or head_dim_v) f32; tables u32 (n_seq, table_stride): the blocks of each sequence in
 * order of position; seqs u32 (n_tok): the token's row in tables; pos i32 (n_tok). Token t, head h, kv head h / (n_head / n_head_kv):
 *   s_j = scale * q.k_j, then softcap * tanh(s_j / softcap) when softcap > 0
 *   for j from 0 to pos, or from pos - window + 1 when window > 0
 *   out = sum_j e^(s_j - m) v_j / (sum_j e^(s_j - m) + e^(sink - m)), the last term only with sinks f32 (n_head)
 * A step's own keys and values are written (and a barrier passed) before.
 *
 * Numerics: f32. Positions are cut at multiples of ATTENTION_CHUNK and ATTENTION_SEGMENT, the same for every
 * token: each chunk is one step of an online softmax, each segment one online softmax, and segments are
 * merged in order. So a token's result does not depend, in any bit, on the rest of the batch, on
 * tiles or on threads. On Metal a step of many tokens takes another form than one of few (attention_prompt.metal,
 * attention_decode.metal): this then holds within a form. Entries of tables beyond n_block are read as the last block (callers refuse such). */
#pragma once
#include "kernels/op.h"

#define ATTENTION_CHUNK 64u
#define ATTENTION_SEGMENT 512u
#define ATTENTION_MAX_GROUP 128u   /* query heads per kv head */
#define ATTENTION_MAX_HEAD_DIM 512u
#define ATTENTION_DECODE_SG 4u     /* simdgroups per threadgroup of the Metal decode kernel */
#define ATTENTION_PROMPT_ROWS 32u  /* query rows per threadgroup of the Metal prompt kernel */
#define ATTENTION_PROMPT_MIN_TOK 8u /* the fewest tokens of a step that it takes */

struct attention_args {
    uint32_t n_tok, n_head, n_head_kv, head_dim;
    uint32_t head_dim_v, block_tok, n_block, n_seq;
    uint32_t table_stride;
    uint32_t dtype;     /* DT_F16 or DT_Q8_0, of both pools */
    uint32_t window;    /* 0: all positions */
    uint32_t n_pos_max; /* more than any pos of the step */
    float scale, softcap;
    /* For the kernel, set by attention_encode. */
    uint32_t tile_tok;  /* tokens per work item */
    uint32_t n_segment; /* work items per (tile, kv head), each its own segments; partial results go to work */
};
ARGS_ASSERT(attention_args, 64);

#ifndef __METAL_VERSION__
/* Bytes of work that steps of up to a->n_tok tokens with these shapes use; 0 when none. */
uint64_t attention_work_bytes(const struct attention_args *a);

/* Which of Metal's two forms a step takes. */
bool attention_metal_is_prompt(const struct attention_args *a);

/* sinks and work may be absent; without work, long contexts of few tokens use fewer threads. */
int attention_encode(struct cmd *c, const struct attention_args *a, struct ref out, struct ref q, struct ref k_pool,
                     struct ref v_pool, struct ref tables, struct ref seqs, struct ref pos, struct ref sinks,
                     struct ref work, struct err *e);

/* limit, when not NULL, gets for each output a bound of the error of dev's f32 kernel. */
void attention_ref(const struct attention_args *a, const float *q, const void *k_pool, const void *v_pool,
                   const uint32_t *tables, const uint32_t *seqs, const int32_t *pos, const float *sinks, enum device_kind dev,
                   double *out, double *limit);
#endif
