/* Embeddings: /api/embed, /api/embeddings, /v1/embeddings. Any model gives them: the pooled output of its last norm. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "tools/serve/api.h"
#include "tools/serve/base64.h"
#include "tools/serve/json_out.h"
#include "tools/serve/prompt.h"

struct embed {
    struct http_exchange *x;
    struct api *api;
    struct model *m;
    const char *name;      /* as requested */
    json_t *inputs;        /* array of strings; owned */
    bool truncate, unit;   /* unit: vectors are brought to length 1 */
    bool base64;           /* of OpenAI's: how vectors are written */
    int64_t dimensions;    /* 0: all */
    int64_t keep_alive_ns;
    uint64_t t0_ns, load_ns, n_tok;
    uint32_t n_dim;        /* of each vector */
    float *vectors;        /* (inputs, n_dim) */
};

/* One vector, which comes on the batcher's thread. */
struct embed_wait {
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool done;
    enum batch_end end;
    struct err err;
    float *out; /* (n) */
    uint32_t n;
};

static void on_done(void *ctx, const struct batch_result *r) {
    struct embed_wait *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->end = r->end;
    if (r->err) w->err = *r->err;
    if (r->embedding) memcpy(w->out, r->embedding, w->n * sizeof *w->out);
    else if (r->end != BATCH_FAILED) w->end = BATCH_CANCELLED;
    w->done = true;
    pthread_cond_signal(&w->came);
    pthread_mutex_unlock(&w->lock);
}

/* Waits for the vector; cancels when the client has gone. */
static int await(struct embed *em, struct embed_wait *w, uint64_t id, struct err *e) {
    pthread_mutex_lock(&w->lock);
    while (!w->done) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_nsec += 100000000;
        if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
        if (pthread_cond_timedwait(&w->came, &w->lock, &t) && http_gone(em->x)) {
            pthread_mutex_unlock(&w->lock);
            batcher_cancel(em->m->batcher, id);
            pthread_mutex_lock(&w->lock);
        }
    }
    pthread_mutex_unlock(&w->lock);
    if (w->end == BATCH_FAILED) return *e = w->err, e->code;
    return w->end == BATCH_CANCELLED ? err_set(e, ERR_CANCELLED, "the request was cancelled") : ERR_OK;
}

static int run_one(struct embed *em, const struct tokens *ts, float *out, struct err *e) {
    struct embed_wait w = {.out = out, .n = hy_info(em->m->engine)->n_embd};
    struct batch_request r = {.prompt = ts->id,
                              .n_prompt = (uint32_t)ts->n,
                              .pool = em->m->pool,
                              .sampling = sampler_defaults(),
                              .ctx = &w,
                              .on_done = on_done};
    uint64_t id;
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.came, NULL);
    int rc = batcher_submit(em->m->batcher, &r, &id, e);
    if (!rc) rc = await(em, &w, id, e);
    pthread_cond_destroy(&w.came);
    pthread_mutex_destroy(&w.lock);
    return rc;
}

static bool finite_all(const float *v, uint32_t n) {
    uint32_t k = 0;
    while (k < n && isfinite(v[k])) k++;
    return k == n;
}

static void make_unit(float *v, uint32_t n) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)v[i] * v[i];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (uint32_t i = 0; i < n; i++) v[i] = (float)(v[i] * scale);
}

static int tokens_of(struct embed *em, const json_t *input, struct tokens *ts, struct err *e) {
    const struct tokenizer_info *ti = tokenizer_info(em->m->tokenizer);
    int rc = prompt_begin(em->m, ts, e);
    if (!rc) rc = tokenizer_encode(em->m->tokenizer, json_string_value(input), json_string_length(input), false, true, ts, e);
    bool ends = ti->add_eos && ti->eos >= 0;
    if (!rc && ts->n + ends > em->m->n_ctx) {
        if (!em->truncate) return err_set(e, ERR_ARG, "the input length exceeds the context length");
        ts->n = em->m->n_ctx - ends;
    }
    if (!rc && ends && !tokens_push(ts, ti->eos)) rc = err_set(e, ERR_NOMEM, "no memory for the input");
    return rc;
}

