#include "tools/serve/models.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/size_text.h"
#include "tools/serve/catalog.h"
#include "tools/serve/duration.h"
#include "tools/serve/json_out.h"

#define TICK_NS 100000000ull /* how often a waiting request looks whether its client is still there */

/* A request whose turn has not come. */
struct waiter {
    struct waiter *next;
};

struct models {
    struct models_options opt;
    uint64_t all_bytes; /* for all models together; 0: nobody knows */
    struct model **at;
    uint32_t n;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* the turn, a user less, the end */
    struct waiter *first, **last;
    uint32_t n_waiter, n_closing;
    struct batcher_stats past; /* counters of the models that were unloaded */
    bool ends;
    pthread_t reaper; /* unloads what has been idle for its time */
    bool has_reaper;
};

/* Waits for a change, a tick at most. */
static void wait_changed(struct models *ms) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t ns = (uint64_t)t.tv_nsec + TICK_NS;
    t.tv_sec += (time_t)(ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&ms->changed, &ms->lock, &t);
}

static void say(struct models *ms, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct models *ms, const char *fmt, ...) {
    char text[ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (ms->opt.say) ms->opt.say(text);
}

/* Takes a model's engine away, under the lock; the caller closes it outside. */
struct loaded {
    struct hy_engine *engine;
    struct batcher *batcher;
    struct grammar_vocab *vocab;
};

static struct loaded take_out(struct model *m) {
    struct loaded l = {m->engine, m->batcher, m->grammar_vocab};
    m->engine = NULL;
    m->batcher = NULL;
    m->grammar_vocab = NULL;
    return l;
}

static void close_loaded(struct loaded l) {
    batcher_free(l.batcher);
    grammar_vocab_free(l.vocab);
    hy_close(l.engine);
}

/* What only grows. */
static void add_counters(struct batcher_stats *sum, const struct batcher_stats *s) {
    sum->n_refused += s->n_refused;
    sum->n_cancelled += s->n_cancelled;
    sum->n_failed += s->n_failed;
    sum->n_done += s->n_done;
    sum->n_prompt_tok += s->n_prompt_tok;
    sum->n_cached_tok += s->n_cached_tok;
    sum->n_eval_tok += s->n_eval_tok;
    sum->n_preempted += s->n_preempted;
    sum->n_step += s->n_step;
    sum->step_ns += s->step_ns;
    sum->kv_reused += s->kv_reused;
    sum->stream.read_bytes += s->stream.read_bytes;
    sum->stream.wait_ns += s->stream.wait_ns;
    sum->stream.disk_ns += s->stream.disk_ns;
    sum->stream.n_hit += s->stream.n_hit;
    sum->stream.n_miss += s->stream.n_miss;
}

static uint64_t planned_bytes(const struct model *m) { return hy_planned(m->engine)->total_bytes; }

static void unload(struct models *ms, struct model *m) {
    struct loaded l = take_out(m);
    struct batcher_stats last;
    batcher_stats(l.batcher, &last);
    add_counters(&ms->past, &last);
    ms->n_closing++;
    pthread_mutex_unlock(&ms->lock);
    close_loaded(l);
    say(ms, "%s is unloaded", m->shown);
    pthread_mutex_lock(&ms->lock);
    ms->n_closing--;
    pthread_cond_broadcast(&ms->changed);
}

static bool is_due(const struct model *m, int64_t now) {
    return m->engine && m->n_user == 0 && m->expires_unix_ns != DURATION_FOREVER && m->expires_unix_ns <= now;
}

static void *reap(void *arg) {
    struct models *ms = arg;
    pthread_mutex_lock(&ms->lock);
    while (!ms->ends) {
        for (uint32_t i = 0; i < ms->n; i++)
            if (is_due(ms->at[i], json_out_now())) unload(ms, ms->at[i]);
        wait_changed(ms);
    }
    pthread_mutex_unlock(&ms->lock);
    return NULL;
}

int models_new(const struct models_options *opt, struct models **out, struct err *e) {
    struct budget budget;
    int rc = budget_make(&opt->engine.memory, &budget, e);
    if (rc) return rc;
    struct models *ms = calloc(1, sizeof *ms);
    if (!ms) return err_set(e, ERR_NOMEM, "no memory for the list of models");
    ms->opt = *opt;
    ms->all_bytes = budget.bytes;
    ms->last = &ms->first;
    pthread_mutex_init(&ms->lock, NULL);
    pthread_cond_init(&ms->changed, NULL);
    ms->has_reaper = pthread_create(&ms->reaper, NULL, reap, ms) == 0;
    if (!ms->has_reaper) {
        models_free(ms);
        return err_set(e, ERR_NOMEM, "no thread for the list of models");
    }
    *out = ms;
    return ERR_OK;
}

static void free_model(struct model *m) {
    close_loaded(take_out(m));
    catalog_deinit(m);
    free(m->path);
    free(m);
}

void models_free(struct models *ms) {
    if (!ms) return;
    pthread_mutex_lock(&ms->lock);
    ms->ends = true;
    pthread_cond_broadcast(&ms->changed);
    pthread_mutex_unlock(&ms->lock);
    if (ms->has_reaper) pthread_join(ms->reaper, NULL);
    for (uint32_t i = 0; i < ms->n; i++) free_model(ms->at[i]);
    pthread_cond_destroy(&ms->changed);
    pthread_mutex_destroy(&ms->lock);
    free(ms->at);
    free(ms);
}

/* "NAME=PATH" unless a file has that very name. */
static int split_spec(struct model *m, const char *spec, struct err *e) {
    const char *eq = access(spec, F_OK) == 0 ? NULL : strchr(spec, '=');
    m->path = strdup(eq ? eq + 1 : spec);
    if (!m->path) return err_set(e, ERR_NOMEM, "no memory for '%s'", spec);
    names_of_file(m->path, &m->name);
    if (!eq) return ERR_OK;
    char *name = strndup(spec, (size_t)(eq - spec));
    bool ok = name && names_parse(name, &m->name);
    free(name);
    return ok ? ERR_OK
              : err_set(e, ERR_ARG, "'%.*s' is not a name for a model; use letters, digits, '_', '-', '.' and one ':'",
                        (int)(eq - spec), spec);
}

/* Under the lock: the reaper looks at the list already. */
static int add(struct models *ms, struct model *m, struct err *e) {
    for (uint32_t i = 0; i < ms->n; i++)
        if (names_equal(&ms->at[i]->name, &m->name))
            return err_set(e, ERR_ARG, "two models are called '%s'; give one another name with NAME=FILE", m->shown);
    struct model **grown = realloc(ms->at, (ms->n + 1) * sizeof(struct model *));
    if (!grown) return err_set(e, ERR_NOMEM, "no memory for the list of models");
    ms->at = grown;
    ms->at[ms->n++] = m;
    return ERR_OK;
}

int models_add(struct models *ms, const char *spec, struct err *e) {
    struct model *m = calloc(1, sizeof *m);
    if (!m) return err_set(e, ERR_NOMEM, "no memory for '%s'", spec);
    m->keep_alive_ns = ms->opt.keep_alive_ns;
    int rc = split_spec(m, spec, e);
    if (!rc) names_short(&m->name, m->shown);
    if (!rc) rc = catalog_read(m, ms->opt.engine.n_ctx, e);
    pthread_mutex_lock(&ms->lock);
    if (!rc) rc = add(ms, m, e);
    pthread_mutex_unlock(&ms->lock);
    if (rc) free_model(m);
    return rc;
}

uint32_t models_count(const struct models *ms) { return ms->n; }
struct model *models_at(struct models *ms, uint32_t i) { return ms->at[i]; }

struct model *models_find(struct models *ms, const char *text, bool *bad) {
    struct name n;
    *bad = !names_parse(text, &n);
    for (uint32_t i = 0; i < ms->n && !*bad; i++)
        if (names_equal(&ms->at[i]->name, &n)) return ms->at[i];
    return NULL;
}

/* Turns. */

static void leave(struct models *ms, struct waiter *w) {
    for (struct waiter **p = &ms->first; *p; p = &(*p)->next)
        if (*p == w) {
            *p = w->next;
            if (!*p) ms->last = p;
            break;
        }
    ms->n_waiter--;
    pthread_cond_broadcast(&ms->changed);
}

static int take_turn(struct models *ms, struct waiter *w, bool (*gone)(void *ctx), void *ctx, struct err *e) {
    if (ms->n_waiter > ms->opt.n_queue) return err_set(e, ERR_BUSY, "too many requests wait for a model");
    *ms->last = w;
    ms->last = &w->next;
    ms->n_waiter++;
    while (ms->first != w) {
        wait_changed(ms);
        if (!gone(ctx)) continue;
        leave(ms, w);
        return err_set(e, ERR_CANCELLED, "the client has gone");
    }
    return ERR_OK;
}

/* Loading. */

static uint64_t used_bytes(const struct models *ms) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ms->n; i++)
        if (ms->at[i]->engine) sum += planned_bytes(ms->at[i]);
    return sum;
}

