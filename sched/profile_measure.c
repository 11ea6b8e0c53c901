/* The measurements of the profile. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/metal.h"
#include "runtime/size_text.h"
#include "sched/bandwidth.h"
#include "sched/profile.h"

#define UNIT_BYTES ((uint64_t)8 << 20) /* the largest block; units are dealt to the cells like cards */
#define N_CELL (PROFILE_N_BLOCK * PROFILE_N_READERS)
#define WAKE_SLOT N_CELL          /* reading this share wakes the drive up */
#define CONFIRM_SLOT (N_CELL + 1) /* these shares measure the best cell once more */
#define N_CONFIRM_SLOT 4u
#define N_SLOT (CONFIRM_SLOT + N_CONFIRM_SLOT)
#define MAX_READERS 9u
#define DEFAULT_SECONDS 4.5 /* of the table */
#define WAKE_SECONDS 0.05
#define CONFIRM_SECONDS 0.6
#define QUICK_BLOCK 3u   /* 4 MB */
#define QUICK_READERS 2u /* 4 */
#define NEARLY_BEST 0.95
#define ALIGN 16384u /* a page of any system */
#define MEMORY_BYTES ((uint64_t)256 << 20)

/* One cell: n_reader threads read blocks of one share of the file until the share or the time is over. */
struct cell {
    const struct file *f;
    uint32_t n_reader;
    uint32_t slot, n_slot, width; /* of every n_slot units of the file: those from slot to slot + width - 1 */
    uint64_t block_bytes, n_block, step; /* block i of the share is (i * step) % n_block */
    uint64_t deadline_ns;
    bool (*stop)(void *ctx);
    void *ctx;
    atomic_ullong next;   /* block to take */
    atomic_ullong end_ns; /* when the first reader had nothing more to do; 0: not yet */
};

struct lane {
    struct cell *c;
    pthread_t thread;
    unsigned char *buf;
    double bytes;         /* read before end_ns; a block under way then counts in part */
    uint64_t whole_bytes;
    int failed;           /* errno, or -1: the file ended */
};

static uint64_t gcd(uint64_t a, uint64_t b) { return b ? gcd(b, a % b) : a; }

/* A stride that visits all n blocks, far from one another. */
static uint64_t stride(uint64_t n) {
    uint64_t s = (uint64_t)((double)n * 0.618) | 1;
    while (gcd(s, n) != 1) s++;
    return s;
}

static uint64_t block_offset(const struct cell *c, uint64_t i) {
    uint64_t at = i * c->step % c->n_block, per_unit = UNIT_BYTES / c->block_bytes, unit = at / per_unit;
    return (unit / c->width * c->n_slot + c->slot + unit % c->width) * UNIT_BYTES + at % per_unit * c->block_bytes;
}

/* One direct read; a short one goes on. */
static int read_block(const struct cell *c, uint64_t offset, unsigned char *buf) {
    for (uint64_t done = 0; done < c->block_bytes;) {
        ssize_t n = pread(c->f->fd_direct, buf + done, c->block_bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : -1;
        done += (uint64_t)n;
    }
    return 0;
}

static bool take_block(struct cell *c, uint64_t now_ns, uint64_t *offset) {
    uint64_t i = now_ns < c->deadline_ns && !(c->stop && c->stop(c->ctx)) ? atomic_fetch_add(&c->next, 1) : c->n_block;
    if (i < c->n_block) {
        *offset = block_offset(c, i);
        return true;
    }
    unsigned long long unset = 0;
    atomic_compare_exchange_strong(&c->end_ns, &unset, now_ns);
    return false;
}

static void *lane_main(void *arg) {
    struct lane *l = arg;
    struct cell *c = l->c;
    uint64_t offset;
    for (uint64_t t0 = clock_ns(), t1; take_block(c, t0, &offset); t0 = t1) {
        l->failed = read_block(c, offset, l->buf);
        if (l->failed) break;
        t1 = clock_ns();
        uint64_t end = atomic_load(&c->end_ns);
        double part = end && end < t1 ? end > t0 ? (double)(end - t0) / (double)(t1 - t0) : 0 : 1;
        l->bytes += part * (double)c->block_bytes;
        l->whole_bytes += c->block_bytes;
    }
    return NULL;
}

struct disk_run {
    const struct file *f;
    uint32_t max_readers;
    uint64_t max_block_bytes;
    unsigned char *bufs; /* (max_readers, max_block_bytes) */
    bool (*stop)(void *ctx);
    void *ctx;
    uint64_t read_bytes;
};

static int cell_failed(const struct disk_run *run, int failed, struct err *e) {
    return err_set(e, ERR_IO, "reading '%s' failed: %s", run->f->path, failed > 0 ? strerror(failed) : "it ended; was it changed?");
}

/* Runs a cell that has blocks for every reader; *rate stays when it has not. */
static int run_cell(struct disk_run *run, struct cell *c, double seconds, double *rate, struct err *e) {
    struct lane lanes[MAX_READERS] = {0};
    c->f = run->f;
    c->n_block = run->f->size_bytes / UNIT_BYTES / c->n_slot * c->width * (UNIT_BYTES / c->block_bytes);
    if (c->n_block < 2 * c->n_reader) return ERR_OK;
    c->step = stride(c->n_block);
    c->stop = run->stop;
    c->ctx = run->ctx;
    uint64_t t0 = clock_ns();
    c->deadline_ns = t0 + (uint64_t)(seconds * 1e9);
    uint32_t n = 0;
    int failed = 0;
    for (; n < c->n_reader && !failed; n++) {
        lanes[n] = (struct lane){.c = c, .buf = run->bufs + n * run->max_block_bytes};
        failed = pthread_create(&lanes[n].thread, NULL, lane_main, &lanes[n]);
    }
    if (failed) n--;
    double bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        pthread_join(lanes[i].thread, NULL);
        bytes += lanes[i].bytes;
        run->read_bytes += lanes[i].whole_bytes;
        if (lanes[i].failed) failed = lanes[i].failed;
    }
    if (failed) return cell_failed(run, failed, e);
    if (run->stop && run->stop(run->ctx)) return err_set(e, ERR_CANCELLED, "interrupted; nothing was kept");
    *rate = bytes / ((double)(atomic_load(&c->end_ns) - t0) / 1e9);
    return ERR_OK;
}

