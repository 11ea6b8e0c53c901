/* The cache folder, profiles kept in it, and the measurement of a disk: which bytes it reads and what it refuses. */
#include "tests/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "sched/cache_dir.h"
#include "sched/profile.h"

#define MB ((uint64_t)1 << 20)
#define FILE_BYTES (600 * MB)

/* Reads of the measurement pass through here (the measuring threads are the only users of pread in between). */
enum { MAX_READS = 1 << 16 };
static struct { uint64_t offset, bytes; } reads[MAX_READS];
static atomic_uint n_read;
static atomic_int fail_at; /* the read of this number fails; -1: none */
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static bool watched;

#ifdef __linux__
#include <dlfcn.h>
ssize_t pread(int fd, void *p, size_t n, off_t offset);
ssize_t pread(int fd, void *p, size_t n, off_t offset) {
    if (n == IO_PAGE) return real_pread(fd, p, n, offset); /* file_open tries whether direct reads work */
    uint32_t i = atomic_fetch_add(&n_read, 1);
    watched = true;
    if (i == (uint32_t)atomic_load(&fail_at)) {
        errno = EIO;
        return -1;
    }
    if (i % 5 == 3 && n > 8192) n = 8192; /* short */
    ssize_t got = real_pread(fd, p, n, offset);
    if (i < MAX_READS && got > 0) {
        reads[i].offset = (uint64_t)offset;
        reads[i].bytes = (uint64_t)got;
    }
    return got;
}
static void watch_begin(int fail) {
    *(void **)&real_pread = dlsym(RTLD_NEXT, "pread");
    atomic_store(&n_read, 0);
    atomic_store(&fail_at, fail);
    memset(reads, 0, sizeof reads);
}
#else
static void watch_begin(int fail) { atomic_store(&fail_at, fail); }
#endif

static int by_offset(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* A file with space of its own, made once. */
static const char *big_file(void) {
    static char path[160];
    if (*path) return path;
    snprintf(path, sizeof path, "%s", support_path("big"));
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0);
#ifdef __linux__
    assert_int_equal(posix_fallocate(fd, 0, (off_t)FILE_BYTES), 0);
#else
    unsigned char *p = calloc(1, MB);
    for (uint64_t at = 0; at < FILE_BYTES; at += MB) assert_int_equal(write(fd, p, MB), MB);
    free(p);
#endif
    close(fd);
    return path;
}

static bool has_direct_reads(void) {
    struct file f;
    OK(file_open(big_file(), &f, &support_err));
    bool direct = f.fd_direct >= 0;
    file_close(&f);
    return direct;
}

