/* The models that a server offers: read at the start (headers only), loaded when first asked for, unloaded when
 * their time is over or another one needs the room.
 *
 * Requests for models are served in the order in which they come; the one whose turn it is waits until its model is loaded,
 * and for others to become idle when they have to make room. A model in use is never unloaded.
 *
 * Threads: all functions may be called from any, but models_free at the end. What stands under "fixed" never changes. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "models/chat/chat.h"
#include "models/chat/tool_parse.h"
#include "models/grammar/grammar.h"
#include "sched/batcher.h"
#include "sched/hy.h"
#include "tools/serve/names.h"

struct model {
    /* fixed */
    char *path;
    struct name name;
    char shown[NAMES_SHORT_BYTES]; /* "tiny:latest" */
    json_t *details, *capabilities; /* as /api/tags shows them; read only */
    json_t *info;                   /* model_info, short arrays only */
    char digest[65];
    int64_t modified_ns;
    uint64_t size_bytes, n_param;
    uint32_t n_ctx;                 /* the context that a request may have at most */
    struct chat *chat;
    struct tokenizer *tokenizer;
    struct think_tags think;
    enum tool_form form;
    bool embeds, thinks, calls_tools, inserts;
    enum batch_pool pool;
    int32_t fim[3];                 /* prefix, suffix, middle */
    /* while loaded, and for those who have acquired it */
    struct hy_engine *engine;
    struct batcher *batcher;
    struct grammar_vocab *grammar_vocab;
    /* under the lock */
    uint32_t n_user;
    int64_t keep_alive_ns, expires_unix_ns; /* DURATION_FOREVER: never */
    uint64_t idle_since_ns;
};

struct models_options {
    struct hy_options engine; /* but for model_path; its memory is for all models together */
    uint32_t n_queue;
    int64_t keep_alive_ns;
    void (*say)(const char *text); /* a line for the log */
};

struct models;
int models_new(const struct models_options *opt, struct models **out, struct err *e);
/* spec: a path, or NAME=PATH. */
int models_add(struct models *ms, const char *spec, struct err *e);
void models_free(struct models *ms); /* NULL is fine; nobody may be using a model */

uint32_t models_count(const struct models *ms);
struct model *models_at(struct models *ms, uint32_t i);
/* NULL when there is no such model, or the text is no name (then *bad). */
struct model *models_find(struct models *ms, const char *name, bool *bad);

/* Loads the model where needed and keeps it until the release, and from there for keep_alive_ns (< 0: the server's), unless a later
 * request says otherwise. gone says that nobody waits any more (ERR_CANCELLED); ERR_BUSY: too many wait. *load_ns: how long
 * it took. */
int models_acquire(struct models *ms, struct model *m, int64_t keep_alive_ns, bool (*gone)(void *ctx), void *ctx, uint64_t *load_ns,
                   struct err *e);
void models_release(struct models *ms, struct model *m);
/* Unloads it, now or as soon as nobody uses it. */
void models_unload(struct models *ms, struct model *m);

/* What is known of a loaded model; false when it is not loaded. */
struct models_state {
    struct hy_plan plan;
    uint32_t n_user;
    uint64_t gpu_bytes;
    int64_t expires_unix_ns;
    char device[128];
    struct batcher_stats stats;
};
bool models_state(struct models *ms, struct model *m, struct models_state *out);
/* Of the loaded models together; what only grows is counted since the start, over those that were unloaded, too. */
struct models_totals {
    uint32_t n_loaded;
    uint64_t memory_bytes;
    struct batcher_stats stats;
};
void models_totals(struct models *ms, struct models_totals *out);
/* The requests of a loaded model (see batcher_list). */
uint32_t models_list(struct models *ms, struct model *m, struct batch_view *out, uint32_t cap);
