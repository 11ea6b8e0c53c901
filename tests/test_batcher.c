/* The batcher: every request's tokens are those that it would get alone, whoever else is there, with much or little room for keys and
 * values; nothing leaks; nobody starves.
 *
 * The batcher's files are compiled into this program with their memory counted and hy_step watched. */
#include "tests/support.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "sched/hy.h"

static atomic_long n_live; /* pieces of memory */

static void *counted(void *p) {
    if (p) n_live++;
    return p;
}
static void *counted_malloc(size_t n) { return counted(malloc(n)); }
static void *counted_calloc(size_t n, size_t size) { return counted(calloc(n, size)); }
static void counted_free(void *p) {
    if (p) n_live--;
    free(p);
}

/* What the watched steps held, and how they are made to fail. */
static struct {
    uint32_t n_step, fail_from, n_fail; /* steps [fail_from, +n_fail) fail as a device does */
    uint32_t slow_us, tok_us;           /* what a step takes at least, and for each token */
    atomic_bool hold;                   /* no step ends */
    uint32_t cancel_in, n_cancel, n_stopped; /* in the cancel_in-th step the first n_cancel clients go; steps that were stopped */
    struct batcher *batcher;
} watch;

static void cancel_clients(void);

static int watched_step(struct hy_engine *en, const struct hy_batch *b, float **logits, struct err *e) {
    uint32_t n = watch.n_step++;
    uint32_t us = b->n_tok * watch.tok_us > watch.slow_us ? b->n_tok * watch.tok_us : watch.slow_us;
    if (us) usleep(us);
    while (atomic_load(&watch.hold)) usleep(200);
    if (n >= watch.fail_from && n - watch.fail_from < watch.n_fail) return err_set(e, ERR_DEVICE, "the device is on fire");
    if (n + 1 == watch.cancel_in) cancel_clients();
    int rc = hy_step(en, b, logits, e);
    watch.n_stopped += rc == ERR_CANCELLED;
    return rc;
}

#define malloc counted_malloc
#define calloc counted_calloc
#define free counted_free
#define hy_step watched_step
#include "models/sampler.c"
#include "sched/batch_job.c"
#include "sched/batch_step.c"
#include "sched/batcher.c"
#undef malloc
#undef calloc
#undef free
#undef hy_step

enum { N_VOCAB = 400, N_CTX = 256, MOST = 200 };

/* A caller: what its callbacks were told. */
struct client {
    struct batch_request r;
    int32_t prompt[N_CTX + 1], token[1024];
    float logprob[1024];
    struct batch_top top[1024][BATCH_MAX_TOP];
    uint32_t n, stop_after, n_prompt_calls;
    uint64_t id;
    float embedding[512];
    enum batch_end end;
    struct batch_stats stats;
    char error[ERR_TEXT_BYTES];
    uint32_t allowed_from, mask[(N_VOCAB + 31) / 32], n_mask; /* a grammar: tokens from there on */
    const struct client *beside; /* a stream that must not stand still while this one's prompt is fed */
    uint32_t beside_n, n_stalled;
    int order;                   /* of its end among all */
    atomic_int done;
};
static atomic_int n_ended;

static bool on_token(void *ctx, const struct batch_token *t) {
    struct client *c = ctx;
    assert_false(atomic_load(&c->done));
    c->logprob[c->n] = t->logprob;
    memcpy(c->top[c->n], t->top, t->n_top * sizeof *t->top);
    c->token[c->n++] = t->id;
    return c->n != c->stop_after;
}

static void on_prompt(void *ctx, uint32_t n_done, uint32_t n_prompt) {
    struct client *c = ctx;
    assert_true(n_done <= n_prompt);
    c->n_prompt_calls++;
    if (!c->beside) return;
    c->n_stalled += c->beside->n == c->beside_n && !atomic_load(&c->beside->done);
    c->beside_n = c->beside->n;
}

static void on_done(void *ctx, const struct batch_result *r) {
    struct client *c = ctx;
    c->end = r->end;
    c->stats = r->stats;
    if (r->err) snprintf(c->error, sizeof c->error, "%s", r->err->text);
    if (r->embedding) memcpy(c->embedding, r->embedding, c->n_mask * sizeof *c->embedding);
    c->order = atomic_fetch_add(&n_ended, 1);
    assert_int_equal(atomic_fetch_add(&c->done, 1), 0);
}

static const uint32_t *grammar_mask(void *ctx) {
    struct client *c = ctx;
    c->n_mask++;
    return c->mask;
}
static bool grammar_allows(void *ctx, int32_t id) { return (uint32_t)id >= ((struct client *)ctx)->allowed_from; }

