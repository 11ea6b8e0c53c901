/* One request on its way through the batcher: its tokens, its sampler, what it does with its rows. Private to sched/.
 *
 * token[0..n_tok) is the prompt and the text so far. A running job's sequence holds the first of these; the rest is to be fed, and
 * the last one's row of logits gives the next token. So a job that lost its sequence (or a part of it) just feeds it again.
 * One thread at a time, but for `cancelled`. */
#pragma once
#include <stdatomic.h>

#include "sched/batcher.h"

struct job {
    struct job *next;
    uint64_t id;
    struct batch_request r;
    int32_t *token;            /* (n_ctx + 1) */
    uint32_t n_tok, n_ctx;
    struct sampler *sampler;   /* NULL for embeddings */
    uint32_t n_best;           /* see sampler_n_best */
    float *pooled;             /* (n_embd), embeddings only */
    uint32_t n_pooled;
    uint32_t seq;              /* while running */
    uint32_t n_give;           /* tokens in the step at hand */
    uint64_t submit_ns, start_ns, first_ns;
    struct batch_stats stats;
    struct batch_view view;    /* what batcher_list shows; under the batcher's lock */
    atomic_bool cancelled;
};

/* Checks a request against the engine's limits. */
int job_new(struct hy_engine *en, const struct batch_request *r, struct job **out, struct err *e);
void job_free(struct job *j);

static inline bool job_embeds(const struct job *j) { return j->r.pool != BATCH_GENERATE; }
/* Whether the prompt is done and tokens come one by one. */
static inline bool job_decodes(const struct job *j, uint32_t seq_len) { return j->stats.n_eval > 0 && j->n_tok - seq_len == 1; }
/* The largest logits that the step must find for this job's row. */
uint32_t job_n_best(const struct job *j);

/* How a row or a step leaves a request. */
enum job_fate { JOB_GOES_ON, JOB_STOPPED, JOB_FULL, JOB_BROKEN };

/* The next token from row `row` of the step, told to on_token. scratch has n_vocab elements. JOB_BROKEN fills e. */
enum job_fate job_next_token(struct job *j, struct hy_engine *en, uint32_t row, float *logits, float *scratch, struct err *e);
/* One more row of the prompt's hidden states. */
void job_pool(struct job *j, const float *hidden, uint32_t n_embd);
/* Calls on_done. */
void job_done(struct job *j, enum batch_end end, const struct err *why, uint32_t n_embd);
