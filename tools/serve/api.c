#include "tools/serve/api.h"

#include <string.h>

#include "tools/serve/json_out.h"

const struct http_route api_routes[] = {
    {"/", HTTP_GET | HTTP_HEAD, api_root},
    {"/api/version", HTTP_GET | HTTP_HEAD, api_version},
    {"/api/tags", HTTP_GET | HTTP_HEAD, api_tags},
    {"/api/ps", HTTP_GET | HTTP_HEAD, api_ps},
    {"/api/show", HTTP_POST, api_show},
    {"/api/generate", HTTP_POST, api_generate},
    {"/api/chat", HTTP_POST, api_chat},
    {"/api/embed", HTTP_POST, api_embed},
    {"/api/embeddings", HTTP_POST, api_embeddings},
    {"/api/pull", HTTP_POST, api_pull},
    {"/api/push", HTTP_POST, api_push},
    {"/api/create", HTTP_POST, api_create},
    {"/api/copy", HTTP_POST, api_copy},
    {"/api/delete", HTTP_DELETE, api_delete},
    {"/api/blobs/", HTTP_HEAD | HTTP_POST, api_blob},
    {"/api/me", HTTP_POST, api_me},
    {"/api/status", HTTP_GET, api_status},
    {"/v1/models", HTTP_GET, api_v1_models},
    {"/v1/models/", HTTP_GET, api_v1_model},
    {"/v1/chat/completions", HTTP_POST, api_openai_chat},
    {"/v1/completions", HTTP_POST, api_openai_completion},
    {"/v1/embeddings", HTTP_POST, api_openai_embeddings},
    {"/metrics", HTTP_GET, api_metrics},
    {"/hy", HTTP_GET | HTTP_HEAD, api_page},
    {"/hy/state", HTTP_GET, api_state},
};
const size_t api_n_route = sizeof api_routes / sizeof *api_routes;

static int status_of(const struct err *e) {
    switch (e->code) {
    case ERR_ARG: return 400;
    case ERR_LIMIT: return 400;
    case ERR_BUSY: return 503;
    default: return 500;
    }
}

void api_fail(struct http_exchange *x, const struct err *e) {
    if (e->code == ERR_BUSY) http_error(x, 503, "server busy, please try again.  maximum pending requests exceeded");
    else http_error(x, status_of(e), "%s", e->text);
}

void api_reply_json(struct http_exchange *x, json_t *v) {
    struct strbuf t = {0};
    json_out_add(&t, v);
    http_reply(x, 200, HTTP_JSON, &t);
}

json_t *api_body(struct http_exchange *x) {
    json_t *v;
    struct err e;
    if (!fields_parse(http_body(x), &v, &e)) return v;
    api_fail(x, &e);
    return NULL;
}

struct model *api_model(struct http_exchange *x, struct api *a, const char *name, const char *unknown) {
    bool bad;
    struct model *m = models_find(a->models, name, &bad);
    if (bad) {
        http_error(x, 400, "invalid model name");
    } else if (!m) {
        char text[ERR_TEXT_BYTES];
        const char *at = strstr(unknown, "%s");
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - unknown), unknown, name, at + 2);
        http_error(x, 404, "%s", text);
    }
    return m;
}

bool api_gone(void *x) { return http_gone(x); }