static void client_init(struct client *c, uint32_t k, uint32_t n_prompt, uint32_t n_predict) {
    memset(c, 0, sizeof *c);
    for (uint32_t i = 0; i < n_prompt; i++) { /* every second text begins like the first for 100 tokens */
        uint32_t t = k % 2 == 0 && i < 100 ? 0 : k;
        c->prompt[i] = (int32_t)((i * i * 31 + i * 7 + t * 101 + 3) % N_VOCAB);
    }
    c->r = (struct batch_request){.prompt = c->prompt, .n_prompt = n_prompt, .n_predict = n_predict, .sampling = sampler_defaults(),
                                  .ctx = c, .on_prompt = on_prompt, .on_token = on_token, .on_done = on_done};
    c->r.sampling.seed = k;
    if (k % 4 == 1) c->r.sampling.repeat_penalty = 1.3f;
    if (k % 4 == 2) c->r.sampling.temperature = 0;
}

static void submit(struct batcher *b, struct client *c) { OK(batcher_submit(b, &c->r, &c->id, &support_err)); }
static void wait_done(struct client *c) {
    for (uint32_t ms = 0; !atomic_load(&c->done); ms++) {
        if (ms > 120000) fail_msg("request %llu does not end", (unsigned long long)c->id);
        usleep(1000);
    }
}

static const char *model(void) {
    return support_model("batch.gguf", "--arch llama --type Q8_0 --n-layer 2 --n-embd 128 --n-ff 128 --n-vocab 400 --n-ctx 1024");
}

static uint32_t n_ring_slot; /* not 0: weights stream */

static struct hy_engine *open_engine_of(const char *path, uint32_t n_seq, uint32_t n_kv_block) {
    struct hy_engine *en;
    struct hy_options o = {.model_path = path, .n_thread = 2, .n_ctx = N_CTX, .n_seq = n_seq, .n_batch = 64, .n_logits = n_seq,
                           .n_kv_block = n_kv_block, .n_ring_slot = n_ring_slot};
    OK(hy_open(&o, &en, &support_err));
    return en;
}

static struct batcher *start(struct hy_engine *en, uint32_t n_queue) {
    struct batcher *b;
    memset(&watch, 0, sizeof watch);
    OK(batcher_new(en, &(struct batcher_options){.n_queue = n_queue}, &b, &support_err));
    return b;
}

/* The tokens that a client must get: without the batcher, token by token, from whole rows. */
static uint32_t reference(struct hy_engine *en, const struct client *c, int32_t *out) {
    struct sampler *s;
    uint32_t seq, n = 0;
    float *logits;
    OK(sampler_new(&c->r.sampling, N_VOCAB, &s, &support_err));
    OK(hy_seq_new(en, &seq, &support_err));
    for (uint32_t i = 0; i < c->r.n_prompt; i++) sampler_accept(s, c->prompt[i]);
    OK(hy_feed(en, seq, c->prompt, c->r.n_prompt, 0, &logits, NULL, NULL, &support_err));
    for (;;) {
        out[n] = sampler_pick(s, logits, N_VOCAB);
        sampler_accept(s, out[n]);
        if (++n == c->r.n_predict || hy_seq_len(en, seq) == N_CTX) break;
        OK(hy_feed(en, seq, &out[n - 1], 1, 0, &logits, NULL, NULL, &support_err));
    }
    hy_seq_free(en, seq);
    sampler_free(s);
    return n;
}

static struct client clients[40];

/* 40 requests for n_seq places, some come while others run. */
static void crowd(uint32_t n_seq, uint32_t n_kv_block, bool preempts) {
    static int32_t want[LEN(clients)][MOST];
    uint32_t n_want[LEN(clients)];
    struct hy_engine *en = open_engine_of(model(), 1, 0);
    for (uint32_t k = 0; k < LEN(clients); k++) {
        client_init(&clients[k], k, 3 + k * 37 % 180, 20 + k * 13 % 60);
        n_want[k] = reference(en, &clients[k], want[k]);
    }
    hy_close(en);
    en = open_engine_of(model(), n_seq, n_kv_block);
    struct batcher *b = start(en, 0);
    struct batcher_stats st;
    for (uint32_t k = 0; k < LEN(clients); k++) {
        submit(b, &clients[k]);
        if (k % 5 == 4) usleep(support_random(4000));
    }
    for (uint32_t k = 0; k < LEN(clients); k++) {
        wait_done(&clients[k]);
        struct client *c = &clients[k];
        if (c->end != BATCH_LENGTH) fail_msg("request %u ended with %d: %s", k, c->end, c->error);
        assert_int_equal(c->n, n_want[k]);
        assert_int_equal(c->stats.n_eval, n_want[k]);
        assert_int_equal(c->stats.n_prompt, c->r.n_prompt);
        assert_true(c->stats.n_cached < c->r.n_prompt && c->n_prompt_calls > 0);
        for (uint32_t i = 0; i < c->n; i++)
            if (c->token[i] != want[k][i]) fail_msg("request %u, token %u: %d, alone %d", k, i, c->token[i], want[k][i]);
    }
    batcher_stats(b, &st);
    assert_int_equal(st.n_done, LEN(clients));
    assert_int_equal(st.n_running + st.n_waiting + st.kv_used, 0);
    assert_true(st.n_cached_tok > 0);
    if (preempts) assert_true(st.n_preempted > 0);
    else assert_int_equal(st.n_preempted, 0);
    batcher_free(b);
    hy_close(en);
}

