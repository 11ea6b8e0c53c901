/* The next step of the batcher: which running requests get how many tokens in it. Private to sched/.
 *
 * Rows of streams come first. The rest is for prompts: beside streams no more than takes about as long as the streams' own step
 * (measured), so that a token never waits for a whole prompt; alone about a second's worth, or more when weights stream.
 * Of the room for prompts the oldest gets at least half; what is left goes to those that end soonest. A prompt whose next block an
 * older one is computing waits for it. One thread. */
#pragma once
#include "sched/batch_job.h"

struct batch_step {
    struct hy_engine *en;
    int32_t *token;        /* these four (n_batch) */
    uint32_t *seq, *pos;
    bool *want;
    struct batch_job **row_job;  /* (n_logits) whose row it is */
    uint32_t n_tok, n_row, n_best, n_stream, n_prompt_tok;
    uint32_t turn;         /* the first stream of the next step, when not all have room */
    double sweep_ns;       /* what reading the weights that are not in memory takes, once per step; 0: all are */
    double stream_ns;      /* a step of streams alone, smoothed */
    double prompt_tok_ns;  /* what a prompt's token adds to a step */
};

int batch_step_init(struct batch_step *s, struct hy_engine *en, struct err *e);
void batch_step_deinit(struct batch_step *s);
/* Fills the step and every job's n_give. running is oldest first. */
void batch_step_fill(struct batch_step *s, struct batch_job *const *running, uint32_t n);
/* stop: see hy_batch. */
int batch_step_run(struct batch_step *s, bool (*stop)(void *ctx), void *ctx, float **logits, struct err *e);