static void find_best(struct profile_disk *d) {
    double most = 0;
    for (uint32_t i = 0; i < N_CELL; i++)
        if (d->rate[i / PROFILE_N_READERS][i % PROFILE_N_READERS] > most) most = d->rate[i / PROFILE_N_READERS][i % PROFILE_N_READERS];
    for (uint32_t i = 0; i < N_CELL && most > 0 && !d->best_n_reader; i++) {
        uint32_t r = i / PROFILE_N_BLOCK, b = i % PROFILE_N_BLOCK; /* few readers first */
        if (d->rate[b][r] < NEARLY_BEST * most) continue;
        d->best_rate = d->rate[b][r];
        d->best_n_reader = profile_readers[r];
        d->best_block_bytes = profile_block_bytes[b];
    }
}

static int table(struct disk_run *run, double seconds, struct profile_disk *d, struct err *e) {
    int rc = ERR_OK;
    uint64_t end_ns = clock_ns() + (uint64_t)(seconds * 1e9);
    for (uint32_t i = 0; i < N_CELL && !rc; i++) {
        uint32_t b = i / PROFILE_N_READERS, r = i % PROFILE_N_READERS;
        uint64_t now = clock_ns();
        if (now >= end_ns) break; /* a slow disk: some cells stay empty */
        struct cell c = {.n_reader = profile_readers[r], .block_bytes = profile_block_bytes[b], .slot = i, .n_slot = N_SLOT, .width = 1};
        rc = run_cell(run, &c, (double)(end_ns - now) / 1e9 / (N_CELL - i), &d->rate[b][r], e);
    }
    return rc;
}

/* The best of many noisy cells is too good: what it promises is measured again, with bytes of its own. */
static int measure_table(struct disk_run *run, double seconds, struct profile_disk *d, struct err *e) {
    double unused;
    struct cell wake = {.n_reader = 1, .block_bytes = profile_block_bytes[1], .slot = WAKE_SLOT, .n_slot = N_SLOT, .width = 1};
    int rc = run_cell(run, &wake, WAKE_SECONDS, &unused, e);
    if (!rc) rc = table(run, seconds, d, e);
    find_best(d);
    struct cell again = {.n_reader = d->best_n_reader, .block_bytes = d->best_block_bytes, .slot = CONFIRM_SLOT, .n_slot = N_SLOT,
                         .width = N_CONFIRM_SLOT};
    return rc || !d->best_n_reader ? rc : run_cell(run, &again, CONFIRM_SECONDS, &d->best_rate, e);
}

static int measure_quick(struct disk_run *run, double seconds, struct profile_disk *d, struct err *e) {
    struct cell c = {.n_reader = run->max_readers, .block_bytes = run->max_block_bytes, .n_slot = 1, .width = 1};
    int rc = run_cell(run, &c, seconds, &d->rate[QUICK_BLOCK][QUICK_READERS], e);
    find_best(d);
    return rc;
}

typedef int measure_fn(struct disk_run *run, double seconds, struct profile_disk *d, struct err *e);

