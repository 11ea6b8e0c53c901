/* Model management, as far as a server of fixed models has it: nothing is downloaded, made or deleted. */
#include <ctype.h>
#include <string.h>

#include "tools/serve/api.h"
#include "tools/serve/json_out.h"
#include "tools/serve/request.h"

static void not_supported(struct http_exchange *x, const char *what) {
    http_error(x, 501, "%s is not supported: this server serves one fixed model", what);
}

static void reply_lines(struct http_exchange *x, json_t *one, json_t *two) {
    struct strbuf t = {0};
    json_out_add(&t, one);
    strbuf_str(&t, "\n");
    json_out_add(&t, two);
    strbuf_str(&t, "\n");
    http_reply(x, 200, HTTP_NDJSON, &t);
}

#define NO_MANIFEST "pull model manifest: file does not exist"

static void reply_pull(struct http_exchange *x, bool known, bool stream) {
    if (stream)
        reply_lines(x, json_pack("{s:s}", "status", "pulling manifest"),
                    known ? json_pack("{s:s}", "status", "success") : json_out_error(false, 500, NO_MANIFEST));
    else if (known) api_reply_json(x, json_pack("{s:s}", "status", "success"));
    else http_error(x, 500, NO_MANIFEST);
}

void api_pull(struct http_exchange *x, void *ctx) {
    struct api *a = ctx;
    json_t *body = api_body(x);
    if (!body) return;
    struct err e = {0};
    struct fields f = {body, &e};
    const char *name;
    bool stream = fields_bool(&f, "stream", true), bad;
    if (request_model(&f, true, &name)) {
        api_fail(x, &e);
    } else {
        bool known = models_find(a->models, name, &bad) != NULL;
        if (bad) http_error(x, 400, "invalid model name");
        else reply_pull(x, known, stream);
    }
    json_decref(body);
}

/* 501, once the body is in order and, with a, the model known. */
static void refuse(struct http_exchange *x, const char *what, struct api *a) {
    json_t *body = api_body(x);
    if (!body) return;
    struct err e = {0};
    struct fields f = {body, &e};
    const char *name;
    if (request_model(&f, true, &name)) api_fail(x, &e);
    else if (!a || api_model(x, a, name, API_UNKNOWN)) not_supported(x, what);
    json_decref(body);
}

void api_push(struct http_exchange *x, void *ctx) { refuse(x, "push", NULL); }
void api_create(struct http_exchange *x, void *ctx) { refuse(x, "create", NULL); }
void api_delete(struct http_exchange *x, void *ctx) { refuse(x, "delete", ctx); }

void api_copy(struct http_exchange *x, void *ctx) {
    json_t *body = api_body(x);
    if (!body) return;
    struct err e = {0};
    struct fields f = {body, &e};
    const char *source = fields_str(&f, "source"), *destination = fields_str(&f, "destination");
    if (!e.code && (!source || !*source || !destination || !*destination))
        err_set(&e, ERR_ARG, "source and destination are required");
    if (e.code) api_fail(x, &e);
    else if (api_model(x, ctx, source, "model \"%s\" not found")) not_supported(x, "copy");
    json_decref(body);
}

static bool is_digest(const char *s) {
    if (strncmp(s, "sha256:", 7) != 0 && strncmp(s, "sha256-", 7) != 0) return false;
    size_t n = 0;
    for (s += 7; isxdigit((unsigned char)s[n]); n++) {}
    return n == 64 && !s[n];
}

void api_blob(struct http_exchange *x, void *ctx) {
    if (!is_digest(http_path(x) + strlen("/api/blobs/"))) http_error(x, 400, "invalid digest format");
    else if (http_is(x, HTTP_HEAD)) http_reply_str(x, 404, NULL, "");
    else not_supported(x, "uploading blobs");
}

void api_me(struct http_exchange *x, void *ctx) {
    struct strbuf t = {0};
    json_out_add(&t, json_pack("{s:s,s:s}", "error", "unauthorized", "signin_url", ""));
    http_reply(x, 401, HTTP_JSON, &t);
}

void api_status(struct http_exchange *x, void *ctx) {
    api_reply_json(x, json_pack("{s:{s:b,s:s}}", "cloud", "disabled", 1, "source", "env"));
}
