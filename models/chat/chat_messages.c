/* Conversations, from what the APIs allow to what templates expect. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "models/chat/chat_impl.h"

static const char *text_of(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool is_role(const json_t *m, const char *role) { return strcmp(text_of(m, "role"), role) == 0; }

/* Text appended to a JSON string; takes both over. */
static json_t *joined(json_t *a, const char *between, json_t *b) {
    size_t n = json_string_length(a), k = strlen(between), m = json_string_length(b);
    char *t = malloc(n + k + m + 1);
    json_t *r = NULL;
    if (t) {
        memcpy(t, json_string_value(a), n);
        memcpy(t + n, between, k);
        memcpy(t + n + k, json_string_value(b), m);
        r = json_stringn(t, n + k + m);
    }
    free(t);
    json_decref(a);
    json_decref(b);
    return r;
}

/* The text of a content: a string, the text parts of a list, or nothing. */
static json_t *content_text(const json_t *content) {
    size_t i;
    json_t *part, *all;
    if (json_is_string(content)) return json_incref((json_t *)content);
    all = json_string("");
    json_array_foreach(content, i, part) {
        json_t *t = json_is_string(part) ? part : json_object_get(part, "text");
        if (json_is_string(t)) all = joined(all, json_string_length(all) ? "\n" : "", json_incref(t));
    }
    return all;
}

static json_t *content_for(const struct chat *c, const json_t *content) {
    if (c->quirks.parts && json_is_array(content)) return json_incref((json_t *)content);
    json_t *text = content_text(content);
    return c->quirks.parts ? json_pack("[{s:s, s:o}]", "type", "text", "text", text) : text;
}

/* Arguments as the template takes them: an object, or its text. */
static json_t *arguments_for(const struct chat *c, json_t *args) {
    if (c->quirks.args_text && !json_is_string(args)) {
        char *t = args ? json_dumps(args, JSON_ENCODE_ANY) : NULL;
        json_t *s = json_string(t ? t : "{}");
        free(t);
        return s;
    }
    if (!c->quirks.args_text && json_is_string(args)) {
        json_t *o = json_loads(json_string_value(args), 0, NULL);
        if (o) return o;
    }
    return args ? json_incref(args) : json_object();
}

/* An id that the template accepts: as given, or nine letters and digits that depend on it. */
static json_t *id_for(const struct chat *c, const char *id) {
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t n = strlen(id), plain = 0;
    while (plain < n && isalnum((unsigned char)id[plain])) plain++;
    if (!c->quirks.short_ids || (n == 9 && plain == 9)) return json_string(id);
    char t[10] = {0};
    uint64_t h = XXH3_64bits(id, n);
    for (int i = 0; i < 9; i++, h /= sizeof alphabet - 1) t[i] = alphabet[h % (sizeof alphabet - 1)];
    return json_string(t);
}

static json_t *tool_call(const struct chat *c, const json_t *call, size_t i_message, size_t i) {
    const json_t *f = json_object_get(call, "function");
    char made[64];
    const char *id = text_of(call, "id");
    if (!f) f = call;
    snprintf(made, sizeof made, "call_%zu_%zu", i_message, i);
    return json_pack("{s:o, s:s, s:{s:s, s:o}}", "id", id_for(c, *id ? id : made), "type", "function", "function",
                     "name", text_of(f, "name"), "arguments", arguments_for(c, json_object_get(f, "arguments")));
}

/* The calls of a message, remembered in open so that results find their names and ids. */
static void set_calls(const struct chat *c, json_t *m, size_t i_message, json_t *open) {
    json_t *calls = json_object_get(m, "tool_calls"), *list = json_array(), *call;
    size_t i;
    json_array_foreach(calls, i, call) {
        json_t *made = tool_call(c, call, i_message, i);
        json_array_append_new(list, made);
        json_array_append_new(open, json_pack("{s:s, s:O, s:s}", "given", text_of(call, "id"), "id",
                                              json_object_get(made, "id"), "name",
                                              text_of(json_object_get(made, "function"), "name")));
    }
    if (json_array_size(list)) json_object_set(m, "tool_calls", list);
    else json_object_del(m, "tool_calls");
    json_decref(list);
}

/* Which open call a result answers: by id, by name, else the oldest; -1: none. */
static int answered(const json_t *open, const char *id, const char *name) {
    size_t i;
    json_t *call;
    json_array_foreach(open, i, call) if (*id && strcmp(text_of(call, "given"), id) == 0) return (int)i;
    json_array_foreach(open, i, call) if (*name && strcmp(text_of(call, "name"), name) == 0) return (int)i;
    return json_array_size(open) && !*id ? 0 : -1;
}

static void set_result(const struct chat *c, json_t *m, json_t *open) {
    const char *id = text_of(m, "tool_call_id"), *name = text_of(m, "tool_name");
    if (!*name) name = text_of(m, "name");
    int at = answered(open, id, name);
    json_t *call = at >= 0 ? json_incref(json_array_get(open, (size_t)at)) : NULL;
    if (!*name && call) name = text_of(call, "name");
    if (*name) json_object_set_new(m, "name", json_string(name));
    json_object_set_new(m, "tool_call_id",
                        call ? json_incref(json_object_get(call, "id")) : id_for(c, *id ? id : "call"));
    if (call) json_array_remove(open, (size_t)at);
    json_decref(call);
}