/* The model that has been idle for longest; NULL: none is idle. */
static struct model *idlest(struct models *ms) {
    struct model *best = NULL;
    for (uint32_t i = 0; i < ms->n; i++) {
        struct model *m = ms->at[i];
        if (m->engine && m->n_user == 0 && (!best || m->idle_since_ns < best->idle_since_ns)) best = m;
    }
    return best;
}

/* Makes what is loaded less than `used` bytes, waiting until a model is idle or the reaper has unloaded one. */
static int make_room(struct models *ms, uint64_t used, bool (*gone)(void *ctx), void *ctx, struct err *e) {
    while (used_bytes(ms) >= used) {
        struct model *m = idlest(ms);
        if (m) {
            unload(ms, m);
        } else {
            wait_changed(ms);
            if (gone(ctx)) return err_set(e, ERR_CANCELLED, "the client has gone");
        }
    }
    return ERR_OK;
}

struct load_watch {
    bool (*gone)(void *ctx);
    void *ctx;
};

static bool still_wanted(void *ctx, uint64_t done, uint64_t total) {
    struct load_watch *w = ctx;
    return !w->gone(w->ctx);
}

/* Beside others a model may lie, when it fits whole: it does not stream because another one idles. */
static int check_beside(const struct models *ms, uint64_t used, struct hy_options *o, struct err *e) {
    struct hy_plan plan;
    if (ms->all_bytes <= used) return ERR_NOMEM;
    o->memory = (struct budget_request){.kind = BUDGET_BYTES, .bytes = ms->all_bytes - used};
    int rc = hy_plan(o, &plan, e);
    return rc || plan.mode == HY_RESIDENT ? rc : ERR_NOMEM;
}