static int embed_one(struct embed *em, size_t i, struct err *e) {
    struct tokens ts = {0};
    const json_t *input = json_array_get(em->inputs, i);
    uint32_t n_embd = hy_info(em->m->engine)->n_embd;
    float *whole = malloc(n_embd * sizeof *whole), *out = em->vectors + i * em->n_dim;
    int rc = whole ? tokens_of(em, input, &ts, e) : err_set(e, ERR_NOMEM, "no memory for a vector");
    em->n_tok += ts.n;
    if (!rc && ts.n == 0) rc = err_set(e, ERR_ARG, "an input has no tokens");
    if (!rc) rc = run_one(em, &ts, whole, e);
    if (!rc && !finite_all(whole, n_embd)) rc = err_set(e, ERR_FORMAT, "the vector is not finite (the model's weights are damaged)");
    if (!rc) {
        memcpy(out, whole, em->n_dim * sizeof *out);
        if (em->unit) make_unit(out, em->n_dim);
    }
    free(whole);
    tokens_deinit(&ts);
    return rc;
}

/* All vectors. */
static int compute(struct embed *em, struct err *e) {
    size_t n = json_array_size(em->inputs);
    int rc = models_acquire(em->api->models, em->m, em->keep_alive_ns, api_gone, em->x, &em->load_ns, e);
    if (rc) return rc;
    atomic_fetch_add(&em->api->n_embed, n);
    uint32_t n_embd = hy_info(em->m->engine)->n_embd;
    em->n_dim = em->dimensions > 0 && em->dimensions < n_embd ? (uint32_t)em->dimensions : n_embd;
    em->vectors = calloc(n ? n : 1, em->n_dim * sizeof *em->vectors);
    if (!em->vectors) rc = err_set(e, ERR_NOMEM, "no memory for the vectors");
    for (size_t i = 0; i < n && !rc; i++) /* each may be too short for await to look */
        rc = http_gone(em->x) ? err_set(e, ERR_CANCELLED, "the client has gone") : embed_one(em, i, e);
    models_release(em->api->models, em->m);
    return rc;
}

static json_t *vector_of(const struct embed *em, size_t i) {
    json_t *v = json_array();
    for (uint32_t k = 0; k < em->n_dim; k++) json_array_append_new(v, json_real(em->vectors[i * em->n_dim + k]));
    return v;
}

/* A string, or an array of strings; an empty string alone is no input. */
static int read_inputs(struct embed *em, const json_t *v, const char *wrong, struct err *e) {
    em->inputs = json_array();
    if (json_is_string(v)) {
        if (json_string_length(v)) json_array_append(em->inputs, (json_t *)(uintptr_t)v);
        return ERR_OK;
    }
    if (v && !json_is_array(v)) return err_set(e, ERR_ARG, "%s", wrong);
    for (size_t i = 0; i < json_array_size(v); i++) {
        json_t *s = json_array_get(v, i);
        if (!json_is_string(s)) return err_set(e, ERR_ARG, "%s", wrong);
        json_array_append(em->inputs, s);
    }
    return ERR_OK;
}

/* What all three have. */
static int read_common(struct embed *em, struct fields *f) {
    em->truncate = fields_bool(f, "truncate", true);
    em->dimensions = fields_int(f, "dimensions", 0);
    fields_obj(f, "options");
    request_model(f, false, &em->name);
    if (!f->err->code && em->dimensions < 0) err_set(f->err, ERR_ARG, "dimensions must not be negative");
    return request_keep_alive(f, &em->keep_alive_ns);
}

/* What each endpoint reads of its own, and how it answers. */
struct embed_form {
    int (*read)(struct embed *em, struct fields *f);
    json_t *(*reply)(const struct embed *em);
    bool unit;
};

