/* The batcher: many requests, one engine, one step after the other.
 *
 * A thread of its own steps the engine. A request joins between two steps and leaves after one: every step takes the next token of
 * all running streams first, then as much of the waiting prompts as does not hold the streams up for long. What an earlier request
 * left in the KV cache of the same beginning is not computed again. When KV blocks run out, the youngest stream makes room and goes on
 * later where it stopped. On the CPU a request's tokens do not depend on what runs beside it.
 *
 * Threads: from batcher_new to batcher_free the engine is the batcher's (hy_info, and a tokenizer made before, may still be
 * read). All functions below may be called from any thread. Callbacks come on the batcher's thread, which waits for them: they must
 * be quick, and may call batcher_submit, batcher_cancel, batcher_stats and batcher_list, but not batcher_free.
 * Every request that was accepted gets on_done exactly once, and no callback after it. */
#pragma once
#include "models/sampler.h"
#include "sched/hy.h"

struct batcher;

enum batch_end {
    BATCH_STOP,      /* on_token said so, or the model ended its text */
    BATCH_LENGTH,    /* n_predict tokens, or the context is full */
    BATCH_CANCELLED, /* batcher_cancel, or batcher_free */
    BATCH_FAILED,    /* see err */
};

struct batch_top {
    int32_t id;
    float logprob;
};

struct batch_token {
    int32_t id;
    float logprob;               /* ln of the model's own probability, before penalties and temperature; 0 unless asked for */
    const struct batch_top *top; /* (n_top) the likeliest tokens, in falling order */
    uint32_t n_top;
};

struct batch_stats {
    uint32_t n_prompt;  /* tokens of the prompt, cached ones included */
    uint32_t n_cached;  /* of these, found in the KV cache */
    uint32_t n_eval;    /* tokens generated (the end token is not one) */
    uint64_t queue_ns;  /* from submit to the first step */
    uint64_t prompt_ns; /* from there to the first token */
    uint64_t eval_ns;   /* from there to the end */
};

struct batch_result {
    enum batch_end end;
    struct batch_stats stats;
    const struct err *err;  /* only with BATCH_FAILED */
    const float *embedding; /* (n_embd) pooled, not normalised; only for embeddings that were not cancelled */
};

enum batch_pool { BATCH_GENERATE, BATCH_EMBED_MEAN, BATCH_EMBED_LAST };

struct batch_request {
    const int32_t *prompt;  /* (n_prompt); copied */
    uint32_t n_prompt;
    enum batch_pool pool;   /* an embedding generates nothing: mean of the prompt's rows, or the last row */
    uint32_t n_predict;     /* most tokens to generate; 0: until the end */
    uint32_t n_ctx;         /* tokens of prompt and text together; 0 or more than the engine's: the engine's */
    bool shift;             /* when these are full, forget the older half behind n_keep and go on; else BATCH_LENGTH */
    uint32_t n_keep;
    struct sampler_params sampling;
    const struct tokenizer *tokenizer; /* its end tokens stop the text; NULL: none do */
    bool logprobs;
    uint32_t n_top;         /* 0..BATCH_MAX_TOP, with logprobs */
    void *ctx;              /* of all callbacks; each may be NULL but on_done */
    /* After each piece of the prompt: so many of its tokens are done. */
    void (*on_prompt)(void *ctx, uint32_t n_done, uint32_t n_prompt);
    /* A token was generated. False ends the request. */
    bool (*on_token)(void *ctx, const struct batch_token *t);
    /* A grammar: mask gives the allowed tokens of the position at hand (see sampler_set_mask), valid until the next on_token; NULL: all.
     * allows, when there is one, is asked first about the token that would be picked freely; only a refused one
     * costs a mask. */
    const uint32_t *(*mask)(void *ctx);
    bool (*allows)(void *ctx, int32_t id);
    void (*on_done)(void *ctx, const struct batch_result *r);
};
#define BATCH_MAX_TOP 20u

struct batcher_options {
    uint32_t n_queue; /* most requests that wait for a place; 0: 512 */
};

/* The engine stays the caller's to close, after batcher_free. Give hy_open n_seq = n_logits = the streams that may run at a time. */
int batcher_new(struct hy_engine *en, const struct batcher_options *opt, struct batcher **out, struct err *e);
/* Cancels what runs and waits (on_done comes for each), ends the thread. NULL is fine. */
void batcher_free(struct batcher *b);

/* ERR_BUSY: the queue is full. ERR_LIMIT: the prompt does not fit the context or the KV cache. ERR_ARG: tokens or
 * parameters that make no sense. *id is for batcher_cancel; it is set before any callback comes. */
int batcher_submit(struct batcher *b, const struct batch_request *r, uint64_t *id, struct err *e);
/* Takes effect within a step; soon in one that streams weights for nobody else. An id that is done or unknown is nothing. */
void batcher_cancel(struct batcher *b, uint64_t id);

struct batcher_stats {
    uint32_t n_running, n_waiting;
    uint64_t n_accepted, n_refused, n_done, n_cancelled, n_failed; /* requests so far */
    uint64_t n_prompt_tok, n_cached_tok, n_eval_tok, n_preempted, n_step;
    uint64_t step_ns;                       /* time spent in steps */
    uint32_t kv_block, kv_used, kv_cached;  /* the pool; blocks of running requests; blocks kept for later ones */
    uint64_t kv_reused;                     /* cached blocks that made room so far */
    struct hy_stream_stats stream;          /* of the engine, as of its last step */
};
void batcher_stats(struct batcher *b, struct batcher_stats *out);

struct batch_view { /* one request, waiting or running, for people who watch */
    uint64_t id;
    bool running;
    uint32_t n_prompt, n_cached, n_prompt_done, n_eval;
    uint64_t age_ns; /* since submit */
};
/* The first `cap` requests, running ones first; returns how many there are in all. */
uint32_t batcher_list(struct batcher *b, struct batch_view *out, uint32_t cap);
