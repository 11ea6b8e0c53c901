/* Sampling: one token from a row of logits.
 *
 * In this order, as llama.cpp's default chain: penalties for recent tokens, top-k, typical-p, top-p, min-p,
 * temperature, draw. Temperature 0 takes the best token after the penalties; ties go to the lowest id.
 * The random numbers (xoshiro256**) and the exponentials are hy's own, so the same seed and the same logits
 * give the same token on every machine.
 *
 * All memory is taken by sampler_new; picking never allocates, and never sorts the whole vocabulary
 * unless its logits are all the same.
 * One owner, one thread at a time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

struct sampler_params {
    float temperature;      /* 0: greedy */
    uint32_t top_k;         /* keep the k best; 0: all */
    float top_p;            /* keep the best that together have this probability; 1: all */
    float min_p;            /* keep those at least this fraction as likely as the best; 0: all */
    float typical_p;        /* keep the most typical that together have this probability; 1: all */
    float repeat_penalty;   /* divides (or multiplies) the logit of recent tokens; 1: none */
    uint32_t repeat_last_n; /* how many tokens are recent; 0: none */
    float presence_penalty; /* subtracted once from recent tokens */
    float frequency_penalty; /* subtracted for each time that a token is recent */
    uint64_t seed;
};
#define SAMPLER_LAST_N_MAX 65536

/* temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, no penalties (of 64 tokens), seed 0. */
struct sampler_params sampler_defaults(void);

struct sampler;

/* Refuses parameters out of range with a sentence that names the parameter. */
int sampler_new(const struct sampler_params *p, uint32_t n_vocab, struct sampler **out, struct err *e);
void sampler_free(struct sampler *s); /* NULL is fine */
/* Forgets recent tokens and starts the random numbers again from seed. */
void sampler_reset(struct sampler *s, uint64_t seed);

/* Only tokens whose bit is set may be picked (bit id % 32 of word id / 32); borrowed until
 * replaced; NULL: all. For grammars. */
void sampler_set_mask(struct sampler *s, const uint32_t *allowed);

/* The token, or ERR_FORMAT when no token can be picked (all logits are NaN or -infinity, or masked).
 * n_vocab is at most that of sampler_new. Overwrites logits. NaN is never picked. */
int32_t sampler_pick(struct sampler *s, float *logits, uint32_t n_vocab);

/* How many of a row's best logits are enough to pick from, when they are at most `most`; 0: the whole row is needed
 * (penalties, a mask, a larger top_k or none). */
uint32_t sampler_n_best(const struct sampler *s, uint32_t most);
/* The same token as sampler_pick gives for the row whose n = sampler_n_best best are these, in falling order. */
int32_t sampler_pick_best(struct sampler *s, const int32_t *ids, const float *logits, uint32_t n);

/* Remembers a token (picked, or of the prompt) for the penalties. */
void sampler_accept(struct sampler *s, int32_t token);
