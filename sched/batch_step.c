#include "sched/batch_step.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"

#define PATIENCE_NS 50e6   /* what prompts may add to a step of streams, or as long as that takes */
#define CANCEL_NS 1000e6   /* what a step of prompts alone may take, so that cancelling is felt */
#define MIN_CHUNK 16u      /* tokens of prompts in a step, at least */
#define N_SWEEP 4          /* and as long as so many readings of streamed weights: these then hide behind the work */
#define FIRST_CHUNK 64u    /* before anything was measured */
#define FIRST_SWEEP 512u   /* the same, when weights stream */
#define SMOOTH 0.3         /* weight of the newest measurement */

int batch_step_init(struct batch_step *s, struct hy_engine *en, struct err *e) {
    const struct hy_info *info = hy_info(en);
    const struct hy_plan *plan = hy_planned(en);
    *s = (struct batch_step){.en = en};
    if (plan->disk_rate > 0) s->sweep_ns = 1e9 * (double)plan->disk_bytes / plan->disk_rate;
    s->token = calloc(info->n_batch, sizeof *s->token);
    s->seq = calloc(info->n_batch, sizeof *s->seq);
    s->pos = calloc(info->n_batch, sizeof *s->pos);
    s->want = calloc(info->n_batch, sizeof *s->want);
    s->row_job = calloc(info->n_logits, sizeof *s->row_job);
    if (s->token && s->seq && s->pos && s->want && s->row_job) return ERR_OK;
    batch_step_deinit(s);
    return err_set(e, ERR_NOMEM, "no memory for the batcher");
}

void batch_step_deinit(struct batch_step *s) {
    free(s->token);
    free(s->seq);
    free(s->pos);
    free(s->want);
    free(s->row_job);
}

static uint32_t rest_of(const struct batch_step *s, const struct batch_job *j) { return j->n_tok - hy_seq_len(s->en, j->seq); }

/* The job's next n tokens. */
static void put(struct batch_step *s, struct batch_job *j, uint32_t n) {
    uint32_t len = hy_seq_len(s->en, j->seq);
    for (uint32_t i = 0; i < n; i++, s->n_tok++) {
        bool last = len + i + 1 == j->n_tok;
        s->token[s->n_tok] = j->token[len + i];
        s->seq[s->n_tok] = j->seq;
        s->pos[s->n_tok] = len + i;
        s->want[s->n_tok] = last || j->r.pool == BATCH_EMBED_MEAN;
        if (s->want[s->n_tok]) s->row_job[s->n_row++] = j;
        if (last && batch_job_n_best(j) > s->n_best) s->n_best = batch_job_n_best(j);
    }
    j->n_give = n;
}

static void fill_streams(struct batch_step *s, struct batch_job *const *running, uint32_t n) {
    const struct hy_info *info = hy_info(s->en);
    for (uint32_t k = 0; k < n && s->n_row < info->n_logits && s->n_tok < info->n_batch; k++) {
        struct batch_job *j = running[(s->turn + k) % n];
        if (batch_job_decodes(j, hy_seq_len(s->en, j->seq))) put(s, j, 1);
    }
    s->n_stream = s->n_tok;
    s->turn = n ? (s->turn + s->n_stream) % n : 0;
}

/* A step of streams alone; before there was one, at least what it reads. */
static double streams_own_ns(const struct batch_step *s) { return s->stream_ns > 0 ? s->stream_ns : s->sweep_ns; }

static uint32_t prompt_room(const struct batch_step *s) {
    uint32_t room = hy_info(s->en)->n_batch - s->n_tok;
    double patience = s->n_stream ? PATIENCE_NS : CANCEL_NS, own = s->n_stream ? streams_own_ns(s) : N_SWEEP * s->sweep_ns;
    if (own > patience) patience = own;
    double n = s->sweep_ns > 0 ? FIRST_SWEEP : FIRST_CHUNK;
    if (s->prompt_tok_ns > 0) n = patience / s->prompt_tok_ns;
    if (n < MIN_CHUNK) n = MIN_CHUNK;
    return n < room ? (uint32_t)n : room;
}

/* Whether an older prompt is about to compute the block that this one needs next. */
static bool waits_for_older(const struct batch_step *s, struct batch_job *const *running, uint32_t at) {
    const struct batch_job *j = running[at];
    uint32_t end = (hy_seq_len(s->en, j->seq) / HY_KV_BLOCK_TOK + 1) * HY_KV_BLOCK_TOK;
    if (end >= j->n_tok || j->r.pool == BATCH_EMBED_MEAN) return false;
    for (uint32_t i = 0; i < at; i++) {
        const struct batch_job *older = running[i];
        bool will = older->n_tok >= end && hy_seq_len(s->en, older->seq) < end;
        if (will && !memcmp(older->token, j->token, end * sizeof *j->token)) return true;
    }
    return false;
}

