/* Messages of both APIs, brought to one form. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tools/serve/base64.h"
#include "tools/serve/json_out.h"
#include "tools/serve/request_impl.h"

static int check_image(const char *s, size_t n, struct err *e) {
    unsigned char *bytes;
    size_t n_byte;
    if (!base64_decode(s, n, &bytes, &n_byte)) return err_set(e, ERR_ARG, "illegal base64 data in an image");
    free(bytes);
    return ERR_OK;
}

int messages_images(const json_t *images, bool *any, struct err *e) {
    if (!images) return ERR_OK;
    if (!json_is_array(images)) return err_set(e, ERR_ARG, "images must be an array of base64 strings");
    for (size_t i = 0; i < json_array_size(images); i++) {
        const json_t *s = json_array_get(images, i);
        if (!json_is_string(s)) return err_set(e, ERR_ARG, "images must be an array of base64 strings");
        int rc = check_image(json_string_value(s), json_string_length(s), e);
        if (rc) return rc;
        *any = true;
    }
    return ERR_OK;
}

/* "data:image/png;base64,..." */
static int check_image_url(const json_t *part, bool *any, struct err *e) {
    const json_t *u = json_object_get(part, "image_url");
    const char *url = json_string_value(json_is_object(u) ? json_object_get(u, "url") : u),
               *comma = url ? strstr(url, ";base64,") : NULL;
    if (!comma || strncmp(url, "data:", 5) != 0)
        return err_set(e, ERR_ARG, "invalid image input: only data URLs with base64 are accepted");
    *any = true;
    return check_image(comma + 8, strlen(comma + 8), e);
}

static int add_part(const json_t *part, struct strbuf *out, bool *images, struct err *e) {
    const char *type = json_string_value(json_object_get(part, "type"));
    const json_t *text = json_object_get(part, "text");
    if (json_is_string(part)) text = part;
    if (type && strcmp(type, "image_url") == 0) return check_image_url(part, images, e);
    if (!json_is_string(text) || (type && strcmp(type, "text") != 0))
        return err_set(e, ERR_ARG, "invalid message content type: %s", type ? type : "unknown part");
    strbuf_add(out, json_string_value(text), json_string_length(text));
    return ERR_OK;
}

/* A string, an array of parts, or nothing. */
static json_t *content_of(const json_t *v, bool *images, struct err *e) {
    if (!v || json_is_null(v)) return json_string("");
    if (json_is_string(v)) return json_incref((json_t *)(uintptr_t)v);
    if (!json_is_array(v)) {
        static const char *const names[] = {"object", "array", "string", "number", "number", "bool", "bool", "null"};
        err_set(e, ERR_ARG, "invalid message content type: %s", names[json_typeof(v)]);
        return NULL;
    }
    struct strbuf t = {0};
    int rc = ERR_OK;
    for (size_t i = 0; i < json_array_size(v) && !rc; i++) rc = add_part(json_array_get(v, i), &t, images, e);
    json_t *s = rc ? NULL : json_stringn(strbuf_of(&t), t.n);
    if (!rc && (!s || !strbuf_ok(&t))) err_set(e, ERR_NOMEM, "no memory for a message");
    strbuf_deinit(&t);
    return s;
}

/* An object, or a string that holds one. */
static json_t *arguments_of(const json_t *v, struct err *e) {
    if (!v || json_is_null(v)) return json_object();
    if (json_is_object(v)) return json_incref((json_t *)(uintptr_t)v);
    if (json_is_string(v) && json_string_length(v) == 0) return json_object();
    json_t *o = json_is_string(v) ? json_loadb(json_string_value(v), json_string_length(v), JSON_ALLOW_NUL, NULL) : NULL;
    if (json_is_object(o)) return o;
    json_decref(o);
    err_set(e, ERR_ARG, "invalid tool call arguments");
    return NULL;
}

static json_t *call_of(const json_t *in, struct err *e) {
    const json_t *f = json_object_get(in, "function"), *name = json_object_get(f, "name"), *id = json_object_get(in, "id");
    if (!json_is_object(f) || !json_is_string(name)) {
        err_set(e, ERR_ARG, "a tool call needs a function with a name");
        return NULL;
    }
    json_t *arguments = arguments_of(json_object_get(f, "arguments"), e);
    if (!arguments) return NULL;
    json_t *call = json_pack("{s:s,s:{s:O,s:o}}", "type", "function", "function", "name", name, "arguments", arguments);
    if (json_is_string(id)) json_object_set(call, "id", (json_t *)(uintptr_t)id);
    return call;
}

static json_t *calls_of(const json_t *in, struct err *e) {
    if (!json_is_array(in)) {
        err_set(e, ERR_ARG, "tool_calls must be an array");
        return NULL;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(in); i++) {
        json_t *call = call_of(json_array_get(in, i), e);
        if (!call) {
            json_decref(out);
            return NULL;
        }
        json_array_append_new(out, call);
    }
    return out;
}

static json_t *role_of(struct fields *f, bool openai) {
    const char *role = fields_str(f, "role");
    char lower[64];
    size_t n = 0;
    for (; role && role[n] && n < sizeof lower - 1; n++) lower[n] = (char)tolower((unsigned char)role[n]);
    lower[n] = 0;
    return openai && strcmp(lower, "developer") == 0 ? json_string("system") : json_out_str(lower, n);
}

static void copy_text(struct fields *f, const char *from, json_t *out, const char *to) {
    const json_t *v = fields_text(f, from);
    if (v && json_string_length(v)) json_object_set(out, to, (json_t *)(uintptr_t)v);
}

static json_t *message_of(const json_t *in, bool openai, bool *images, struct err *e) {
    struct fields f = {in, e};
    json_t *out = json_object();
    if (!json_is_object(in)) err_set(e, ERR_ARG, "messages must be objects");
    json_object_set_new(out, "role", role_of(&f, openai));
    json_t *content = e->code ? NULL : content_of(fields_get(&f, "content"), images, e);
    if (content) json_object_set_new(out, "content", content);
    copy_text(&f, openai ? "reasoning" : "thinking", out, "thinking");
    copy_text(&f, "tool_call_id", out, "tool_call_id");
    copy_text(&f, openai ? "name" : "tool_name", out, "tool_name");
    const json_t *calls = fields_get(&f, "tool_calls");
    if (calls && !e->code && json_array_size(calls) + !json_is_array(calls))
        json_object_set_new(out, "tool_calls", calls_of(calls, e));
    if (!openai && !e->code) messages_images(fields_get(&f, "images"), images, e);
    if (!e->code) return out;
    json_decref(out);
    return NULL;
}

static json_t *messages_of(const json_t *in, bool openai, bool *images, struct err *e) {
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(in); i++) {
        json_t *m = message_of(json_array_get(in, i), openai, images, e);
        if (!m) {
            json_decref(out);
            return NULL;
        }
        json_array_append_new(out, m);
    }
    return out;
}

json_t *messages_native(const json_t *in, bool *images, struct err *e) { return messages_of(in, false, images, e); }
json_t *messages_openai(const json_t *in, bool *images, struct err *e) { return messages_of(in, true, images, e); }