static void alone_or_in_a_crowd(void **state) {
    crowd(32, 0, false);
    crowd(3, 0, false);
    crowd(32, 12, true); /* three full texts' room for all */
    crowd(1, 5, false);
}

static void embeddings(void **state) {
    struct hy_engine *en = open_engine_of(model(), 8, 0);
    const uint32_t n_embd = hy_info(en)->n_embd, n_tok = 100;
    float mean[512] = {0}, last[512];
    struct client *c = clients;
    uint32_t seq, n = 0;
    client_init(&c[0], 3, n_tok, 0);
    OK(hy_seq_new(en, &seq, &support_err));
    for (uint32_t i = 0; i < n_tok; i++) {
        OK(hy_feed(en, seq, c[0].prompt + i, 1, 0, NULL, NULL, NULL, &support_err));
        const float *h = hy_hidden(en);
        for (uint32_t k = 0; k < n_embd; k++) mean[k] += h[k] / (float)n_tok;
        memcpy(last, h, n_embd * sizeof *h);
    }
    hy_seq_free(en, seq);
    struct batcher *b = start(en, 0);
    for (uint32_t k = 0; k < 6; k++) { /* beside streams */
        client_init(&c[k], 3, n_tok, k < 4 ? 0 : 60);
        if (k < 4) c[k].r.pool = k % 2 ? BATCH_EMBED_LAST : BATCH_EMBED_MEAN;
        c[k].n_mask = n_embd;
        submit(b, &c[k]);
    }
    for (uint32_t k = 0; k < 6; k++) wait_done(&c[k]);
    for (uint32_t k = 0; k < 4; k++) {
        assert_int_equal(c[k].end, BATCH_STOP);
        assert_int_equal(c[k].n, 0);
        for (uint32_t i = 0; i < n_embd; i++) {
            if (k % 2 == 0) n += fabsf(c[k].embedding[i] - mean[i]) > 1e-5f * (1 + fabsf(mean[i]));
            else n += c[k].embedding[i] != last[i];
        }
    }
    assert_int_equal(n, 0);
    batcher_free(b);
    hy_close(en);
}

static void alone_or_in_a_crowd_streamed(void **state) {
    n_ring_slot = 3;
    struct hy_engine *en = open_engine_of(model(), 1, 0);
    assert_int_equal(hy_planned(en)->mode, HY_STREAM_DENSE);
    hy_close(en);
    crowd(32, 0, false);
    embeddings(state);
    n_ring_slot = 0;
}

/* Refusals. */

static void refused_at_once(void **state) {
    struct hy_engine *en = open_engine_of(model(), 2, 3); /* 192 tokens of KV */
    long before = n_live;
    struct batcher *b = start(en, 3);
    struct client *c = &clients[0];
    uint64_t id;
#define BAD(change, code, ...)                                                                                       \
    do {                                                                                                             \
        client_init(c, 0, 10, 5);                                                                                    \
        change;                                                                                                      \
        REFUSED(batcher_submit(b, &c->r, &id, &support_err), code, __VA_ARGS__);                                     \
    } while (0)
    BAD(c->r.n_prompt = 0, ERR_ARG, "empty");
    BAD(c->r.n_prompt = N_CTX + 1, ERR_LIMIT, "257 tokens", "context of 256");
    BAD(c->r.n_prompt = 200, ERR_LIMIT, "200 tokens", "KV cache of 192");
    BAD(c->r.n_ctx = 9, ERR_LIMIT, "10 tokens", "context of 9");
    BAD(c->prompt[3] = N_VOCAB, ERR_ARG, "token 400");
    BAD(c->prompt[9] = -1, ERR_ARG, "token -1");
    BAD(c->r.n_top = 21, ERR_ARG, "21", "20");
    BAD(c->r.sampling.temperature = NAN, ERR_ARG, "temperature");
    atomic_store(&watch.hold, true);
    for (uint32_t k = 0; k < 5; k++) { /* two run, three wait */
        client_init(&clients[k], k, 10, 30);
        submit(b, &clients[k]);
    }
    struct client late;
    client_init(&late, 9, 10, 30);
    REFUSED(batcher_submit(b, &late.r, &late.id, &support_err), ERR_BUSY, "5 requests");
    atomic_store(&watch.hold, false);
    wait_done(&clients[0]);
    wait_done(&clients[1]);
    submit(b, &late);
    wait_done(&late);
    struct batcher_stats st;
    batcher_stats(b, &st);
    assert_int_equal(st.n_accepted, 6);
    assert_int_equal(st.n_refused, 9);
    batcher_free(b);
    assert_int_equal(n_live, before);
    hy_close(en);
}

