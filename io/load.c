#include "io/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define PIECE_BYTES ((uint64_t)4 << 20)
#define MAX_READER 16
#define TICK_NS 100000000 /* progress ten times a second */

struct loader {
    const struct load_range *ranges;
    uint32_t n_range;
    bool direct;
    pthread_mutex_t lock;     /* guards what follows */
    pthread_cond_t idle;
    uint32_t range;           /* next piece: this range... */
    uint64_t at;              /* ...from this byte on */
    uint32_t n_running;
    struct err err;
    int rc;
    atomic_ullong done_bytes;
};

/* Takes the next piece. Pieces end on multiples of PIECE_BYTES of the file, so direct reads stay aligned. */
static bool take_piece(struct loader *l, struct load_range *piece) {
    pthread_mutex_lock(&l->lock);
    while (l->range < l->n_range && l->at == l->ranges[l->range].len) {
        l->range++;
        l->at = 0;
    }
    bool got = !l->rc && l->range < l->n_range;
    if (got) {
        const struct load_range *r = &l->ranges[l->range];
        uint64_t begin = r->offset + l->at, end = (begin / PIECE_BYTES + 1) * PIECE_BYTES;
        uint64_t len = end - begin < r->len - l->at ? end - begin : r->len - l->at;
        *piece = (struct load_range){r->file, begin, len, (unsigned char *)r->dst + l->at};
        l->at += len;
    }
    pthread_mutex_unlock(&l->lock);
    return got;
}

static void fail(struct loader *l, int rc, const struct err *e) {
    pthread_mutex_lock(&l->lock);
    if (!l->rc) {
        l->rc = rc;
        l->err = *e;
    }
    pthread_mutex_unlock(&l->lock);
}

static void *reader_main(void *arg) {
    struct loader *l = arg;
    struct load_range p;
    struct err e;
    while (take_piece(l, &p)) {
        int rc = file_read(p.file, p.offset, p.dst, p.len, l->direct, &e);
        if (rc) fail(l, rc, &e);
        else atomic_fetch_add(&l->done_bytes, p.len);
    }
    pthread_mutex_lock(&l->lock);
    if (--l->n_running == 0) pthread_cond_signal(&l->idle);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static struct timespec next_tick(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += TICK_NS;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

static void watch(struct loader *l, const struct load_options *opt, uint64_t total) {
    pthread_mutex_lock(&l->lock);
    while (l->n_running) {
        struct timespec t = next_tick();
        pthread_cond_timedwait(&l->idle, &l->lock, &t);
        if (!opt->progress || l->rc) continue;
        pthread_mutex_unlock(&l->lock);
        bool go_on = opt->progress(opt->ctx, atomic_load(&l->done_bytes), total);
        struct err e;
        if (!go_on) fail(l, err_set(&e, ERR_CANCELLED, "loading was interrupted"), &e);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
}

int load_ranges(const struct load_range *r, uint32_t n, const struct load_options *opt, struct err *e) {
    struct loader l = {.ranges = r, .n_range = n, .direct = opt->direct};
    pthread_t threads[MAX_READER];
    uint64_t total = 0;
    uint32_t want = opt->n_reader < 1 ? 1 : opt->n_reader > MAX_READER ? MAX_READER : opt->n_reader, started = 0;
    for (uint32_t i = 0; i < n; i++) total += r[i].len;
    pthread_mutex_init(&l.lock, NULL);
    pthread_cond_init(&l.idle, NULL);
    while (started < want) {
        pthread_mutex_lock(&l.lock);
        l.n_running++;
        pthread_mutex_unlock(&l.lock);
        if (pthread_create(&threads[started], NULL, reader_main, &l) != 0) break;
        started++;
    }
    if (started < want) { /* fewer threads are slower, not wrong; with none, this thread reads */
        pthread_mutex_lock(&l.lock);
        l.n_running--;
        pthread_mutex_unlock(&l.lock);
    }
    if (started == 0) {
        l.n_running = 1;
        reader_main(&l);
    }
    watch(&l, opt, total);
    for (uint32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (opt->progress && !l.rc) opt->progress(opt->ctx, total, total);
    pthread_cond_destroy(&l.idle);
    pthread_mutex_destroy(&l.lock);
    if (l.rc && e) *e = l.err;
    return l.rc;
}
