/* The forms in which models write calls, each from its marker to its end. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/tool_impl.h"

#define MAX_NAME 256

static size_t skip_blank(const char *t, size_t at, size_t n) {
    while (at < n && isspace((unsigned char)t[at])) at++;
    return at;
}

static bool starts(const char *t, size_t at, size_t n, const char *with) {
    size_t k = strlen(with);
    return n - at >= k && !memcmp(t + at, with, k);
}

json_t *tool_call_json(const char *text, size_t len) {
    json_error_t je;
    json_t *j = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    if (!j && json_error_code(&je) == json_error_numeric_overflow)
        j = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &je);
    return j;
}

static const json_t *function_of(const json_t *tool) {
    const json_t *f = json_object_get(tool, "function");
    return f ? f : tool;
}

static const json_t *offered(const struct tool_parse *p, const char *name, size_t len) {
    for (size_t i = 0; i < json_array_size(p->tools); i++) {
        const json_t *f = function_of(json_array_get(p->tools, i)), *known = json_object_get(f, "name");
        if (json_is_string(known) && json_string_length(known) == len && !memcmp(json_string_value(known), name, len))
            return f;
    }
    return NULL;
}

void tool_call_clear(struct tool_parse *p) {
    for (size_t i = 0; i < p->n_new; i++) {
        free(p->call[i].name);
        json_decref(p->call[i].arguments);
    }
    free(p->call);
    p->call = NULL;
    p->n_new = 0;
}

bool tool_call_add(struct tool_parse *p, const char *name, size_t n_name, json_t *arguments) {
    if (json_is_string(arguments)) { /* JSON inside a string */
        json_t *inner = tool_call_json(json_string_value(arguments), json_string_length(arguments));
        json_decref(arguments);
        arguments = inner;
    }
    struct tool_call *call = realloc(p->call, (p->n_new + 1) * sizeof *call);
    if (call) p->call = call;
    char *copy = tool_copy(name, n_name);
    if (!call || !copy || !json_is_object(arguments) || !offered(p, name, n_name)) {
        free(copy);
        json_decref(arguments);
        return false;
    }
    p->call[p->n_new++] = (struct tool_call){copy, arguments};
    return true;
}

/* {"name": ..., "arguments": ...}, as the models vary it. */
static bool add_object(struct tool_parse *p, const json_t *j) {
    const json_t *f = json_is_object(json_object_get(j, "function")) ? json_object_get(j, "function") : j;
    const json_t *name = json_object_get(f, "name"), *args = json_object_get(f, "arguments");
    if (!name) name = json_object_get(f, "function");
    if (!args) args = json_object_get(f, "parameters");
    if (!json_is_string(name)) return false;
    json_t *own = args && !json_is_null(args) ? json_incref((json_t *)args) : json_object();
    return tool_call_add(p, json_string_value(name), json_string_length(name), own);
}

static bool add_json(struct tool_parse *p, const char *t, size_t len) {
    json_t *j = tool_call_json(t, len);
    bool ok = json_is_array(j) ? json_array_size(j) > 0 : json_is_object(j) && add_object(p, j);
    for (size_t i = 0; ok && i < json_array_size(j); i++) ok = add_object(p, json_array_get(j, i));
    json_decref(j);
    return ok;
}

/* Where the JSON object or array that begins at start ends; 0: not yet. Goes on where it stopped. */
static size_t json_end(struct tool_scan *s, const char *t, size_t n, size_t start) {
    if (!s->open || s->start != start) *s = (struct tool_scan){.start = start, .at = start, .open = true};
    for (; s->at < n && !s->end; s->at++) {
        char c = t[s->at];
        if (s->in_string) {
            if (s->escaped) s->escaped = false;
            else if (c == '\\') s->escaped = true;
            else if (c == '"') s->in_string = false;
        } else if (c == '"') {
            s->in_string = true;
        } else if (c == '{' || c == '[') {
            s->depth++;
        } else if ((c == '}' || c == ']') && --s->depth == 0) {
            s->end = s->at + 1;
        }
    }
    return s->end;
}

/* White space and a closing text behind `at`, where it is; TOOL_MORE: it may still come. */
static enum tool_verdict take_tail(const char *t, size_t *at, size_t n, const char *tail, bool final) {
    size_t i = skip_blank(t, *at, n);
    if (starts(t, i, n, tail)) {
        *at = i + strlen(tail);
        return TOOL_DONE;
    }
    return !final && tool_may_start(t, i, n, tail) ? TOOL_MORE : TOOL_DONE;
}

