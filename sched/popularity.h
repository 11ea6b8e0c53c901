/* What earlier runs of a model say of its experts: how often each was chosen, and which were chosen together.
 *
 * Counts per (layer, expert); pairs within a layer; pairs across, expert j of a layer given expert i of the expert
 * layer before. Pairs are saturating bytes: a row that reaches the end is halved, so that only proportions within a row
 * mean anything. All is halved now and then, so that what lies POPULARITY_TOK tokens back fades. Models whose pairs
 * would need more than POPULARITY_PAIR_BYTES each go without pairs (within and across are NULL).
 *
 * The file lies in the cache folder, one per model (named by the hash of its header), replaced as a whole, checked by a
 * hash. One that is damaged or of another shape is ignored with a warning: it is worth a warm start, never an error.
 *
 * Threads: none. Memory: the arena's; nothing allocates after popularity_init but loading and saving. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/arena.h"
#include "runtime/err.h"

#define POPULARITY_TOK 16384u
#define POPULARITY_PAIR_BYTES ((size_t)4 << 20)

struct popularity {
    uint32_t n_layer, n_expert;
    uint32_t *count;   /* (n_layer, n_expert) tokens that chose it */
    uint8_t *within;   /* (n_layer, n_expert, n_expert) symmetric */
    uint8_t *across;   /* (n_layer, n_expert of the layer before, n_expert) */
    uint64_t n_tok;    /* that count stands for */
    uint64_t n_new_tok; /* since loading */
};

int popularity_init(struct popularity *p, uint32_t n_layer, uint32_t n_expert, struct arena *a, struct err *e);

/* One token's row of one layer. before: its experts in the expert layer before (n_before 0: this is the first). */
void popularity_add(struct popularity *p, uint32_t layer, const uint16_t *ids, uint32_t n, const uint16_t *before,
                    uint32_t n_before);
void popularity_end_tokens(struct popularity *p, uint32_t n_tok);

/* The share of tokens that chose the key, 0..1. */
float popularity_share(const struct popularity *p, uint32_t key);
/* All keys (layer * n_expert + expert) that were ever chosen, most popular first; returns how many. keys: (n_layer *
 * n_expert). */
uint32_t popularity_order(const struct popularity *p, uint32_t *keys);

/* Without a file nothing changes and nothing is said; with a bad one nothing changes and *warning (cap bytes) says why.
 */
bool popularity_load(struct popularity *p, uint64_t model_hash, char *warning, size_t cap);
int popularity_save(const struct popularity *p, uint64_t model_hash, struct err *e);

/* The file's bytes, for the two above and for tests. unpack changes p only when it succeeds. pack: the caller frees. */
int popularity_pack(const struct popularity *p, uint64_t model_hash, unsigned char **bytes, size_t *n, struct err *e);
int popularity_unpack(struct popularity *p, uint64_t model_hash, const unsigned char *bytes, size_t n, struct err *e);
