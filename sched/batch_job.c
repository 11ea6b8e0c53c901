#include "sched/batch_job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"

static int check_request(const struct hy_info *info, const struct batch_request *r, uint32_t n_ctx, struct err *e) {
    uint64_t pool = (uint64_t)info->n_kv_block * HY_KV_BLOCK_TOK;
    if (!r->n_prompt) return err_set(e, ERR_ARG, "the prompt is empty; give at least one token");
    if (r->n_prompt > n_ctx)
        return err_set(e, ERR_LIMIT, "the prompt's %u tokens do not fit the context of %u; give a shorter prompt or a larger context",
                       r->n_prompt, n_ctx);
    if (r->n_prompt > pool)
        return err_set(e, ERR_LIMIT, "the prompt's %u tokens do not fit the KV cache of %llu; give a shorter prompt or more memory",
                       r->n_prompt, (unsigned long long)pool);
    if (r->n_top > BATCH_MAX_TOP) return err_set(e, ERR_ARG, "%u likeliest tokens; at most %u can be asked for", r->n_top, BATCH_MAX_TOP);
    for (uint32_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] < 0 || (uint32_t)r->prompt[i] >= info->n_vocab)
            return err_set(e, ERR_ARG, "token %d is outside the vocabulary of %u", r->prompt[i], info->n_vocab);
    return ERR_OK;
}

static int make_job(struct batch_job *j, const struct hy_info *info, struct err *e) {
    j->token = malloc(((size_t)j->n_ctx + 1) * sizeof *j->token);
    j->pooled = batch_job_embeds(j) ? calloc(info->n_embd, sizeof *j->pooled) : NULL;
    if (!j->token || (batch_job_embeds(j) && !j->pooled)) return err_set(e, ERR_NOMEM, "no memory for the request");
    memcpy(j->token, j->r.prompt, j->r.n_prompt * sizeof *j->token);
    j->r.prompt = j->token;
    j->n_tok = j->stats.n_prompt = j->r.n_prompt;
    if (batch_job_embeds(j)) return ERR_OK;
    int rc = sampler_new(&j->r.sampling, info->n_vocab, &j->sampler, e);
    if (rc) return rc;
    for (uint32_t i = 0; i < j->n_tok; i++) sampler_accept(j->sampler, j->token[i]);
    j->n_best = sampler_n_best(j->sampler, HY_MAX_BEST);
    return ERR_OK;
}

int batch_job_new(struct hy_engine *en, const struct batch_request *r, struct batch_job **out, struct err *e) {
    const struct hy_info *info = hy_info(en);
    CHECK(r->on_done);
    uint32_t n_ctx = r->n_ctx && r->n_ctx < info->n_ctx ? r->n_ctx : info->n_ctx;
    int rc = check_request(info, r, n_ctx, e);
    if (rc) return rc;
    struct batch_job *j = calloc(1, sizeof *j);
    if (!j) return err_set(e, ERR_NOMEM, "no memory for the request");
    j->r = *r;
    j->n_ctx = n_ctx;
    j->submit_ns = clock_ns();
    rc = make_job(j, info, e);
    if (rc) {
        batch_job_free(j);
        return rc;
    }
    *out = j;
    return ERR_OK;
}

void batch_job_free(struct batch_job *j) {
    sampler_free(j->sampler);
    free(j->token);
    free(j->pooled);
    free(j);
}

uint32_t batch_job_n_best(const struct batch_job *j) {
    if (batch_job_embeds(j)) return 0;
    uint32_t n_top = j->r.logprobs ? j->r.n_top : 0;
    return n_top > j->n_best ? n_top : j->n_best;
}

/* From the best that the device found, when they are enough; a row that is still needed is not overwritten. */
static int32_t pick_freely(struct batch_job *j, uint32_t n_vocab, const int32_t *ids, const float *values, float *logits, float *scratch) {
    if (j->n_best) return sampler_pick_best(j->sampler, ids, values, j->n_best);
    if (j->r.logprobs || j->r.allows) logits = memcpy(scratch, logits, n_vocab * sizeof *logits);
    return sampler_pick(j->sampler, logits, n_vocab);
}

static int32_t pick_masked(struct batch_job *j, const uint32_t *mask, uint32_t n_vocab, float *logits, float *scratch) {
    sampler_set_mask(j->sampler, mask);
    if (j->r.logprobs) logits = memcpy(scratch, logits, n_vocab * sizeof *logits);
    int32_t id = sampler_pick(j->sampler, logits, n_vocab);
    sampler_set_mask(j->sampler, NULL);
    return id;
}

