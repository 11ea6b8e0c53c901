#include "tools/generate.h"

#include <xxhash.h>

#include "runtime/clock.h"

uint32_t generate_n_best(const struct sampler *s) { return sampler_n_best(s, HY_MAX_BEST); }

/* From the best that the device found, when they are enough. */
static int32_t pick(struct generate *g, float *logits) {
    uint32_t n_best = generate_n_best(g->sampler);
    if (!n_best) return sampler_pick(g->sampler, logits, hy_info(g->en)->n_vocab);
    const int32_t *ids;
    const float *values;
    hy_best(g->en, 0, &ids, &values);
    return sampler_pick_best(g->sampler, ids, values, n_best);
}

static enum generate_end refusal(const struct generate *g, struct err *e) {
    if (!g->reply->err.code) return GENERATE_REFUSED;
    *e = g->reply->err;
    return GENERATE_FAILED;
}

static enum generate_end loop(struct generate *g, float *logits, struct err *e) {
    const struct hy_info *info = hy_info(g->en);
    for (;;) {
        g->logits_hash = XXH3_64bits(logits, info->n_vocab * sizeof *logits);
        int32_t id = pick(g, logits);
        if (id < 0) {
            err_set(e, ERR_FORMAT, "the model computes no usable logits (they are NaN); its weights are damaged");
            return GENERATE_FAILED;
        }
        if (tokenizer_is_eog(g->reply->tok, id) && !g->ignore_end)
            return reply_push_end(g->reply, id) ? GENERATE_ENDED : refusal(g, e);
        sampler_accept(g->sampler, id);
        if (!tokens_push(&g->picked, id)) {
            err_set(e, ERR_NOMEM, "no memory for the answer");
            return GENERATE_FAILED;
        }
        if (!reply_push(g->reply, id)) return refusal(g, e);
        if (g->picked.n == g->n_most) return GENERATE_LIMIT;
        if (g->stop(NULL)) return GENERATE_STOPPED;
        if (hy_seq_len(g->en, g->seq) == info->n_ctx) return GENERATE_FULL;
        if (hy_feed(g->en, g->seq, &id, 1, generate_n_best(g->sampler), &logits, g->stop, NULL, e))
            return e->code == ERR_CANCELLED ? GENERATE_STOPPED : GENERATE_FAILED;
    }
}

enum generate_end generate(struct generate *g, float *logits, struct err *e) {
    uint64_t t0 = clock_ns();
    enum generate_end end = loop(g, logits, e);
    g->s += (double)(clock_ns() - t0) / 1e9;
    return end;
}
