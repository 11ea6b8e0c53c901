#include "tools/serve/gen.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "models/tokenizer/detok.h"
#include "tools/serve/json_out.h"
#include "tools/serve/stop.h"

/* A token whose text is not out. */
struct late {
    int32_t id;
    json_t *entry; /* of logprobs; NULL: not asked for */
    uint64_t at;   /* in all text: where the token's begins */
};

struct gen {
    struct model *model;
    struct tool_parse *parse; /* NULL: all is content */
    struct detok *detok;
    struct grammar_state *grammar;
    int32_t think_token; /* opens a thought, or -1 */
    struct stop stop;
    bool ended;          /* the model has: its end token came */
    bool logprobs, collect;
    struct tokens tokens;
    uint32_t n_eval;
    uint64_t n_fed;      /* bytes of text so far, with what is held back */
    struct late *late;   /* (n_late) */
    size_t n_late, cap_late;
    struct err err;      /* of the work here; ends the generation */
    uint64_t id;

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t came;
    struct gen_piece piece;
    bool some, done;
};

void gen_piece_deinit(struct gen_piece *p) {
    strbuf_deinit(&p->content);
    strbuf_deinit(&p->thinking);
    json_decref(p->calls);
    json_decref(p->logprobs);
    *p = (struct gen_piece){0};
}

/* Text. These run with the lock held. */

static void add_content(struct gen *g, const char *p, size_t n) {
    stop_feed(&g->stop, p, n, &g->piece.content);
}

static void add_call(struct gen *g, const struct tool_event *ev) {
    stop_flush(&g->stop, &g->piece.content);
    if (!g->piece.calls) g->piece.calls = json_array();
    json_t *name = json_out_str(ev->name, strlen(ev->name));
    json_array_append_new(g->piece.calls, json_pack("{s:o,s:O}", "name", name, "arguments", ev->arguments));
}

static void on_event(void *ctx, const struct tool_event *ev) {
    struct gen *g = ctx;
    if (ev->kind == TOOL_CONTENT) add_content(g, ev->text, ev->len);
    else if (ev->kind == TOOL_THINKING) strbuf_add(&g->piece.thinking, ev->text, ev->len);
    else if (!g->stop.matched) add_call(g, ev);
}

static void feed(struct gen *g, struct token_bytes b) {
    if (b.len == 0 || g->err.code) return;
    g->n_fed += b.len;
    if (g->parse) tool_parse_feed(g->parse, b.p, b.len, &g->err);
    else add_content(g, b.p, b.len);
}

/* The text of a control token, and of one that ends the text, is a marker or nothing. */
static void feed_token(struct gen *g, int32_t id) {
    const struct tokenizer *t = g->model->tokenizer;
    struct token_bytes text = tokenizer_text(t, id);
    if (!(tokenizer_attr(t, id) & TOKEN_CONTROL) && !tokenizer_is_eog(t, id)) {
        feed(g, detok_push(g->detok, id));
        return;
    }
    if (!g->parse || !tool_parse_marker(g->parse, text.p, text.len)) return;
    feed(g, detok_flush(g->detok));
    feed(g, text);
}

/* Tokens for logprobs and context. Each comes with the first of its text, so that what a stop string cuts is in neither. */

static json_t *entry_of(const struct gen *g, int32_t id, float logprob) {
    const struct tokenizer *t = g->model->tokenizer;
    struct token_bytes b = tokenizer_piece(t, id);
    if (b.len == 0) b = tokenizer_text(t, id);
    json_t *bytes = json_array();
    for (size_t i = 0; i < b.len; i++) json_array_append_new(bytes, json_integer((unsigned char)b.p[i]));
    return json_pack("{s:o,s:f,s:o}", "token", json_out_str(b.p, b.len), "logprob", (double)(logprob < -1e4f ? -1e4f : logprob),
                     "bytes", bytes);
}

static json_t *entry_with_top(const struct gen *g, const struct batch_token *t) {
    json_t *entry = entry_of(g, t->id, t->logprob);
    if (t->n_top) {
        json_t *top = json_array();
        for (uint32_t i = 0; i < t->n_top; i++) json_array_append_new(top, entry_of(g, t->top[i].id, t->top[i].logprob));
        json_object_set_new(entry, "top_logprobs", top);
    }
    return entry;
}