/* Ends. */

static void ends(void **state) {
    struct hy_engine *en = open_engine_of(model(), 4, 0);
    const struct tokenizer *tok;
    OK(hy_tokenizer(en, &tok, &support_err));
    struct batcher *b = start(en, 0);
    struct client *c = clients;
    client_init(&c[0], 0, 10, 50); /* on_token says so */
    c[0].stop_after = 7;
    client_init(&c[1], 1, 10, 0); /* the context is full: the last token is not fed */
    client_init(&c[2], 3, 40, 0); /* a context of its own */
    c[2].r.n_ctx = 60;
    client_init(&c[3], 5, 10, 0); /* the only allowed token ends the text */
    int32_t eog = 0;
    while (!tokenizer_is_eog(tok, eog)) eog++;
    c[3].mask[eog / 32] = 1u << eog % 32;
    c[3].r.mask = grammar_mask;
    c[3].r.tokenizer = tok;
    client_init(&c[4], 6, 10, 0); /* a grammar without a way on */
    c[4].r.mask = grammar_mask;
    client_init(&c[5], 7, N_CTX, 0); /* a prompt as long as the context has one token */
    for (uint32_t k = 0; k < 6; k++) submit(b, &c[k]);
    for (uint32_t k = 0; k < 6; k++) wait_done(&c[k]);
    assert_int_equal(c[0].end, BATCH_STOP);
    assert_int_equal(c[0].n, 7);
    assert_int_equal(c[1].end, BATCH_LENGTH);
    assert_int_equal(c[1].n, N_CTX + 1 - 10);
    assert_int_equal(c[2].end, BATCH_LENGTH);
    assert_int_equal(c[2].n, 21);
    assert_int_equal(c[3].end, BATCH_STOP);
    assert_int_equal(c[3].stats.n_eval, 0);
    assert_int_equal(c[4].end, BATCH_FAILED);
    assert_non_null(strstr(c[4].error, "grammar"));
    assert_int_equal(c[5].end, BATCH_LENGTH);
    assert_int_equal(c[5].n, 1);
    for (uint32_t k = 0; k < 4; k++) assert_true(c[k].stats.prompt_ns > 0 && (k == 3 || c[k].stats.eval_ns > 0));
    batcher_free(b);
    hy_close(en);
}

/* The text goes on behind the kept tokens and the later half: as if these had been a prompt. */
static void shifts(void **state) {
    struct hy_engine *en = open_engine_of(model(), 2, 0);
    struct client *c = &clients[0], *d = &clients[1];
    int32_t all[1024], want[MOST];
    struct batcher *b = start(en, 0);
    client_init(c, 2, 50, 120); /* greedy */
    c->r.n_ctx = 100;
    c->r.n_keep = 10;
    c->r.shift = true;
    submit(b, c);
    wait_done(c);
    assert_int_equal(c->end, BATCH_LENGTH);
    assert_int_equal(c->n, 120);
    batcher_free(b);
    memcpy(all, c->prompt, 50 * sizeof *all);
    memcpy(all + 50, c->token, 51 * sizeof *all); /* 101 tokens: full; 10 stay, 46 go, 45 stay */
    client_init(d, 2, 55, 46);
    memcpy(d->prompt, all, 10 * sizeof *all);
    memcpy(d->prompt + 10, all + 56, 45 * sizeof *all);
    assert_int_equal(reference(en, d, want), 46);
    assert_memory_equal(want, c->token + 51, 46 * sizeof *want);
    hy_close(en);
}

