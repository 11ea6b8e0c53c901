#include "models/chat/chat_impl.h"

#include <stdlib.h>
#include <string.h>

#define TEMPLATE_KEY "tokenizer.chat_template"

/* The text of the token whose id stands under key, or "". */
static const char *token_text(struct arena *a, const struct gguf *g, const char *key) {
    struct gguf_arr tokens;
    struct gguf_str s;
    uint64_t pos = 0;
    uint32_t id;
    if (!gguf_get_u32(g, key, &id) || !gguf_get_arr(g, "tokenizer.ggml.tokens", GGUF_STR, &tokens) || id >= tokens.n)
        return "";
    for (uint32_t i = 0; gguf_arr_next_str(&tokens, &pos, &s); i++)
        if (i == id) return arena_strndup(a, s.p, s.len);
    return "";
}

static struct chat *chat_new(void) {
    struct chat *c = calloc(1, sizeof *c);
    if (c) arena_init(&c->arena, 0);
    return c;
}

void chat_free(struct chat *c) {
    if (!c) return;
    jinja_free(c->plain);
    jinja_free(c->with_tools);
    arena_deinit(&c->arena);
    free(c);
}

const struct chat_info *chat_info(const struct chat *c) { return &c->info; }

static int set_source(struct chat *c, const char *name, const char *source, size_t len, struct err *e) {
    c->info.name = name;
    c->info.source = arena_strndup(&c->arena, source, len);
    if (!c->info.source) return err_set(e, ERR_NOMEM, "no memory for the chat template");
    return jinja_new(source, len, &c->plain, e);
}

int chat_open_text(const char *source, size_t len, const char *bos, const char *eos, struct chat **out, struct err *e) {
    struct chat *c = chat_new();
    *out = NULL;
    if (!c) return err_set(e, ERR_NOMEM, "no memory for the chat template");
    bos = bos ? bos : "";
    eos = eos ? eos : "";
    c->info.bos = arena_strndup(&c->arena, bos, strlen(bos));
    c->info.eos = arena_strndup(&c->arena, eos, strlen(eos));
    int rc = c->info.bos && c->info.eos ? set_source(c, "default", source, len, e) : err_set(e, ERR_NOMEM, "no memory");
    if (rc) {
        chat_free(c);
        return rc;
    }
    chat_probe(c);
    *out = c;
    return ERR_OK;
}

/* The file's own template: the plain one, or the variant named "default". */
static int set_from_file(struct chat *c, const struct gguf *g, struct err *e) {
    struct gguf_str s;
    if (!gguf_get_str(g, TEMPLATE_KEY, &s) && !gguf_get_str(g, TEMPLATE_KEY ".default", &s))
        return err_set(e, ERR_NOT_FOUND, "the model has no chat template");
    int rc = set_source(c, "default", s.p, s.len, e);
    if (rc) return err_prefix(e, "the model's chat template cannot be used");
    if (gguf_get_str(g, TEMPLATE_KEY ".tool_use", &s) && jinja_new(s.p, s.len, &c->with_tools, NULL))
        c->with_tools = NULL;
    return ERR_OK;
}

int chat_open(const struct gguf *g, struct chat **out, struct err *e) {
    struct chat *c = chat_new();
    struct err why;
    *out = NULL;
    if (!c) return err_set(e, ERR_NOMEM, "no memory for the chat template");
    c->info.bos = token_text(&c->arena, g, "tokenizer.ggml.bos_token_id");
    c->info.eos = token_text(&c->arena, g, "tokenizer.ggml.eos_token_id");
    int rc = c->info.bos && c->info.eos ? set_from_file(c, g, &why)
                                        : err_set(&why, ERR_NOMEM, "no memory for the chat template");
    if (rc == ERR_NOT_FOUND || rc == ERR_FORMAT || rc == ERR_LIMIT) {
        const struct chat_default *d = chat_default_for(g);
        snprintf(c->warning, sizeof c->warning, "%.400s; the format '%s' is assumed", why.text, d->name);
        c->info.warning = c->warning;
        c->info.built_in = true;
        rc = set_source(c, d->name, d->source, strlen(d->source), &why);
    }
    if (rc) {
        chat_free(c);
        return err_set(e, rc, "%s", why.text);
    }
    chat_probe(c);
    *out = c;
    return ERR_OK;
}

/* What think means to a template, under the names in use. */
static void set_think(const struct chat *c, json_t *vars, enum chat_think think) {
    static const char *const levels[] = {
        [CHAT_THINK_LOW] = "low", [CHAT_THINK_MEDIUM] = "medium", [CHAT_THINK_HIGH] = "high"};
    bool on = think != CHAT_THINK_OFF;
    const char *level = think >= CHAT_THINK_LOW ? levels[think] : on ? NULL : "low";
    if (!c->info.think_open && !strstr(c->info.source, "thinking")) return;
    json_object_set_new(vars, "enable_thinking", json_boolean(on));
    json_object_set_new(vars, "thinking", json_boolean(on));
    if (level) json_object_set_new(vars, "reasoning_effort", json_string(level));
}

