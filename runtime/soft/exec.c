#include "runtime/soft/exec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/soft/group.h"
#include "runtime/soft/race.h"

struct soft_config soft_config;

/* One dispatch in the pool. It lives on the stack of the thread that called soft_run. */
struct job {
    const struct soft_dispatch *d;
    uint32_t n_group, stride, offset; /* the k-th group to run is (offset + k * stride) % n_group */
    atomic_uint next;
    atomic_bool failed;
    char *error;
    size_t error_bytes;
    uint32_t n_active; /* threads inside, under pool.lock */
    struct job *link;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct job *jobs;
    struct soft_worker *free_workers;
    uint32_t n_thread; /* started, the callers not counted */
    bool misconfigured; /* by the environment */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

int soft_configure(const char *order, const char *poison) {
    char none[1] = "", *end = none;
    struct soft_config c = soft_config;
    c.order = SOFT_ASCENDING;
    c.seed = 0;
    if (order && strcmp(order, "desc") == 0) {
        c.order = SOFT_DESCENDING;
    } else if (order && strncmp(order, "random:", 7) == 0) {
        c.order = SOFT_RANDOM;
        c.seed = strtoull(order + 7, &end, 0);
    } else if (order && strcmp(order, "asc") != 0) {
        return -1;
    }
    if (*end) return -1;
    unsigned long byte = poison ? strtoul(poison, &end, 0) : 0x7f;
    if (*end || byte > 255) return -1;
    c.poison = (unsigned char)byte;
    soft_config = c;
    return 0;
}

static struct soft_worker *worker_get(void) {
    pthread_mutex_lock(&pool.lock);
    struct soft_worker *w = pool.free_workers;
    if (w) pool.free_workers = w->link;
    pthread_mutex_unlock(&pool.lock);
    return w ? w : soft_worker_new();
}

static void worker_put(struct soft_worker *w) {
    pthread_mutex_lock(&pool.lock);
    w->link = pool.free_workers;
    pool.free_workers = w;
    pthread_mutex_unlock(&pool.lock);
}

/* The calling thread's function constants, as the dispatch's pipeline has them. */
static void set_consts(const struct soft_dispatch *d) {
    const struct soft_file *f = d->k->file;
    for (uint32_t i = 0; i < f->n_const; i++) {
        const void *value = NULL;
        for (uint32_t j = 0; j < d->n_value; j++)
            if (d->values[j].index == f->consts[i].index) value = d->values[j].bytes;
        f->consts[i].set(value);
    }
}

/* Runs groups of the job until none is left. */
static void job_run(struct job *j, struct soft_worker *w) {
    char error[512];
    set_consts(j->d);
    soft_worker_begin(w, j->d, error, sizeof error);
    while (!atomic_load_explicit(&j->failed, memory_order_relaxed)) {
        uint32_t k = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed);
        if (k >= j->n_group) return;
        if (soft_worker_run(w, (uint32_t)((j->offset + (uint64_t)k * j->stride) % j->n_group))) continue;
        if (!atomic_exchange(&j->failed, true)) snprintf(j->error, j->error_bytes, "%s", error);
        return;
    }
}

static struct job *job_open(void) {
    for (struct job *j = pool.jobs; j; j = j->link)
        if (atomic_load_explicit(&j->next, memory_order_relaxed) < j->n_group && !atomic_load(&j->failed)) return j;
    return NULL;
}

static void *pool_thread(void *arg) {
    struct soft_worker *w = arg;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        struct job *j = job_open();
        if (!j) {
            pthread_cond_wait(&pool.work, &pool.lock);
            continue;
        }
        j->n_active++;
        pthread_mutex_unlock(&pool.lock);
        job_run(j, w);
        pthread_mutex_lock(&pool.lock);
        if (--j->n_active == 0) pthread_cond_broadcast(&pool.done);
    }
    return NULL;
}

static void pool_start(void) {
    const char *n = getenv("HY_SOFT_THREADS");
    long cpus = n ? strtol(n, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);
#ifdef SOFT_RACE
    cpus = 1; /* the checker's shadow is one */
#endif
    pool.misconfigured = soft_configure(getenv("HY_SOFT_ORDER"), getenv("HY_SOFT_POISON")) != 0;
    for (long i = 1; i < cpus && i < 256; i++) {
        struct soft_worker *w = soft_worker_new();
        pthread_t t;
        if (!w || pthread_create(&t, NULL, pool_thread, w)) return; /* the callers alone are enough */
        pthread_detach(t);
        pool.n_thread++;
    }
}

static uint32_t gcd(uint32_t a, uint32_t b) { return b ? gcd(b, a % b) : a; }

static void job_order(struct job *j) {
    uint64_t random = soft_config.seed + 77;
    j->stride = soft_config.order == SOFT_DESCENDING ? j->n_group - 1 : 1;
    j->offset = soft_config.order == SOFT_DESCENDING ? j->n_group - 1 : 0;
    if (soft_config.order == SOFT_RANDOM) {
        j->offset = (uint32_t)(soft_random(&random) % j->n_group);
        do j->stride = (uint32_t)(soft_random(&random) % j->n_group) + 1;
        while (gcd(j->stride, j->n_group) != 1);
    }
    if (j->stride == 0) j->stride = 1;
}