/* Cancelling. */

static void cancelled(void **state) {
    struct hy_engine *en = open_engine_of(model(), 2, 0);
    struct batcher *b = start(en, 0);
    struct batch_view v[8];
    watch.slow_us = 3000;
    for (uint32_t k = 0; k < 5; k++) {
        client_init(&clients[k], k, k == 1 ? 250 : 10, 0);
        clients[k].r.shift = true; /* without an end */
        submit(b, &clients[k]);
    }
    while (batcher_list(b, v, 8) != 5 || !v[0].running || !v[0].n_eval) usleep(1000);
    assert_int_equal(v[0].id, clients[0].id);
    assert_true(v[1].running && !v[2].running && !v[4].running);
    assert_int_equal(v[1].n_prompt, 250);
    batcher_cancel(b, clients[3].id); /* waits */
    wait_done(&clients[3]);
    assert_int_equal(clients[3].n, 0);
    batcher_cancel(b, clients[1].id); /* in its prompt, or behind it */
    wait_done(&clients[1]);
    batcher_cancel(b, clients[0].id);
    batcher_cancel(b, 12345);
    wait_done(&clients[0]);
    assert_true(clients[0].n > 0);
    batcher_free(b); /* the others */
    for (uint32_t k = 0; k < 5; k++) {
        assert_int_equal(atomic_load(&clients[k].done), 1);
        assert_int_equal(clients[k].end, BATCH_CANCELLED);
    }
    assert_int_equal(hy_kv_use(en).n_free + hy_kv_use(en).n_cached, hy_kv_use(en).n_block);
    hy_close(en);
}

static void cancel_clients(void) {
    for (uint32_t k = 0; k < watch.n_cancel; k++) batcher_cancel(watch.batcher, clients[k].id);
}

/* Of two clients one or both go in their k-th step. Only a step that streams, and that nobody else is in, is left half-way. */
static void leave_in_step(struct hy_engine *en, const int32_t *want, uint32_t step, uint32_t n_cancel) {
    struct batcher *b = start(en, 0);
    struct batcher_stats st;
    watch.cancel_in = step;
    watch.n_cancel = n_cancel;
    watch.batcher = b;
    atomic_store(&watch.hold, true);
    for (uint32_t k = 0; k < 3; k++) client_init(&clients[k], k < 2 ? k : 1, 150, 40);
    for (uint32_t k = 0; k < 2; k++) submit(b, &clients[k]);
    atomic_store(&watch.hold, false);
    for (uint32_t k = 0; k < 2; k++) wait_done(&clients[k]);
    submit(b, &clients[2]); /* like the second, from what that left in the cache */
    wait_done(&clients[2]);
    batcher_stats(b, &st);
    batcher_free(b);
    for (uint32_t k = 0; k < 3; k++) assert_int_equal(clients[k].end, k < n_cancel ? BATCH_CANCELLED : BATCH_LENGTH);
    for (uint32_t k = n_cancel; k < 3; k++)
        if (k) assert_memory_equal(clients[k].token, want, 40 * sizeof *want);
    assert_int_equal(watch.n_stopped, n_ring_slot && n_cancel == 2 ? 1 : 0);
    assert_int_equal(st.n_failed, 0);
    assert_int_equal(st.n_cancelled, n_cancel);
    assert_int_equal(st.kv_used, 0);
}

static void cancelled_in_a_step(void **state) {
    static const uint32_t slots[] = {0, 3}, steps[] = {2, 3, 8, 20};
    int32_t want[MOST];
    for (uint32_t i = 0; i < LEN(slots); i++) {
        n_ring_slot = slots[i];
        struct hy_engine *en = open_engine_of(model(), 4, 0);
        client_init(&clients[1], 1, 150, 40);
        assert_int_equal(reference(en, &clients[1], want), 40);
        for (uint32_t k = 0; k < LEN(steps); k++)
            for (uint32_t n_cancel = 1; n_cancel <= 2; n_cancel++) leave_in_step(en, want, steps[k], n_cancel);
        hy_close(en);
    }
    n_ring_slot = 0;
}

