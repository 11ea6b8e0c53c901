/* Which blocks of the KV pool hold which beginnings of texts: a tree of blocks.
 *
 * A node is a block with the tokens whose keys and values it holds; its parent is the block of the KV_BLOCK_TOK tokens
 * before, and the children of the root begin texts. A walk from the root that compares each block's tokens has therefore
 * compared the whole beginning: hashes (xxHash over the parent's hash and the block's own tokens) only find blocks, they prove
 * nothing. A pool belongs to one model and one type of KV, so neither is part of the hash.
 *
 * Invariants: two full children of one node differ in their tokens; a node with fewer than KV_BLOCK_TOK tokens (the end of a text)
 * has no children and is found by prefix_closest only. */
#pragma once
#include <stdint.h>

#include "runtime/arena.h"

#define KV_BLOCK_TOK 64u
#define PREFIX_NONE UINT32_MAX

struct prefix_node {
    uint64_t hash;           /* of all tokens from the root to here; full blocks and the root */
    uint32_t n_tok;          /* 0: not in the tree */
    uint32_t parent, child;  /* child: the newest */
    uint32_t older, newer;   /* siblings */
    uint32_t next;           /* in the same slot */
};

struct prefix {
    uint32_t root;             /* the node behind the last block */
    struct prefix_node *nodes; /* (n_block + 1) */
    int32_t *token;            /* (n_block, KV_BLOCK_TOK), of blocks outside of the tree as well */
    uint32_t *slots, mask;     /* full blocks by hash */
};

/* Bytes of host memory for a tree of n_block blocks. */
uint64_t prefix_bytes(uint64_t n_block);
int prefix_init(struct prefix *p, uint32_t n_block, struct arena *a); /* ERR_NOMEM without a sentence */

static inline int32_t *prefix_token(const struct prefix *p, uint32_t block) { return p->token + (uint64_t)block * KV_BLOCK_TOK; }
static inline uint32_t prefix_n_tok(const struct prefix *p, uint32_t block) { return p->nodes[block].n_tok; }

/* The full child of parent with these KV_BLOCK_TOK tokens, or PREFIX_NONE. */
uint32_t prefix_find(const struct prefix *p, uint32_t parent, const int32_t *token);
/* The child of parent that begins with the most of these n tokens (*n_same > 0 of them), or PREFIX_NONE. Looks at
 * the newest children only. */
uint32_t prefix_closest(const struct prefix *p, uint32_t parent, const int32_t *token, uint32_t n, uint32_t *n_same);

/* Puts a block, whose n_tok tokens are written, under parent. */
void prefix_add(struct prefix *p, uint32_t block, uint32_t parent, uint32_t n_tok);
/* Takes a block without children out. */
void prefix_remove(struct prefix *p, uint32_t block);
