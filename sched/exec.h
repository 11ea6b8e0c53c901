/* Running a program: ops encoded one by one, over a whole step or over one chunk of its tokens.
 *
 * exec_run is the path of a model that fits: one list of all ops. stream_run (stream.c) is the other: it cuts the list where
 * weights must be waited for. Both encode ops by exec_op, and both end a list behind every layer of a long step that may be stopped. */
#pragma once
#include "sched/plan.h"

#define FLUSH_LAYERS 4 /* the device begins on so many while the rest is encoded */
#define LONG_STEP 64u  /* tokens; a layer of more is worth a list of its own, to stop behind it */

struct hy_engine;
struct cmd;

/* What a step's encoding depends on besides the program. Chunks have n_batch tokens, the last one the rest. */
struct step_shape {
    uint32_t n_tok, n_out;
    uint32_t n_chunk;
    uint32_t out_end[PLAN_MAX_CHUNK]; /* rows of logits of chunks up to this one */
    uint32_t n_pos[PLAN_MAX_CHUNK];   /* more than any position of the chunk */
    uint32_t n_best;                  /* of each row of logits */
    bool (*stop)(void *ctx);          /* hy_batch's */
    void *ctx;
};

/* The part of a step that ops are encoded for. */
struct exec {
    struct hy_engine *en;
    struct cmd *c;
    uint32_t first_tok, n_tok; /* of the step's tokens */
    uint32_t first_out, n_out; /* of its rows of logits */
    uint32_t n_pos;
    uint32_t n_row;            /* of the op at hand: n_tok or n_out */
    bool pooled;               /* experts come from the cache: only those that `ids` names are computed */
    struct ref ids;            /* (n_tok, n_used) i32, -1: not now */
};

/* Where an activation of the chunk and a weight are; absent ones give an absent ref. */
struct ref exec_act(const struct exec *x, act a);
struct ref exec_weight(const struct exec *x, const struct weight *w);

void exec_chunk(struct exec *x, const struct step_shape *s, uint32_t chunk);
/* Encodes op i with its barrier. Ops without rows in this chunk are nothing. */
int exec_op(struct exec *x, uint32_t i, struct err *e);
/* Lists of tokens by expert for x->ids (n_row, n_used), where the device's products go by them. */
int exec_lists(struct exec *x, const struct op *route, uint32_t n_row, struct err *e);
/* The n_best best of all logits rows of the step. */
int exec_best(struct hy_engine *en, struct cmd *c, const struct step_shape *s, struct err *e);

/* The whole step; the device has finished when it returns. ERR_CANCELLED: s->stop said so. */
int exec_run(struct hy_engine *en, const struct step_shape *s, struct err *e);

/* The step's token of row i of op's output: in the last layer rows are those whose logits are asked for. */
uint32_t exec_token(const struct exec *x, uint32_t op, uint32_t row);
/* The ids that the router wrote for the chunk: (n_tok, n_used), readable once the device is done. */
const int32_t *exec_routed(const struct exec *x, uint32_t route_op);
