/* Which experts a layer will choose, guessed before its router has run, and how good the guesses are.
 *
 * One interface for all predictors. A predictor ranks experts of a layer; its confidence in a rank is the precision
 * that it had at that rank so far, so that guesses of different predictors compare. The engine decides what to read; it
 * reports its reads, so that waste is counted per predictor. Unions of batches are ranked like single tokens.
 *
 * Order of calls for a layer: predict_offer (what its router said, run early), predict_next, predict_read, then
 * predict_routed with what was chosen. Threads: one at a time. Memory: the arena's; nothing allocates after
 * predict_new. */
#pragma once
#include "sched/popularity.h"

enum predictor {
    PREDICT_ROUTER, /* the layer's own router, run on the activations of the layer before, */
    PREDICT_ROUTER_2, /* or of the one before that */
    N_PREDICT_ROUTERS, /* run early, by as many layers as their place here */
    PREDICT_ACROSS = N_PREDICT_ROUTERS, /* chosen after what the layer before chose */
    PREDICT_WITHIN, /* chosen together with what the layer chose for the token before */
    PREDICT_LAST,   /* what the layer chose for the token before */
    N_PREDICTORS,
};

#define PREDICT_MAX 64u /* guesses of one predictor for one layer */

struct guess {
    uint16_t expert;
    float confidence; /* 0..1 */
};

struct predict_stats {
    uint64_t n_guess, n_right; /* of the lists: precision is n_right / n_guess */
    uint64_t n_chosen;         /* by routers after a list was given: recall is n_right / n_chosen */
    uint64_t n_read, n_wasted; /* reads on a guess; those that were not chosen */
};

struct predict;

/* pop (borrowed, read only) may be NULL or without pairs: then those predictors have nothing to say. NULL: no memory.
 */
struct predict *predict_new(uint32_t n_layer, uint32_t n_expert, const struct popularity *pop, struct arena *a);

/* which: one of the routers. */
void predict_offer(struct predict *p, enum predictor which, uint32_t layer, const uint16_t *ids, uint32_t n);
/* At most max guesses, best first; returns how many. */
uint32_t predict_next(struct predict *p, enum predictor which, uint32_t layer, struct guess *out, uint32_t max);
void predict_read(struct predict *p, enum predictor which, uint32_t layer, uint16_t expert);
/* The router has spoken: settles the layer's guesses and reads. */
void predict_routed(struct predict *p, uint32_t layer, const uint16_t *ids, uint32_t n);

const char *predict_name(enum predictor which);
struct predict_stats predict_stats(const struct predict *p, enum predictor which);
