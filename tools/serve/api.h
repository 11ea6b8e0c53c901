/* The API's endpoints: what they share. A handler is `void api_x(struct http_exchange *x, void *ctx)`; ctx is the struct api. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "tools/serve/fields.h"
#include "tools/serve/http.h"
#include "tools/serve/models.h"

#define API_VERSION "0.12.11" /* the level that clients compare; from 0.13.4 on they would expect /v1/responses */

struct api {
    struct models *models;
    struct http_server *http;
    uint64_t started_ns;
    atomic_ullong n_generate, n_embed;
    pthread_mutex_t rate_lock; /* of the tokens per second in /metrics: what the last look found */
    uint64_t rate_ns, rate_tok;
};

extern const struct http_route api_routes[];
extern const size_t api_n_route;

typedef void api_handler(struct http_exchange *x, void *ctx);
api_handler api_generate, api_chat, api_openai_chat, api_openai_completion;  /* generation */
api_handler api_embed, api_embeddings, api_openai_embeddings;                /* embed.c */
api_handler api_root, api_version, api_tags, api_ps, api_show, api_v1_models, api_v1_model; /* about.c */
api_handler api_pull, api_push, api_create, api_copy, api_delete, api_blob, api_me, api_status; /* manage.c */
api_handler api_metrics, api_page, api_state;                                /* watch.c */

/* Answers with the error, under the HTTP status of its code. */
void api_fail(struct http_exchange *x, const struct err *e);
void api_reply_json(struct http_exchange *x, json_t *v); /* takes the reference */

/* The body as an object, or NULL after an answer was sent. The caller releases it. */
json_t *api_body(struct http_exchange *x);
/* The model of that name, or NULL after an answer was sent; unknown: the text of the 404, with %s for the name. */
struct model *api_model(struct http_exchange *x, struct api *a, const char *name, const char *unknown);
#define API_UNKNOWN "model '%s' not found"
#define API_UNKNOWN_PULL "model \"%s\" not found, try pulling it first"

/* For models_acquire. */
bool api_gone(void *x);
