/* Blocks of the KV cache and who has them.
 *
 * The pool holds n_block blocks of KV_BLOCK_TOK tokens each (all layers alike). A sequence has a row of the block table:
 * entry i is the block that holds its positions i*KV_BLOCK_TOK .. +KV_BLOCK_TOK-1. Sequences that begin alike share their full blocks.
 *
 * A block is in one of three places, by its references (the table rows that name it) and the tree of beginnings (sched/prefix.h):
 *   free      no references, not in the tree
 *   in use    references; in the tree once it is full and its keys and values are computed (kv_commit)
 *   cached    no references, in the tree: found again by its tokens, and reused, least recently used first, when no block is free
 *
 * Invariants: a sequence of length len has ceil(len / KV_BLOCK_TOK) blocks; of these the full ones whose positions were committed are in
 * the tree, each the child of the one before; a block with two references is in the tree. Only a block with one reference that is
 * not in the tree is written: what would write to another one copies it first, or takes it out of the tree.
 * A cached block's children are cached before it, so that the least recently used one never has any. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "runtime/arena.h"
#include "runtime/err.h"
#include "sched/prefix.h"

struct kv_link {
    uint32_t older, newer;
};

struct kv {
    uint32_t n_seq, n_ctx, stride; /* stride: table entries per sequence */
    uint32_t n_block, n_free, n_cached;
    uint32_t *free_blocks;         /* a stack */
    uint32_t *table;               /* (n_seq, stride); memory of the caller */
    uint32_t *len;                 /* (n_seq) tokens */
    uint32_t *done;                /* (n_seq) of these, how many have keys and values */
    bool *used;                    /* (n_seq) */
    uint32_t *refs;                /* (n_block) */
    struct kv_link *links;         /* (n_block + 1) the ring of cached blocks; the last is its end */
    struct prefix prefix;
    uint64_t n_reused;             /* cached blocks that were given to others so far */
    void (*copy)(void *ctx, uint32_t to, uint32_t from); /* of a block's keys and values */
    void *copy_ctx;
};

/* Entries of the table that kv_init will be given. */
static inline uint32_t kv_stride(uint32_t n_ctx) { return (n_ctx + KV_BLOCK_TOK - 1) / KV_BLOCK_TOK; }
/* Bytes of host memory that a pool's lists take. */
uint64_t kv_list_bytes(uint64_t n_block);

/* copy and copy_ctx are set by the caller afterwards. */
int kv_init(struct kv *kv, uint32_t n_seq, uint32_t n_ctx, uint32_t n_block, uint32_t *table, struct arena *a, struct err *e);
int kv_seq_new(struct kv *kv, uint32_t *seq, struct err *e);
/* The sequence's blocks stay cached as long as nobody needs them. */
void kv_seq_free(struct kv *kv, uint32_t seq);

/* One more position, which will hold this token; fails without change when the pool or the context ends. */
int kv_push(struct kv *kv, uint32_t seq, int32_t token, struct err *e);
/* The keys and values of all positions are computed. */
void kv_commit(struct kv *kv, uint32_t seq);
void kv_truncate(struct kv *kv, uint32_t seq, uint32_t len);

/* Lengthens a sequence, which holds the first of these n tokens, by as many of the others as the pool still has: whole blocks are
 * shared, the beginning of one more is copied. Returns the new length. */
uint32_t kv_attach(struct kv *kv, uint32_t seq, const int32_t *token, uint32_t n);

/* Where a position's key and value lie: block * KV_BLOCK_TOK + index. */
uint32_t kv_slot(const struct kv *kv, uint32_t seq, uint32_t pos);
