/* What a template can do, found out by rendering small conversations. */
#include <stdlib.h>
#include <string.h>

#include "models/chat/chat_impl.h"
#include "models/chat/think.h"

/* Renders one conversation (taken over) as it stands; "" when the template fails. The caller frees. */
static char *probe(struct chat *c, json_t *messages, const json_t *tools, enum chat_think think) {
    struct chat_request r = {.tools = tools, .add_generation_prompt = true, .think = think};
    char *text = NULL;
    size_t len;
    int rc = c->quirks.endless ? ERR_LIMIT : chat_render_once(c, &r, messages, &text, &len, NULL);
    c->quirks.endless = rc == ERR_LIMIT;
    json_decref(messages);
    return text ? text : calloc(1, 1);
}

static bool holds(char *text, const char *what) {
    bool yes = text && strstr(text, what);
    free(text);
    return yes;
}

static json_t *say(const char *role, const char *text, bool parts) {
    return parts ? json_pack("{s:s, s:[{s:s, s:s}]}", "role", role, "content", "type", "text", "text", text)
                 : json_pack("{s:s, s:s}", "role", role, "content", text);
}

static void probe_content(struct chat *c) {
    char *text = probe(c, json_pack("[o]", say("user", "probe-user", false)), NULL, CHAT_THINK_DEFAULT);
    c->info.writes_bos = text && *c->info.bos && strncmp(text, c->info.bos, strlen(c->info.bos)) == 0;
    if (holds(text, "probe-user")) return;
    text = probe(c, json_pack("[o]", say("user", "probe-user", true)), NULL, CHAT_THINK_DEFAULT);
    c->info.writes_bos = text && *c->info.bos && strncmp(text, c->info.bos, strlen(c->info.bos)) == 0;
    c->quirks.parts = holds(text, "probe-user");
}

static void probe_system(struct chat *c) {
    bool parts = c->quirks.parts;
    json_t *m = json_pack("[o, o]", say("system", "probe-system", parts), say("user", "probe-user", parts));
    if (holds(probe(c, m, NULL, CHAT_THINK_DEFAULT), "probe-system")) c->info.caps |= CHAT_SYSTEM;
}

static void probe_tools(struct chat *c) {
    json_t *tools =
        json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}, s:[s]}}}]", "type", "function", "function", "name",
                  "probe_tool", "description", "what it does", "parameters", "type", "object", "properties",
                  "probe_arg", "type", "string", "description", "an argument", "required", "probe_arg");
    json_t *m = json_pack("[o]", say("user", "probe-user", c->quirks.parts));
    if (holds(probe(c, m, tools, CHAT_THINK_DEFAULT), "probe_tool")) c->info.caps |= CHAT_TOOLS;
    json_decref(tools);
}

/* A turn in which the assistant called a tool. */
static json_t *called(const struct chat *c, bool args_text, const char *id) {
    json_t *args =
        args_text ? json_string("{\"probe_arg\": \"probe_value\"}") : json_pack("{s:s}", "probe_arg", "probe_value");
    json_t *call = json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", id, "type", "function", "function", "name", "probe_tool",
                             "arguments", args);
    json_t *assistant = say("assistant", "", c->quirks.parts), *result = say("tool", "probe-result", c->quirks.parts);
    json_object_set_new(assistant, "tool_calls", json_pack("[o]", call));
    json_object_set_new(result, "tool_call_id", json_string(id));
    json_object_set_new(result, "name", json_string("probe_tool"));
    return json_pack("[o, o, o]", say("user", "probe-user", c->quirks.parts), assistant, result);
}

/* Whether the call shows, with its arguments as JSON or in a form of the template's own, not as Python writes them. */
static bool shows_call(char *text) {
    bool yes = text && strstr(text, "probe_tool") && strstr(text, "probe_arg") && !strstr(text, "'probe_arg'") &&
               !strstr(text, "\\\"probe_arg");
    free(text);
    return yes;
}

static void probe_calls(struct chat *c) {
    for (int i = 0; i < 4; i++) { /* first as Hugging Face has it: objects, any id */
        bool args_text = i & 1, short_ids = i & 2;
        json_t *m = called(c, args_text, short_ids ? "probeid09" : "call_probe_1");
        if (!shows_call(probe(c, m, NULL, CHAT_THINK_DEFAULT))) continue;
        c->quirks.args_text = args_text;
        c->quirks.short_ids = short_ids;
        c->info.caps |= CHAT_TOOL_CALLS;
        return;
    }
}

static void probe_thinking(struct chat *c) {
    const char *s = c->info.source;
    struct think_tags tags = think_detect(s, strlen(s));
    if (strstr(s, "<|channel|>")) /* such templates put the tag together from pieces */
        tags = (struct think_tags){"<|channel|>analysis<|message|>", "<|end|>"};
    if (!tags.open) return;
    c->info.think_open = tags.open;
    c->info.think_close = tags.close;
    c->info.caps |= CHAT_THINKING;
    if (strstr(s, "reasoning_effort")) c->info.caps |= CHAT_LEVELS;
    char *on = probe(c, json_pack("[o]", say("user", "probe-user", c->quirks.parts)), NULL, CHAT_THINK_ON);
    char *off = probe(c, json_pack("[o]", say("user", "probe-user", c->quirks.parts)), NULL, CHAT_THINK_OFF);
    c->quirks.no_switch = on && off && strcmp(on, off) == 0;
    free(on);
    free(off);
}

void chat_probe(struct chat *c) {
    c->info.caps = CHAT_SYSTEM; /* so that nothing is moved while asking */
    probe_content(c);
    c->info.caps = 0;
    probe_system(c);
    probe_tools(c);
    probe_calls(c);
    probe_thinking(c);
}