/* A step that fails ends those who were in it; the next request is served. */
static void failed_steps(void **state) {
    struct hy_engine *en = open_engine_of(model(), 4, 0);
    struct batcher *b = start(en, 0);
    int32_t want[MOST];
    watch.fail_from = 10;
    watch.n_fail = 1;
    for (uint32_t k = 0; k < 3; k++) client_init(&clients[k], k, 10, 100);
    atomic_store(&watch.hold, true);
    for (uint32_t k = 0; k < 3; k++) submit(b, &clients[k]);
    atomic_store(&watch.hold, false);
    for (uint32_t k = 0; k < 3; k++) wait_done(&clients[k]);
    for (uint32_t k = 0; k < 3; k++) {
        assert_int_equal(clients[k].end, BATCH_FAILED);
        assert_string_equal(clients[k].error, "the device is on fire");
    }
    client_init(&clients[3], 1, 10, 100);
    submit(b, &clients[3]);
    wait_done(&clients[3]);
    batcher_free(b);
    assert_int_equal(clients[3].end, BATCH_LENGTH);
    assert_int_equal(reference(en, &clients[3], want), 100);
    assert_memory_equal(want, clients[3].token, sizeof *want * 100);
    hy_close(en);
}

/* Log-probabilities, grammars. */

static void logprobs(void **state) {
    struct hy_engine *en = open_engine_of(model(), 3, 0);
    struct client *c = clients;
    struct batcher *b = start(en, 0);
    for (uint32_t k = 0; k < 3; k++) { /* from the whole row with penalties, greedy, top-k */
        client_init(&c[k], k + 1, 20, 30);
        c[k].r.logprobs = true;
        c[k].r.n_top = k * 10;
        submit(b, &c[k]);
    }
    for (uint32_t k = 0; k < 3; k++) wait_done(&c[k]);
    batcher_free(b);
    for (uint32_t k = 0; k < 3; k++) {
        uint32_t seq;
        float *x;
        OK(hy_seq_new(en, &seq, &support_err));
        OK(hy_feed(en, seq, c[k].prompt, 20, 0, &x, NULL, NULL, &support_err));
        assert_int_equal(c[k].n, 30);
        for (uint32_t i = 0; i < 30; i++) {
            double sum = 0, most = -1e30;
            for (uint32_t v = 0; v < N_VOCAB; v++) sum += exp((double)x[v]);
            assert_true(fabs((double)x[c[k].token[i]] - log(sum) - (double)c[k].logprob[i]) < 1e-4);
            for (uint32_t v = 0; v < N_VOCAB; v++) most = x[v] > most ? x[v] : most;
            for (uint32_t t = 0; t < c[k].r.n_top; t++) {
                assert_true(fabs((double)x[c[k].top[i][t].id] - log(sum) - (double)c[k].top[i][t].logprob) < 1e-4);
                if (t) assert_true(c[k].top[i][t].logprob <= c[k].top[i][t - 1].logprob);
                else assert_true(x[c[k].top[i][0].id] == most);
            }
            OK(hy_feed(en, seq, &c[k].token[i], 1, 0, &x, NULL, NULL, &support_err));
        }
        hy_seq_free(en, seq);
    }
    hy_close(en);
}

static void grammars(void **state) {
    struct hy_engine *en = open_engine_of(model(), 8, 0);
    struct client *c = clients;
    struct batcher *b = start(en, 0);
    for (uint32_t k = 0; k < 8; k++) {
        client_init(&c[k], k, 20, 100);
        c[k].allowed_from = k < 4 ? 200 : 5;
        for (uint32_t id = c[k].allowed_from; id < N_VOCAB; id++) c[k].mask[id / 32] |= 1u << id % 32;
        c[k].r.mask = grammar_mask;
        if (k % 2) c[k].r.allows = grammar_allows;
        c[k].r.logprobs = k > 5;
        submit(b, &c[k]);
    }
    for (uint32_t k = 0; k < 8; k++) {
        wait_done(&c[k]);
        assert_int_equal(c[k].end, BATCH_LENGTH);
        for (uint32_t i = 0; i < c[k].n; i++) assert_true((uint32_t)c[k].token[i] >= c[k].allowed_from);
        if (k % 2 == 0) assert_int_equal(c[k].n_mask, 100);
        else assert_in_range(c[k].n_mask, k < 4 ? 1 : 0, k < 4 ? 99 : 60); /* only when the free choice was not allowed */
    }
    batcher_free(b);
    hy_close(en);
}

/* Fairness. */