static int open_loaded(const struct models *ms, const struct model *m, uint64_t used, struct load_watch *w, struct loaded *l,
                       struct err *e) {
    struct hy_options o = ms->opt.engine;
    o.model_path = m->path;
    o.n_ctx = m->n_ctx;
    o.progress = still_wanted;
    o.progress_ctx = w;
    int rc = used ? check_beside(ms, used, &o, e) : ERR_OK;
    if (!rc) rc = hy_open(&o, &l->engine, e);
    if (!rc) rc = batcher_new(l->engine, &(struct batcher_options){.n_queue = ms->opt.n_queue}, &l->batcher, e);
    if (!rc) rc = grammar_vocab_new(m->tokenizer, hy_info(l->engine)->n_vocab, &l->vocab, e);
    if (rc) {
        close_loaded(*l);
        *l = (struct loaded){0};
    }
    return rc;
}

static int load(struct models *ms, struct model *m, bool (*gone)(void *ctx), void *ctx, struct err *e) {
    struct load_watch w = {gone, ctx};
    for (;;) {
        while (ms->n_closing) wait_changed(ms);
        uint64_t used = used_bytes(ms);
        struct loaded l = {0};
        pthread_mutex_unlock(&ms->lock);
        int rc = open_loaded(ms, m, used, &w, &l, e);
        pthread_mutex_lock(&ms->lock);
        if (rc == ERR_NOMEM && used) {
            rc = make_room(ms, used, gone, ctx, e);
            if (rc) return rc;
            continue;
        }
        if (rc) return rc;
        m->engine = l.engine;
        m->batcher = l.batcher;
        m->grammar_vocab = l.vocab;
        return ERR_OK;
    }
}

