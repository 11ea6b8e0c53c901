/* Replay: recorded routings against an expert cache of any size, to choose its policy by measurement.
 *
 * A use is one expert in one layer of one step: tokens of a step that share an expert share its use. A visit (one layer
 * of one step) finds its experts resident or loads them; what it uses stays until it ends. With fewer slots than one
 * visit uses, the rest passes through without a slot. Belady's optimum knows the future; no policy hits more.
 *
 * Memory: replay_new's own, freed by replay_free. Threads: none; runs of one replay are independent and leave it
 * unchanged. */
#pragma once
#include "sched/routes.h"

enum replay_policy {
    REPLAY_LRU,     /* least recently used */
    REPLAY_LFU,     /* fewest uses ever, then least recent */
    REPLAY_DECAYED, /* the same with counts halved every REPLAY_HALF_STEPS steps */
    REPLAY_HY,      /* sched/expert_policy.h */
    REPLAY_BELADY,  /* the one whose next use is last */
    N_REPLAY_POLICIES,
};

#define REPLAY_HALF_STEPS 64u

struct replay {
    struct routes_shape shape;
    uint32_t n_step;
    uint64_t n_use;
    uint32_t max_uses;   /* of one visit */
    uint32_t *visits;    /* (n_step * n_layer + 1) where each visit's uses begin */
    uint16_t *experts;   /* (n_use) */
    uint32_t *n_each;    /* (n_use) tokens that chose it */
    uint32_t *next;      /* (n_use) visit of the same expert's next use, or UINT32_MAX */
    uint32_t *n_tok;     /* (n_step) */
};

struct replay_result {
    uint64_t n_hit;
    double policy_ns;    /* processor time per use, hits and misses alike; of REPLAY_HY only */
};

int replay_new(const struct routes *r, struct replay *out, struct err *e);
void replay_free(struct replay *r);
const char *replay_name(enum replay_policy policy);
int replay_run(const struct replay *r, enum replay_policy policy, uint32_t n_slot, struct replay_result *out,
               struct err *e);
