#include "io/reader.h"

#include <pthread.h>
#include <string.h>
#ifdef __APPLE__
#include <sys/resource.h>
#endif

#include "io/fault.h"
#include "runtime/clock.h"

struct read_queue {
    struct read_job *head, **tail; /* tail: where the next one is hung */
};

struct piece {
    struct read_job *job;
    struct read_part at;
    uint32_t part;
    enum read_priority priority;
};

struct reader {
    struct readers *all;
    pthread_t thread;
    uint32_t lane;
};

struct readers {
    struct readers_options opt;
    struct reader reader[READ_MAX_READERS];
    pthread_mutex_t lock; /* guards what follows, and the jobs */
    uint32_t n_reader;
    pthread_cond_t work;  /* a job was queued */
    pthread_cond_t news;  /* a part is there, or a job ended */
    struct read_queue queue[N_READ_PRIORITIES];
    bool stop;
    uint32_t n_reading;  /* readers inside a read, */
    uint32_t n_guessing; /* inside a speculative one */
    uint64_t busy_from_ns;
    struct readers_stats stats;
};

static void enqueue(struct readers *r, struct read_job *j, enum read_priority p) {
    struct read_queue *q = &r->queue[p];
    j->priority = p;
    j->queued = true;
    j->next = NULL;
    *q->tail = j;
    q->tail = &j->next;
}

static void dequeue(struct readers *r, struct read_job *j) {
    struct read_queue *q = &r->queue[j->priority];
    struct read_job **at = &q->head;
    while (*at != j) at = &(*at)->next;
    *at = j->next;
    if (!*at) q->tail = at;
    j->queued = false;
}

static void skip_empty_parts(struct read_job *j) {
    while (j->take_part < j->n_part && j->part[j->take_part].len == 0) j->take_part++;
}

/* Pieces end on multiples of their size in the file: only the ends of a part are not whole pages. */
static void cut_piece(struct readers *r, struct read_job *j, struct piece *p) {
    const struct read_part *part = &j->part[j->take_part];
    uint64_t size = j->priority == READ_SPECULATE ? READ_GUESS_BYTES : READ_PIECE_BYTES;
    uint64_t begin = part->offset + j->take_at, left = part->len - j->take_at, len = size - begin % size;
    if (len > left) len = left;
    *p = (struct piece){j, {part->file, begin, len, part->dst + j->take_at}, j->take_part, j->priority};
    j->n_flying++;
    r->n_guessing += p->priority == READ_SPECULATE;
    j->take_at += len;
    if (j->take_at < part->len) return;
    j->take_at = 0;
    j->take_part++;
    skip_empty_parts(j);
    if (j->take_part == j->n_part) dequeue(r, j);
}

static bool take_piece(struct readers *r, struct piece *p) {
    /* Half of the readers stay free of speculation, for the demand that may come. */
    int n = r->n_guessing < (r->n_reader + 1) / 2 ? N_READ_PRIORITIES : READ_SPECULATE, i = 0;
    while (i < n && !r->queue[i].head) i++;
    if (i == n) return false;
    cut_piece(r, r->queue[i].head, p);
    return true;
}

/* What is not taken yet will not be read: the job ends with rc as soon as nothing of it flies. */
static uint64_t drop_rest(struct readers *r, struct read_job *j) {
    uint64_t bytes = 0;
    if (!j->queued) return 0;
    dequeue(r, j);
    for (uint32_t i = j->take_part; i < j->n_part; i++) bytes += j->part[i].len;
    return bytes - j->take_at;
}

static void cancel(struct readers *r, struct read_job *j) {
    uint64_t bytes = drop_rest(r, j);
    r->stats.cancelled_bytes += bytes;
    if (bytes && !j->rc) j->rc = err_set(&j->err, ERR_CANCELLED, "a read was cancelled");
}

static bool ended(const struct read_job *j) { return !j->queued && j->n_flying == 0; }