/* JSON that names its tools, from `at` on, and what closes it (NULL: nothing does). */
static enum tool_verdict read_json(struct tool_parse *p, const char *t, size_t at, size_t n, const char *tail,
                                   bool final, size_t *used) {
    at = skip_blank(t, at, n);
    if (at == n) return TOOL_MORE;
    if (t[at] != '{' && t[at] != '[') return TOOL_NOT;
    size_t end = json_end(&p->scan, t, n, at);
    if (!end) return TOOL_MORE;
    *used = end;
    if (tail && take_tail(t, used, n, tail, final) == TOOL_MORE) return TOOL_MORE;
    return add_json(p, t + at, end - at) ? TOOL_DONE : TOOL_NOT;
}

/* The arguments of a tool whose name is known. */
static enum tool_verdict read_arguments(struct tool_parse *p, const char *name, size_t n_name, const char *t, size_t at,
                                        size_t n, const char *const *tails, bool final, size_t *used) {
    at = skip_blank(t, at, n);
    if (at == n) return TOOL_MORE;
    if (t[at] != '{') return TOOL_NOT;
    size_t end = json_end(&p->scan, t, n, at);
    if (!end) return TOOL_MORE;
    *used = end;
    for (; tails && *tails; tails++)
        if (take_tail(t, used, n, *tails, final) == TOOL_MORE) return TOOL_MORE;
    return tool_call_add(p, name, n_name, tool_call_json(t + at, end - at)) ? TOOL_DONE : TOOL_NOT;
}

/* A call without a marker: an object, or an array of objects, that begins as calls do. */
static enum tool_verdict read_bare(struct tool_parse *p, const char *t, size_t n, bool final, size_t *used) {
    static const char *const keys[] = {"\"name\"",       "\"function\"",  "\"type\"",
                                       "\"parameters\"", "\"arguments\"", "\"id\""};
    size_t at = skip_blank(t, *t == '[' ? 1 : 0, n);
    if (at < n && t[at] != '{') return TOOL_NOT;
    at = at < n ? skip_blank(t, at + 1, n) : n;
    bool like_call = at == n;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !like_call; i++) like_call = tool_may_start(t, at, n, keys[i]);
    return like_call ? read_json(p, t, 0, n, NULL, final, used) : TOOL_NOT;
}

static size_t find(const char *t, size_t at, size_t n, const char *what) {
    const char *q = at <= n ? memmem(t + at, n - at, what, strlen(what)) : NULL;
    return q ? (size_t)(q - t) : n;
}

static bool has_type(const json_t *type, const char *name) {
    if (json_is_string(type)) return !strcmp(json_string_value(type), name);
    for (size_t i = 0; i < json_array_size(type); i++)
        if (has_type(json_array_get(type, i), name)) return true;
    return false;
}

/* The same, but not far away: a text that begins more than MAX_NAME bytes behind `at` is none, however
 * much has come. */
static enum tool_verdict find_near(const char *t, size_t at, size_t n, const char *what, size_t *where) {
    size_t far = at + MAX_NAME + strlen(what), end = n < far ? n : far;
    *where = find(t, at, end, what);
    if (*where < end) return TOOL_DONE;
    return n < far ? TOOL_MORE : TOOL_NOT;
}

/* A value that stands as plain text: the tool's schema decides whether it is JSON or a string. */
static json_t *plain_value(const json_t *function, const char *key, const char *t, size_t len) {
    const json_t *props = json_object_get(json_object_get(function, "parameters"), "properties");
    const json_t *prop = json_object_get(props, key), *type = json_object_get(prop, "type");
    if (json_is_string(type) && has_type(type, "string")) return json_stringn(t, len);
    if (has_type(type, "boolean") && len == 4 && !memcmp(t, "True", 4)) return json_true();
    if (has_type(type, "boolean") && len == 5 && !memcmp(t, "False", 5)) return json_false();
    json_t *j = tool_call_json(t, len);
    bool text = json_is_string(j) || json_is_number(j) || json_is_boolean(j);
    if (j && !(text && (!prop || has_type(type, "string")))) return j;
    json_decref(j);
    return json_stringn(t, len);
}

static bool set_plain(json_t *args, const json_t *function, const char *key, size_t n_key, const char *t, size_t len) {
    char name[MAX_NAME];
    if (n_key >= sizeof name) return false;
    memcpy(name, key, n_key);
    name[n_key] = 0;
    return !json_object_set_new(args, name, plain_value(function, name, t, len));
}

static void trim(const char **t, size_t *len) {
    while (*len && isspace((unsigned char)(*t)[*len - 1])) --*len;
    while (*len && isspace((unsigned char)**t)) ++*t, --*len;
}

