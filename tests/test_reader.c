/* Reader threads: every phase, every end, order, cancel, raise, waiting, failing disks. */
#include "tests/support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/fault.h"
#include "io/reader.h"

#define PIECE READ_PIECE_BYTES
enum { N_BYTES = 21 * 1000 * 1000 + 77 }; /* five pieces and a ragged end */

static struct file file;
static unsigned char *want; /* what it holds */

static unsigned char *pages(uint64_t bytes) {
    void *p = NULL;
    assert_int_equal(posix_memalign(&p, IO_PAGE, bytes), 0);
    memset(p, 0xa5, bytes);
    return p;
}

static void make_file(void) {
    want = pages(N_BYTES);
    for (uint64_t i = 0; i < N_BYTES; i++) want[i] = (unsigned char)((i * 2654435761u) >> 13 ^ i >> 20);
    support_write(support_path("bytes"), want, N_BYTES);
    OK(file_open(support_path("bytes"), &file, &support_err));
}

static struct readers *start(struct readers_options opt) {
    struct readers *r;
    OK(readers_open(&opt, &r, &support_err));
    assert_int_equal(readers_n(r), opt.n_reader ? opt.n_reader : READ_DEFAULT_READERS);
    return r;
}

/* A job and memory for it: every part in pages of its own, walls of 0xa5 around them. */
struct unit {
    struct read_job job;
    unsigned char *memory;
    uint64_t bytes;
};

static uint64_t part_room(uint64_t len) { return (len / IO_PAGE + 4) * IO_PAGE; }

static void unit_add(struct unit *u, uint64_t offset, uint64_t len) {
    struct read_part *p = &u->job.part[u->job.n_part++];
    *p = (struct read_part){&file, offset, len, (unsigned char *)(uintptr_t)(u->bytes + IO_PAGE + offset % IO_PAGE)};
    u->bytes += part_room(len);
}

static void unit_ready(struct unit *u) {
    u->memory = pages(u->bytes ? u->bytes : 1);
    for (uint32_t i = 0; i < u->job.n_part; i++) u->job.part[i].dst = u->memory + (uintptr_t)u->job.part[i].dst;
}

static struct unit *unit_new(uint64_t offset, uint64_t len) {
    struct unit *u = calloc(1, sizeof *u);
    assert_non_null(u);
    unit_add(u, offset, len);
    unit_ready(u);
    return u;
}

static void unit_free(struct unit *u) {
    free(u->memory);
    free(u);
}

static void part_check(const struct read_part *p, int line) {
    if (memcmp(p->dst, want + p->offset, p->len) != 0)
        fail_msg("line %d: %llu bytes at %llu are wrong", line, (unsigned long long)p->len, (unsigned long long)p->offset);
}

/* Right bytes, and nothing else but the rest of their pages was touched. */
static void unit_check(const struct unit *u, int line) {
    const unsigned char *at = u->memory;
    for (uint32_t i = 0; i < u->job.n_part; i++) {
        const struct read_part *p = &u->job.part[i];
        const unsigned char *first = p->dst - p->offset % IO_PAGE, *last = p->dst + p->len;
        part_check(p, line);
        last += (IO_PAGE - (uintptr_t)last % IO_PAGE) % IO_PAGE;
        for (; at < first; at++) assert_int_equal(*at, 0xa5);
        at = last;
    }
    for (; at < u->memory + u->bytes; at++) assert_int_equal(*at, 0xa5);
}

