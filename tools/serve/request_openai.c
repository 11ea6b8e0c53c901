/* OpenAI's chat and text completions, read into a struct request. */
#include <string.h>

#include "tools/serve/request_impl.h"

static void read_sampling(struct request *r, struct fields *f) {
    struct options *o = &r->options;
    int64_t most = fields_int(f, "max_completion_tokens", fields_int(f, "max_tokens", INT64_MIN));
    o->temperature = fields_num(f, "temperature", o->temperature);
    o->top_p = fields_num(f, "top_p", o->top_p);
    o->seed = fields_int(f, "seed", o->seed);
    o->frequency_penalty = fields_num(f, "frequency_penalty", o->frequency_penalty);
    o->presence_penalty = fields_num(f, "presence_penalty", o->presence_penalty);
    if (most != INT64_MIN) o->num_predict = most;
    const json_t *stop = fields_get(f, "stop");
    if (stop && !f->err->code) options_stop(o, stop, f->err);
}

static void read_stream(struct request *r, struct fields *f) {
    struct fields so = {fields_obj(f, "stream_options"), f->err};
    if (so.obj) r->include_usage = fields_bool(&so, "include_usage", false);
}

static void read_response_format(struct request *r, struct fields *f) {
    const json_t *v = fields_obj(f, "response_format");
    struct fields rf = {v, f->err};
    const char *type = v ? fields_str(&rf, "type") : NULL;
    if (!type || f->err->code || strcmp(type, "text") == 0) return;
    if (strcmp(type, "json_object") == 0) {
        r->format = FORMAT_JSON;
    } else if (strcmp(type, "json_schema") == 0) {
        r->format = FORMAT_SCHEMA;
        r->schema = json_object_get(fields_obj(&rf, "json_schema"), "schema");
        if (!json_is_object(r->schema))
            err_set(f->err, ERR_ARG, "invalid format: response_format.json_schema.schema must be a valid JSON Schema object");
    } else {
        err_set(f->err, ERR_ARG, "invalid response_format type: %.100s", type);
    }
}

static void read_effort(struct request *r, struct fields *f) {
    static const struct { const char *name; enum request_think think; } levels[] = {
        {"none", THINK_OFF}, {"minimal", THINK_LOW}, {"low", THINK_LOW}, {"medium", THINK_MEDIUM},
        {"high", THINK_HIGH}, {"max", THINK_HIGH}, {"xhigh", THINK_HIGH}, {"ultra", THINK_HIGH}};
    const char *effort = fields_str(f, "reasoning_effort");
    struct fields reasoning = {fields_obj(f, "reasoning"), f->err};
    if (!effort && reasoning.obj) effort = fields_str(&reasoning, "effort");
    if (!effort || !*effort) return;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(effort, levels[i].name) == 0) r->think = levels[i].think;
    if (r->think == THINK_ABSENT) err_set(f->err, ERR_ARG, "invalid reasoning value: %.50s", effort);
}

static void begin(json_t *root, struct request *r, struct err *e) {
    *r = (struct request){.root = root, .openai = true, .options = options_default(), .keep_alive_ns = -1};
    r->options.temperature = r->options.top_p = 1;
    *e = (struct err){0};
}

int request_openai_chat(json_t *root, struct request *r, struct err *e) {
    begin(root, r, e);
    r->chat = true;
    struct fields f = {root, e};
    request_common(r, &f);
    read_sampling(r, &f);
    read_stream(r, &f);
    read_response_format(r, &f);
    read_effort(r, &f);
    r->logprobs = fields_bool(&f, "logprobs", false);
    request_top_logprobs(r, &f, fields_int(&f, "top_logprobs", 0));
    const json_t *choice = fields_get(&f, "tool_choice"), *messages = fields_arr(&f, "messages");
    if (json_is_string(choice) && strcmp(json_string_value(choice), "none") == 0) r->tools = NULL;
    if (!e->code && json_array_size(messages) == 0) err_set(e, ERR_ARG, "[] is too short - 'messages'");
    if (!e->code) r->messages = messages_openai(messages, &r->has_images, e);
    return e->code;
}

int request_openai_completion(json_t *root, struct request *r, struct err *e) {
    begin(root, r, e);
    struct fields f = {root, e};
    request_common(r, &f);
    read_sampling(r, &f);
    read_stream(r, &f);
    r->prompt = fields_text(&f, "prompt");
    r->suffix = fields_text(&f, "suffix");
    r->tools = NULL;
    if (!e->code && !r->prompt) err_set(e, ERR_ARG, "prompt is required");
    const json_t *logprobs = fields_get(&f, "logprobs");
    r->logprobs = logprobs && !json_is_false(logprobs);
    return request_top_logprobs(r, &f, json_is_boolean(logprobs) ? 0 : fields_int(&f, "logprobs", 0));
}
