/* One answer of a model: token after token, from the logits behind its prompt. */
#pragma once
#include "models/sampler.h"
#include "sched/hy.h"
#include "tools/reply.h"

struct generate {
    struct hy_engine *en;
    uint32_t seq;              /* holds the prompt */
    struct sampler *sampler;
    uint32_t n_most;           /* tokens to write at most; 0: until the model ends or the context is full */
    bool ignore_end;           /* go on when the model ends */
    bool (*stop)(void *unused);
    struct reply *reply;       /* gets the tokens */
    struct tokens picked;      /* all of them; of these the sequence may lack the last */
    uint64_t logits_hash;      /* of the last row */
    double s;                  /* what it took */
};

enum generate_end {
    GENERATE_ENDED,   /* by the model */
    GENERATE_LIMIT,   /* n_most */
    GENERATE_STOPPED, /* stop was true */
    GENERATE_FULL,    /* the context is */
    GENERATE_REFUSED, /* by who reads the reply */
    GENERATE_FAILED,  /* e says why */
};

/* How many of each row's best logits steps are to find for this sampler. */
uint32_t generate_n_best(const struct sampler *s);
/* May be called again to go on, after GENERATE_FULL and more room: with the logits behind all that was picked. */
enum generate_end generate(struct generate *g, float *logits, struct err *e);
