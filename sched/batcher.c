/* The batcher's thread, its lists of requests, and what callers may ask of it. */
#include "sched/batcher.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "sched/batch_step.h"

#define DEFAULT_QUEUE 512u

struct batcher {
    struct hy_engine *en;
    const struct hy_info *info;
    pthread_t thread;
    uint32_t n_queue;
    float *scratch; /* (n_vocab) */
    struct batch_step step;
    uint32_t n_new; /* tokens that the last step generated */
    struct { uint64_t id; uint32_t room; } stuck; /* the request that found too few free blocks, and how many there were */

    pthread_mutex_t lock; /* of all below; the lists change on the thread only, but for new ones at the end of waiting */
    pthread_cond_t wake;
    bool closing;
    struct batch_job *waiting;  /* oldest first */
    struct batch_job **running; /* (n_seq) oldest first */
    struct batcher_stats stats;
    uint64_t last_id;
};

/* Lists; the lock is held. */

static void append_waiting(struct batcher *b, struct batch_job *j) {
    struct batch_job **at = &b->waiting;
    while (*at) at = &(*at)->next;
    *at = j;
    b->stats.n_waiting++;
}

static void remove_waiting(struct batcher *b, struct batch_job *j) {
    struct batch_job **at = &b->waiting;
    while (*at != j) at = &(*at)->next;
    *at = j->next;
    j->next = NULL;
    b->stats.n_waiting--;
}

static bool remove_running(struct batcher *b, struct batch_job *j) {
    uint32_t n = b->stats.n_running, i = 0;
    while (i < n && b->running[i] != j) i++;
    if (i == n) return false;
    memmove(b->running + i, b->running + i + 1, (n - i - 1) * sizeof *b->running);
    b->stats.n_running--;
    return true;
}

static void count_end(struct batcher_stats *s, const struct batch_job *j, enum batch_end end) {
    s->n_done++;
    s->n_cancelled += end == BATCH_CANCELLED;
    s->n_failed += end == BATCH_FAILED;
    s->n_cached_tok += j->stats.n_cached;
}

static void show_kv(struct batcher *b) {
    struct hy_kv_use u = hy_kv_use(b->en);
    b->stats.kv_block = u.n_block;
    b->stats.kv_cached = u.n_cached;
    b->stats.kv_used = u.n_block - u.n_free - u.n_cached;
    b->stats.kv_reused = u.n_reused;
}

static void show_running(struct batcher *b) {
    for (uint32_t i = 0; i < b->stats.n_running; i++) {
        struct batch_job *j = b->running[i];
        uint32_t len = hy_seq_len(b->en, j->seq);
        j->view.running = true;
        j->view.n_cached = j->stats.n_cached;
        j->view.n_prompt_done = len < j->stats.n_prompt && !j->stats.n_eval ? len : j->stats.n_prompt;
        j->view.n_eval = j->stats.n_eval;
    }
    show_kv(b);
}

/* The thread. */

static void finish(struct batcher *b, struct batch_job *j, enum batch_end end, const struct err *why) {
    pthread_mutex_lock(&b->lock);
    if (remove_running(b, j)) hy_seq_free(b->en, j->seq);
    else remove_waiting(b, j);
    count_end(&b->stats, j, end);
    show_kv(b);
    pthread_mutex_unlock(&b->lock);
    batch_job_done(j, end, why, b->info->n_embd);
    batch_job_free(j);
}

/* The first cancelled request, or any when all are to go. */
static struct batch_job *find_unwanted(struct batcher *b) {
    struct batch_job *found = NULL;
    pthread_mutex_lock(&b->lock);
    for (uint32_t i = 0; i < b->stats.n_running && !found; i++)
        if (b->closing || atomic_load(&b->running[i]->cancelled)) found = b->running[i];
    for (struct batch_job *j = b->waiting; j && !found; j = j->next)
        if (b->closing || atomic_load(&j->cancelled)) found = j;
    pthread_mutex_unlock(&b->lock);
    return found;
}

/* Whether the blocks that are free or cached are enough for what the request will feed, and one more for each that runs. */
static bool has_room(struct batcher *b, const struct batch_job *j) {
    struct hy_kv_use u = hy_kv_use(b->en);
    uint32_t n = j->n_tok / HY_KV_BLOCK_TOK + 1, len = hy_seq_len(b->en, j->seq);
    uint32_t have = (len + HY_KV_BLOCK_TOK - 1) / HY_KV_BLOCK_TOK;
    bool enough = !b->stats.n_running || n - have + b->stats.n_running <= u.n_free + u.n_cached;
    if (!enough) {
        b->stuck.id = j->id;
        b->stuck.room = u.n_free + u.n_cached;
    }
    return enough;
}