static int job_submit(struct job *j) {
    struct soft_worker *w = worker_get();
    if (!w) return snprintf(j->error, j->error_bytes, "kernel %s: no memory for its threads' stacks", j->d->k->name), -1;
    bool shared = j->n_group > 1 && pool.n_thread > 0;
    if (shared) {
        pthread_mutex_lock(&pool.lock);
        j->link = pool.jobs;
        pool.jobs = j;
        pthread_cond_broadcast(&pool.work);
        pthread_mutex_unlock(&pool.lock);
    }
    job_run(j, w);
    worker_put(w);
    if (shared) {
        pthread_mutex_lock(&pool.lock);
        struct job **p = &pool.jobs;
        while (*p != j) p = &(*p)->link;
        *p = j->link;
        while (j->n_active) pthread_cond_wait(&pool.done, &pool.lock);
        pthread_mutex_unlock(&pool.lock);
    }
    return atomic_load(&j->failed) ? -1 : 0;
}

#define FAIL(...) return snprintf(error, error_bytes, __VA_ARGS__), -1

static int check_slot(const struct soft_dispatch *d, const struct soft_slot *s, char *error, size_t error_bytes) {
    const struct soft_kernel *k = d->k;
    if (s->space == SOFT_THREADGROUP) {
        if (d->tg_len[s->index] < (s->size ? s->size : 1))
            FAIL("kernel %s: threadgroup argument %u (%s) has %u bytes, at least %u are needed", k->name, s->index, s->name,
                 d->tg_len[s->index], s->size);
        return 0;
    }
    if (!d->buf[s->index]) FAIL("kernel %s: buffer %u (%s) is not set", k->name, s->index, s->name);
    if (s->align && (uintptr_t)d->buf[s->index] % s->align)
        FAIL("kernel %s: buffer %u (%s) is misaligned: address %p, its type needs %u", k->name, s->index, s->name,
             d->buf[s->index], s->align);
    if (d->len[s->index] < (s->size && s->reference ? s->size : 1))
        FAIL("kernel %s: buffer %u (%s) is too short: %llu bytes, at least %u are needed", k->name, s->index, s->name,
             (unsigned long long)d->len[s->index], s->size);
    return 0;
}

static int check_sizes(const struct soft_dispatch *d, char *error, size_t error_bytes) {
    const struct soft_kernel *k = d->k;
    uint64_t n = (uint64_t)d->threads[0] * d->threads[1] * d->threads[2], bytes = k->static_bytes();
    if (n == 0 || d->threads[0] > SOFT_MAX_THREADS || d->threads[1] > SOFT_MAX_THREADS || n > k->max_threads)
        FAIL("kernel %s: a threadgroup of %u x %u x %u threads; it may have 1 to %u", k->name, d->threads[0], d->threads[1],
             d->threads[2], k->max_threads);
    for (uint32_t i = 0; i < SOFT_N_THREADGROUP; i++) {
        if (d->tg_len[i] % 16)
            FAIL("kernel %s: threadgroup argument %u has %u bytes, which is no multiple of 16", k->name, i, d->tg_len[i]);
        bytes += d->tg_len[i];
    }
    if (bytes > SOFT_THREADGROUP_BYTES)
        FAIL("kernel %s: %llu bytes of threadgroup memory; the limit is %u", k->name, (unsigned long long)bytes,
             SOFT_THREADGROUP_BYTES);
    if ((uint64_t)d->groups[0] * d->groups[1] * d->groups[2] > UINT32_MAX)
        FAIL("kernel %s: a grid of %u x %u x %u threadgroups is too large", k->name, d->groups[0], d->groups[1], d->groups[2]);
    for (int i = 0; i < 3 && d->grid[0]; i++)
        if (d->grid[i] == 0 || ((uint64_t)d->grid[i] + d->threads[i] - 1) / d->threads[i] != d->groups[i])
            FAIL("kernel %s: %u threads per grid are not %u threadgroups of %u", k->name, d->grid[i], d->groups[i], d->threads[i]);
    return 0;
}

int soft_run(const struct soft_dispatch *d, char *error, size_t error_bytes) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, pool_start);
    if (pool.misconfigured) FAIL("HY_SOFT_ORDER is asc, desc or random:SEED, and HY_SOFT_POISON a byte such as 0x7f");
    if (!d->k) FAIL("a dispatch without a pipeline state");
    if (check_sizes(d, error, error_bytes)) return -1;
    for (uint32_t i = 0; i < d->k->n_slot; i++)
        if (check_slot(d, &d->k->slots[i], error, error_bytes)) return -1;
    struct job j = {.d = d, .n_group = d->groups[0] * d->groups[1] * d->groups[2], .error = error, .error_bytes = error_bytes};
    if (j.n_group == 0) return 0;
    job_order(&j);
    race_dispatch_begin(d);
    int rc = job_submit(&j);
    race_dispatch_end();
    return rc;
}

const struct soft_kernel *soft_kernel_find(const char *name) {
    for (uint32_t f = 0; f < soft_n_file; f++)
        for (uint32_t i = 0; i < soft_files[f]->n_kernel; i++)
            if (strcmp(soft_files[f]->kernels[i].name, name) == 0) return &soft_files[f]->kernels[i];
    return NULL;
}

const struct soft_file *soft_file_find(const char *text, size_t text_bytes) {
    for (uint32_t f = 0; f < soft_n_file; f++)
        if (soft_files[f]->text_bytes == text_bytes && memcmp(soft_files[f]->text, text, text_bytes) == 0) return soft_files[f];
    return NULL;
}

const struct soft_slot *soft_slot_find(const struct soft_kernel *k, int threadgroup, uint32_t index) {
    for (uint32_t i = 0; i < k->n_slot; i++)
        if (k->slots[i].index == index && (k->slots[i].space == SOFT_THREADGROUP) == (threadgroup != 0)) return &k->slots[i];
    return NULL;
}