int chat_render_vars(const struct chat *c, const json_t *vars, bool use_tools, int64_t now_s, char **text, size_t *len,
                     struct err *e) {
    json_t *all = json_copy((json_t *)vars);
    *text = NULL;
    if (!all) return err_set(e, ERR_NOMEM, "no memory for the template's variables");
    if (!json_object_get(all, "bos_token")) json_object_set_new(all, "bos_token", json_string(c->info.bos));
    if (!json_object_get(all, "eos_token")) json_object_set_new(all, "eos_token", json_string(c->info.eos));
    int rc = jinja_render(use_tools && c->with_tools ? c->with_tools : c->plain, all, now_s, text, len, e);
    json_decref(all);
    return rc;
}

int chat_render_once(const struct chat *c, const struct chat_request *r, const json_t *messages, char **text,
                     size_t *len, struct err *e) {
    bool tools = json_array_size(r->tools) > 0;
    json_t *vars = json_object();
    if (!vars) return err_set(e, ERR_NOMEM, "no memory for the template's variables");
    json_object_set(vars, "messages", (json_t *)messages);
    json_object_set_new(vars, "tools", tools ? json_incref((json_t *)r->tools) : json_null());
    json_object_set_new(vars, "add_generation_prompt", json_boolean(r->add_generation_prompt));
    set_think(c, vars, r->think);
    if (r->vars) json_object_update(vars, (json_t *)r->vars);
    int rc = chat_render_vars(c, vars, tools, r->now_s, text, len, e);
    if (rc && rc != ERR_LIMIT && !tools) { /* templates that are only for tools loop over them */
        json_object_set_new(vars, "tools", json_array());
        if (!chat_render_vars(c, vars, tools, r->now_s, text, len, NULL)) rc = ERR_OK;
    }
    json_decref(vars);
    return rc;
}

/* As it stands, then in turn, then without tools; the first error is the one that tells. */
static int render_some_way(const struct chat *c, const struct chat_request *r, const json_t *plain, char **text,
                           size_t *len, struct err *e) {
    bool flat = chat_messages_have_tools(plain) && !(c->info.caps & CHAT_TOOL_CALLS);
    int rc = flat ? ERR_UNSUPPORTED : chat_render_once(c, r, plain, text, len, e);
    for (int way = flat; way < 2 && rc && rc != ERR_LIMIT && rc != ERR_NOMEM; way++) {
        json_t *turns = chat_messages_in_turn(c, plain, way == 1, e);
        if (!turns) return e ? e->code : ERR_NOMEM;
        int again = chat_render_once(c, r, turns, text, len, flat ? e : NULL);
        if (!again || flat) rc = again;
        json_decref(turns);
    }
    return rc;
}

static bool ends_with(const char *text, size_t len, const char *end) {
    size_t n = strlen(end);
    while (len && strchr(" \n\t", text[len - 1]) && text[len - 1]) len--;
    return n <= len && memcmp(text + len - n, end, n) == 0;
}

bool chat_opens_thinking(const struct chat *c, const char *text, size_t len) {
    return c->info.think_open && ends_with(text, len, c->info.think_open);
}

/* For models whose template has no switch: reasoning that is over before it begins. */
static int close_thinking(const struct chat *c, char **text, size_t *len, struct err *e) {
    char tail[128];
    bool open = chat_opens_thinking(c, *text, *len);
    int n = snprintf(tail, sizeof tail, "%s\n\n%s\n\n", open ? "" : c->info.think_open, c->info.think_close);
    char *longer = realloc(*text, *len + (size_t)n + 1);
    if (!longer) return err_set(e, ERR_NOMEM, "no memory for the prompt");
    memcpy(longer + *len, tail, (size_t)n + 1);
    *text = longer;
    *len += (size_t)n;
    return ERR_OK;
}

int chat_render(const struct chat *c, const struct chat_request *r, char **text, size_t *len, struct err *e) {
    *text = NULL;
    json_t *plain = chat_messages_plain(c, r->messages, e);
    if (!plain) return ERR_ARG;
    int rc = render_some_way(c, r, plain, text, len, e);
    json_decref(plain);
    bool by_hand = c->quirks.no_switch && !(c->info.caps & CHAT_LEVELS) && r->think == CHAT_THINK_OFF;
    if (!rc && by_hand && r->add_generation_prompt) rc = close_thinking(c, text, len, e);
    if (rc) {
        free(*text);
        *text = NULL;
    }
    return rc;
}
