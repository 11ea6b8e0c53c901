/* Blocks of the KV cache and who has them.
 *
 * The pool holds n_block blocks of KV_BLOCK_TOK tokens each (all layers alike). A sequence has a row of the block table:
 * entry i is the block that holds its positions i*KV_BLOCK_TOK .. +KV_BLOCK_TOK-1. Invariant: a block is in exactly one
 * place, the free list or one table row; a sequence of length len has ceil(len / KV_BLOCK_TOK) blocks. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "runtime/arena.h"
#include "runtime/err.h"

#define KV_BLOCK_TOK 64u

struct kv {
    uint32_t n_seq, n_ctx, stride; /* stride: table entries per sequence */
    uint32_t n_block, n_free;
    uint32_t *free_blocks;         /* a stack */
    uint32_t *table;               /* (n_seq, stride); memory of the caller */
    uint32_t *len;                 /* (n_seq) tokens */
    bool *used;                    /* (n_seq) */
};

/* Entries of the table that kv_init will be given. */
static inline uint32_t kv_stride(uint32_t n_ctx) { return (n_ctx + KV_BLOCK_TOK - 1) / KV_BLOCK_TOK; }

int kv_init(struct kv *kv, uint32_t n_seq, uint32_t n_ctx, uint32_t *table, struct arena *a, struct err *e);
int kv_seq_new(struct kv *kv, uint32_t *seq, struct err *e);
void kv_seq_free(struct kv *kv, uint32_t seq);
/* Blocks for positions up to len-1; fails without change when the pool or the context ends. */
int kv_extend(struct kv *kv, uint32_t seq, uint32_t len, struct err *e);
void kv_truncate(struct kv *kv, uint32_t seq, uint32_t len);
/* Where a position's key and value lie: block * KV_BLOCK_TOK + index. */
uint32_t kv_slot(const struct kv *kv, uint32_t seq, uint32_t pos);
