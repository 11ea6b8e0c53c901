/* What answers without generating: the root, version, the models there are and what they are. */
#include <string.h>
#include <strings.h>

#include "tools/serve/api.h"
#include "tools/serve/catalog.h"
#include "tools/serve/duration.h"
#include "tools/serve/json_out.h"
#include "tools/serve/request.h"

#define FOREVER_NS ((int64_t)9214646400 * 1000000000) /* the year 2262, the last that nanoseconds since 1970 reach */

void api_root(struct http_exchange *x, void *ctx) { http_reply_str(x, 200, HTTP_TEXT, "Ollama is running"); }

void api_version(struct http_exchange *x, void *ctx) { api_reply_json(x, json_pack("{s:s}", "version", API_VERSION)); }

/* name, model, size, digest, details. */
static json_t *entry_of(const struct model *m, uint64_t size) {
    return json_pack("{s:s,s:s,s:I,s:s,s:o}", "name", m->shown, "model", m->shown, "size", (json_int_t)size, "digest",
                     m->digest, "details", json_deep_copy(m->details));
}

void api_tags(struct http_exchange *x, void *ctx) {
    struct api *a = ctx;
    json_t *list = json_array();
    for (uint32_t i = 0; i < models_count(a->models); i++) {
        const struct model *m = models_at(a->models, i);
        json_t *e = entry_of(m, m->size_bytes);
        json_object_set_new(e, "modified_at", json_out_time(m->modified_ns));
        json_object_set_new(e, "capabilities", json_deep_copy(m->capabilities));
        json_array_append_new(list, e);
    }
    api_reply_json(x, json_pack("{s:o}", "models", list));
}

void api_ps(struct http_exchange *x, void *ctx) {
    struct api *a = ctx;
    json_t *list = json_array();
    for (uint32_t i = 0; i < models_count(a->models); i++) {
        struct model *m = models_at(a->models, i);
        struct models_state s;
        if (!models_state(a->models, m, &s)) continue;
        json_t *e = entry_of(m, s.plan.total_bytes);
        json_object_set_new(e, "expires_at", json_out_time(s.expires_unix_ns == DURATION_FOREVER ? FOREVER_NS : s.expires_unix_ns));
        json_object_set_new(e, "size_vram", json_integer((json_int_t)s.gpu_bytes));
        json_object_set_new(e, "context_length", json_integer(s.plan.n_ctx));
        json_array_append_new(list, e);
    }
    api_reply_json(x, json_pack("{s:o}", "models", list));
}

/* With long arrays and tensors, which are read from the file again. */
static int add_verbose(const struct model *m, json_t *o, struct err *e) {
    struct model_file *mf;
    int rc = model_file_open(m->path, &mf, e);
    if (rc) return rc;
    json_t *info = catalog_info(&mf->gguf, true), *known;
    const char *key;
    json_object_foreach(m->info, key, known) if (!json_is_array(known)) json_object_set_new(info, key, json_deep_copy(known));
    json_object_set_new(o, "model_info", info);
    json_object_set_new(o, "tensors", catalog_tensors(&mf->gguf));
    model_file_close(mf);
    return ERR_OK;
}

static json_t *describe(const struct model *m) {
    struct strbuf modelfile = {0}, parameters = {0};
    strbuf_fmt(&modelfile, "# A file for \"ollama create\" that stands for this model.\nFROM %s\n", m->shown);
    strbuf_fmt(&parameters, "%-30s %u", "num_ctx", m->n_ctx);
    json_t *o = json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "modelfile", strbuf_of(&modelfile), "parameters",
                          strbuf_of(&parameters), "template", chat_info(m->chat)->source, "details", json_deep_copy(m->details),
                          "model_info", json_deep_copy(m->info), "capabilities", json_deep_copy(m->capabilities), "modified_at",
                          json_out_time(m->modified_ns));
    strbuf_deinit(&modelfile);
    strbuf_deinit(&parameters);
    return o;
}

void api_show(struct http_exchange *x, void *ctx) {
    json_t *body = api_body(x);
    if (!body) return;
    struct err e = {0};
    struct fields f = {body, &e};
    const char *name;
    bool verbose = fields_bool(&f, "verbose", false);
    request_model(&f, true, &name);
    struct model *m = NULL;
    if (e.code) api_fail(x, &e);
    else m = api_model(x, ctx, name, API_UNKNOWN);
    if (m) {
        json_t *o = describe(m);
        const char *agent = http_header(x, "User-Agent");
        if (verbose) add_verbose(m, o, &e);
        if (agent && strncmp(agent, "GitHubCopilotChat/", 18) == 0)
            json_object_set_new(json_object_get(o, "model_info"), "general.basename", json_string(name));
        if (e.code) {
            json_decref(o);
            api_fail(x, &e);
        } else {
            api_reply_json(x, o);
        }
    }
    json_decref(body);
}

static json_t *openai_model(const struct model *m, const char *id) {
    return json_pack("{s:s,s:s,s:I,s:s}", "id", id, "object", "model", "created", (json_int_t)(m->modified_ns / 1000000000),
                     "owned_by", "library");
}

void api_v1_models(struct http_exchange *x, void *ctx) {
    struct api *a = ctx;
    json_t *list = json_array();
    for (uint32_t i = 0; i < models_count(a->models); i++) {
        const struct model *m = models_at(a->models, i);
        json_array_append_new(list, openai_model(m, m->shown));
    }
    api_reply_json(x, json_pack("{s:s,s:o}", "object", "list", "data", list));
}

void api_v1_model(struct http_exchange *x, void *ctx) {
    const char *id = http_path(x) + strlen("/v1/models/");
    struct model *m = api_model(x, ctx, id, API_UNKNOWN);
    if (m) api_reply_json(x, openai_model(m, id));
}
