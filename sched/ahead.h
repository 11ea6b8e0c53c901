/* What may be read before it is asked for: experts that were popular in earlier runs, and those that the next layers will choose.
 *
 * Warm start: at open the cache is filled in the background, most popular first (sched/popularity.h, kept per model in the cache
 * folder). While few tokens are decoded, the routers of the next two expert layers run early, on the residual stream as it stands before
 * this layer's FFN is added; their choices and the co-activation counts are guesses (sched/predict.h), and guesses of routers that have
 * proved right often enough are read while the disk would rest: the nearer layer's before the further one's. Nothing here changes a result.
 *
 * Threads: the engine's. Nothing allocates after ahead_open but saving. */
#pragma once
#include "sched/experts.h"
#include "sched/predict.h"

struct hy_engine;
struct exec;

#define AHEAD_ROWS 8u /* tokens of a step for which guessing pays */

struct ahead {
    struct popularity popularity;
    struct predict *predict;
    uint64_t model_hash;
    uint32_t first_route;  /* op of the first expert layer's router */
    uint32_t *next_route;  /* (n_layer) op of the next expert layer's router; UINT32_MAX: none */
    struct buf room;       /* of the early routers */
    uint16_t *before;      /* (n_step, n_used) what the expert layer before chose */
    uint16_t *ids;         /* (n_expert) */
    uint32_t n_early;      /* routers that have run early for the chunk at hand */
    bool guesses;          /* read on guesses */
};

int ahead_open(struct hy_engine *en, bool guesses, struct err *e);
void ahead_close(struct hy_engine *en); /* saves the popularity; a cache folder that cannot be written is no matter */
/* Begins to fill the empty slots of the cache. */
void ahead_warm(struct hy_engine *en);
/* Encodes the routers of the next expert layers behind `route`, when the chunk is small. */
int ahead_encode(struct exec *x, uint32_t route, struct err *e);
/* The layer's choice is known and its reads are queued: learns, and reads what the next layers are likely to want. */
void ahead_routed(struct hy_engine *en, const struct exec *x, uint32_t route, const int32_t *routed, uint32_t n_row);
void ahead_end_step(struct hy_engine *en, uint32_t n_tok);