static bool has_news(const struct read_job *j, uint32_t n) {
    return read_job_parts_done(j) >= (n < j->n_part ? n : j->n_part) || ended(j);
}

/* Publishes what is ready; whether that is news. With the last part the job is the caller's again: nothing may touch it
 * after the store. */
static bool advance_done(struct read_job *j) {
    uint32_t before = atomic_load_explicit(&j->n_done, memory_order_relaxed), n = before;
    while (n < j->n_part && j->left_bytes[n] == 0) n++;
    atomic_store_explicit(&j->n_done, n, memory_order_release);
    return n > before;
}

static void finish_piece(struct readers *r, const struct piece *p, uint64_t now_ns, int rc, const struct err *e) {
    struct read_job *j = p->job;
    r->stats.n_piece++;
    if (!rc) r->stats.bytes[p->priority] += p->at.len;
    if (--r->n_reading == 0) r->stats.busy_ns += now_ns - r->busy_from_ns;
    r->n_guessing -= p->priority == READ_SPECULATE;
    j->n_flying--;
    if (!rc) j->left_bytes[p->part] -= p->at.len;
    else if (!j->rc) {
        j->rc = rc;
        j->err = *e;
        drop_rest(r, j);
    }
    if (advance_done(j) || ended(j)) pthread_cond_broadcast(&r->news);
}

/* Background threads of macOS may land in a throttled tier of I/O. */
static void make_important(void) {
#ifdef __APPLE__
    pthread_set_qos_class_self_np(QOS_CLASS_USER_INITIATED, 0);
    setiopolicy_np(IOPOL_TYPE_DISK, IOPOL_SCOPE_THREAD, IOPOL_IMPORTANT);
#endif
}

static void *reader_main(void *arg) {
    const struct reader *me = arg;
    struct readers *r = me->all;
    struct piece p;
    struct err e;
    make_important();
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->stop && !take_piece(r, &p)) pthread_cond_wait(&r->work, &r->lock);
        if (r->stop) break;
        uint64_t t0 = clock_ns();
        if (r->n_reading++ == 0) r->busy_from_ns = t0;
        pthread_mutex_unlock(&r->lock);
        int rc = file_read_pages(p.at.file, p.at.offset, p.at.dst, p.at.len, r->opt.direct, &e);
        uint64_t t1 = clock_ns();
        if (!rc && r->opt.check) rc = r->opt.check(r->opt.ctx, &p.at, &e);
        if (r->opt.observer)
            r->opt.observer(r->opt.ctx, &(struct read_event){p.job, p.part, me->lane, p.priority, t0, t1, p.at.len});
        pthread_mutex_lock(&r->lock);
        finish_piece(r, &p, t1, rc, &e);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

int readers_open(const struct readers_options *opt, struct readers **out, struct err *e) {
    uint32_t want = opt->n_reader ? opt->n_reader : READ_DEFAULT_READERS;
    *out = NULL;
    if (want > READ_MAX_READERS) return err_set(e, ERR_ARG, "%u readers are more than the %u that hy runs", want, READ_MAX_READERS);
    struct readers *r = calloc(1, sizeof *r);
    if (!r) return err_set(e, ERR_NOMEM, "no memory for %u readers", want);
    r->opt = *opt;
    for (int i = 0; i < N_READ_PRIORITIES; i++) r->queue[i].tail = &r->queue[i].head;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    pthread_cond_init(&r->news, NULL);
    int failed = 0;
    pthread_mutex_lock(&r->lock);
    while (r->n_reader < want && !failed) {
        struct reader *one = &r->reader[r->n_reader];
        *one = (struct reader){.all = r, .lane = r->n_reader};
        failed = pthread_create(&one->thread, NULL, reader_main, one);
        r->n_reader += !failed; /* fewer are slower, not wrong */
    }
    pthread_mutex_unlock(&r->lock);
    if (r->n_reader == 0) {
        readers_close(r);
        return err_set(e, ERR_NOMEM, "no thread for reading could be started: %s", strerror(failed));
    }
    *out = r;
    return ERR_OK;
}