/* Runs fn with buffers for run->max_readers and sums up. */
static int measure(struct disk_run *run, double seconds, measure_fn *fn, struct profile_disk *d, struct err *e) {
    const struct file *f = run->f;
    uint64_t buf_bytes = run->max_readers * run->max_block_bytes;
    void *bufs;
    *d = (struct profile_disk){.id = profile_disk_id(f), .file_bytes = f->size_bytes, .when = (int64_t)time(NULL)};
    snprintf(d->file, sizeof d->file, "%s", f->path);
    if (f->fd_direct < 0)
        return err_set(e, ERR_UNSUPPORTED, "the file system of '%s' has no direct reads, so that its disk cannot be measured", f->path);
    if (posix_memalign(&bufs, ALIGN, buf_bytes) != 0) return err_set(e, ERR_NOMEM, "no memory to measure the disk");
    memset(bufs, 0, buf_bytes); /* page faults are not the disk's */
    run->bufs = bufs;
    int rc = fn(run, seconds, d, e);
    free(bufs);
    d->read_bytes = run->read_bytes;
    if (!rc && d->best_rate <= 0)
        rc = err_set(e, ERR_UNSUPPORTED, "'%s' (%s) is too small to measure its disk with", f->path, size_there(f->size_bytes).s);
    return rc;
}

static bool just_written(const struct stat *st) {
    int64_t changed = st->st_mtime > st->st_ctime ? st->st_mtime : st->st_ctime;
    return (int64_t)time(NULL) - changed < PROFILE_MIN_AGE_S;
}

static int check_file(const struct file *f, const struct profile_options *opt, struct err *e) {
    struct stat st;
    uint64_t least = opt->min_bytes ? opt->min_bytes : PROFILE_MIN_BYTES;
    if (fstat(f->fd, &st) != 0) return err_set(e, ERR_IO, "'%s' cannot be examined: %s", f->path, strerror(errno));
    if (f->size_bytes < least)
        return err_set(e, ERR_UNSUPPORTED, "'%s' has %s, too little to measure a disk with; give a file of %s or more", f->path,
                       size_there(f->size_bytes).s, size_needed(least).s);
    if (!opt->just_written && just_written(&st))
        return err_set(e, ERR_UNSUPPORTED, "'%s' was written in the last %d minutes and may still be in the drive's cache; try again later or give "
                       "an older file", f->path, PROFILE_MIN_AGE_S / 60);
    if ((uint64_t)st.st_blocks * 512 < f->size_bytes / 10 * 9)
        return err_set(e, ERR_UNSUPPORTED, "'%s' has holes or is compressed, so that reading it does not tell the disk's speed; give another file",
                       f->path);
    return ERR_OK;
}

int profile_measure_disk(const char *path, const struct profile_options *opt, struct profile_disk *out, struct err *e) {
    struct file f;
    int rc = file_open(path, &f, e);
    if (rc) return rc;
    rc = check_file(&f, opt, e);
    struct disk_run run = {.f = &f, .max_readers = MAX_READERS, .max_block_bytes = UNIT_BYTES, .stop = opt->stop, .ctx = opt->ctx};
    if (!rc) rc = measure(&run, opt->seconds > 0 ? opt->seconds : DEFAULT_SECONDS, measure_table, out, e);
    file_close(&f);
    return rc;
}

int profile_quick_disk(const struct file *f, double seconds, struct profile_disk *out, struct err *e) {
    struct disk_run run = {.f = f, .max_readers = profile_readers[QUICK_READERS], .max_block_bytes = profile_block_bytes[QUICK_BLOCK]};
    int rc = measure(&run, seconds, measure_quick, out, e);
    struct stat st;
    out->passing = fstat(f->fd, &st) != 0 || just_written(&st);
    return rc;
}

/* Soft Metal's limits are no GPU's: only macOS is asked. */
static void ask_gpu(struct profile *p) {
#ifdef __APPLE__
    struct device *d;
    struct metal_info i;
    if (device_open(&(struct device_options){.kind = DEVICE_METAL}, &d, NULL)) return;
    metal_get_info(d, &i);
    snprintf(p->gpu, sizeof p->gpu, "%s", i.name);
    p->gpu_working_set_bytes = i.working_set_bytes;
    p->gpu_max_buffer_bytes = i.max_buffer_bytes;
    device_close(d);
#endif
}

int profile_measure_machine(struct profile *p, struct err *e) {
    struct device *d;
    struct buf b;
    ask_gpu(p);
    int rc = device_open(&(struct device_options){.kind = DEVICE_CPU}, &d, e);
    if (rc) return rc;
    rc = buf_new(d, MEMORY_BYTES, "the measurement of memory", &b, e);
    if (!rc) {
        memset(b.host, 1, MEMORY_BYTES);
        p->memory_rate = bandwidth_read(d, &b, MEMORY_BYTES);
        p->when = (int64_t)time(NULL);
        buf_free(d, &b);
    }
    device_close(d);
    return rc;
}