static void cache_folder(void **state) {
    char path[300], *text;
    size_t n;
    setenv("XDG_CACHE_HOME", support_path("xdg"), 1);
    setenv("HOME", "/nowhere", 1);
    unsetenv("HY_CACHE_DIR");
    OK(cache_path("x.json", path, sizeof path, &support_err));
    assert_non_null(strstr(path, "/xdg/hy/x.json"));
    setenv("XDG_CACHE_HOME", "relative", 1);
    OK(cache_path("x.json", path, sizeof path, &support_err));
    assert_memory_equal(path, "/nowhere/", 9);
    REFUSED(cache_path("x.json", path, 12, &support_err), ERR_NOT_FOUND, "too long");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    REFUSED(cache_write("x.json", "1", 1, &support_err), ERR_NOT_FOUND, "HY_CACHE_DIR");
    REFUSED(cache_read("x.json", 10, &text, &n, &support_err), ERR_NOT_FOUND, "HY_CACHE_DIR");

    setenv("HY_CACHE_DIR", support_path("new/cache"), 1);
    REFUSED(cache_read("x.json", 10, &text, &n, &support_err), ERR_NOT_FOUND, "x.json");
    OK(cache_write("x.json", "first", 5, &support_err));
    OK(cache_write("x.json", "second", 6, &support_err));
    OK(cache_read("x.json", 6, &text, &n, &support_err));
    assert_string_equal(text, "second");
    assert_int_equal(n, 6);
    free(text);
    REFUSED(cache_read("x.json", 5, &text, &n, &support_err), ERR_LIMIT, "remove");
    struct stat st;
    assert_int_equal(stat(support_path("new/cache"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    OK(cache_path("", path, sizeof path, &support_err));
    char command[400];
    snprintf(command, sizeof command, "test \"$(ls -A '%s')\" = x.json", path); /* nothing temporary is left */
    assert_int_equal(system(command), 0);
    support_write(support_path("plain"), "", 0);
    setenv("HY_CACHE_DIR", support_path("plain/cache"), 1);
    REFUSED(cache_write("x.json", "1", 1, &support_err), ERR_IO, "cannot be written");
    setenv("HY_CACHE_DIR", support_path("cache"), 1);
}

static struct profile_disk some_disk(uint64_t id, int64_t when) {
    struct profile_disk d = {.id = id, .file = "/models/a \"b\".gguf", .file_bytes = 5000000000u, .read_bytes = 123, .when = when,
                             .best_rate = 2.5e9, .best_n_reader = 4, .best_block_bytes = 1 << 20};
    d.rate[1][2] = 2.5e9;
    d.rate[4][0] = 1e9;
    return d;
}

static void expect_same(const struct profile *a, const struct profile *b) {
    assert_string_equal(a->machine, b->machine);
    assert_string_equal(a->gpu, b->gpu);
    assert_true(a->n_core == b->n_core && a->ram_bytes == b->ram_bytes && a->memory_rate == b->memory_rate);
    assert_true(a->gpu_working_set_bytes == b->gpu_working_set_bytes && a->when == b->when);
    assert_true(a->gpu_max_buffer_bytes == b->gpu_max_buffer_bytes && a->n_disk == b->n_disk);
    for (uint32_t i = 0; i < a->n_disk; i++) {
        const struct profile_disk *x = &a->disks[i], *y = &b->disks[i];
        assert_string_equal(x->file, y->file);
        assert_memory_equal(x->rate, y->rate, sizeof x->rate);
        assert_true(x->id == y->id && x->file_bytes == y->file_bytes && x->read_bytes == y->read_bytes);
        assert_true(x->when == y->when && x->best_rate == y->best_rate && x->passing == y->passing);
        assert_true(x->best_n_reader == y->best_n_reader && x->best_block_bytes == y->best_block_bytes);
    }
}

static void kept_and_found(void **state) {
    static struct profile p, q;
    struct profile_disk d = some_disk(0xfedcba9876543210u, 5);
    assert_false(profile_load(&p));
    assert_true(*p.machine && p.n_core && !p.n_disk);
    assert_true(profile_disk_rate(&p, d.id) == 0);
    p.memory_rate = 3e10;
    profile_put_disk(&p, &d);
    OK(profile_save(&p, &support_err));
    assert_true(profile_load(&q));
    expect_same(&p, &q);
    assert_true(profile_disk_complete(&q.disks[0]));
    assert_true(profile_disk_rate(&q, d.id) == 2.5e9);

    strcpy(p.gpu, "Apple M9");
    p.gpu_working_set_bytes = 5;
    memset(p.disks[0].file, '\xff', 3); /* a path that is no UTF-8 */
    char *text = profile_json(&p);
    OK(profile_parse(text, strlen(text), &q, &support_err));
    assert_string_equal(q.gpu, "Apple M9");
    assert_true(q.disks[0].rate[4][0] == 1e9 && q.disks[0].rate[0][0] == 0);
    free(text);

    for (uint32_t i = 0; i < PROFILE_MAX_DISKS + 3; i++) {
        d = some_disk(100 + i, 10 + i);
        profile_put_disk(&p, &d);
    }
    assert_int_equal(p.n_disk, PROFILE_MAX_DISKS);
    assert_null(profile_disk_find(&p, 102)); /* the oldest made room */
    assert_non_null(profile_disk_find(&p, 103));
    d.best_rate = 7e9;
    profile_put_disk(&p, &d);
    assert_int_equal(p.n_disk, PROFILE_MAX_DISKS);
    assert_true(profile_disk_rate(&p, d.id) == 7e9);
}

/* What a damaged cache leads to is a new measurement. */
static void damaged_cache(void **state) {
    static struct profile p, q;
    struct profile_disk d = some_disk(1, 5);
    profile_load(&p);
    p.n_disk = 0;
    profile_put_disk(&p, &d);
    char *text = profile_json(&p), command[300];
    size_t n = strlen(text);
    for (size_t cut = 0; cut < n; cut++) assert_int_equal(profile_parse(text, cut, &q, &support_err), ERR_FORMAT);
    OK(profile_parse(text, n, &q, &support_err));
    const char *bad[] = {"{}", "[]", "null", "{\"version\": 1}", ""};
    for (size_t i = 0; i < LEN(bad); i++) REFUSED(profile_parse(bad[i], strlen(bad[i]), &q, &support_err), ERR_FORMAT, "profile");
    const char *swaps[][2] = {{"\"version\": 1", "\"version\": 2"}, {"1048576", "1048577"}, {"2500000000", "-500000000"},
                              {"\"readers\": 4", "\"readers\": 5"}, {"\"disks\"", "\"risks\""},      {"\"id\": \"0", "\"id\": \"x"}};
    for (size_t i = 0; i < LEN(swaps); i++) {
        char *copy = strdup(text), *at = strstr(copy, swaps[i][0]);
        assert_non_null(at);
        memcpy(at, swaps[i][1], strlen(swaps[i][1]));
        if (profile_parse(copy, n, &q, NULL) == ERR_OK) fail_msg("'%s' was taken", swaps[i][1]);
        free(copy);
    }
    OK(profile_save(&p, &support_err));
    assert_true(profile_load(&q));
    snprintf(command, sizeof command, "for f in '%s'/profile-*; do echo '{\"version\": 1' >\"$f\"; done", getenv("HY_CACHE_DIR"));
    assert_int_equal(system(command), 0);
    assert_false(profile_load(&q));
    OK(profile_save(&p, &support_err));
    assert_true(profile_load(&q));
    snprintf(command, sizeof command, "sed -i.bak 's/\"machine\": \"/&another /' '%s'/profile-*.json", getenv("HY_CACHE_DIR"));
    assert_int_equal(system(command), 0);
    assert_false(profile_load(&q)); /* another machine's */
    free(text);
}

static bool always(void *ctx) { return true; }

static void disks_that_are_refused(void **state) {
    struct profile_disk d;
    const char *path = big_file();
    REFUSED(profile_measure_disk(support_path("missing"), &(struct profile_options){0}, &d, &support_err), ERR_NOT_FOUND, "missing");
    REFUSED(profile_measure_disk(path, &(struct profile_options){0}, &d, &support_err), ERR_UNSUPPORTED, "last 5 minutes");
    REFUSED(profile_measure_disk(path, &(struct profile_options){.min_bytes = 2 * FILE_BYTES}, &d, &support_err), ERR_UNSUPPORTED, "too little");
    const char *holes = support_path("holes");
    support_write(holes, "x", 1);
    assert_int_equal(truncate(holes, (off_t)FILE_BYTES), 0);
    REFUSED(profile_measure_disk(holes, &(struct profile_options){.just_written = true}, &d, &support_err), ERR_UNSUPPORTED, "holes");
    if (!has_direct_reads()) skip();
    watch_begin(-1);
    REFUSED(profile_measure_disk(path, &(struct profile_options){.just_written = true, .stop = always}, &d, &support_err), ERR_CANCELLED, "interrupted");
    if (!watched) return;
    watch_begin(40);
    REFUSED(profile_measure_disk(path, &(struct profile_options){.just_written = true}, &d, &support_err), ERR_IO, "big", "failed");
}

/* Every byte at most once, in all cells that the file has room for. */
static void each_byte_once(void **state) {
    struct profile_disk d;
    if (!has_direct_reads()) {
        print_message("this file system has no direct reads\n");
        skip();
    }
    watch_begin(-1);
    uint64_t t0 = clock_ns();
    OK(profile_measure_disk(big_file(), &(struct profile_options){.seconds = 1, .just_written = true}, &d, &support_err));
    assert_true(clock_ns() - t0 < 20000000000u);
    assert_true(d.id && d.when && d.file_bytes == FILE_BYTES && d.best_rate > 0 && d.best_n_reader && d.best_block_bytes);
    assert_string_equal(d.file, big_file());
    uint32_t n_cell = 0;
    for (uint32_t b = 0; b < PROFILE_N_BLOCK; b++)
        for (uint32_t r = 0; r < PROFILE_N_READERS; r++) n_cell += d.rate[b][r] > 0;
    assert_in_range(n_cell, 4, PROFILE_N_BLOCK * PROFILE_N_READERS);
    if (!watched) return;
    uint32_t n = atomic_load(&n_read);
    assert_in_range(n, 20, MAX_READS);
    qsort(reads, n, sizeof reads[0], by_offset);
    uint64_t sum = 0, last = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (reads[i].bytes && reads[i].offset < last) fail_msg("byte %llu is read twice", (unsigned long long)reads[i].offset);
        if (reads[i].bytes) last = reads[i].offset + reads[i].bytes;
        sum += reads[i].bytes;
    }
    assert_true(last <= FILE_BYTES);
    assert_int_equal(sum, d.read_bytes);
}

static void quick(void **state) {
    struct profile_disk d;
    struct file f;
    if (!has_direct_reads()) skip();
    OK(file_open(big_file(), &f, &support_err));
    watch_begin(-1);
    uint64_t t0 = clock_ns();
    OK(profile_quick_disk(&f, 0.1, &d, &support_err));
    assert_true(clock_ns() - t0 < 10000000000u);
    assert_true(d.best_rate > 0 && d.best_n_reader == 4 && d.best_block_bytes == 4 * MB && d.id == profile_disk_id(&f));
    assert_false(profile_disk_complete(&d));
    assert_true(d.passing); /* the file was just written: */
    static struct profile p;
    profile_put_disk(&p, &d);
    char *text = profile_json(&p);
    assert_null(strstr(text, "big")); /* its rate is not kept */
    free(text);
    file_close(&f);
    support_write(support_path("small"), "x", 1);
    OK(file_open(support_path("small"), &f, &support_err));
    REFUSED(profile_quick_disk(&f, 0.1, &d, &support_err), ERR_UNSUPPORTED, "too small");
    file_close(&f);
}

static void memory(void **state) {
    static struct profile p;
    OK(profile_measure_machine(&p, &support_err));
    assert_true(p.memory_rate > 1e8 && p.when > 0);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    watch_begin(-1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_folder),   cmocka_unit_test(kept_and_found), cmocka_unit_test(damaged_cache), cmocka_unit_test(disks_that_are_refused),
        cmocka_unit_test(each_byte_once), cmocka_unit_test(quick),          cmocka_unit_test(memory),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
