#include "tools/serve/answer.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "tools/serve/json_out.h"

#define TICK_MS 100u                     /* how often the client is looked after */
#define BEAT_NS (15 * 1000000000ull)     /* between signs of life in a stream */
#define PATIENCE_NS (60 * 1000000000ull) /* before an answer that is not streamed begins with blanks */

/* Before the client hears that the answer is over, so that it finds the model idle, or gone. */
static void let_model_go(struct answer *a) {
    gen_free(a->gen);
    a->gen = NULL;
    if (a->acquired) models_release(a->api->models, a->m);
    a->acquired = false;
}

static void free_answer(void *ctx) {
    struct answer *a = ctx;
    let_model_go(a);
    grammar_free(a->grammar);
    gen_piece_deinit(&a->piece);
    prompt_deinit(&a->p);
    request_deinit(&a->r);
    free(a);
}

const char *answer_reason(const struct answer *a) { return a->piece.end == GEN_LENGTH ? "length" : "stop"; }

json_t *answer_call_id(struct answer *a) {
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char id[] = "call_00000000";
    uint64_t v = (a->id + ++a->n_call) * 0x9e3779b97f4a7c15u; /* different for different sums */
    v ^= v >> 29;
    for (int i = 5; i < 13; i++, v /= 36) id[i] = digits[v % 36];
    return json_string(id);
}

static bool has_text(const struct gen_piece *p) { return p->content.n || p->thinking.n || p->calls || p->logprobs; }

static void clear_piece(struct gen_piece *p) {
    strbuf_clear(&p->content);
    strbuf_clear(&p->thinking);
    json_decref(p->calls);
    json_decref(p->logprobs);
    p->calls = p->logprobs = NULL;
}

static const char *failure(const struct answer *a) {
    return a->piece.end == GEN_FAILED ? a->piece.err.text : "the server is ending";
}

static bool failed(const struct answer *a) { return a->piece.end == GEN_FAILED || a->piece.end == GEN_CANCELLED; }

/* Streaming. */

static bool more_stream(void *ctx, struct strbuf *out) {
    struct answer *a = ctx;
    if (!has_text(&a->piece) && !a->piece.end) gen_fetch(a->gen, TICK_MS, &a->piece);
    if (http_gone(a->x)) return false;
    uint64_t now = clock_ns();
    if (has_text(&a->piece)) a->form->chunk(a, out);
    else if (!a->piece.end && now - a->sent_ns >= BEAT_NS) a->form->beat(a, out);
    if (out->n) a->sent_ns = now;
    clear_piece(&a->piece);
    if (a->piece.end == GEN_RUNS) return true;
    if (failed(a)) a->form->fail(a, failure(a), out);
    else a->form->last(a, out);
    let_model_go(a);
    return false;
}

/* Waits for the first piece, so that an early failure still gets its status. False: an answer was sent. */
static bool await_first(struct answer *a) {
    uint64_t t0 = clock_ns();
    while (!has_text(&a->piece) && !a->piece.end && clock_ns() - t0 < BEAT_NS) {
        gen_fetch(a->gen, TICK_MS, &a->piece);
        if (http_gone(a->x)) return http_error(a->x, 500, "the client has gone"), false;
    }
    if (!failed(a) || has_text(&a->piece)) return true;
    http_error(a->x, 500, "%s", failure(a));
    return false;
}

/* Collecting. */

static bool collect(struct answer *a, uint64_t most_ns) {
    uint64_t t0 = clock_ns();
    while (!a->piece.end && clock_ns() - t0 < most_ns && !http_gone(a->x)) gen_fetch(a->gen, TICK_MS, &a->piece);
    return a->piece.end != GEN_RUNS;
}

static bool more_whole(void *ctx, struct strbuf *out) {
    struct answer *a = ctx;
    bool done = collect(a, BEAT_NS);
    if (http_gone(a->x)) return false;
    if (!done) strbuf_str(out, " ");
    else if (failed(a)) json_out_add(out, json_out_error(a->r.openai, 500, failure(a)));
    else json_out_add(out, a->form->whole(a));
    if (done) let_model_go(a);
    return !done;
}