/* at: n_fed before the token. */
static void add_late(struct gen *g, const struct batch_token *t, uint64_t at) {
    if (g->n_late == g->cap_late) {
        size_t cap = g->cap_late * 2 + 16;
        struct late *late = realloc(g->late, cap * sizeof *late);
        if (!late) {
            err_set(&g->err, ERR_NOMEM, "no memory for the answer's tokens");
            return;
        }
        g->late = late;
        g->cap_late = cap;
    }
    g->late[g->n_late++] = (struct late){t->id, g->logprobs ? entry_with_top(g, t) : NULL, at};
}

static void give_late(struct gen *g, bool all) {
    uint64_t out = g->n_fed - g->stop.held.n - (g->parse ? tool_parse_held(g->parse) : 0);
    size_t n = 0;
    for (; n < g->n_late && (all || g->late[n].at < out); n++) {
        if (g->collect) tokens_push(&g->tokens, g->late[n].id);
        if (!g->logprobs) continue;
        if (!g->piece.logprobs) g->piece.logprobs = json_array();
        json_array_append_new(g->piece.logprobs, g->late[n].entry);
    }
    g->n_late -= n;
    if (g->n_late) memmove(g->late, g->late + n, g->n_late * sizeof *g->late);
}

/* The grammar. */

/* Begins when the answer does: at once, or behind a thought. */
static void start_grammar(struct gen *g, bool first) {
    if (!g->grammar || grammar_on(g->grammar)) return;
    if (!g->parse || tool_parse_in_answer(g->parse)) grammar_start(g->grammar, first ? g->think_token : -1);
}

static const uint32_t *on_mask(void *ctx) {
    struct gen *g = ctx;
    const uint32_t *allowed = NULL;
    pthread_mutex_lock(&g->lock);
    if (!g->err.code) grammar_mask(g->grammar, &allowed, &g->err);
    pthread_mutex_unlock(&g->lock);
    return allowed;
}

/* The batcher's calls. */

static void wake(struct gen *g) {
    g->some = true;
    pthread_cond_signal(&g->came);
}

static void take_token(struct gen *g, const struct batch_token *t) {
    bool ends = tokenizer_is_eog(g->model->tokenizer, t->id);
    uint64_t at = g->n_fed;
    g->n_eval++;
    g->piece.n_token++;
    if (g->grammar && grammar_on(g->grammar)) grammar_accept(g->grammar, t->id, &g->err);
    feed_token(g, t->id);
    g->ended = ends;
    if (!ends && (g->collect || g->logprobs)) add_late(g, t, at);
    give_late(g, false);
    start_grammar(g, false);
}

static bool on_token(void *ctx, const struct batch_token *t) {
    struct gen *g = ctx;
    pthread_mutex_lock(&g->lock);
    if (!g->err.code) take_token(g, t);
    wake(g);
    bool go_on = !g->ended && !g->stop.matched && !g->err.code;
    pthread_mutex_unlock(&g->lock);
    return go_on;
}

static enum gen_end end_of(const struct gen *g, const struct batch_result *r) {
    if (g->err.code || r->end == BATCH_FAILED) return GEN_FAILED;
    if (g->ended || g->stop.matched || r->end == BATCH_STOP) return GEN_STOP;
    return r->end == BATCH_LENGTH ? GEN_LENGTH : GEN_CANCELLED;
}

/* What is held back comes out. */
static void finish_text(struct gen *g, bool cut) {
    feed(g, detok_flush(g->detok));
    if (g->parse && !g->err.code) tool_parse_end(g->parse, cut, &g->err);
    stop_flush(&g->stop, &g->piece.content);
    give_late(g, !g->stop.matched);
}

static void on_done(void *ctx, const struct batch_result *r) {
    struct gen *g = ctx;
    pthread_mutex_lock(&g->lock);
    if (r->end != BATCH_FAILED && !g->err.code) finish_text(g, !g->ended && !g->stop.matched);
    g->piece.end = end_of(g, r);
    g->piece.stats = r->stats;
    g->piece.stats.n_eval = g->n_eval;
    if (g->err.code) g->piece.err = g->err;
    else if (r->err) g->piece.err = *r->err;
    g->done = true;
    wake(g);
    pthread_mutex_unlock(&g->lock);
}

/* The owner's calls. */

static int make_parser(struct gen *g, const struct gen_spec *s, struct err *e) {
    const struct model *m = s->model;
    struct tool_options o = {
        .form = s->tools || m->form == TOOL_HARMONY ? m->form : TOOL_NONE, .in_thought = s->in_thought, .tools = s->tools};
    if (m->thinks) o.think = m->think;
    g->think_token =
        m->thinks && m->think.open && !s->in_thought ? tokenizer_find(m->tokenizer, m->think.open, strlen(m->think.open)) : -1;
    return s->parses ? tool_parse_new(&o, on_event, g, &g->parse, e) : ERR_OK;
}