static void serve(struct http_exchange *x, struct api *api, const struct embed_form *form) {
    json_t *body = api_body(x);
    if (!body) return;
    struct err e = {0};
    struct fields f = {body, &e};
    struct embed em = {.x = x, .api = api, .unit = form->unit, .t0_ns = clock_ns()};
    int rc = read_common(&em, &f);
    if (!rc) em.m = api_model(x, api, em.name, API_UNKNOWN_PULL); /* NULL: it has answered */
    if (em.m) rc = form->read(&em, &f);
    if (em.m && !rc && json_array_size(em.inputs)) rc = compute(&em, &e);
    if (rc) api_fail(x, &e);
    else if (em.m) api_reply_json(x, form->reply(&em));
    json_decref(em.inputs);
    free(em.vectors);
    json_decref(body);
}

/* Ollama's. */

static int read_native(struct embed *em, struct fields *f) {
    return read_inputs(em, fields_get(f, "input"), "invalid input type", f->err);
}

static json_t *native_reply(const struct embed *em) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(em->inputs); i++) json_array_append_new(list, vector_of(em, i));
    return json_pack("{s:s,s:o,s:I,s:I,s:I}", "model", em->name, "embeddings", list, "total_duration",
                     (json_int_t)(clock_ns() - em->t0_ns), "load_duration", (json_int_t)(em->load_ns ? em->load_ns : 1),
                     "prompt_eval_count", (json_int_t)em->n_tok);
}

void api_embed(struct http_exchange *x, void *ctx) {
    static const struct embed_form form = {read_native, native_reply, true};
    serve(x, ctx, &form);
}

static int read_prompt(struct embed *em, struct fields *f) {
    const json_t *prompt = fields_text(f, "prompt");
    return f->err->code ? f->err->code : read_inputs(em, prompt, "invalid input type", f->err);
}

static json_t *prompt_reply(const struct embed *em) {
    return json_pack("{s:o}", "embedding", json_array_size(em->inputs) ? vector_of(em, 0) : json_array());
}

void api_embeddings(struct http_exchange *x, void *ctx) {
    static const struct embed_form form = {read_prompt, prompt_reply, false};
    serve(x, ctx, &form);
}

/* OpenAI's. */

static int read_openai(struct embed *em, struct fields *f) {
    const char *format = fields_str(f, "encoding_format");
    em->base64 = format && strcmp(format, "base64") == 0;
    if (f->err->code) return f->err->code;
    if (format && !em->base64 && strcmp(format, "float") != 0)
        return err_set(f->err, ERR_ARG, "invalid encoding_format: use float or base64");
    int rc = read_inputs(em, fields_get(f, "input"), "invalid input", f->err);
    return rc || json_array_size(em->inputs) ? rc : err_set(f->err, ERR_ARG, "invalid input");
}

static json_t *base64_of(const struct embed *em, size_t i) {
    struct strbuf t = {0}, bytes = {0};
    for (uint32_t k = 0; k < em->n_dim; k++) {
        uint32_t bits;
        memcpy(&bits, em->vectors + i * em->n_dim + k, 4);
        char four[4] = {(char)bits, (char)(bits >> 8), (char)(bits >> 16), (char)(bits >> 24)};
        strbuf_add(&bytes, four, 4);
    }
    base64_encode(strbuf_of(&bytes), bytes.n, &t);
    json_t *s = strbuf_ok(&t) && strbuf_ok(&bytes) ? json_stringn(strbuf_of(&t), t.n) : NULL;
    strbuf_deinit(&bytes);
    strbuf_deinit(&t);
    return s;
}

static json_t *openai_reply(const struct embed *em) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(em->inputs); i++)
        json_array_append_new(list, json_pack("{s:s,s:o,s:I}", "object", "embedding", "embedding",
                                              em->base64 ? base64_of(em, i) : vector_of(em, i), "index", (json_int_t)i));
    return json_pack("{s:s,s:o,s:s,s:{s:I,s:I}}", "object", "list", "data", list, "model", em->name, "usage", "prompt_tokens",
                     (json_int_t)em->n_tok, "total_tokens", (json_int_t)em->n_tok);
}

void api_openai_embeddings(struct http_exchange *x, void *ctx) {
    static const struct embed_form form = {read_openai, openai_reply, true};
    serve(x, ctx, &form);
}