/* A long prompt comes in pieces beside a stream that goes on with each, and a short one is not held up by it. */
static void prompts_beside_streams(void **state) {
    struct hy_engine *en = open_engine_of(model(), 4, 0);
    struct batcher *b = start(en, 0);
    struct client *c = clients;
    struct batch_view v[4];
    watch.slow_us = 5000;
    client_init(&c[0], 0, 10, 200);
    client_init(&c[1], 1, 240, 1);
    client_init(&c[2], 2, 10, 1);
    c[1].beside = &c[0];
    submit(b, &c[0]);
    while (!batcher_list(b, v, 4) || v[0].n_eval < 3) usleep(1000);
    atomic_store(&watch.hold, true);
    submit(b, &c[1]);
    submit(b, &c[2]);
    atomic_store(&watch.hold, false);
    for (uint32_t k = 0; k < 3; k++) wait_done(&c[k]);
    assert_true(c[2].order < c[1].order && c[1].order < c[0].order);
    assert_true(c[1].n_prompt_calls >= 4);
    assert_int_equal(c[1].n_stalled, 0);
    for (uint32_t k = 0; k < 3; k++) assert_int_equal(c[k].end, BATCH_LENGTH);
    batcher_free(b);
    hy_close(en);
}

/* Where a step takes as long as reading the weights, prompts that come together use that time. */
static void prompts_behind_the_disk(void **state) {
    enum { N = 16, N_TOK = 30, N_PREDICT = 25, N_BATCH = 64, SWEEP_TOK = 30 };
    struct hy_engine *en = open_engine_of(model(), N, 0);
    struct batcher *b = start(en, 0);
    watch.tok_us = 4000;
    watch.slow_us = SWEEP_TOK * watch.tok_us;
    b->step.sweep_ns = 1e3 * watch.slow_us;
    atomic_store(&watch.hold, true);
    for (uint32_t k = 0; k < N; k++) {
        client_init(&clients[k], 2 * k + 1, N_TOK, N_PREDICT);
        submit(b, &clients[k]);
    }
    atomic_store(&watch.hold, false);
    for (uint32_t k = 0; k < N; k++) wait_done(&clients[k]);
    uint32_t least = N_PREDICT + (N * N_TOK - N_BATCH) / SWEEP_TOK;
    if (watch.n_step > least + 7) fail_msg("%u steps; %u would do", watch.n_step, least);
    batcher_free(b);
    hy_close(en);
}

/* Requests with one long beginning that come together compute it once. */
static void one_beginning_once(void **state) {
    struct hy_engine *en = open_engine_of(model(), 16, 0);
    struct batcher *b = start(en, 0);
    struct batcher_stats st;
    for (uint32_t k = 0; k < 16; k++) {
        client_init(&clients[k], 0, 220, 4);
        clients[k].prompt[210] = (int32_t)k;
        submit(b, &clients[k]);
    }
    for (uint32_t k = 0; k < 16; k++) wait_done(&clients[k]);
    batcher_stats(b, &st);
    assert_true(st.n_prompt_tok < 220 + 15 * (220 - 192) + 1); /* three blocks in common */
    assert_true(st.n_cached_tok >= 15 * 192);
    for (uint32_t k = 0; k < 16; k++) assert_int_equal(clients[k].stats.n_prompt, 220);
    batcher_free(b);
    hy_close(en);
}

/* Memory. */

static bool stop_at_third(void *ctx, const struct batch_token *t) { return on_token(ctx, t) && ((struct client *)ctx)->n < 3; }

static void nothing_grows(void **state) {
    struct hy_engine *en = open_engine_of(model(), 8, 20);
    long before = n_live;
    struct batcher *b = start(en, 64);
    long idle = n_live;
    uint32_t n_request = 3000, most_live = 0;
    for (uint32_t k = 0; k < n_request; k++) {
        struct client *c = &clients[k % LEN(clients)];
        if (k >= LEN(clients)) wait_done(c);
        client_init(c, k, 1 + support_random(70), 1 + support_random(6));
        if (k % 7 == 3) c->r.pool = BATCH_EMBED_MEAN;
        if (k % 7 == 5) c->r.on_token = stop_at_third;
        submit(b, c);
        if (k % 11 == 0) batcher_cancel(b, c->id);
        if ((uint32_t)n_live > most_live) most_live = (uint32_t)n_live;
    }
    for (uint32_t k = 0; k < LEN(clients); k++) wait_done(&clients[k]);
    while (n_live != idle) usleep(1000); /* the last is freed just after its on_done */
    assert_true(most_live < idle + 10 * LEN(clients));
    struct batcher_stats st;
    batcher_stats(b, &st);
    assert_int_equal(st.n_done, n_request);
    assert_int_equal(st.n_failed, 0);
    assert_int_equal(st.kv_used, 0);
    batcher_free(b);
    assert_int_equal(n_live, before);
    assert_int_equal(hy_kv_use(en).n_free + hy_kv_use(en).n_cached, 20);
    hy_close(en);
}

/* The keys and values that others computed give the same bits. */

