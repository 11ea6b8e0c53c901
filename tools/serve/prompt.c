#include "tools/serve/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "tools/serve/json_out.h"

#define LEAST_CTX 4u

static int lacks(const struct request *r, const char *what, struct err *e) {
    return err_set(e, ERR_ARG, "\"%s\" does not support %s", r->model, what);
}

int prompt_check(const struct model *m, const struct request *r, struct err *e) {
    if (m->embeds) return lacks(r, r->chat ? "chat" : "generate", e);
    if (r->tools && !m->calls_tools) return lacks(r, "tools", e);
    if (r->think > THINK_OFF && !m->thinks && !r->openai) return lacks(r, "thinking", e);
    if (json_string_length(r->suffix) && !m->inserts) return lacks(r, "insert", e);
    if (r->has_images) return err_set(e, ERR_ARG, "images are not supported by \"%s\"", r->model);
    return ERR_OK;
}

static int no_memory(struct err *e) { return err_set(e, ERR_NOMEM, "no memory for the prompt"); }

static int push(struct tokens *ts, int32_t id, struct err *e) { return tokens_push(ts, id) ? ERR_OK : no_memory(e); }

int prompt_begin(const struct model *m, struct tokens *out, struct err *e) {
    const struct tokenizer_info *ti = tokenizer_info(m->tokenizer);
    return ti->add_bos && ti->bos >= 0 ? push(out, ti->bos, e) : ERR_OK;
}

static int encode(const struct model *m, const char *text, size_t len, struct tokens *out, struct err *e) {
    return tokenizer_encode(m->tokenizer, text, len, false, true, out, e);
}

static int encode_json(const struct model *m, const json_t *s, struct tokens *out, struct err *e) {
    return s ? encode(m, json_string_value(s), json_string_length(s), out, e) : ERR_OK;
}

/* Between the fill-in-the-middle tokens, prefix first. */
static int make_insert(const struct model *m, const struct request *r, struct tokens *out, struct err *e) {
    int rc = prompt_begin(m, out, e);
    if (!rc) rc = push(out, m->fim[0], e);
    if (!rc) rc = encode_json(m, r->prompt, out, e);
    if (!rc) rc = push(out, m->fim[1], e);
    if (!rc) rc = encode_json(m, r->suffix, out, e);
    return rc ? rc : push(out, m->fim[2], e);
}

static int make_raw(const struct model *m, const struct request *r, struct tokens *out, struct err *e) {
    struct tokens text = {0};
    int rc = encode_json(m, r->prompt, &text, e);
    bool has_bos = text.n && text.id[0] == tokenizer_info(m->tokenizer)->bos;
    if (!rc && !has_bos) rc = prompt_begin(m, out, e);
    for (size_t i = 0; i < text.n && !rc; i++) rc = push(out, text.id[i], e);
    tokens_deinit(&text);
    return rc;
}

static enum chat_think think_of(const struct model *m, const struct request *r) {
    static const enum chat_think of[] = {
        [THINK_ABSENT] = CHAT_THINK_ON, [THINK_OFF] = CHAT_THINK_OFF,       [THINK_ON] = CHAT_THINK_ON,
        [THINK_LOW] = CHAT_THINK_LOW,   [THINK_MEDIUM] = CHAT_THINK_MEDIUM, [THINK_HIGH] = CHAT_THINK_HIGH};
    return m->thinks ? of[r->think] : CHAT_THINK_DEFAULT;
}

static int render(const struct model *m, const struct request *r, const json_t *messages, struct prompt *p, struct err *e) {
    char *text;
    size_t len;
    struct chat_request cr = {.messages = messages, .tools = r->tools, .add_generation_prompt = true, .think = think_of(m, r),
                              .now_s = json_out_now() / 1000000000};
    int rc = chat_render(m->chat, &cr, &text, &len, e);
    if (rc) return rc;
    bool bos = !chat_info(m->chat)->writes_bos && !r->context;
    p->tokens.n = 0;
    if (bos) rc = prompt_begin(m, &p->tokens, e);
    if (!rc) rc = encode(m, text, len, &p->tokens, e);
    p->in_thought = chat_opens_thinking(m->chat, text, len);
    free(text);
    return rc;
}

static bool is_system(const json_t *message) {
    const char *role = json_string_value(json_object_get(message, "role"));
    return role && strcmp(role, "system") == 0;
}

/* The messages without the n oldest that may go: system messages and the last one stay. */
static json_t *without_oldest(const json_t *messages, size_t n) {
    json_t *out = json_array();
    size_t last = json_array_size(messages) - 1;
    for (size_t i = 0; i <= last; i++) {
        json_t *m = json_array_get(messages, i);
        if (n && i < last && !is_system(m)) n--;
        else json_array_append(out, m);
    }
    return out;
}