/* <parameter=KEY>\nvalue\n</parameter> ... */
static bool qwen_parameters(json_t *args, const json_t *f, const char *t, size_t n) {
    for (size_t at = find(t, 0, n, "<parameter="); at < n; at = find(t, at, n, "<parameter=")) {
        at += strlen("<parameter=");
        size_t key_end = find(t, at, n, ">"), end = find(t, key_end, n, "</parameter>"),
               next = find(t, key_end, n, "<parameter=");
        if (key_end >= n) return false;
        if (next < end) end = next; /* some leave the closing tag out */
        size_t from = key_end + 1, to = end;
        if (from < to && t[from] == '\n') from++;
        if (from < to && t[to - 1] == '\n') to--;
        if (!set_plain(args, f, t + at, key_end - at, t + from, to - from)) return false;
        at = end;
    }
    return true;
}

/* <function=NAME> parameters </function>, or JSON between the tags. */
static bool qwen_function(struct tool_parse *p, const char *t, size_t n) {
    size_t at = find(t, 0, n, "<function="), name = at + strlen("<function=");
    if (at == n) return false;
    size_t name_end = find(t, name, n, ">"), end = find(t, name_end, n, "</function>");
    if (name_end >= n) return false;
    const json_t *f = offered(p, t + name, name_end - name);
    const char *inside = t + name_end + 1;
    size_t n_inside = end - name_end - 1;
    trim(&inside, &n_inside);
    if (n_inside && *inside == '{')
        return tool_call_add(p, t + name, name_end - name, tool_call_json(inside, n_inside));
    json_t *args = json_object();
    if (!f || !args || !qwen_parameters(args, f, t + name_end + 1, end - name_end - 1)) {
        json_decref(args);
        return false;
    }
    return tool_call_add(p, t + name, name_end - name, args);
}

/* NAME <arg_key>K</arg_key> <arg_value>V</arg_value> ... */
static bool glm_function(struct tool_parse *p, const char *t, size_t n) {
    const char *name = t;
    size_t at = find(t, 0, n, "<arg_key>"), n_name = at;
    trim(&name, &n_name);
    const json_t *f = offered(p, name, n_name);
    json_t *args = json_object();
    bool ok = f && args;
    while (ok && at < n) {
        size_t key = at + strlen("<arg_key>"), key_end = find(t, key, n, "</arg_key>");
        size_t value = find(t, key_end, n, "<arg_value>") + strlen("<arg_value>"),
               end = find(t, value, n, "</arg_value>");
        ok = end < n && value <= end && set_plain(args, f, t + key, key_end - key, t + value, end - value);
        at = find(t, end, n, "<arg_key>");
    }
    if (ok) return tool_call_add(p, name, n_name, args);
    json_decref(args);
    return false;
}

/* A call that ends with a text: inside it, from `from` on, `read` finds the call. */
static enum tool_verdict read_until(struct tool_parse *p, const char *t, size_t from, size_t n, const char *end_text,
                                    bool final, bool (*read)(struct tool_parse *, const char *, size_t), size_t *used) {
    size_t n_end = strlen(end_text), end = find(t, p->searched > from ? p->searched : from, n, end_text);
    if (end == n && !final) {
        p->searched = n > n_end ? n - n_end : 0;
        return TOOL_MORE;
    }
    *used = end == n ? n : end + n_end;
    return read(p, t + from, end - from) ? TOOL_DONE : TOOL_NOT;
}

/* NAME.call(key="value", ...), what Llama writes for built-in tools. */
static bool llama_builtin(struct tool_parse *p, const char *t, size_t n) {
    size_t dot = find(t, 0, n, ".call("), at = dot + strlen(".call(");
    json_t *args = json_object();
    while (args && at < n) {
        at = skip_blank(t, at, n);
        size_t eq = find(t, at, n, "="), end = eq + 1;
        if (eq + 1 >= n || t[eq + 1] != '"') break;
        for (end = eq + 2; end < n && t[end] != '"'; end++)
            if (t[end] == '\\') end++;
        json_t *value = end < n ? tool_call_json(t + eq + 1, end - eq) : NULL;
        char key[MAX_NAME];
        snprintf(key, sizeof key, "%.*s", (int)(eq - at < MAX_NAME ? eq - at : MAX_NAME - 1), t + at);
        if (!value || json_object_set_new(args, key, value)) break;
        at = skip_blank(t, end + 1, n);
        if (at < n && t[at] == ',') at++;
    }
    if (dot < n && at >= n) return tool_call_add(p, t, dot, args);
    json_decref(args);
    return false;
}

static enum tool_verdict read_llama(struct tool_parse *p, const char *t, size_t n, bool final, size_t *used) {
    static const char tag[] = "<|python_tag|>";
    if (starts(t, 0, n, "<function=")) return read_until(p, t, 0, n, "</function>", final, qwen_function, used);
    size_t at = skip_blank(t, sizeof tag - 1, n);
    if (at == n) return TOOL_MORE;
    if (t[at] == '{' || t[at] == '[') return read_json(p, t, at, n, NULL, final, used);
    size_t name = at;
    while (name < n && (isalnum((unsigned char)t[name]) || t[name] == '_')) name++;
    if (!tool_may_start(t, name, n, ".call(")) return TOOL_NOT;
    return read_until(p, t, at, n, ")", final, llama_builtin, used);
}