void readers_close(struct readers *r) {
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    for (int i = 0; i < N_READ_PRIORITIES; i++)
        while (r->queue[i].head) cancel(r, r->queue[i].head);
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
    for (uint32_t i = 0; i < r->n_reader; i++) pthread_join(r->reader[i].thread, NULL);
    pthread_cond_destroy(&r->news);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

uint32_t readers_n(const struct readers *r) { return r->n_reader; }

void readers_submit(struct readers *r, struct read_job *j, enum read_priority p) {
    uint64_t bytes = 0;
    CHECK(j->n_part <= READ_MAX_PARTS);
    for (uint32_t i = 0; i < j->n_part; i++) {
        CHECK(j->part[i].offset % IO_PAGE == (uintptr_t)j->part[i].dst % IO_PAGE);
        bytes += j->left_bytes[i] = j->part[i].len;
        if (atomic_load_explicit(&file_fault_on, memory_order_relaxed)) file_fault_poison(j->part[i].dst, j->part[i].len);
    }
    j->queued = false;
    j->take_part = j->n_flying = 0;
    j->take_at = 0;
    j->rc = ERR_OK;
    atomic_store_explicit(&j->n_done, 0, memory_order_relaxed);
    advance_done(j);
    skip_empty_parts(j);
    if (bytes == 0) return;
    pthread_mutex_lock(&r->lock);
    enqueue(r, j, p);
    if (bytes <= READ_GUESS_BYTES) pthread_cond_signal(&r->work);
    else pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
}

void readers_raise(struct readers *r, struct read_job *j, enum read_priority p) {
    pthread_mutex_lock(&r->lock);
    if (j->queued && p < j->priority) {
        dequeue(r, j);
        enqueue(r, j, p);
        pthread_cond_broadcast(&r->work); /* of a guess only half of the readers knew */
    }
    pthread_mutex_unlock(&r->lock);
}

void readers_cancel(struct readers *r, struct read_job *j) {
    pthread_mutex_lock(&r->lock);
    cancel(r, j);
    pthread_mutex_unlock(&r->lock);
}

bool readers_ended(struct readers *r, const struct read_job *j) {
    if (read_job_parts_done(j) == j->n_part) return true;
    pthread_mutex_lock(&r->lock);
    bool is = ended(j);
    pthread_mutex_unlock(&r->lock);
    return is;
}

int readers_wait(struct readers *r, struct read_job *j, uint32_t n, struct err *e) {
    if (n > j->n_part) n = j->n_part;
    if (read_job_parts_done(j) >= n) return ERR_OK;
    pthread_mutex_lock(&r->lock);
    while (!has_news(j, n)) pthread_cond_wait(&r->news, &r->lock);
    int rc = read_job_parts_done(j) >= n ? ERR_OK : j->rc;
    if (rc && e) *e = j->err;
    pthread_mutex_unlock(&r->lock);
    return rc;
}

static uint32_t find_news(struct read_job *const *jobs, uint32_t n_job, uint32_t n_part) {
    uint32_t i = 0;
    while (i < n_job && !has_news(jobs[i], n_part)) i++;
    return i;
}

uint32_t readers_wait_any(struct readers *r, struct read_job *const *jobs, uint32_t n_job, uint32_t n_part) {
    uint32_t i;
    CHECK(n_job > 0);
    pthread_mutex_lock(&r->lock);
    while ((i = find_news(jobs, n_job, n_part)) == n_job) pthread_cond_wait(&r->news, &r->lock);
    pthread_mutex_unlock(&r->lock);
    return i;
}

void readers_stats(struct readers *r, struct readers_stats *s) {
    pthread_mutex_lock(&r->lock);
    *s = r->stats;
    if (r->n_reading) s->busy_ns += clock_ns() - r->busy_from_ns;
    pthread_mutex_unlock(&r->lock);
}
