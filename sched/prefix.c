#include "sched/prefix.h"

#include <string.h>
#include <xxhash.h>

#include "runtime/err.h"

#define MAX_LOOK 64 /* children that prefix_closest compares with */

static uint64_t n_slot_of(uint64_t n_block) {
    uint64_t n = 64;
    while (n < n_block) n *= 2;
    return n;
}

uint64_t prefix_bytes(uint64_t n_block) {
    return (n_block + 1) * sizeof(struct prefix_node) + n_block * KV_BLOCK_TOK * sizeof(int32_t) + n_slot_of(n_block) * sizeof(uint32_t);
}

int prefix_init(struct prefix *p, uint32_t n_block, struct arena *a) {
    uint32_t n_slot = (uint32_t)n_slot_of(n_block);
    *p = (struct prefix){.root = n_block, .mask = n_slot - 1};
    p->nodes = arena_array(a, (size_t)n_block + 1, sizeof *p->nodes);
    p->token = arena_array(a, (size_t)n_block * KV_BLOCK_TOK, sizeof *p->token);
    p->slots = arena_array(a, n_slot, sizeof *p->slots);
    if (!p->nodes || !p->token || !p->slots) return ERR_NOMEM;
    memset(p->slots, 0xff, n_slot * sizeof *p->slots); /* PREFIX_NONE */
    p->nodes[p->root] = (struct prefix_node){.n_tok = KV_BLOCK_TOK, .parent = PREFIX_NONE, .child = PREFIX_NONE};
    return ERR_OK;
}

static uint64_t hash_of(const struct prefix *p, uint32_t parent, const int32_t *token) {
    return XXH3_64bits_withSeed(token, KV_BLOCK_TOK * sizeof *token, p->nodes[parent].hash);
}

static uint32_t *slot_of(const struct prefix *p, uint64_t hash) { return &p->slots[hash & p->mask]; }

uint32_t prefix_find(const struct prefix *p, uint32_t parent, const int32_t *token) {
    uint64_t hash = hash_of(p, parent, token);
    for (uint32_t b = *slot_of(p, hash); b != PREFIX_NONE; b = p->nodes[b].next) {
        const struct prefix_node *n = &p->nodes[b];
        if (n->hash == hash && n->parent == parent && !memcmp(prefix_token(p, b), token, KV_BLOCK_TOK * sizeof *token)) return b;
    }
    return PREFIX_NONE;
}

uint32_t prefix_closest(const struct prefix *p, uint32_t parent, const int32_t *token, uint32_t n, uint32_t *n_same) {
    uint32_t best = PREFIX_NONE, look = 0;
    *n_same = 0;
    for (uint32_t b = p->nodes[parent].child; b != PREFIX_NONE && look < MAX_LOOK; b = p->nodes[b].older, look++) {
        const int32_t *have = prefix_token(p, b);
        uint32_t same = 0;
        while (same < n && same < p->nodes[b].n_tok && have[same] == token[same]) same++;
        if (same <= *n_same) continue;
        best = b;
        *n_same = same;
    }
    return best;
}

void prefix_add(struct prefix *p, uint32_t block, uint32_t parent, uint32_t n_tok) {
    struct prefix_node *n = &p->nodes[block], *up = &p->nodes[parent];
    CHECK(n->n_tok == 0 && up->n_tok == KV_BLOCK_TOK && n_tok > 0 && n_tok <= KV_BLOCK_TOK);
    *n = (struct prefix_node){.n_tok = n_tok, .parent = parent, .child = PREFIX_NONE, .older = up->child, .newer = PREFIX_NONE,
                              .next = PREFIX_NONE};
    if (up->child != PREFIX_NONE) p->nodes[up->child].newer = block;
    up->child = block;
    if (n_tok < KV_BLOCK_TOK) return;
    n->hash = hash_of(p, parent, prefix_token(p, block));
    uint32_t *slot = slot_of(p, n->hash);
    n->next = *slot;
    *slot = block;
}

void prefix_remove(struct prefix *p, uint32_t block) {
    struct prefix_node *n = &p->nodes[block];
    CHECK(n->n_tok && n->child == PREFIX_NONE);
    if (n->newer != PREFIX_NONE) p->nodes[n->newer].older = n->older;
    else p->nodes[n->parent].child = n->older;
    if (n->older != PREFIX_NONE) p->nodes[n->older].newer = n->newer;
    if (n->n_tok == KV_BLOCK_TOK) {
        uint32_t *at = slot_of(p, n->hash);
        while (*at != block) at = &p->nodes[*at].next;
        *at = n->next;
    }
    n->n_tok = 0;
}