static void say_loaded(struct models *ms, const struct model *m, uint64_t ns) {
    const char *note = hy_info(m->engine)->sidecar_note;
    say(ms, "%s is loaded: %s in %.1f s", m->shown, size_text(planned_bytes(m)).s, (double)ns / 1e9);
    if (note) say(ms, "%s", note);
}

static void set_expiry(struct model *m) {
    int64_t now = json_out_now();
    m->expires_unix_ns = m->keep_alive_ns > DURATION_FOREVER - now ? DURATION_FOREVER : now + m->keep_alive_ns;
}

int models_acquire(struct models *ms, struct model *m, int64_t keep_alive_ns, bool (*gone)(void *ctx), void *ctx, uint64_t *load_ns,
                   struct err *e) {
    struct waiter w = {0};
    uint64_t t0 = clock_ns();
    pthread_mutex_lock(&ms->lock);
    int rc = take_turn(ms, &w, gone, ctx, e);
    if (!rc) {
        bool loads = !m->engine;
        if (loads) rc = load(ms, m, gone, ctx, e);
        if (!rc) {
            m->n_user++;
            m->keep_alive_ns = keep_alive_ns < 0 ? ms->opt.keep_alive_ns : keep_alive_ns;
            set_expiry(m);
        }
        if (!rc && loads)
            say_loaded(ms, m, clock_ns() - t0);
        leave(ms, &w);
    }
    pthread_mutex_unlock(&ms->lock);
    *load_ns = clock_ns() - t0;
    return rc;
}

void models_release(struct models *ms, struct model *m) {
    pthread_mutex_lock(&ms->lock);
    m->n_user--;
    m->idle_since_ns = clock_ns();
    set_expiry(m);
    pthread_cond_broadcast(&ms->changed);
    pthread_mutex_unlock(&ms->lock);
}

void models_unload(struct models *ms, struct model *m) {
    pthread_mutex_lock(&ms->lock);
    m->keep_alive_ns = 0;
    set_expiry(m);
    if (m->engine && m->n_user == 0) unload(ms, m);
    pthread_mutex_unlock(&ms->lock);
}

bool models_state(struct models *ms, struct model *m, struct models_state *out) {
    pthread_mutex_lock(&ms->lock);
    bool loaded = m->engine != NULL;
    if (loaded) {
        const struct hy_info *i = hy_info(m->engine);
        *out = (struct models_state){.plan = *hy_planned(m->engine), .n_user = m->n_user, .expires_unix_ns = m->expires_unix_ns};
        snprintf(out->device, sizeof out->device, "%s", i->device);
        out->gpu_bytes = ms->opt.engine.device == DEVICE_METAL ? planned_bytes(m) : 0;
        batcher_stats(m->batcher, &out->stats);
    }
    pthread_mutex_unlock(&ms->lock);
    return loaded;
}

void models_totals(struct models *ms, struct models_totals *out) {
    pthread_mutex_lock(&ms->lock);
    *out = (struct models_totals){.stats = ms->past};
    for (uint32_t i = 0; i < ms->n; i++) {
        struct batcher_stats s, *sum = &out->stats;
        if (!ms->at[i]->engine) continue;
        batcher_stats(ms->at[i]->batcher, &s);
        add_counters(sum, &s);
        sum->n_running += s.n_running;
        sum->n_waiting += s.n_waiting;
        sum->kv_block += s.kv_block;
        sum->kv_used += s.kv_used;
        sum->kv_cached += s.kv_cached;
        out->n_loaded++;
        out->memory_bytes += planned_bytes(ms->at[i]);
    }
    pthread_mutex_unlock(&ms->lock);
}

uint32_t models_list(struct models *ms, struct model *m, struct batch_view *out, uint32_t cap) {
    pthread_mutex_lock(&ms->lock);
    uint32_t n = m->batcher ? batcher_list(m->batcher, out, cap) : 0;
    pthread_mutex_unlock(&ms->lock);
    return n;
}