/* Earlier reasoning, under the names that templates read. */
static void set_thinking(json_t *m) {
    static const char *const names[] = {"thinking", "reasoning_content", "reasoning"};
    json_t *t = NULL;
    for (int i = 0; i < 3; i++)
        if (!json_string_length(t)) t = json_object_get(m, names[i]);
    json_incref(t);
    for (int i = 0; i < 3; i++) json_object_del(m, names[i]);
    if (json_string_length(t)) {
        json_object_set(m, "thinking", t);
        json_object_set(m, "reasoning_content", t);
    }
    json_decref(t);
}

static void set_role(const struct chat *c, json_t *m, const char *role) {
    char low[32];
    size_t n = 0;
    for (; role[n] && n + 1 < sizeof low; n++) low[n] = (char)tolower((unsigned char)role[n]);
    low[n] = 0;
    bool developer = strcmp(low, "developer") == 0 && !strstr(c->info.source, "developer");
    json_object_set_new(m, "role", json_string(developer ? "system" : low));
}

/* System texts into the first user message (or one of their own), for templates without that role. */
static json_t *without_system(const struct chat *c, json_t *list) {
    json_t *out = json_array(), *m, *text = NULL;
    size_t i;
    if (c->info.caps & CHAT_SYSTEM) {
        json_decref(out);
        return list;
    }
    json_array_foreach(list, i, m) {
        json_t *own = content_text(json_object_get(m, "content"));
        if (is_role(m, "system")) {
            text = text ? joined(text, "\n\n", own) : own;
            continue;
        }
        m = json_copy(m);
        if (text && is_role(m, "user")) {
            own = joined(text, json_string_length(own) ? "\n\n" : "", own);
            json_object_set_new(m, "content", content_for(c, own));
            text = NULL;
        }
        json_decref(own);
        json_array_append_new(out, m);
    }
    if (text) json_array_append_new(out, json_pack("{s:s, s:o}", "role", "user", "content", content_for(c, text)));
    json_decref(text);
    json_decref(list);
    return out;
}

json_t *chat_messages_plain(const struct chat *c, const json_t *messages, struct err *e) {
    json_t *out = json_array(), *open = json_array(), *from;
    size_t i;
    bool bad = !json_is_array(messages);
    json_array_foreach(messages, i, from) {
        bad = bad || !json_is_string(json_object_get(from, "role"));
        if (bad) break;
        json_t *m = json_copy(from);
        set_role(c, m, text_of(from, "role"));
        json_object_set_new(m, "content", content_for(c, json_object_get(from, "content")));
        set_thinking(m);
        if (is_role(m, "assistant")) set_calls(c, m, i, open);
        if (is_role(m, "tool")) set_result(c, m, open);
        json_array_append_new(out, m);
    }
    json_decref(open);
    if (bad) {
        json_decref(out);
        err_set(e, ERR_ARG, "messages must be a list of objects, each with a role and a content");
        return NULL;
    }
    return without_system(c, out);
}

bool chat_messages_have_tools(const json_t *messages) {
    size_t i;
    json_t *m;
    json_array_foreach(messages, i, m) if (is_role(m, "tool") || json_object_get(m, "tool_calls")) return true;
    return false;
}

/* A call of a tool as text, as a model that knows no tools may read it. */
static json_t *call_text(const json_t *call) {
    const json_t *f = json_object_get(call, "function");
    char *t = json_dumps(f, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_t *s = json_string(t ? t : "");
    free(t);
    return s;
}

static json_t *flattened(const json_t *m) {
    json_t *text = content_text(json_object_get(m, "content")), *call;
    size_t i;
    json_array_foreach(json_object_get(m, "tool_calls"), i, call)
        text = joined(text, json_string_length(text) ? "\n" : "", call_text(call));
    return json_pack("{s:s, s:o}", "role", is_role(m, "assistant") ? "assistant" : "user", "content", text);
}

/* Appends m, or joins it to the last message when that has the same role and both are plain text. */
static void add_in_turn(const struct chat *c, json_t *list, json_t *m) {
    json_t *last = json_array_get(list, json_array_size(list) - 1);
    bool plain =
        last && !json_object_get(last, "tool_calls") && !json_object_get(m, "tool_calls") && !is_role(m, "tool");
    if (!plain || strcmp(text_of(last, "role"), text_of(m, "role")) != 0) {
        json_array_append_new(list, m);
        return;
    }
    json_t *both =
        joined(content_text(json_object_get(last, "content")), "\n\n", content_text(json_object_get(m, "content")));
    json_object_set_new(last, "content", content_for(c, both));
    json_decref(both);
    json_decref(m);
}

json_t *chat_messages_in_turn(const struct chat *c, const json_t *plain, bool flat, struct err *e) {
    json_t *out = json_array(), *m;
    size_t i;
    json_array_foreach(plain, i, m) if (is_role(m, "system")) add_in_turn(c, out, json_copy(m));
    json_array_foreach(plain, i, m) {
        if (is_role(m, "system")) continue;
        bool first = json_array_size(out) == 0 || is_role(json_array_get(out, json_array_size(out) - 1), "system");
        if (first && !is_role(m, "user")) {
            json_t *empty = json_string("");
            json_array_append_new(out, json_pack("{s:s, s:o}", "role", "user", "content", content_for(c, empty)));
            json_decref(empty);
        }
        json_t *copy = flat ? flattened(m) : json_copy(m);
        json_object_del(copy, "thinking");
        json_object_del(copy, "reasoning_content");
        if (flat && c->quirks.parts) {
            json_t *text = json_incref(json_object_get(copy, "content"));
            json_object_set_new(copy, "content", content_for(c, text));
            json_decref(text);
        }
        add_in_turn(c, out, copy);
    }
    if (!out) err_set(e, ERR_NOMEM, "no memory for the messages");
    return out;
}
