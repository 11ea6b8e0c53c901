#include <stdlib.h>
#include <string.h>

#include "tools/serve/duration.h"
#include "tools/serve/request_impl.h"

void request_deinit(struct request *r) {
    json_decref(r->messages);
    json_decref(r->root);
    *r = (struct request){0};
}

bool request_loads_only(const struct request *r) {
    if (r->openai) return false;
    return r->chat ? json_array_size(r->messages) == 0 : json_string_length(r->prompt) == 0 && json_string_length(r->suffix) == 0;
}

int request_model(struct fields *f, bool or_name, const char **out) {
    const char *s = fields_str(f, "model");
    if (or_name && (!s || !*s)) s = fields_str(f, "name");
    if (!f->err->code && (!s || !*s)) err_set(f->err, ERR_ARG, "model is required");
    *out = s;
    return f->err->code;
}

int request_keep_alive(struct fields *f, int64_t *ns) {
    const json_t *v = fields_get(f, "keep_alive");
    *ns = -1;
    if (v && !f->err->code && !duration_of_json(v, ns)) {
        bool text = json_is_string(v);
        err_set(f->err, ERR_ARG, "invalid duration%s%.100s%s for keep_alive; use a number of seconds or a text such as \"10m\"",
                text ? " \"" : "", text ? json_string_value(v) : "", text ? "\"" : "");
    }
    return f->err->code;
}

static enum request_think think_level(const char *s) {
    static const struct { const char *name; enum request_think think; } levels[] = {
        {"low", THINK_LOW}, {"medium", THINK_MEDIUM}, {"high", THINK_HIGH}, {"max", THINK_HIGH}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(s, levels[i].name) == 0) return levels[i].think;
    return THINK_ABSENT;
}

static void read_think(struct request *r, struct fields *f) {
    const json_t *v = fields_get(f, "think");
    if (!v || f->err->code) return;
    if (json_is_boolean(v)) r->think = json_is_true(v) ? THINK_ON : THINK_OFF;
    else if (json_is_string(v)) r->think = think_level(json_string_value(v));
    if (r->think == THINK_ABSENT)
        err_set(f->err, ERR_ARG, "invalid think value: use true, false, \"low\", \"medium\", \"high\" or \"max\"");
}

static void read_format(struct request *r, struct fields *f) {
    json_t *v = fields_get(f, "format");
    if (!v || f->err->code || (json_is_string(v) && json_string_length(v) == 0)) return;
    if (json_is_object(v)) {
        r->format = FORMAT_SCHEMA;
        r->schema = v;
    } else if (json_is_string(v) && strcmp(json_string_value(v), "json") == 0) {
        r->format = FORMAT_JSON;
    } else {
        char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        err_set(f->err, ERR_ARG, "invalid format: %.200s; expected \"json\" or a valid JSON Schema object", text ? text : "");
        free(text);
    }
}

int request_top_logprobs(struct request *r, struct fields *f, int64_t n) {
    if (f->err->code) return f->err->code;
    if (n < 0 || n > BATCH_MAX_TOP) return err_set(f->err, ERR_ARG, "top_logprobs must be between 0 and 20");
    r->n_top = r->logprobs ? (uint32_t)n : 0;
    return ERR_OK;
}

int request_common(struct request *r, struct fields *f) {
    json_t *tools;
    request_model(f, false, &r->model);
    r->stream = fields_bool(f, "stream", !r->openai);
    const json_t *options = fields_obj(f, "options");
    r->truncate = fields_bool(f, "truncate", true);
    r->shift = fields_bool(f, "shift", true);
    tools = fields_arr(f, "tools");
    r->tools = json_array_size(tools) ? tools : NULL;
    if (!f->err->code) options_read(&r->options, options, f->err);
    return f->err->code;
}

/* What /api/generate and /api/chat have in common beyond that. */
static int read_native(struct request *r, struct fields *f) {
    request_common(r, f);
    request_keep_alive(f, &r->keep_alive_ns);
    read_think(r, f);
    read_format(r, f);
    r->logprobs = fields_bool(f, "logprobs", false);
    return request_top_logprobs(r, f, fields_int(f, "top_logprobs", 0));
}

static int check_raw(const struct request *r, const json_t *template, struct err *e) {
    bool template_set = json_string_length(template) > 0;
    if (r->raw && (template_set || json_string_length(r->system) || r->context))
        return err_set(e, ERR_ARG, "raw mode does not support template, system, or context");
    return template_set ? err_set(e, ERR_ARG, "template override is not supported") : ERR_OK;
}

static int check_context(const json_t *context, struct err *e) {
    int64_t n;
    for (size_t i = 0; i < json_array_size(context); i++)
        if (!fields_whole(json_array_get(context, i), &n) || n < 0 || n > INT32_MAX)
            return err_set(e, ERR_ARG, "context must be an array of token numbers");
    return ERR_OK;
}

int request_generate(json_t *root, struct request *r, struct err *e) {
    *r = (struct request){.root = root, .options = options_default(), .keep_alive_ns = -1};
    *e = (struct err){0};
    struct fields f = {root, e};
    read_native(r, &f);
    r->prompt = fields_text(&f, "prompt");
    r->suffix = fields_text(&f, "suffix");
    r->system = fields_text(&f, "system");
    r->raw = fields_bool(&f, "raw", false);
    r->context = fields_arr(&f, "context");
    r->tools = NULL;
    const json_t *template = fields_text(&f, "template");
    if (!e->code) check_context(r->context, e);
    if (!e->code) check_raw(r, template, e);
    if (!e->code) messages_images(fields_get(&f, "images"), &r->has_images, e);
    return e->code;
}

int request_chat(json_t *root, struct request *r, struct err *e) {
    *r = (struct request){.root = root, .chat = true, .options = options_default(), .keep_alive_ns = -1};
    *e = (struct err){0};
    struct fields f = {root, e};
    read_native(r, &f);
    const json_t *messages = fields_arr(&f, "messages");
    if (!e->code) r->messages = messages_native(messages, &r->has_images, e);
    return e->code;
}
