/* Ollama's /api/generate and /api/chat. */
#include "tools/serve/answer.h"
#include "tools/serve/json_out.h"
#include "runtime/clock.h"

static json_t *string_of(const struct strbuf *t) { return json_out_str(strbuf_of(t), t->n); }

static json_t *calls_of(struct answer *a) {
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(a->piece.calls); i++) {
        const json_t *c = json_array_get(a->piece.calls, i);
        json_int_t index = (json_int_t)a->n_call;
        json_array_append_new(out, json_pack("{s:o,s:{s:I,s:O,s:O}}", "id", answer_call_id(a), "function", "index", index, "name",
                                             json_object_get(c, "name"), "arguments", json_object_get(c, "arguments")));
    }
    return out;
}

/* {"model","created_at", text...}; text: with what the piece holds, else empty. */
static json_t *begin(struct answer *a, bool text) {
    json_t *o = json_pack("{s:s,s:o}", "model", a->r.model, "created_at", json_out_time(json_out_now()));
    json_t *content = text ? string_of(&a->piece.content) : json_string("");
    json_t *in = o;
    if (a->r.chat) {
        in = json_pack("{s:s,s:o}", "role", "assistant", "content", content);
        json_object_set_new(o, "message", in);
    } else {
        json_object_set_new(o, "response", content);
    }
    if (text && a->piece.thinking.n) json_object_set_new(in, "thinking", string_of(&a->piece.thinking));
    if (text && a->r.chat && a->piece.calls) json_object_set_new(in, "tool_calls", calls_of(a));
    if (text && a->piece.logprobs) json_object_set(o, "logprobs", a->piece.logprobs);
    return o;
}

static void add_done(json_t *o, const char *reason) {
    json_object_set_new(o, "done", json_true());
    json_object_set_new(o, "done_reason", json_string(reason));
}

static json_t *context_of(const struct answer *a) {
    json_t *out = json_array();
    const struct tokens *all[] = {&a->p.tokens, gen_tokens(a->gen)};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < all[k]->n; i++) json_array_append_new(out, json_integer(all[k]->id[i]));
    return out;
}

static void set_count(json_t *o, const char *key, uint64_t n) {
    json_object_set_new(o, key, json_integer((json_int_t)(n ? n : 1)));
}

static void add_end(struct answer *a, json_t *o) {
    const struct batch_stats *s = &a->piece.stats;
    add_done(o, answer_reason(a));
    if (!a->r.chat && !a->r.raw) json_object_set_new(o, "context", context_of(a));
    set_count(o, "total_duration", clock_ns() - a->t0_ns);
    set_count(o, "load_duration", a->load_ns);
    set_count(o, "prompt_eval_count", s->n_prompt);
    set_count(o, "prompt_eval_duration", s->prompt_ns);
    set_count(o, "eval_count", s->n_eval);
    set_count(o, "eval_duration", s->eval_ns);
}

static void add_line(struct strbuf *out, json_t *o) {
    json_out_add(out, o);
    strbuf_str(out, "\n");
}

static void chunk(struct answer *a, struct strbuf *out) {
    json_t *o = begin(a, true);
    json_object_set_new(o, "done", json_false());
    add_line(out, o);
}

static void beat(struct answer *a, struct strbuf *out) {
    json_t *o = begin(a, false);
    json_object_set_new(o, "done", json_false());
    add_line(out, o);
}

static void last(struct answer *a, struct strbuf *out) {
    json_t *o = begin(a, false);
    add_end(a, o);
    add_line(out, o);
}

static void fail(struct answer *a, const char *message, struct strbuf *out) { add_line(out, json_out_error(false, 500, message)); }

static json_t *whole(struct answer *a) {
    json_t *o = begin(a, true);
    add_end(a, o);
    return o;
}

static json_t *load(struct answer *a, const char *reason) {
    json_t *o = begin(a, false);
    add_done(o, reason);
    return o;
}

void api_generate(struct http_exchange *x, void *ctx) {
    static const struct answer_form form = {request_generate, HTTP_NDJSON, chunk, last, fail, beat, whole, load};
    answer_run(x, ctx, &form);
}

void api_chat(struct http_exchange *x, void *ctx) {
    static const struct answer_form form = {request_chat, HTTP_NDJSON, chunk, last, fail, beat, whole, load};
    answer_run(x, ctx, &form);
}
