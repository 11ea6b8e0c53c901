/* Memory and threads that the system refuses, one request after the other: opening an engine then fails with a sentence,
 * leaks nothing (the address sanitizer says so) and works once memory is back. After opening nothing is requested.
 *
 * The files that request memory are compiled into this program with their requests redirected; the library's own copies
 * of them stay out. */
#include "tests/support.h"

#include <pthread.h>
#include <sys/mman.h>

static uint32_t requests, fail_at; /* 1 is the first; 0: none fails */
static bool only_once;             /* or all from there on */

static bool granted(void) {
    requests++;
    return !fail_at || (only_once ? requests != fail_at : requests < fail_at);
}

static void *or_not_malloc(size_t n) { return granted() ? malloc(n) : NULL; }
static void *or_not_calloc(size_t n, size_t size) { return granted() ? calloc(n, size) : NULL; }
static void *or_not_realloc(void *p, size_t n) { return granted() ? realloc(p, n) : NULL; }
static char *or_not_strdup(const char *s) { return granted() ? strdup(s) : NULL; }
static int or_not_posix_memalign(void **p, size_t align, size_t n) { return granted() ? posix_memalign(p, align, n) : 12; }
static int or_not_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg) {
    return granted() ? pthread_create(t, a, f, arg) : 11;
}
static void *or_not_mmap(void *p, size_t n, int prot, int flags, int fd, off_t off) __attribute__((unused));
static void *or_not_mmap(void *p, size_t n, int prot, int flags, int fd, off_t off) {
    return granted() ? mmap(p, n, prot, flags, fd, off) : MAP_FAILED;
}

#undef fail /* the name of a function of io/load.c, too */
#define malloc or_not_malloc
#define calloc or_not_calloc
#define realloc or_not_realloc
#undef strdup
#define strdup or_not_strdup
#define posix_memalign or_not_posix_memalign
#define pthread_create or_not_pthread_create
#define mmap or_not_mmap
#include "io/file.c"
#include "io/load.c"
#include "runtime/arena.c"
#include "runtime/cpu.c"
#include "sched/engine.c"
#include "sched/model_file.c"
#undef malloc
#undef calloc
#undef realloc
#undef strdup
#undef posix_memalign
#undef pthread_create
#undef mmap

/* The last row of a short text; an error otherwise. The tokenizer is made as well. */
static int try_model(const struct hy_options *o, float *row, uint32_t *after_open, struct err *e) {
    static const int32_t token[] = {5, 77, 200, 13, 301, 42};
    struct hy_engine *en = NULL;
    const struct tokenizer *t;
    uint32_t seq;
    float *logits;
    int rc = hy_open(o, &en, e);
    if (rc) {
        assert_null(en);
        return rc;
    }
    uint32_t opened = requests;
    OK(hy_seq_new(en, &seq, &support_err));
    OK(hy_feed(en, seq, token, LEN(token), 0, &logits, NULL, NULL, &support_err));
    hy_seq_truncate(en, seq, 2);
    OK(hy_feed(en, seq, token + 2, LEN(token) - 2, 0, &logits, NULL, NULL, &support_err));
    memcpy(row, logits, hy_info(en)->n_vocab * sizeof *row);
    *after_open = requests - opened;
    rc = hy_tokenizer(en, &t, e);
    hy_close(en);
    return rc;
}

/* Sentences speak of memory, but for a refused thread or buffer. */
static size_t n_word(const struct err *e) { return strstr(e->text, "thread") || strstr(e->text, "the system has no") ? 0 : 1; }

static void fail_each(const char *path, bool once) {
    static float want[400], row[400];
    struct hy_options o = {.model_path = path, .n_thread = 3, .n_ctx = 64, .n_batch = 4, .n_seq = 2};
    struct err e = {0};
    uint32_t steps, n_good = 0;
    fail_at = 0;
    requests = 0;
    OK(try_model(&o, want, &steps, &support_err));
    assert_int_equal(steps, 0);
    uint32_t all = requests;
    assert_true(all > 15);
    for (uint32_t n = 1; n <= all; n++) {
        fail_at = n;
        only_once = once;
        requests = 0;
        memset(&e, 0, sizeof e);
        int rc = try_model(&o, row, &steps, &e);
        fail_at = 0;
        if (rc == 0) { /* a reader thread that did not start is no failure */
            assert_memory_equal(row, want, sizeof row);
            n_good++;
            continue;
        }
        if (rc != ERR_NOMEM) print_error("request %u of %u\n", n, all);
        support_refused(rc, ERR_NOMEM, &e, (const char *const[]){"memory"}, n_word(&e), __LINE__);
    }
    assert_in_range(n_good, once ? 1 : 0, 4);
    requests = 0;
    OK(try_model(&o, row, &steps, &support_err));
    assert_memory_equal(row, want, sizeof row);
    assert_int_equal(requests, all);
}

static void single_failures(void **state) {
    fail_each(support_arch_model(&support_archs[0], "Q8_0"), true);
    fail_each(support_arch_model(&support_archs[4], "Q8_0"), true);
}

static void lasting_failures(void **state) {
    fail_each(support_arch_model(&support_archs[0], "Q8_0"), false);
    support_model("oom.gguf", "--arch qwen3 --type Q4_K --n-layer 2 --n-vocab 400 --split 3");
    fail_each(support_path("oom-00001-of-00003.gguf"), false);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(single_failures), cmocka_unit_test(lasting_failures)};
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