static int render_without(const struct model *m, const struct request *r, const json_t *messages, size_t n, struct prompt *p,
                          struct err *e) {
    json_t *some = without_oldest(messages, n);
    int rc = some ? render(m, r, some, p, e) : no_memory(e);
    json_decref(some);
    return rc;
}

/* As few messages less as make the prompt fit, or all that may go. */
static int shorten(const struct model *m, const struct request *r, const json_t *messages, struct prompt *p, struct err *e) {
    size_t fits = 0, too_long = 0;
    for (size_t i = 0; i + 1 < json_array_size(messages); i++) fits += !is_system(json_array_get(messages, i));
    int rc = ERR_OK;
    if (fits == 0) return ERR_OK; /* none may go */
    while (too_long + 1 < fits && !rc) {
        size_t n = too_long + (fits - too_long) / 2;
        rc = render_without(m, r, messages, n, p, e);
        if (p->tokens.n > p->n_ctx) too_long = n;
        else fits = n;
    }
    return rc ? rc : render_without(m, r, messages, fits, p, e);
}

static json_t *messages_of_prompt(const struct request *r) {
    json_t *out = json_array();
    if (json_string_length(r->system)) json_array_append_new(out, json_pack("{s:s,s:O}", "role", "system", "content", r->system));
    json_array_append_new(out, json_pack("{s:s,s:O}", "role", "user", "content", r->prompt));
    return out;
}

static int put_context_before(const struct model *m, const struct request *r, struct tokens *ts, struct err *e) {
    struct tokens all = {0};
    const struct tokenizer_info *ti = tokenizer_info(m->tokenizer);
    int rc = ERR_OK;
    for (size_t i = 0; i < json_array_size(r->context) && !rc; i++) {
        int64_t id = 0;
        fields_whole(json_array_get(r->context, i), &id);
        rc = id < ti->n_vocab ? push(&all, (int32_t)id, e)
                              : err_set(e, ERR_ARG, "context holds %lld, which is no token of this model", (long long)id);
    }
    bool twice = all.n && ts->n && ts->id[0] == ti->bos;
    for (size_t i = twice; i < ts->n && !rc; i++) rc = push(&all, ts->id[i], e);
    tokens_deinit(ts);
    *ts = all;
    return rc;
}

static int make_chat(const struct model *m, const struct request *r, struct prompt *p, struct err *e) {
    json_t *messages = r->chat ? json_incref(r->messages) : messages_of_prompt(r);
    int rc = render(m, r, messages, p, e);
    if (!rc && r->chat && p->tokens.n > p->n_ctx && r->truncate) rc = shorten(m, r, messages, p, e);
    if (!rc && r->context) rc = put_context_before(m, r, &p->tokens, e);
    json_decref(messages);
    return rc;
}

static uint32_t ctx_of(const struct model *m, const struct request *r) {
    int64_t n = r->options.num_ctx;
    if (n == 0) return m->n_ctx;
    return n < LEAST_CTX ? LEAST_CTX : n > m->n_ctx ? m->n_ctx : (uint32_t)n;
}

/* Loses what comes behind the first tokens that are to be kept. */
static int cut(const struct request *r, struct prompt *p, struct err *e) {
    struct tokens *ts = &p->tokens;
    if (ts->n <= p->n_ctx) return ERR_OK;
    if (!r->truncate)
        return err_set(e, ERR_ARG, "prompt too long; exceeded max context length (%zu > %u tokens)", ts->n, p->n_ctx);
    int64_t keep = r->options.num_keep;
    size_t k = keep < 0 || keep >= p->n_ctx ? p->n_ctx / 2 : (size_t)keep;
    memmove(ts->id + k, ts->id + ts->n - (p->n_ctx - k), (p->n_ctx - k) * sizeof *ts->id);
    ts->n = p->n_ctx;
    return ERR_OK;
}

int prompt_make(const struct model *m, const struct request *r, struct prompt *out, struct err *e) {
    *out = (struct prompt){.n_ctx = ctx_of(m, r)};
    int rc;
    if (json_string_length(r->suffix)) rc = make_insert(m, r, &out->tokens, e);
    else if (r->raw) rc = make_raw(m, r, &out->tokens, e);
    else rc = make_chat(m, r, out, e);
    if (!rc && out->tokens.n == 0) rc = err_set(e, ERR_ARG, "the prompt has no tokens");
    if (!rc) rc = cut(r, out, e);
    if (rc) prompt_deinit(out);
    return rc;
}

void prompt_deinit(struct prompt *p) { tokens_deinit(&p->tokens); }