/* True: the answer goes on as a stream, which owns it. */
static bool reply(struct answer *a) {
    if (a->r.stream) {
        if (!await_first(a)) return false;
        a->sent_ns = a->t0_ns; /* a head alone is no sign of life to every client */
        http_stream(a->x, a->form->stream_type, more_stream, free_answer, a);
        return true;
    }
    if (!collect(a, PATIENCE_NS) && !http_gone(a->x)) {
        http_stream(a->x, HTTP_JSON, more_whole, free_answer, a);
        return true;
    }
    if (failed(a) || !a->piece.end) http_error(a->x, 500, "%s", failure(a));
    else api_reply_json(a->x, a->form->whole(a));
    return false;
}

/* Preparing. */

static int make_grammar(struct answer *a, struct err *e) {
    if (a->r.format == FORMAT_FREE) return ERR_OK;
    if (a->r.format == FORMAT_JSON) return grammar_compile_json(&a->grammar, e);
    char *schema = json_dumps(a->r.schema, JSON_COMPACT);
    if (!schema) return err_set(e, ERR_NOMEM, "no memory for the schema");
    int rc = grammar_compile_schema(schema, strlen(schema), &a->grammar, e);
    free(schema);
    if (!rc || rc == ERR_NOMEM) return rc;
    char why[ERR_TEXT_BYTES];
    snprintf(why, sizeof why, "%s", e->text);
    return err_set(e, ERR_ARG, "invalid format: %.400s; expected \"json\" or a valid JSON Schema object", why);
}

static int start(struct answer *a, struct err *e) {
    int rc = make_grammar(a, e);
    if (!rc) rc = prompt_make(a->m, &a->r, &a->p, e);
    if (!rc) rc = models_acquire(a->api->models, a->m, a->r.keep_alive_ns, api_gone, a->x, &a->load_ns, e);
    if (rc) return rc;
    a->acquired = true;
    atomic_fetch_add(&a->api->n_generate, 1);
    struct gen_spec s = {.model = a->m,
                         .options = &a->r.options,
                         .prompt = a->p.tokens.id,
                         .n_prompt = (uint32_t)a->p.tokens.n,
                         .n_ctx = a->p.n_ctx,
                         .shift = a->r.shift,
                         .tools = a->r.tools,
                         .parses = !a->r.raw && !json_string_length(a->r.suffix),
                         .in_thought = a->p.in_thought,
                         .grammar = a->grammar,
                         .logprobs = a->r.logprobs,
                         .n_top = a->r.n_top,
                         .collect_tokens = !a->r.chat && !a->r.openai && !a->r.raw};
    return gen_start(&s, &a->gen, e);
}

static void reply_load(struct answer *a) {
    struct err e;
    bool ends = a->r.keep_alive_ns == 0;
    int rc = ERR_OK;
    if (ends) {
        models_unload(a->api->models, a->m);
    } else {
        rc = models_acquire(a->api->models, a->m, a->r.keep_alive_ns, api_gone, a->x, &a->load_ns, &e);
        a->acquired = rc == ERR_OK;
    }
    if (rc) api_fail(a->x, &e);
    else api_reply_json(a->x, a->form->load(a, ends ? "unload" : "load"));
}

static bool serve(struct answer *a, json_t *root) {
    struct err e;
    int rc = a->form->parse(root, &a->r, &e);
    if (rc) {
        api_fail(a->x, &e);
        return false;
    }
    a->m = api_model(a->x, a->api, a->r.model, API_UNKNOWN);
    if (!a->m) return false;
    rc = prompt_check(a->m, &a->r, &e);
    if (!rc && request_loads_only(&a->r)) {
        reply_load(a);
        return false;
    }
    if (!rc) rc = start(a, &e);
    if (rc) {
        api_fail(a->x, &e);
        return false;
    }
    return reply(a);
}

void answer_run(struct http_exchange *x, struct api *api, const struct answer_form *form) {
    json_t *root = api_body(x);
    if (!root) return;
    struct answer *a = calloc(1, sizeof *a);
    if (!a) {
        json_decref(root);
        http_error(x, 500, "out of memory");
        return;
    }
    *a = (struct answer){.x = x, .api = api, .form = form, .t0_ns = clock_ns(), .created_s = json_out_now() / 1000000000};
    a->id = a->t0_ns * 0xbf58476d1ce4e5b9u;
    if (!serve(a, root)) free_answer(a);
}