/* Gives the oldest waiting request a sequence, if there is one, and room. */
static bool admit_one(struct batcher *b) {
    struct err e;
    pthread_mutex_lock(&b->lock);
    struct batch_job *j = b->waiting;
    pthread_mutex_unlock(&b->lock);
    if (!j || b->stats.n_running == b->info->n_seq) return false;
    struct hy_kv_use u = hy_kv_use(b->en);
    if (j->id == b->stuck.id && u.n_free + u.n_cached <= b->stuck.room && b->stats.n_running) return false;
    if (hy_seq_new(b->en, &j->seq, &e)) { /* its owner uses the engine, too */
        if (!b->stats.n_running) finish(b, j, BATCH_FAILED, &e);
        return false;
    }
    uint32_t len = j->r.pool == BATCH_EMBED_MEAN ? 0 : hy_seq_attach(b->en, j->seq, j->token, j->n_tok);
    if (!has_room(b, j)) {
        hy_seq_free(b->en, j->seq);
        return false;
    }
    if (!j->start_ns) {
        j->start_ns = clock_ns();
        j->stats.n_cached = len;
    }
    pthread_mutex_lock(&b->lock);
    remove_waiting(b, j);
    b->running[b->stats.n_running++] = j;
    show_running(b);
    pthread_mutex_unlock(&b->lock);
    return true;
}

/* Back to the head of the queue; its text is kept and will be fed again. */
static void preempt(struct batcher *b, struct batch_job *j) {
    pthread_mutex_lock(&b->lock);
    remove_running(b, j);
    hy_seq_free(b->en, j->seq);
    j->next = b->waiting;
    b->waiting = j;
    j->view.running = false;
    b->stats.n_waiting++;
    b->stats.n_preempted++;
    pthread_mutex_unlock(&b->lock);
    j->n_pooled = 0;
    if (j->pooled) memset(j->pooled, 0, b->info->n_embd * sizeof *j->pooled);
}

/* No KV block could be had: the youngest request gives up its own, or, alone, ends. */
static void make_room(struct batcher *b, const struct err *why) {
    struct batch_job *youngest = b->running[b->stats.n_running - 1];
    if (b->stats.n_running > 1) preempt(b, youngest);
    else finish(b, youngest, youngest->stats.n_eval ? BATCH_LENGTH : BATCH_FAILED, why);
}

/* A failed step hurts those that were in it. */
static void fail_step(struct batcher *b, const struct err *why) {
    for (uint32_t i = b->stats.n_running; i-- > 0;)
        if (b->running[i]->n_give) finish(b, b->running[i], BATCH_FAILED, why);
}

static void tell_prompts(struct batcher *b) {
    for (uint32_t i = 0; i < b->stats.n_running; i++) {
        struct batch_job *j = b->running[i];
        uint32_t len = hy_seq_len(b->en, j->seq);
        if (j->n_give && !j->stats.n_eval && j->r.on_prompt) j->r.on_prompt(j->r.ctx, len, j->stats.n_prompt);
    }
}

static void use_row(struct batcher *b, uint32_t row, float *logits) {
    struct batch_job *j = b->step.row_job[row];
    struct err e;
    if (batch_job_embeds(j)) {
        batch_job_pool(j, hy_hidden(b->en) + (uint64_t)row * b->info->n_embd, b->info->n_embd);
        bool last = row + 1 == b->step.n_row || b->step.row_job[row + 1] != j;
        if (last && hy_seq_len(b->en, j->seq) == j->n_tok) finish(b, j, BATCH_STOP, NULL);
        return;
    }
    uint32_t n_eval = j->stats.n_eval;
    enum batch_fate fate = batch_job_next_token(j, b->en, row, logits, b->scratch, &e);
    b->n_new += j->stats.n_eval - n_eval;
    switch (fate) {
    case JOB_GOES_ON: break;
    case JOB_STOPPED: finish(b, j, BATCH_STOP, NULL); break;
    case JOB_FULL: finish(b, j, BATCH_LENGTH, NULL); break;
    case JOB_BROKEN: finish(b, j, BATCH_FAILED, &e); break;
    }
}

/* Whether all of the step at hand is to go. */
static bool nobody_waits(void *ctx) {
    struct batcher *b = ctx;
    bool wanted = false;
    pthread_mutex_lock(&b->lock);
    for (uint32_t i = 0; i < b->stats.n_running && !b->closing; i++) {
        const struct batch_job *j = b->running[i];
        wanted |= j->n_give && !atomic_load(&j->cancelled);
    }
    pthread_mutex_unlock(&b->lock);
    return !wanted;
}

static void run_step(struct batcher *b) {
    struct batch_step *s = &b->step;
    struct err e;
    float *logits;
    batch_step_fill(s, b->running, b->stats.n_running);
    CHECK(s->n_tok);
    uint64_t t0 = clock_ns();
    int rc = batch_step_run(s, nobody_waits, b, &logits, &e);
    if (rc == ERR_CANCELLED) return; /* find_unwanted has them next */
    if (rc == ERR_LIMIT) {
        make_room(b, &e);
        return;
    }
    pthread_mutex_lock(&b->lock);
    b->stats.n_step++;
    b->stats.step_ns += clock_ns() - t0;
    b->stats.n_prompt_tok += rc ? 0 : s->n_prompt_tok;
    pthread_mutex_unlock(&b->lock);
    if (rc) {
        fail_step(b, &e);
        return;
    }
    b->n_new = 0;
    tell_prompts(b);
    for (uint32_t i = 0; i < s->n_row; i++) use_row(b, i, logits + (uint64_t)i * b->info->n_vocab);
    pthread_mutex_lock(&b->lock);
    b->stats.n_eval_tok += b->n_new;
    hy_stream_stats(b->en, &b->stats.stream);
    show_running(b);
    pthread_mutex_unlock(&b->lock);
}