static enum tool_verdict read_mistral(struct tool_parse *p, const char *t, size_t n, bool final, size_t *used) {
    size_t at = skip_blank(t, strlen("[TOOL_CALLS]"), n), name = at;
    if (at == n) return TOOL_MORE;
    if (t[at] == '[' || t[at] == '{') return read_json(p, t, at, n, NULL, final, used);
    size_t end = at;
    while (end < n && t[end] != '[' && t[end] != '{' && end - name < MAX_NAME) end++;
    if (end - name >= MAX_NAME) return TOOL_NOT;
    if (end == n) return TOOL_MORE;
    size_t args = end;
    if (t[end] == '[') {
        enum tool_verdict v = find_near(t, end, n, "[ARGS]", &args);
        if (v != TOOL_DONE) return v;
        args += strlen("[ARGS]");
    }
    size_t n_name = end - name;
    while (n_name && isspace((unsigned char)t[name + n_name - 1])) n_name--;
    return read_arguments(p, t + name, n_name, t, args, n, NULL, final, used);
}

/* R1 and V3: function<sep>NAME, a line, a block of JSON; V3.1: NAME<sep>JSON. */
static enum tool_verdict read_deepseek(struct tool_parse *p, const char *t, size_t n, bool final, size_t *used) {
    const char *begin = tool_form_begins(TOOL_DEEPSEEK)[0], *sep = tool_form_inner(TOOL_DEEPSEEK)[0];
    const char *v3[] = {"```", tool_form_inner(TOOL_DEEPSEEK)[1], NULL};
    size_t name = strlen(begin), sep_at, line, json;
    enum tool_verdict v = find_near(t, name, n, sep, &sep_at);
    if (v != TOOL_DONE) return v;
    size_t args = sep_at + strlen(sep), n_name = sep_at - name;
    bool old = n_name == strlen("function") && !memcmp(t + name, "function", n_name);
    if (!old) return read_arguments(p, t + name, n_name, t, args, n, v3 + 1, final, used);
    v = find_near(t, args, n, "\n", &line);
    if (v == TOOL_DONE) v = find_near(t, line, n, "{", &json);
    if (v != TOOL_DONE) return v;
    const char *trimmed = t + args;
    n_name = line - args;
    trim(&trimmed, &n_name);
    return read_arguments(p, trimmed, n_name, t, json, n, v3, final, used);
}

/* functions.NAME:0 */
static enum tool_verdict read_kimi(struct tool_parse *p, const char *t, size_t n, bool final, size_t *used) {
    const char *begin = tool_form_begins(TOOL_KIMI)[0], *sep = tool_form_inner(TOOL_KIMI)[0];
    const char *tails[] = {tool_form_inner(TOOL_KIMI)[1], NULL};
    size_t sep_at;
    enum tool_verdict v = find_near(t, strlen(begin), n, sep, &sep_at);
    if (v != TOOL_DONE) return v;
    size_t n_name = sep_at - strlen(begin);
    const char *name = t + strlen(begin);
    trim(&name, &n_name);
    if (n_name > 10 && !memcmp(name, "functions.", 10)) name += 10, n_name -= 10;
    size_t colon = n_name; /* the last one */
    while (colon > 0 && name[colon - 1] != ':') colon--;
    if (colon) n_name = colon - 1;
    return read_arguments(p, name, n_name, t, sep_at + strlen(sep), n, tails, final, used);
}

enum tool_verdict tool_call_read(struct tool_parse *p, const char *t, size_t n, bool final, size_t *used) {
    static const char open[] = "<tool_call>", close[] = "</tool_call>";
    bool marked = false;
    for (const char *const *b = tool_form_begins(p->opt.form); *b && !marked; b++) marked = starts(t, 0, n, *b);
    if (!marked) return read_bare(p, t, n, final, used);
    switch (p->opt.form) {
    case TOOL_HERMES: return read_json(p, t, sizeof open - 1, n, close, final, used);
    case TOOL_GLM: return read_until(p, t, sizeof open - 1, n, close, final, glm_function, used);
    case TOOL_QWEN_XML:
        return read_until(p, t, 0, n, starts(t, 0, n, open) ? close : "</function>", final, qwen_function, used);
    case TOOL_LLAMA: return read_llama(p, t, n, final, used);
    case TOOL_MISTRAL: return read_mistral(p, t, n, final, used);
    case TOOL_DEEPSEEK: return read_deepseek(p, t, n, final, used);
    case TOOL_KIMI: return read_kimi(p, t, n, final, used);
    default: return TOOL_NOT;
    }
}
