/* One request on its way through the batcher: its tokens, its sampler, what it does with its rows. Private to sched/.
 *
 * token[0..n_tok) is the prompt and the text so far. A running job's sequence holds the first of these; the rest is to be fed, and
 * the last one's row of logits gives the next token. So a job that lost its sequence (or a part of it) just feeds it again.
 * One thread at a time, but for `cancelled`. */
#pragma once
#include <stdatomic.h>

#include "sched/batcher.h"

struct batch_job {
    struct batch_job *next;
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
int batch_job_new(struct hy_engine *en, const struct batch_request *r, struct batch_job **out, struct err *e);
void batch_job_free(struct batch_job *j);

static inline bool batch_job_embeds(const struct batch_job *j) { return j->r.pool != BATCH_GENERATE; }
/* Whether the prompt is done and tokens come one by one. */
static inline bool batch_job_decodes(const struct batch_job *j, uint32_t seq_len) { return j->stats.n_eval > 0 && j->n_tok - seq_len == 1; }
/* The largest logits that the step must find for this job's row. */
uint32_t batch_job_n_best(const struct batch_job *j);

/* How a row or a step leaves a request. */
enum batch_fate { JOB_GOES_ON, JOB_STOPPED, JOB_FULL, JOB_BROKEN };

/* The next token from row `row` of the step, told to on_token. scratch has n_vocab elements. JOB_BROKEN fills e. */
enum batch_fate batch_job_next_token(struct batch_job *j, struct hy_engine *en, uint32_t row, float *logits, float *scratch, struct err *e);
/* One more row of hidden states; of BATCH_EMBED_LAST there is only one. */
void batch_job_pool(struct batch_job *j, const float *hidden, uint32_t n_embd);
/* Calls on_done. */
void batch_job_done(struct batch_job *j, enum batch_end end, const struct err *why, uint32_t n_embd);
