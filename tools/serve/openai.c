/* OpenAI's /v1/chat/completions and /v1/completions. */
#include <stdlib.h>
#include <string.h>

#include "tools/serve/answer.h"
#include "tools/serve/json_out.h"

static json_t *string_of(const struct strbuf *t) { return json_out_str(strbuf_of(t), t->n); }

static json_t *calls_of(struct answer *a) {
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(a->piece.calls); i++) {
        const json_t *c = json_array_get(a->piece.calls, i);
        char *arguments = json_dumps(json_object_get(c, "arguments"), JSON_COMPACT);
        json_int_t index = (json_int_t)a->n_call;
        json_array_append_new(out, json_pack("{s:o,s:I,s:s,s:{s:O,s:s}}", "id", answer_call_id(a), "index", index, "type",
                                             "function", "function", "name", json_object_get(c, "name"), "arguments",
                                             arguments ? arguments : "{}"));
        free(arguments);
    }
    return out;
}

static json_t *begin(const struct answer *a, const char *object, json_t *choices) {
    char id[64];
    snprintf(id, sizeof id, "%s-%u", a->r.chat ? "chatcmpl" : "cmpl", (unsigned)(a->id >> 44));
    return json_pack("{s:s,s:s,s:I,s:s,s:s,s:o}", "id", id, "object", object, "created", (json_int_t)a->created_s, "model",
                     a->r.model, "system_fingerprint", "fp_ollama", "choices", choices);
}

static json_t *usage_of(const struct answer *a) {
    json_int_t prompt = a->piece.stats.n_prompt, completion = a->piece.stats.n_eval;
    return json_pack("{s:I,s:I,s:I}", "prompt_tokens", prompt, "completion_tokens", completion, "total_tokens",
                     prompt + completion);
}

static json_t *finish_reason(const struct answer *a) {
    bool calls = a->n_call && a->piece.end == GEN_STOP;
    return json_string(calls ? "tool_calls" : answer_reason(a));
}

/* The text of the piece, as the fields of a message or a delta. */
static json_t *message_of(struct answer *a, bool delta) {
    json_t *m = json_object();
    if (!delta || !a->begun) json_object_set_new(m, "role", json_string("assistant"));
    if (!delta || !a->begun || a->piece.content.n) json_object_set_new(m, "content", string_of(&a->piece.content));
    if (a->piece.thinking.n) json_object_set_new(m, "reasoning", string_of(&a->piece.thinking));
    if (a->piece.calls) json_object_set_new(m, "tool_calls", calls_of(a));
    return m;
}

/* One choice: of a chat what stands under `key`, of a completion its text. */
static json_t *choice_of(struct answer *a, const char *key, json_t *message, json_t *finish) {
    json_t *c = json_pack("{s:i}", "index", 0);
    if (a->r.chat) json_object_set_new(c, key, message);
    else json_object_set_new(c, "text", message);
    if (a->piece.logprobs) json_object_set_new(c, "logprobs", json_pack("{s:O}", "content", a->piece.logprobs));
    json_object_set_new(c, "finish_reason", finish);
    return json_pack("[o]", c);
}

static void add_event(struct strbuf *out, json_t *o) {
    strbuf_str(out, "data: ");
    json_out_add(out, o);
    strbuf_str(out, "\n\n");
}

static const char *chunk_object(const struct answer *a) { return a->r.chat ? "chat.completion.chunk" : "text_completion"; }

static void chunk(struct answer *a, struct strbuf *out) {
    json_t *message = a->r.chat ? message_of(a, true) : string_of(&a->piece.content);
    add_event(out, begin(a, chunk_object(a), choice_of(a, "delta", message, json_null())));
    a->begun = true;
}

static void last(struct answer *a, struct strbuf *out) {
    if (!a->begun && a->r.chat) chunk(a, out);
    json_t *nothing = a->r.chat ? json_object() : json_string("");
    add_event(out, begin(a, chunk_object(a), choice_of(a, "delta", nothing, finish_reason(a))));
    if (a->r.include_usage) {
        json_t *o = begin(a, chunk_object(a), json_array());
        json_object_set_new(o, "usage", usage_of(a));
        add_event(out, o);
    }
    strbuf_str(out, "data: [DONE]\n\n");
}

static void fail(struct answer *a, const char *message, struct strbuf *out) { add_event(out, json_out_error(true, 500, message)); }

static void beat(struct answer *a, struct strbuf *out) { strbuf_str(out, ": ping\n\n"); }

static json_t *whole(struct answer *a) {
    json_t *message = a->r.chat ? message_of(a, false) : string_of(&a->piece.content);
    json_t *choices = choice_of(a, "message", message, finish_reason(a)); /* message_of has counted the calls */
    json_t *o = begin(a, a->r.chat ? "chat.completion" : "text_completion", choices);
    json_object_set_new(o, "usage", usage_of(a));
    return o;
}

void api_openai_chat(struct http_exchange *x, void *ctx) {
    static const struct answer_form form = {request_openai_chat, HTTP_SSE, chunk, last, fail, beat, whole, NULL};
    answer_run(x, ctx, &form);
}

void api_openai_completion(struct http_exchange *x, void *ctx) {
    static const struct answer_form form = {request_openai_completion, HTTP_SSE, chunk, last, fail, beat, whole, NULL};
    answer_run(x, ctx, &form);
}