static bool wait_for_work(struct batcher *b) {
    pthread_mutex_lock(&b->lock);
    while (!b->closing && !b->waiting && !b->stats.n_running) pthread_cond_wait(&b->wake, &b->lock);
    bool go_on = !b->closing;
    pthread_mutex_unlock(&b->lock);
    return go_on;
}

static void *run_thread(void *arg) {
    struct batcher *b = arg;
    struct batch_job *j;
    while (wait_for_work(b)) {
        while ((j = find_unwanted(b))) finish(b, j, BATCH_CANCELLED, NULL);
        while (admit_one(b)) continue;
        if (b->stats.n_running) run_step(b);
    }
    while ((j = find_unwanted(b))) finish(b, j, BATCH_CANCELLED, NULL);
    return NULL;
}

/* Callers. */

int batcher_new(struct hy_engine *en, const struct batcher_options *opt, struct batcher **out, struct err *e) {
    struct batcher *b = calloc(1, sizeof *b);
    if (!b) return err_set(e, ERR_NOMEM, "no memory for the batcher");
    b->en = en;
    b->info = hy_info(en);
    b->n_queue = opt->n_queue ? opt->n_queue : DEFAULT_QUEUE;
    b->scratch = malloc(b->info->n_vocab * sizeof *b->scratch);
    b->running = calloc(b->info->n_seq, sizeof *b->running);
    int rc = b->scratch && b->running ? batch_step_init(&b->step, en, e) : err_set(e, ERR_NOMEM, "no memory for the batcher");
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->wake, NULL);
    show_kv(b);
    if (!rc && pthread_create(&b->thread, NULL, run_thread, b)) {
        batch_step_deinit(&b->step);
        rc = err_set(e, ERR_NOMEM, "the system refuses another thread");
    }
    if (rc) {
        free(b->scratch);
        free(b->running);
        free(b);
        return rc;
    }
    *out = b;
    return ERR_OK;
}

void batcher_free(struct batcher *b) {
    if (!b) return;
    pthread_mutex_lock(&b->lock);
    b->closing = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->wake);
    pthread_mutex_destroy(&b->lock);
    batch_step_deinit(&b->step);
    free(b->scratch);
    free(b->running);
    free(b);
}

int batcher_submit(struct batcher *b, const struct batch_request *r, uint64_t *id, struct err *e) {
    struct batch_job *j = NULL;
    int rc = batch_job_new(b->en, r, &j, e);
    pthread_mutex_lock(&b->lock);
    uint32_t n = b->stats.n_waiting + b->stats.n_running;
    if (!rc && (b->closing || n >= b->info->n_seq + b->n_queue))
        rc = err_set(e, ERR_BUSY, "%u requests run or wait, which is the most; try again later", n);
    if (rc) {
        b->stats.n_refused++;
    } else {
        b->stats.n_accepted++;
        *id = j->id = j->view.id = ++b->last_id;
        j->view.n_prompt = r->n_prompt;
        append_waiting(b, j);
        pthread_cond_signal(&b->wake);
    }
    pthread_mutex_unlock(&b->lock);
    if (rc && j) batch_job_free(j);
    return rc;
}

void batcher_cancel(struct batcher *b, uint64_t id) {
    pthread_mutex_lock(&b->lock);
    for (uint32_t i = 0; i < b->stats.n_running; i++)
        if (b->running[i]->id == id) atomic_store(&b->running[i]->cancelled, true);
    for (struct batch_job *j = b->waiting; j; j = j->next)
        if (j->id == id) atomic_store(&j->cancelled, true);
    pthread_mutex_unlock(&b->lock);
}

void batcher_stats(struct batcher *b, struct batcher_stats *out) {
    pthread_mutex_lock(&b->lock);
    *out = b->stats;
    pthread_mutex_unlock(&b->lock);
}

static struct batch_view view_of(const struct batch_job *j, uint64_t now) {
    struct batch_view v = j->view;
    v.age_ns = now > j->submit_ns ? now - j->submit_ns : 0;
    return v;
}

uint32_t batcher_list(struct batcher *b, struct batch_view *out, uint32_t cap) {
    uint64_t now = clock_ns();
    uint32_t n = 0;
    pthread_mutex_lock(&b->lock);
    for (uint32_t i = 0; i < b->stats.n_running; i++, n++)
        if (n < cap) out[n] = view_of(b->running[i], now);
    for (const struct batch_job *j = b->waiting; j; j = j->next, n++)
        if (n < cap) out[n] = view_of(j, now);
    pthread_mutex_unlock(&b->lock);
    return n;
}