static int prepare(struct gen *g, const struct gen_spec *s, struct err *e) {
    g->think_token = -1;
    int rc = detok_new(s->model->tokenizer, (struct detok_options){.at_start = s->n_prompt <= 1}, &g->detok, e);
    if (!rc) rc = make_parser(g, s, e);
    if (!rc && s->grammar) rc = grammar_state_new(s->grammar, s->model->grammar_vocab, &g->grammar, e);
    stop_init(&g->stop, s->options->stop, s->options->n_stop);
    return rc;
}

/* Without a limit of the request's own, a model that never ends is stopped some time. */
static uint32_t limit_of(const struct gen_spec *s) {
    int64_t n = s->options->num_predict;
    return n > 0 && n < UINT32_MAX ? (uint32_t)n : s->n_ctx * 10;
}

static int submit(struct gen *g, const struct gen_spec *s, struct err *e) {
    int64_t keep = s->options->num_keep;
    struct batch_request r = {
        .prompt = s->prompt, .n_prompt = s->n_prompt, .n_predict = limit_of(s), .n_ctx = s->n_ctx, .shift = s->shift,
        .n_keep = keep < 0 ? s->n_prompt : keep > UINT32_MAX ? UINT32_MAX : (uint32_t)keep,
        .sampling = options_sampling(s->options, s->n_ctx), .logprobs = s->logprobs, .n_top = s->n_top, .ctx = g,
        .on_token = on_token, .mask = g->grammar ? on_mask : NULL, .on_done = on_done,
    };
    return batcher_submit(s->model->batcher, &r, &g->id, e);
}

static void deinit(struct gen *g) {
    tool_parse_free(g->parse);
    detok_free(g->detok);
    grammar_state_free(g->grammar);
    stop_deinit(&g->stop);
    tokens_deinit(&g->tokens);
    for (size_t i = 0; i < g->n_late; i++) json_decref(g->late[i].entry);
    free(g->late);
    gen_piece_deinit(&g->piece);
    pthread_cond_destroy(&g->came);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

int gen_start(const struct gen_spec *s, struct gen **out, struct err *e) {
    struct gen *g = calloc(1, sizeof *g);
    if (!g) return err_set(e, ERR_NOMEM, "no memory for a request");
    g->model = s->model;
    g->logprobs = s->logprobs;
    g->collect = s->collect_tokens;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->came, NULL);
    int rc = prepare(g, s, e);
    if (!rc) {
        start_grammar(g, true);
        rc = submit(g, s, e);
    }
    if (rc) {
        deinit(g);
        return rc;
    }
    *out = g;
    return ERR_OK;
}

static void move_text(struct strbuf *to, struct strbuf *from) {
    strbuf_add(to, strbuf_of(from), from->n);
    if (from->failed) to->failed = true;
    strbuf_clear(from);
}

static void move_array(json_t **to, json_t **from) {
    if (!*to) {
        *to = *from;
    } else if (*from) {
        json_array_extend(*to, *from);
        json_decref(*from);
    }
    *from = NULL;
}

bool gen_fetch(struct gen *g, uint32_t timeout_ms, struct gen_piece *p) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t ns = (uint64_t)t.tv_nsec + (uint64_t)timeout_ms * 1000000;
    t.tv_sec += (time_t)(ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&g->lock);
    while (!g->some)
        if (pthread_cond_timedwait(&g->came, &g->lock, &t)) break;
    bool came = g->some;
    move_text(&p->content, &g->piece.content);
    move_text(&p->thinking, &g->piece.thinking);
    move_array(&p->calls, &g->piece.calls);
    move_array(&p->logprobs, &g->piece.logprobs);
    p->n_token += g->piece.n_token;
    if (g->done) {
        p->end = g->piece.end;
        p->stats = g->piece.stats;
        p->err = g->piece.err;
    }
    g->piece.n_token = 0;
    g->some = false;
    pthread_mutex_unlock(&g->lock);
    return came;
}

const struct tokens *gen_tokens(const struct gen *g) { return &g->tokens; }

void gen_free(struct gen *g) {
    if (!g) return;
    batcher_cancel(g->model->batcher, g->id);
    pthread_mutex_lock(&g->lock);
    while (!g->done) pthread_cond_wait(&g->came, &g->lock);
    pthread_mutex_unlock(&g->lock);
    deinit(g);
}