/* A token drawn freely and kept when the grammar allows it, else drawn again among the allowed ones, has the same probabilities as
 * one drawn among the allowed ones. */
static int32_t pick(struct batch_job *j, uint32_t n_vocab, const int32_t *ids, const float *values, float *logits, float *scratch) {
    const struct batch_request *r = &j->r;
    int32_t id = ERR_FORMAT;
    if (!r->mask || r->allows) id = pick_freely(j, n_vocab, ids, values, logits, scratch);
    if (!r->mask || (id >= 0 && r->allows && r->allows(r->ctx, id))) return id;
    const uint32_t *mask = r->mask(r->ctx);
    return mask || r->allows ? pick_masked(j, mask, n_vocab, logits, scratch) : pick_freely(j, n_vocab, ids, values, logits, scratch);
}

/* ln of the sum of e^logit. */
static double log_sum(const float *logits, uint32_t n) {
    float most = logits[0];
    double sum = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > most) most = logits[i];
    for (uint32_t i = 0; i < n; i++) sum += (double)expf(logits[i] - most);
    return (double)most + log(sum);
}

static bool tell(struct batch_job *j, int32_t id, uint32_t n_vocab, const int32_t *ids, const float *values, const float *logits) {
    struct batch_top top[BATCH_MAX_TOP];
    struct batch_token t = {.id = id, .top = top};
    if (j->r.logprobs) {
        double all = log_sum(logits, n_vocab);
        t.logprob = (float)((double)logits[id] - all);
        t.n_top = j->r.n_top < n_vocab ? j->r.n_top : n_vocab;
        for (uint32_t i = 0; i < t.n_top; i++) top[i] = (struct batch_top){ids[i], (float)((double)values[i] - all)};
    }
    return !j->r.on_token || j->r.on_token(j->r.ctx, &t);
}

/* Forgets the older half of what follows the tokens to keep, at most three quarters. */
static void shift(struct batch_job *j, struct hy_engine *en) {
    uint32_t most = j->n_ctx / 4 * 3, keep = j->r.n_keep < most ? j->r.n_keep : most, drop = (j->n_tok - keep + 1) / 2;
    memmove(j->token + keep, j->token + keep + drop, (j->n_tok - keep - drop) * sizeof *j->token);
    j->n_tok -= drop;
    hy_seq_truncate(en, j->seq, keep);
}

enum batch_fate batch_job_next_token(struct batch_job *j, struct hy_engine *en, uint32_t row, float *logits, float *scratch, struct err *e) {
    uint32_t n_vocab = hy_info(en)->n_vocab;
    const int32_t *ids = NULL;
    const float *values = NULL;
    if (batch_job_n_best(j)) hy_best(en, row, &ids, &values);
    int32_t id = pick(j, n_vocab, ids, values, logits, scratch);
    if (id < 0) {
        err_set(e, ERR_FORMAT, "no token can be chosen: the model's logits are NaN (its weights are damaged) or the grammar allows none");
        return JOB_BROKEN;
    }
    if (!j->first_ns) j->first_ns = clock_ns();
    if (j->r.tokenizer && tokenizer_is_eog(j->r.tokenizer, id)) return JOB_STOPPED;
    sampler_accept(j->sampler, id);
    j->token[j->n_tok++] = id;
    j->stats.n_eval++;
    if (!tell(j, id, n_vocab, ids, values, logits)) return JOB_STOPPED;
    if (j->stats.n_eval == j->r.n_predict) return JOB_FULL;
    if (j->n_tok <= j->n_ctx) return JOB_GOES_ON;
    if (!j->r.shift || j->n_ctx < 4) return JOB_FULL;
    shift(j, en);
    return JOB_GOES_ON;
}

void batch_job_pool(struct batch_job *j, const float *hidden, uint32_t n_embd) {
    for (uint32_t i = 0; i < n_embd; i++) j->pooled[i] += hidden[i];
    j->n_pooled++;
}

void batch_job_done(struct batch_job *j, enum batch_end end, const struct err *why, uint32_t n_embd) {
    uint64_t now = clock_ns(), start = j->start_ns ? j->start_ns : now, first = j->first_ns ? j->first_ns : now;
    j->stats.queue_ns = start - j->submit_ns;
    j->stats.prompt_ns = first - start;
    j->stats.eval_ns = now - first;
    struct batch_result r = {.end = end, .stats = j->stats, .err = end == BATCH_FAILED ? why : NULL};
    if (j->n_pooled && end == BATCH_STOP) {
        for (uint32_t i = 0; i < n_embd; i++) j->pooled[i] /= (float)j->n_pooled;
        r.embedding = j->pooled;
    }
    j->r.on_done(j->r.ctx, &r);
}