static void reads_every_phase(void **state) {
    static const uint64_t offsets[] = {0, 1, 100, 4095, 4096, 5000, PIECE - 1, PIECE, PIECE + 33, 3 * PIECE - 5000};
    static const uint64_t lens[] = {0, 1, 511, 4095, 4096, 4097, 9000, PIECE, PIECE + 1, 2 * PIECE + 12345};
    for (int direct = 0; direct < 2; direct++) {
        struct readers *r = start((struct readers_options){.n_reader = 3, .direct = direct});
        for (size_t o = 0; o < LEN(offsets); o++)
            for (size_t l = 0; l <= LEN(lens); l++) {
                struct unit *u = unit_new(offsets[o], l < LEN(lens) ? lens[l] : N_BYTES - offsets[o]); /* the last: to the end */
                readers_submit(r, &u->job, READ_DEMAND);
                OK(readers_wait(r, &u->job, 1, &support_err));
                unit_check(u, __LINE__);
                unit_free(u);
            }
        readers_close(r);
    }
}

static void random_unit(struct unit *u) {
    *u = (struct unit){0};
    uint32_t n = support_random(READ_MAX_PARTS + 1);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t offset = support_random(N_BYTES), len = support_random(4) ? support_random(20000) : support_random(6 << 20);
        unit_add(u, offset, len < N_BYTES - offset ? len : N_BYTES - offset);
    }
    unit_ready(u);
}

/* Many jobs of all priorities, some raised, some cancelled; what was read is right, and the counts agree. */
static void storm(uint32_t n_reader, bool direct) {
    enum { N = 24 };
    struct unit u[N];
    uint64_t bytes = 0;
    struct readers_stats s;
    struct readers *r = start((struct readers_options){.n_reader = n_reader, .direct = direct});
    for (int i = 0; i < N; i++) {
        random_unit(&u[i]);
        for (uint32_t k = 0; k < u[i].job.n_part; k++) bytes += u[i].job.part[k].len;
        readers_submit(r, &u[i].job, support_random(N_READ_PRIORITIES));
        if (support_random(3) == 0) readers_raise(r, &u[support_random((uint32_t)i + 1)].job, support_random(N_READ_PRIORITIES));
        if (support_random(6) == 0) readers_cancel(r, &u[support_random((uint32_t)i + 1)].job);
        if (support_random(6) == 0) readers_wait(r, &u[support_random((uint32_t)i + 1)].job, 1 + support_random(3), NULL);
    }
    for (int i = N - 1; i >= 0; i--) {
        int rc = readers_wait(r, &u[i].job, READ_MAX_PARTS, &support_err);
        assert_true(rc == ERR_OK || rc == ERR_CANCELLED);
        assert_true(rc || read_job_parts_done(&u[i].job) == u[i].job.n_part);
        for (uint32_t k = 0; k < read_job_parts_done(&u[i].job); k++) part_check(&u[i].job.part[k], __LINE__);
        if (!rc) unit_check(&u[i], __LINE__);
    }
    readers_stats(r, &s);
    assert_int_equal(s.bytes[0] + s.bytes[1] + s.bytes[2] + s.cancelled_bytes, bytes);
    assert_true(s.busy_ns > 0 && s.n_piece > 0);
    readers_close(r);
    for (int i = 0; i < N; i++) free(u[i].memory);
}

static void any_number_of_readers(void **state) {
    for (uint32_t n = 1; n <= 9; n++) storm(n, n % 2);
    storm(READ_MAX_READERS, true);
}

static void storms_with_a_bad_disk(void **state) {
    static const char *const faults[] = {"delay=2ms,seed=5", "reorder", "short,seed=9", "delay=1ms,reorder,short,seed=3"};
    for (size_t i = 0; i < LEN(faults); i++) {
        struct file_fault f;
        OK(file_fault_parse(faults[i], &f, &support_err));
        for (uint32_t n = 1; n <= 5; n += 2) {
            file_fault_set(&f);
            storm(n, (n + i) % 2);
            assert_true(file_fault_n_read() > 0);
        }
    }
    file_fault_set(NULL);
}

/* An observer that writes down the order and can hold the readers back. */
struct recorder {
    pthread_mutex_t gate, lock;
    atomic_uint n; /* written down so far */
    struct {
        uint32_t tag, part, lane;
        enum read_priority priority;
        uint64_t bytes;
    } seen[256];
};