static void attach_gives(struct hy_engine *en, uint32_t n_ctx, bool whole) {
    static int32_t token[600];
    static float want[N_VOCAB];
    uint32_t a, b2, n = n_ctx - 10;
    float *logits;
    for (uint32_t i = 0; i < n; i++) token[i] = (int32_t)((i * i * 13 + i * 5 + n) % N_VOCAB);
    OK(hy_seq_new(en, &a, &support_err));
    OK(hy_feed(en, a, token, n, 0, &logits, NULL, NULL, &support_err));
    memcpy(want, logits, sizeof want);
    OK(hy_seq_new(en, &b2, &support_err));
    assert_int_equal(hy_seq_attach(en, b2, token, n), (n - 1) / 64 * 64); /* a's last block is not full */
    hy_seq_free(en, a);
    uint32_t len = hy_seq_attach(en, b2, token, n);
    assert_int_equal(len, n - 1); /* now that end is cached */
    OK(hy_feed(en, b2, token + len, n - len, 0, &logits, NULL, NULL, &support_err));
    if (whole) assert_memory_equal(want, logits, sizeof want);
    float top = want[0];
    uint32_t best = 0;
    for (uint32_t i = 1; i < N_VOCAB; i++)
        if (want[i] > top) top = want[best = i];
    for (uint32_t i = 0; i < N_VOCAB; i++) assert_true(fabsf(want[i] - logits[i]) < 0.01f * (1 + fabsf(top)));
    hy_seq_free(en, b2);
}

static void shared_blocks_same_bits(void **state) {
    static const char *const archs[] = {"llama", "gemma3", "qwen3moe"};
    for (uint32_t i = 0; i < 6; i++) {
        char name[32], options[160];
        struct hy_engine *en;
        snprintf(name, sizeof name, "%s-kv.gguf", archs[i / 2]);
        snprintf(options, sizeof options, "--arch %s --type Q8_0 --n-embd 128 --n-ff 128 --n-ff-exp 128 --n-vocab 400 --n-ctx 1024",
                 archs[i / 2]);
        struct hy_options o = {.model_path = support_model(name, options), .n_thread = 2, .n_ctx = 600, .n_seq = 2, .n_batch = 100,
                               .kv = i % 2 ? HY_KV_Q8_0 : HY_KV_F16};
        OK(hy_open(&o, &en, &support_err));
        attach_gives(en, 600, true);
        attach_gives(en, 270, true);
        hy_close(en);
    }
}

/* On metal a step of few tokens and one of many differ in the last bits; fed alike, shared and own blocks do not. */
static void shared_blocks_on_metal(void **state) {
    static int32_t token[200];
    static float want[N_VOCAB];
    struct hy_engine *en;
    struct hy_options o = {.model_path = model(), .device = DEVICE_METAL, .n_thread = 2, .n_ctx = 256, .n_seq = 2, .n_batch = 64};
    OK(hy_open(&o, &en, &support_err));
    for (uint32_t i = 0; i < 200; i++) token[i] = (int32_t)((i * i * 13 + i * 5 + 1) % N_VOCAB);
    uint32_t a, s;
    float *logits;
    OK(hy_seq_new(en, &a, &support_err));
    OK(hy_feed(en, a, token, 128, 0, NULL, NULL, NULL, &support_err));
    OK(hy_feed(en, a, token + 128, 40, 0, &logits, NULL, NULL, &support_err));
    memcpy(want, logits, sizeof want);
    OK(hy_seq_new(en, &s, &support_err));
    assert_int_equal(hy_seq_attach(en, s, token, 168), 128);
    OK(hy_feed(en, s, token + 128, 40, 0, &logits, NULL, NULL, &support_err));
    assert_memory_equal(want, logits, sizeof want);
    hy_seq_free(en, a);
    hy_seq_free(en, s);
    attach_gives(en, 200, false);
    hy_close(en);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_blocks_same_bits), cmocka_unit_test(shared_blocks_on_metal),
        cmocka_unit_test(alone_or_in_a_crowd), cmocka_unit_test(alone_or_in_a_crowd_streamed), cmocka_unit_test(embeddings),
        cmocka_unit_test(refused_at_once), cmocka_unit_test(ends), cmocka_unit_test(shifts),
        cmocka_unit_test(cancelled), cmocka_unit_test(cancelled_in_a_step), cmocka_unit_test(failed_steps), cmocka_unit_test(logprobs),
        cmocka_unit_test(grammars), cmocka_unit_test(prompts_beside_streams), cmocka_unit_test(prompts_behind_the_disk),
        cmocka_unit_test(one_beginning_once),
        cmocka_unit_test(nothing_grows),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
