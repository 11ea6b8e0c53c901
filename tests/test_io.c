/* Files and the loader: every refusal, every phase of offset and address, failures in the middle, files that change. */
#include "tests/support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/fault.h"
#include "io/file.h"
#include "io/load.h"

/* What byte i of a test file is. */
static unsigned char byte_at(uint64_t i) { return (unsigned char)((i * 2654435761u) >> 13 ^ i >> 20); }

static const char *make_file(const char *name, size_t n) {
    unsigned char *p = malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) p[i] = byte_at(i);
    const char *path = support_path(name);
    support_write(path, p, n);
    free(p);
    return path;
}

static struct file open_file(const char *path) {
    struct file f;
    OK(file_open(path, &f, &support_err));
    assert_string_equal(f.path, path);
    return f;
}

static void expect_bytes(const unsigned char *p, uint64_t offset, uint64_t len, int line) {
    for (uint64_t i = 0; i < len; i++)
        if (p[i] != byte_at(offset + i)) fail_msg("line %d: byte %llu of %llu at %llu is wrong", line, (unsigned long long)i,
                                                  (unsigned long long)len, (unsigned long long)offset);
}

/* As nobody, when this is root, who may read everything. */
static void refuses_without_permission(void **state) {
    const char *path = make_file("secret", 100);
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(chmod(support_dir, 0755), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct file f;
        struct err e = {0};
        if (getuid() == 0 && setuid(65534) != 0) _exit(77);
        int rc = file_open(path, &f, &e);
        _exit(rc == ERR_IO && strstr(e.text, "permissions") && strstr(e.text, path) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void open_refuses(void **state) {
    struct file f;
    const char *path = support_path("absent");
    REFUSED(file_open(path, &f, &support_err), ERR_NOT_FOUND, path);
    assert_int_equal(f.fd, -1);
    file_close(&f);
    REFUSED(file_open(support_dir, &f, &support_err), ERR_FORMAT, support_dir, "directory");
    path = support_path("empty");
    support_write(path, "", 0);
    REFUSED(file_open(path, &f, &support_err), ERR_FORMAT, path, "empty");
    path = support_path("fifo"); /* must not wait for a writer */
    assert_int_equal(mkfifo(path, 0600), 0);
    REFUSED(file_open(path, &f, &support_err), ERR_FORMAT, path, "not a regular file");
    REFUSED(file_open("/dev/null", &f, &support_err), ERR_FORMAT, "/dev/null", "not a regular file");
    path = support_path("loop");
    assert_int_equal(symlink(path, path), 0);
    REFUSED(file_open(path, &f, &support_err), ERR_IO, path);
    support_write(support_path("plain"), "x", 1);
    REFUSED(file_open(support_path("plain/below"), &f, &support_err), ERR_IO, "plain/below");
    file_close(&f);
    file_close(&f); /* twice is fine */
    f = open_file(support_path("plain"));
    assert_int_equal(f.size_bytes, 1);
    file_close(&f);
}

enum { SIZE = 5 * IO_PAGE + 123 };

/* One read into memory of that phase, with a wall of known bytes on both sides. */
static void read_at(const struct file *f, unsigned char *arena, uint64_t offset, uint64_t phase, uint64_t len, bool direct) {
    unsigned char *dst = arena + IO_PAGE + phase;
    memset(arena, 0xa5, 9 * IO_PAGE);
    OK(file_read(f, offset, dst, len, direct, &support_err));
    expect_bytes(dst, offset, len, __LINE__);
    for (unsigned char *p = arena; p < arena + 9 * IO_PAGE; p++)
        if ((p < dst || p >= dst + len) && *p != 0xa5) fail_msg("offset %llu length %llu: a byte beside it was written",
                                                               (unsigned long long)offset, (unsigned long long)len);
}

static void reads_every_phase(void **state) {
    static const uint64_t offsets[] = {0, 1, 100, 4095, 4096, 4097, 8192, 12000};
    static const uint64_t lens[] = {0, 1, 511, 512, 4095, 4096, 4097, 8192, 8193};
    struct file f = open_file(make_file("phases", SIZE));
    assert_int_equal(f.size_bytes, SIZE);
    void *arena = NULL;
    assert_int_equal(posix_memalign(&arena, IO_PAGE, 9 * IO_PAGE), 0);
    for (size_t o = 0; o < LEN(offsets); o++) {
        const uint64_t phases[] = {offsets[o] % IO_PAGE, 0, 1, 17, 512, 4095};
        for (size_t p = 0; p < LEN(phases); p++)
            for (int direct = 0; direct < 2; direct++) {
                for (size_t l = 0; l < LEN(lens); l++) read_at(&f, arena, offsets[o], phases[p], lens[l], direct);
                read_at(&f, arena, offsets[o], phases[p], SIZE - offsets[o], direct); /* to the end */
            }
    }
    file_close(&f);
    struct file buffered = open_file(support_path("phases")); /* where the system refuses direct reads */
    if (buffered.fd_direct >= 0) close(buffered.fd_direct);
    buffered.fd_direct = -1;
    read_at(&buffered, arena, 4096, 0, 8192, true);
    file_close(&buffered);
    free(arena);
}

static void reads_past_the_end(void **state) {
    struct file f = open_file(make_file("short", SIZE));
    void *dst = NULL;
    assert_int_equal(posix_memalign(&dst, IO_PAGE, 8 * IO_PAGE), 0);
    for (int direct = 0; direct < 2; direct++) {
        REFUSED(file_read(&f, 0, dst, SIZE + 1, direct, &support_err), ERR_IO, f.path, "ended at byte 20603");
        REFUSED(file_read(&f, SIZE, dst, 1, direct, &support_err), ERR_IO, "ended at byte 20603");
        REFUSED(file_read(&f, IO_PAGE, dst, 7 * IO_PAGE, direct, &support_err), ERR_IO, "ended at byte 20603");
        REFUSED(file_read(&f, SIZE + 5 * IO_PAGE, dst, 10, direct, &support_err), ERR_IO, "ended at byte");
        OK(file_read(&f, SIZE + 100, dst, 0, direct, &support_err));
        assert_int_equal(file_read(&f, SIZE, dst, 1, direct, NULL), ERR_IO);
    }
    assert_int_equal(truncate(f.path, 2 * IO_PAGE + 5), 0); /* somebody writes a new one over it */
    for (int direct = 0; direct < 2; direct++) {
        OK(file_read(&f, 0, dst, 2 * IO_PAGE + 5, direct, &support_err));
        REFUSED(file_read(&f, 0, dst, SIZE, direct, &support_err), ERR_IO, "ended at byte 8197", "truncated");
        REFUSED(file_read(&f, 3 * IO_PAGE, dst, 2 * IO_PAGE, direct, &support_err), ERR_IO, "ended at byte 12288");
    }
    file_close(&f);
    struct file bad = {.path = (char *)"gone", .fd = -1, .fd_direct = -1};
    REFUSED(file_read(&bad, 7, dst, 10, true, &support_err), ERR_IO, "gone", "byte 7");
    free(dst);
}

static void sees_changed_files(void **state) {
    const char *path = make_file("changes", SIZE), *other = make_file("other", SIZE);
    struct file f = open_file(path);
    OK(file_check_unchanged(&f, &support_err));
    assert_int_equal(rename(other, path), 0); /* another file of this name: ours is still there */
    OK(file_check_unchanged(&f, &support_err));
    file_close(&f);
    f = open_file(path);
    assert_int_equal(truncate(path, SIZE - 1), 0);
    REFUSED(file_check_unchanged(&f, &support_err), ERR_IO, path, "20603", "20602");
    assert_int_equal(truncate(path, SIZE), 0); /* the size is right again, the time is not */
    const struct timespec later[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000, .tv_nsec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, path, later, 0), 0);
    REFUSED(file_check_unchanged(&f, &support_err), ERR_IO, path, "written to");
    file_close(&f);
    REFUSED(file_check_unchanged(&f, &support_err), ERR_IO, "examined");
}

/* Both ways of reading, from and to everywhere. */
static void read_all_ways(const struct file *f) {
    unsigned char *arena = NULL;
    assert_int_equal(posix_memalign((void **)&arena, IO_PAGE, 9 * IO_PAGE), 0);
    for (uint64_t offset = 0; offset < SIZE; offset += 777) {
        read_at(f, arena, offset, offset % IO_PAGE, SIZE - offset, true);
        for (int direct = 0; direct < 2; direct++) {
            OK(file_read_pages(f, offset, arena + offset % IO_PAGE, SIZE - offset, direct, &support_err));
            expect_bytes(arena + offset % IO_PAGE, offset, SIZE - offset, __LINE__);
        }
    }
    free(arena);
}

/* tmpfs of older kernels has no direct reads. */
static void falls_back_without_direct_reads(void **state) {
    const char *path = make_file("plain-file", SIZE);
    char command[256], shm[64];
    snprintf(shm, sizeof shm, "/dev/shm/hy-test-%d", (int)getpid());
    snprintf(command, sizeof command, "cp '%s' %s 2>/dev/null", path, shm);
    if (system(command) == 0) {
        struct file f = open_file(shm);
        unlink(shm);
        read_all_ways(&f);
        file_close(&f);
    }
    file_fault_set(&(struct file_fault){.no_direct = true});
    struct file f = open_file(path);
    file_fault_set(NULL);
    assert_false(file_is_direct(&f));
    read_all_ways(&f);
    file_close(&f);
}

static void fault_texts(void **state) {
    static const char *const bad[] = {"", ",", "delay", "delay=", "delay=20", "delay=ms", "delay=-1ms", "delay=11s", "delay=20msx",
                                      "delay= 20ms", "reorder=1", "short,", "eio", "eio=0", "eio=x", "eio=5x", "eio=99999999999",
                                      "flip=-3", "seed=", "nothing", "eio=3,,short", "delay=99999999999999999999us"};
    struct file_fault f;
    for (size_t i = 0; i < LEN(bad); i++) REFUSED(file_fault_parse(bad[i], &f, &support_err), ERR_ARG, "is not one of", "delay=20ms");
    REFUSED(file_fault_parse("short,eio=three,flip=1", &f, &support_err), ERR_ARG, "'eio=three'");
    OK(file_fault_parse("delay=20ms,reorder,short,nodirect,eio=17,flip=33,seed=3", &f, &support_err));
    assert_int_equal(f.delay_us, 20000);
    assert_true(f.reorder && f.short_reads && f.no_direct);
    assert_int_equal(f.eio, 17);
    assert_int_equal(f.flip, 33);
    assert_int_equal(f.seed, 3);
    OK(file_fault_parse("delay=500us", &f, &support_err));
    assert_int_equal(f.delay_us, 500);
    assert_false(f.reorder || f.short_reads || f.no_direct || f.eio || f.flip || f.seed);
    OK(file_fault_parse("delay=1s", &f, &support_err));
    assert_int_equal(f.delay_us, 1000000);
}

/* The environment counts when the first file is opened, so this needs a process that has opened none. */
static void open_in_child(const char *env, const char *path, int want_rc, const char *word) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct file f;
        struct err e = {0};
        char c;
        setenv("HY_IO_FAULT", env, 1);
        int rc = file_open(path, &f, &e);
        if (!rc) rc = file_read(&f, 0, &c, 1, false, &e);
        _exit(rc == want_rc && (!rc || strstr(e.text, word)) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void faults_from_the_environment(void **state) {
    const char *path = support_path("for-faults");
    support_write(path, "abc", 3);
    open_in_child("", path, ERR_OK, "");
    open_in_child("eio=2", path, ERR_OK, "");
    open_in_child("eio=1", path, ERR_IO, strerror(EIO));
    open_in_child("no such", path, ERR_ARG, "HY_IO_FAULT");
}

static void reads_in_bits(void **state) {
    struct file f = open_file(make_file("bits", SIZE));
    for (uint64_t seed = 1; seed < 4; seed++) {
        file_fault_set(&(struct file_fault){.short_reads = true, .seed = seed});
        read_all_ways(&f);
        assert_true(file_fault_n_read() > 4 * SIZE / 777);
    }
    for (int direct = 0; direct < 2; direct++) {
        char page[IO_PAGE];
        file_fault_set(&(struct file_fault){.eio = 2});
        OK(file_read(&f, 0, page, 100, direct, &support_err));
        REFUSED(file_read(&f, 0, page, 100, direct, &support_err), ERR_IO, f.path, "byte 0", strerror(EIO));
        OK(file_read(&f, 0, page, 100, direct, &support_err));
        expect_bytes((unsigned char *)page, 0, 100, __LINE__);
    }
    file_fault_set(NULL);
    file_close(&f);
}

/* Random ranges of two files, tiny and of several pieces, one behind the other in memory. */
struct job {
    struct file files[2];
    struct load_range *ranges;
    uint32_t n;
    unsigned char *memory;
    uint64_t bytes;
};

static void job_init(struct job *j, uint32_t n, uint64_t file_bytes, bool keep_phase) {
    char name[32];
    *j = (struct job){.n = n, .ranges = calloc(n + 1, sizeof *j->ranges)};
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "part%d", i);
        j->files[i] = open_file(make_file(name, file_bytes));
    }
    for (uint32_t i = 0; i < n; i++) {
        struct load_range *r = &j->ranges[i];
        r->file = &j->files[support_random(2)];
        r->offset = support_random((uint32_t)file_bytes);
        r->len = support_random(8) ? support_random(9000) : support_random((uint32_t)file_bytes);
        if (r->len > file_bytes - r->offset) r->len = file_bytes - r->offset;
        if (keep_phase) j->bytes += (r->offset - j->bytes) % IO_PAGE;
        r->dst = (void *)(uintptr_t)j->bytes;
        j->bytes += r->len;
    }
    assert_int_equal(posix_memalign((void **)&j->memory, IO_PAGE, j->bytes + 1), 0);
    for (uint32_t i = 0; i < n; i++) j->ranges[i].dst = j->memory + (uintptr_t)j->ranges[i].dst;
}

static void job_free(struct job *j) {
    file_close(&j->files[0]);
    file_close(&j->files[1]);
    free(j->memory);
    free(j->ranges);
}

static void loads_ranges(void **state) {
    static const uint32_t readers[] = {0, 1, 3, 99};
    for (size_t i = 0; i < LEN(readers) * 2; i++) {
        struct job j;
        bool direct = i % 2;
        job_init(&j, 20, (5 << 20) + 321, direct);
        memset(j.memory, 0x5a, j.bytes);
        OK(load_ranges(j.ranges, j.n, &(struct load_options){.n_reader = readers[i / 2], .direct = direct}, &support_err));
        for (uint32_t r = 0; r < j.n; r++) expect_bytes(j.ranges[r].dst, j.ranges[r].offset, j.ranges[r].len, __LINE__);
        job_free(&j);
    }
    OK(load_ranges(NULL, 0, &(struct load_options){.n_reader = 3}, &support_err));
}

static void loads_stop_at_errors(void **state) {
    for (uint32_t n_reader = 1; n_reader <= 4; n_reader++) {
        struct job j;
        job_init(&j, 40, 100000, false);
        memset(j.memory, 0x5a, j.bytes);
        struct load_range *bad = &j.ranges[10];
        bad->len = bad->len ? bad->len : 1;
        bad->offset = 100000 - bad->len + 1; /* one byte more than there is */
        struct load_options opt = {.n_reader = n_reader};
        REFUSED(load_ranges(j.ranges, j.n, &opt, &support_err), ERR_IO, "ended at byte 100000");
        assert_int_equal(load_ranges(j.ranges, j.n, &opt, NULL), ERR_IO);
        if (n_reader == 1) /* pieces are taken in order: nothing behind the bad one was read */
            for (unsigned char *p = j.ranges[11].dst; p < j.memory + j.bytes; p++) assert_int_equal(*p, 0x5a);
        job_free(&j);
    }
}

static void loads_notice_truncation(void **state) {
    struct job j;
    job_init(&j, 3, 6 << 20, false);
    for (uint32_t i = 0; i < 3; i++) j.ranges[i] = (struct load_range){&j.files[0], i << 21, 2 << 20, j.memory};
    free(j.memory);
    j.memory = malloc(6 << 20);
    for (uint32_t i = 0; i < 3; i++) j.ranges[i].dst = j.memory + (i << 21);
    assert_int_equal(truncate(j.files[0].path, 5 << 20), 0);
    for (uint32_t n_reader = 1; n_reader <= 3; n_reader++)
        REFUSED(load_ranges(j.ranges, 3, &(struct load_options){.n_reader = n_reader, .direct = n_reader == 2}, &support_err), ERR_IO,
                j.files[0].path, "ended at byte 5242880");
    job_free(&j);
}

struct watcher {
    uint64_t last, total;
    uint32_t n_call, cancel_at;
};

static bool on_progress(void *ctx, uint64_t done, uint64_t total) {
    struct watcher *w = ctx;
    assert_true(done >= w->last && done <= total);
    assert_int_equal(total, w->total);
    w->last = done;
    return ++w->n_call != w->cancel_at;
}

/* The same 4 MB again and again: a load that lasts as long as the test wants. */
static void loads_are_cancelled(void **state) {
    enum { N = 100000, PIECE = 4 << 20 };
    struct file f = open_file(make_file("again", PIECE));
    unsigned char *dst = malloc(PIECE);
    struct load_range *r = calloc(N, sizeof *r);
    for (uint32_t i = 0; i < N; i++) r[i] = (struct load_range){&f, 0, PIECE, dst};
    struct watcher w = {.total = (uint64_t)N * PIECE, .cancel_at = 2};
    struct load_options opt = {.n_reader = 1, .progress = on_progress, .ctx = &w};
    REFUSED(load_ranges(r, N, &opt, &support_err), ERR_CANCELLED, "interrupted");
    assert_int_equal(w.n_call, 2);
    assert_true(w.last > 0 && w.last < w.total / 2);
    w = (struct watcher){.total = 40 * (uint64_t)PIECE};
    OK(load_ranges(r, 40, &opt, &support_err));
    assert_true(w.last <= w.total);
    free(r);
    free(dst);
    file_close(&f);
}

/* A file inside the program: found by its name, read by copying, and as long as it is. */
static void reads_an_embedded_file(void **state) {
    static const unsigned char bytes[] = "part of the program";
    unsigned char got[sizeof bytes] = {0};
    struct file f;
    file_embed("test:embedded", bytes, sizeof bytes);
    OK(file_open("test:embedded", &f, &support_err));
    assert_int_equal(f.size_bytes, sizeof bytes);
    assert_false(file_is_direct(&f));
    OK(file_read(&f, 5, got, 4, true, &support_err));
    assert_memory_equal(got, "of t", 4);
    OK(file_read_pages(&f, 0, got, sizeof bytes, true, &support_err));
    assert_memory_equal(got, bytes, sizeof bytes);
    assert_int_equal(file_read(&f, 1, got, sizeof bytes, false, &support_err), ERR_IO);
    assert_int_equal(file_read(&f, UINT64_MAX, got, 1, false, &support_err), ERR_IO);
    OK(file_check_unchanged(&f, &support_err));
    file_close(&f);
    assert_int_equal(file_open("test:other", &f, &support_err), ERR_NOT_FOUND);
    file_embed(NULL, NULL, 0);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_from_the_environment), cmocka_unit_test(fault_texts), cmocka_unit_test(reads_in_bits),
        cmocka_unit_test(sees_changed_files),   cmocka_unit_test(falls_back_without_direct_reads),
        cmocka_unit_test(reads_an_embedded_file),
        cmocka_unit_test(open_refuses),         cmocka_unit_test(refuses_without_permission), cmocka_unit_test(reads_every_phase),
        cmocka_unit_test(reads_past_the_end),   cmocka_unit_test(loads_ranges),               cmocka_unit_test(loads_stop_at_errors),
        cmocka_unit_test(loads_notice_truncation), cmocka_unit_test(loads_are_cancelled),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