static void record(void *ctx, const struct read_event *ev) {
    struct recorder *rec = ctx;
    assert_true(ev->t1_ns >= ev->t0_ns);
    pthread_mutex_lock(&rec->lock);
    uint32_t i = atomic_load(&rec->n);
    rec->seen[i].tag = ev->job->tag;
    rec->seen[i].part = ev->part;
    rec->seen[i].lane = ev->lane;
    rec->seen[i].priority = ev->priority;
    rec->seen[i].bytes = ev->bytes;
    atomic_store(&rec->n, i + 1);
    pthread_mutex_unlock(&rec->lock);
    pthread_mutex_lock(&rec->gate);
    pthread_mutex_unlock(&rec->gate);
}

/* One reader, held at the gate with a job of a single piece: what is submitted now waits in the queues. */
static struct readers *start_held(struct recorder *rec, struct unit **plug) {
    *rec = (struct recorder){.gate = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct readers *r = start((struct readers_options){.n_reader = 1, .direct = true, .observer = record, .ctx = rec});
    pthread_mutex_lock(&rec->gate);
    *plug = unit_new(0, 10);
    (*plug)->job.tag = 99;
    readers_submit(r, &(*plug)->job, READ_DEMAND);
    while (atomic_load(&rec->n) == 0) sched_yield();
    return r;
}

static struct unit *submit(struct readers *r, uint32_t tag, enum read_priority p, uint64_t offset, uint64_t len) {
    struct unit *u = unit_new(offset, len);
    u->job.tag = tag;
    readers_submit(r, &u->job, p);
    return u;
}

static void better_priorities_come_first(void **state) {
    static const uint32_t order[] = {99, 3, 6, 2, 5, 5, 1, 4};
    struct recorder rec;
    struct unit *u[7];
    struct readers *r = start_held(&rec, &u[0]);
    u[1] = submit(r, 1, READ_SPECULATE, 0, 100);
    u[2] = submit(r, 2, READ_SCHEDULE, 7, 100);
    u[3] = submit(r, 3, READ_DEMAND, 9, 100);
    u[4] = submit(r, 4, READ_SPECULATE, 0, 100);
    u[5] = submit(r, 5, READ_SCHEDULE, PIECE - 10, 20); /* two pieces */
    u[6] = submit(r, 6, READ_DEMAND, 0, 100);
    pthread_mutex_unlock(&rec.gate);
    for (int i = 0; i < 7; i++) OK(readers_wait(r, &u[i]->job, 1, &support_err));
    assert_int_equal(atomic_load(&rec.n), LEN(order));
    for (size_t i = 0; i < LEN(order); i++) assert_int_equal(rec.seen[i].tag, order[i]);
    assert_int_equal(rec.seen[4].bytes, 10);
    assert_int_equal(rec.seen[6].priority, READ_SPECULATE);
    for (int i = 0; i < 7; i++) {
        unit_check(u[i], __LINE__);
        unit_free(u[i]);
    }
    readers_close(r);
}

static void raising_moves_what_waits(void **state) {
    static const uint32_t order[] = {99, 4, 3, 2, 1};
    struct recorder rec;
    struct unit *u[5];
    struct readers *r = start_held(&rec, &u[0]);
    for (uint32_t i = 1; i <= 3; i++) u[i] = submit(r, i, READ_SPECULATE, 0, 100);
    u[4] = submit(r, 4, READ_DEMAND, 0, 100);
    readers_raise(r, &u[3]->job, READ_DEMAND);
    readers_raise(r, &u[2]->job, READ_SCHEDULE);
    readers_raise(r, &u[4]->job, READ_SPECULATE); /* worse: stays */
    readers_raise(r, &u[0]->job, READ_DEMAND);    /* under way: nothing to move */
    pthread_mutex_unlock(&rec.gate);
    for (int i = 0; i < 5; i++) OK(readers_wait(r, &u[i]->job, 1, &support_err));
    for (size_t i = 0; i < LEN(order); i++) assert_int_equal(rec.seen[i].tag, order[i]);
    assert_int_equal(rec.seen[2].priority, READ_DEMAND);
    for (int i = 0; i < 5; i++) unit_free(u[i]);
    readers_close(r);
}

static void cancelling_drops_what_waits(void **state) {
    struct recorder rec;
    struct readers_stats s;
    struct unit *u[4];
    struct readers *r = start_held(&rec, &u[0]);
    for (uint32_t i = 1; i <= 3; i++) u[i] = submit(r, i, READ_SPECULATE, i, 100 * i);
    readers_cancel(r, &u[2]->job);
    readers_cancel(r, &u[2]->job);
    readers_cancel(r, &u[0]->job); /* all of it is under way: it ends well */
    REFUSED(readers_wait(r, &u[2]->job, 1, &support_err), ERR_CANCELLED, "cancelled");
    struct read_job *waiting[] = {&u[1]->job, &u[2]->job};
    assert_int_equal(readers_wait_any(r, waiting, 2, 1), 1); /* an end is news, too */
    pthread_mutex_unlock(&rec.gate);
    OK(readers_wait(r, &u[0]->job, 1, &support_err));
    OK(readers_wait(r, &u[1]->job, 1, &support_err));
    OK(readers_wait(r, &u[3]->job, 1, &support_err));
    assert_int_equal(atomic_load(&rec.n), 3);
    readers_stats(r, &s);
    assert_int_equal(s.cancelled_bytes, 200);
    assert_int_equal(s.bytes[READ_SPECULATE], 400);
    assert_int_equal(s.bytes[READ_DEMAND], 10);
    assert_int_equal(s.n_piece, 3);
    readers_submit(r, &u[2]->job, READ_DEMAND); /* the same job again */
    OK(readers_wait(r, &u[2]->job, 1, &support_err));
    unit_check(u[2], __LINE__);
    for (int i = 0; i < 4; i++) unit_free(u[i]);
    readers_close(r);
}

/* Cancelled in the middle: the piece under way still lands, the others never do. */
static void cancelling_in_the_middle(void **state) {
    struct recorder rec = {.gate = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct readers *r = start((struct readers_options){.n_reader = 1, .direct = true, .observer = record, .ctx = &rec});
    pthread_mutex_lock(&rec.gate);
    struct unit *u = submit(r, 1, READ_SPECULATE, 0, 3 * PIECE);
    while (atomic_load(&rec.n) == 0) sched_yield();
    readers_cancel(r, &u->job);
    assert_int_equal(read_job_parts_done(&u->job), 0);
    pthread_mutex_unlock(&rec.gate);
    REFUSED(readers_wait(r, &u->job, 1, &support_err), ERR_CANCELLED);
    assert_memory_equal(u->job.part[0].dst, want, READ_GUESS_BYTES);
    for (uint64_t i = READ_GUESS_BYTES; i < 3 * PIECE; i++) assert_int_equal(u->job.part[0].dst[i], 0xa5);
    readers_close(r);
    unit_free(u);
}

/* Speculation keeps to half of the readers: a demand read finds one that is free. */
static void speculation_leaves_room(void **state) {
    struct recorder rec = {.gate = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct readers *r = start((struct readers_options){.n_reader = 4, .direct = true, .observer = record, .ctx = &rec});
    pthread_mutex_lock(&rec.gate);
    struct unit *guess = submit(r, 1, READ_SPECULATE, 0, 4 * PIECE);
    while (atomic_load(&rec.n) < 2) sched_yield();
    usleep(20000);
    assert_int_equal(atomic_load(&rec.n), 2);
    struct unit *demand = submit(r, 2, READ_DEMAND, 0, 2 * PIECE);
    while (atomic_load(&rec.n) < 4) sched_yield();
    assert_true(rec.seen[2].tag == 2 && rec.seen[3].tag == 2);
    pthread_mutex_unlock(&rec.gate);
    OK(readers_wait(r, &demand->job, 1, &support_err));
    OK(readers_wait(r, &guess->job, 1, &support_err));
    unit_check(guess, __LINE__);
    readers_close(r);
    unit_free(guess);
    unit_free(demand);
}

/* A guess that turns out to be needed is read by all readers, also those that speculation left free. */
static void raising_wakes_readers(void **state) {
    struct recorder rec = {.gate = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct readers *r = start((struct readers_options){.n_reader = 4, .direct = true, .observer = record, .ctx = &rec});
    pthread_mutex_lock(&rec.gate);
    struct unit *u = submit(r, 1, READ_SPECULATE, 0, 4 * PIECE);
    while (atomic_load(&rec.n) < 2) sched_yield();
    usleep(20000); /* for the others to fall asleep again */
    readers_raise(r, &u->job, READ_DEMAND);
    for (uint32_t i = 0; i < 60000 && atomic_load(&rec.n) < 4; i++) usleep(1000);
    assert_int_equal(atomic_load(&rec.n), 4);
    pthread_mutex_unlock(&rec.gate);
    OK(readers_wait(r, &u->job, 1, &support_err));
    unit_check(u, __LINE__);
    readers_close(r);
    unit_free(u);
}

static void *close_main(void *r) {
    readers_close(r);
    return NULL;
}

static void closing_ends_what_waits(void **state) {
    struct recorder rec;
    struct unit *plug, *u[3];
    struct readers *r = start_held(&rec, &plug);
    for (uint32_t i = 0; i < 3; i++) u[i] = submit(r, i, i, 0, 5 * PIECE);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, close_main, r), 0);
    usleep(20000);
    pthread_mutex_unlock(&rec.gate);
    pthread_join(closer, NULL);
    assert_int_equal(read_job_parts_done(&plug->job), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(u[i]->job.rc, ERR_CANCELLED);
        unit_free(u[i]);
    }
    unit_free(plug);
    readers_close(NULL);
}

/* Parts become ready one after the other: gate, while up is still to come. */
static void parts_in_order(void **state) {
    struct recorder rec;
    struct unit *plug, u = {0};
    struct readers *r = start_held(&rec, &plug);
    unit_add(&u, 5, 3000);
    unit_add(&u, 17, 0);
    unit_add(&u, PIECE - 5, PIECE);
    unit_ready(&u);
    readers_submit(r, &u.job, READ_DEMAND);
    assert_int_equal(read_job_parts_done(&u.job), 0);
    pthread_mutex_unlock(&rec.gate);
    OK(readers_wait(r, &u.job, 1, &support_err));
    assert_true(read_job_parts_done(&u.job) >= 2); /* the empty one is there with the first */
    part_check(&u.job.part[0], __LINE__);
    OK(readers_wait(r, &u.job, 99, &support_err));
    unit_check(&u, __LINE__);
    for (uint32_t i = 2; i < atomic_load(&rec.n); i++) assert_true(rec.seen[i].part >= rec.seen[i - 1].part);
    struct unit tail = {0}; /* an empty part at the end is no piece */
    unit_add(&tail, 0, 0);
    unit_add(&tail, 3, 3);
    unit_add(&tail, 0, 0);
    unit_ready(&tail);
    readers_submit(r, &tail.job, READ_DEMAND);
    OK(readers_wait(r, &tail.job, 3, &support_err));
    unit_check(&tail, __LINE__);
    struct read_job none = {.n_part = 0};
    readers_submit(r, &none, READ_DEMAND);
    OK(readers_wait(r, &none, 0, &support_err));
    OK(readers_wait(r, &none, 1, &support_err));
    readers_close(r);
    assert_int_equal(atomic_load(&rec.n), 5);
    free(tail.memory);
    free(u.memory);
    unit_free(plug);
}

static void waiting_for_any(void **state) {
    enum { N = 12 };
    struct file_fault f = {.reorder = true, .delay_us = 1000, .seed = 4};
    struct unit *u[N];
    struct read_job *jobs[N];
    struct readers *r = start((struct readers_options){.n_reader = 4, .direct = true});
    file_fault_set(&f);
    for (uint32_t i = 0; i < N; i++) {
        u[i] = submit(r, i, READ_SCHEDULE, i * 100000, 90000);
        jobs[i] = &u[i]->job;
    }
    for (uint32_t n = N; n > 0; n--) {
        uint32_t i = readers_wait_any(r, jobs, n, 1);
        assert_true(i < n);
        assert_int_equal(read_job_parts_done(jobs[i]), 1);
        part_check(&jobs[i]->part[0], __LINE__);
        jobs[i] = jobs[n - 1];
    }
    readers_close(r);
    file_fault_set(NULL);
    for (int i = 0; i < N; i++) unit_free(u[i]);
}

/* The Nth read fails, for every N: one job ends with the error, the others are right, and the next round goes well. */
static void fails_the_nth_read(void **state) {
    for (int direct = 0; direct < 2; direct++) {
        bool all_well = false;
        struct readers *r = start((struct readers_options){.n_reader = 2, .direct = direct});
        for (uint32_t nth = 1; !all_well; nth++) {
            struct unit *u[3];
            int n_bad = 0;
            file_fault_set(&(struct file_fault){.eio = nth});
            for (uint32_t i = 0; i < 3; i++) u[i] = submit(r, i, READ_DEMAND, i * PIECE + i, PIECE + 100);
            for (int i = 0; i < 3; i++) {
                int rc = readers_wait(r, &u[i]->job, 1, &support_err);
                if (!rc) unit_check(u[i], __LINE__);
                else REFUSED(readers_wait(r, &u[i]->job, 1, &support_err), ERR_IO, file.path, "at byte", strerror(EIO));
                n_bad += rc != ERR_OK;
            }
            all_well = file_fault_n_read() < nth;
            assert_true(all_well ? n_bad == 0 : n_bad > 0);
            for (int i = 0; i < 3; i++) unit_free(u[i]);
        }
        file_fault_set(NULL);
        struct unit *u = submit(r, 0, READ_DEMAND, 1, N_BYTES - 1);
        OK(readers_wait(r, &u->job, 1, &support_err));
        unit_check(u, __LINE__);
        unit_free(u);
        readers_close(r);
    }
}

/* gate was read before up failed: waiting for gate goes well, for up not. */
static void early_parts_survive_an_error(void **state) {
    struct unit u = {0};
    struct readers *r = start((struct readers_options){.n_reader = 1});
    unit_add(&u, 0, 1000);
    unit_add(&u, 9000, 1000);
    unit_add(&u, 0, 1000);
    unit_ready(&u);
    file_fault_set(&(struct file_fault){.eio = 2});
    readers_submit(r, &u.job, READ_DEMAND);
    REFUSED(readers_wait(r, &u.job, 2, &support_err), ERR_IO, "at byte 9000");
    OK(readers_wait(r, &u.job, 1, &support_err));
    part_check(&u.job.part[0], __LINE__);
    assert_int_equal(file_fault_n_read(), 2); /* the third was not tried */
    file_fault_set(NULL);
    readers_close(r);
    free(u.memory);
}

static void flips_one_bit(void **state) {
    struct unit *u = unit_new(100, 100000);
    struct readers *r = start((struct readers_options){.n_reader = 1});
    file_fault_set(&(struct file_fault){.flip = 1, .seed = 7});
    readers_submit(r, &u->job, READ_DEMAND);
    OK(readers_wait(r, &u->job, 1, &support_err));
    int n = 0;
    for (uint64_t i = 0; i < 100000; i++) n += __builtin_popcount(u->job.part[0].dst[i] ^ want[100 + i]);
    assert_int_equal(n, 1);
    file_fault_set(NULL);
    readers_close(r);
    unit_free(u);
}

static void refuses_a_shortened_file(void **state) {
    const char *path = support_path("cut");
    struct file cut;
    support_write(path, want, 3 * PIECE);
    OK(file_open(path, &cut, &support_err));
    struct unit *u = unit_new(10, 3 * PIECE - 10);
    u->job.part[0].file = &cut;
    assert_int_equal(truncate(path, 2 * PIECE + 5), 0);
    for (int direct = 0; direct < 2; direct++) {
        struct readers *r = start((struct readers_options){.n_reader = 2, .direct = direct});
        readers_submit(r, &u->job, READ_DEMAND);
        REFUSED(readers_wait(r, &u->job, 1, &support_err), ERR_IO, path, "ended at byte 8388613", "truncated");
        readers_close(r);
    }
    file_close(&cut);
    unit_free(u);
}

static void refuses_too_many(void **state) {
    struct readers *r;
    REFUSED(readers_open(&(struct readers_options){.n_reader = 17}, &r, &support_err), ERR_ARG, "17", "16");
    assert_null(r);
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || !defined(__linux__)
static void lives_with_fewer_threads(void **state) { skip(); /* no room to limit beside their shadow memory */ }
#else
/* In a child with room for so many more stacks. */
static int open_with_room(uint64_t stacks) {
    struct readers *r;
    struct err e = {0};
    struct rlimit lim;
    unsigned long pages_now = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu", &pages_now) != 1) return 77;
    fclose(f);
    lim.rlim_cur = lim.rlim_max = pages_now * (uint64_t)sysconf(_SC_PAGESIZE) + stacks * ((8 << 20) + 65536) + (2 << 20);
    if (setrlimit(RLIMIT_AS, &lim) != 0) return 77;
    int rc = readers_open(&(struct readers_options){.n_reader = 8}, &r, &e);
    if (stacks == 0) return rc == ERR_NOMEM && !r && strstr(e.text, "no thread") ? 0 : 1;
    if (rc || readers_n(r) != stacks) return 1;
    struct unit *u = unit_new(3, 100000);
    readers_submit(r, &u->job, READ_DEMAND);
    rc = readers_wait(r, &u->job, 1, &e);
    return rc || memcmp(u->job.part[0].dst, want + 3, 100000) != 0;
}

static void lives_with_fewer_threads(void **state) {
    struct rlimit stack;
    getrlimit(RLIMIT_STACK, &stack);
    if (stack.rlim_cur != 8 << 20) skip();
    for (uint64_t stacks = 0; stacks <= 2; stacks++) {
        fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) _exit(open_with_room(stacks));
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) skip();
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}
#endif

int main(int argc, char **argv) {
    support_init(argv[0]);
    make_file();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_with_fewer_threads), /* before any thread was there whose stack is kept */
        cmocka_unit_test(reads_every_phase),
        cmocka_unit_test(any_number_of_readers),
        cmocka_unit_test(storms_with_a_bad_disk),
        cmocka_unit_test(better_priorities_come_first),
        cmocka_unit_test(raising_moves_what_waits),
        cmocka_unit_test(cancelling_drops_what_waits),
        cmocka_unit_test(cancelling_in_the_middle),
        cmocka_unit_test(speculation_leaves_room),
        cmocka_unit_test(raising_wakes_readers),
        cmocka_unit_test(closing_ends_what_waits),
        cmocka_unit_test(parts_in_order),
        cmocka_unit_test(waiting_for_any),
        cmocka_unit_test(fails_the_nth_read),
        cmocka_unit_test(early_parts_survive_an_error),
        cmocka_unit_test(flips_one_bit),
        cmocka_unit_test(refuses_a_shortened_file),
        cmocka_unit_test(refuses_too_many),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    file_close(&file);
    free(want);
    return support_finish(rc);
}