/* A longer beginning may be in the cache by now. A mean needs all rows and takes nothing from it. */
static void attach(struct batch_step *s, struct batch_job *j) {
    if (j->r.pool == BATCH_EMBED_MEAN) return;
    uint32_t from = hy_seq_len(s->en, j->seq), to = hy_seq_attach(s->en, j->seq, j->token, j->n_tok);
    if (!j->stats.n_eval) j->stats.n_cached += to - from;
}

/* Up to n tokens of a prompt, as far as there are rows of logits. */
static uint32_t put_prompt(struct batch_step *s, struct batch_job *j, uint32_t n) {
    uint32_t rest = rest_of(s, j), rows = hy_info(s->en)->n_logits - s->n_row;
    if (n > rest) n = rest;
    if (n < rest && n >= HY_KV_BLOCK_TOK) n -= (j->n_tok - rest + n) % HY_KV_BLOCK_TOK; /* others may share whole blocks */
    if (j->r.pool == BATCH_EMBED_MEAN && n > rows) n = rows;
    if (n == rest && !rows) n--;
    if (n) put(s, j, n);
    return n;
}

static void fill_prompts(struct batch_step *s, struct batch_job *const *running, uint32_t n) {
    struct batch_job *oldest = NULL;
    uint32_t room = prompt_room(s), others;
    for (uint32_t i = 0; i < n; i++) { /* n_give UINT32_MAX: would take tokens */
        struct batch_job *j = running[i];
        if (batch_job_decodes(j, hy_seq_len(s->en, j->seq))) continue;
        attach(s, j);
        if (waits_for_older(s, running, i)) continue;
        j->n_give = UINT32_MAX;
        if (!oldest) oldest = j;
    }
    if (!oldest) return;
    uint32_t first = rest_of(s, oldest), half = room - room / 2;
    others = room - (first < half ? first : half);
    for (;;) {
        struct batch_job *soonest = NULL;
        for (uint32_t i = 0; i < n; i++)
            if (running[i]->n_give == UINT32_MAX && running[i] != oldest && (!soonest || rest_of(s, running[i]) < rest_of(s, soonest)))
                soonest = running[i];
        if (!soonest) break;
        soonest->n_give = 0;
        uint32_t put_n = put_prompt(s, soonest, others);
        others -= put_n;
        room -= put_n;
    }
    oldest->n_give = 0;
    put_prompt(s, oldest, room);
}

void batch_step_fill(struct batch_step *s, struct batch_job *const *running, uint32_t n) {
    s->n_tok = s->n_row = s->n_best = 0;
    for (uint32_t i = 0; i < n; i++) running[i]->n_give = 0;
    fill_streams(s, running, n);
    fill_prompts(s, running, n);
    s->n_prompt_tok = s->n_tok - s->n_stream;
}

static void smooth(double *v, double now) { *v = *v > 0 ? *v + SMOOTH * (now - *v) : now; }

/* Beside streams a prompt's tokens cost what the step took longer than one of streams alone. A larger step of prompts alone may cost less
 * per token, which is believed at once: nothing makes a step too short. */
static void learn_pace(struct batch_step *s, double ns) {
    double least = 0.1 * ns, own = streams_own_ns(s);
    if (!s->n_prompt_tok) {
        smooth(&s->stream_ns, ns);
    } else if (s->n_stream) {
        smooth(&s->prompt_tok_ns, (ns - own > least ? ns - own : least) / s->n_prompt_tok);
    } else {
        smooth(&s->prompt_tok_ns, ns / s->n_prompt_tok);
        if (s->prompt_tok_ns > ns / s->n_prompt_tok) s->prompt_tok_ns = ns / s->n_prompt_tok;
    }
}

int batch_step_run(struct batch_step *s, bool (*stop)(void *ctx), void *ctx, float **logits, struct err *e) {
    struct hy_batch b = {s->n_tok, s->token, s->seq, s->pos, s->want, s->n_best, stop, ctx};
    uint64_t t0 = clock_ns();
    int rc = hy_step(s->en, &b, logits, e);
    double ns = (double)(clock_ns() - t0);
    if (rc) return rc;
    learn_pace(s, ns);
    return ERR_OK;
}
