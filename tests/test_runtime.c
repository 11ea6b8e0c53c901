/* Errors, arenas, and the CPU device: that lists mean what runtime/cpu.h promises, with any number of threads. */
#include "tests/support.h"

#include <sched.h>
#include <stdatomic.h>

#include "runtime/clock.h"
#include "runtime/cpu.h"
#include "runtime/machine.h"
#include "runtime/size_text.h"

#if defined(__SANITIZE_ADDRESS__)
#define EXACT_BUFFERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT_BUFFERS 1
#endif
#endif
#ifndef EXACT_BUFFERS
#define EXACT_BUFFERS 0
#endif

static void errors(void **state) {
    struct err e;
    char longer[2 * ERR_TEXT_BYTES];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(err_set(NULL, ERR_IO, "%s", "nobody reads this"), ERR_IO);
    assert_int_equal(err_set(&e, ERR_LIMIT, "%d is more than %d", 3, 2), ERR_LIMIT);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_string_equal(e.text, "3 is more than 2");
    assert_int_equal(err_prefix(&e, "layer %d", 7), ERR_LIMIT);
    assert_string_equal(e.text, "layer 7: 3 is more than 2");

    assert_int_equal(err_set(&e, ERR_FORMAT, "%s", longer), ERR_FORMAT);
    assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
    assert_int_equal(err_prefix(&e, "a"), ERR_FORMAT);
    assert_int_equal(strlen(e.text), ERR_TEXT_BYTES - 1);
    assert_memory_equal(e.text, "a: xxx", 6);
    for (int n = ERR_TEXT_BYTES - 6; n < ERR_TEXT_BYTES + 2; n++) { /* a prefix that fills the text or nearly so */
        err_set(&e, ERR_IO, "old");
        err_prefix(&e, "%.*s", n, longer);
        assert_true(strlen(e.text) < ERR_TEXT_BYTES);
        assert_memory_equal(e.text, longer, n < ERR_TEXT_BYTES ? (size_t)n : ERR_TEXT_BYTES - 1);
    }
    err_prefix(NULL, "nothing");
    for (int code = 0; code >= ERR_BUSY; code--) {
        assert_string_not_equal(err_name(code), "unknown error");
        for (int other = 0; other > code; other--) assert_string_not_equal(err_name(code), err_name(other));
    }
    assert_string_equal(err_name(1), "unknown error");
    assert_string_equal(err_name(ERR_BUSY - 1), "unknown error");
}

/* Allocates what sizes() says and checks that each is zeroed, aligned, and keeps what was written to it. */
static void arena_mix(uint32_t seed, uint32_t n, uint32_t (*size)(uint32_t i)) {
    struct { unsigned char *p; uint32_t n; } *all = calloc(n, sizeof *all);
    struct arena a;
    size_t sum = 0;
    support_random_state = seed;
    arena_init(&a, 0);
    for (uint32_t i = 0; i < n; i++) {
        all[i].n = size(i);
        all[i].p = arena_alloc(&a, all[i].n);
        assert_non_null(all[i].p);
        assert_int_equal((uintptr_t)all[i].p % 16, 0);
        for (uint32_t k = 0; k < all[i].n; k++) assert_int_equal(all[i].p[k], 0);
        memset(all[i].p, (int)(i % 255 + 1), all[i].n);
        sum += all[i].n;
    }
    assert_true(a.used_bytes >= sum);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < all[i].n; k++) assert_int_equal(all[i].p[k], i % 255 + 1);
    arena_deinit(&a);
    assert_null(a.chunks);
    assert_int_equal(a.used_bytes, 0);
    free(all);
}

static uint32_t size_small(uint32_t i) { return support_random(80); }
static uint32_t size_mixed(uint32_t i) { return support_random(10) ? support_random(3000) : support_random(200000); }
static uint32_t size_edges(uint32_t i) { return (i % 2 ? 65536 : 16384) + i % 7 - 3; }

static void sizes(void **state) {
    assert_string_equal(size_text(0).s, "0 B");
    assert_string_equal(size_text(999).s, "999 B");
    assert_string_equal(size_text(1000).s, "1.00 KB");
    assert_string_equal(size_text(4168704).s, "4.17 MB");
    assert_string_equal(size_text(31700000000).s, "31.70 GB");
    assert_string_equal(size_text(UINT64_MAX).s, "18446744073.71 GB");
    /* What does not suffice never looks as if it did. */
    for (uint64_t n = 1; n < UINT64_MAX / 2; n += n / 3 + 1) {
        for (uint64_t more = 1; more < 100000000; more *= 7)
            assert_string_not_equal(size_there(n).s, size_needed(n + more).s);
        assert_true(strtod(size_there(n).s, NULL) <= strtod(size_needed(n).s, NULL));
    }
    assert_string_equal(size_there(20008999999).s, "20.00 GB");
    assert_string_equal(size_needed(20001000000).s, "20.01 GB");
    assert_string_equal(size_needed(20000000000).s, "20.00 GB");
}

static void arena_keeps_apart(void **state) {
    arena_mix(1, 4000, size_small);
    arena_mix(2, 200, size_mixed);
    arena_mix(3, 40, size_edges);
}

static void arena_limits(void **state) {
    struct arena a;
    arena_init(&a, 100);
    assert_non_null(arena_alloc(&a, 60)); /* 64 */
    assert_null(arena_alloc(&a, 40));     /* 48 more */
    assert_non_null(arena_alloc(&a, 32)); /* a refusal changes nothing */
    assert_null(arena_alloc(&a, 16));
    assert_non_null(arena_alloc(&a, 0));
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_deinit(&a);
    assert_int_equal(a.limit_bytes, 100);

    arena_init(&a, 0);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 14));
    assert_null(arena_array(&a, SIZE_MAX / 8, 16));
    assert_null(arena_array(&a, 16, SIZE_MAX / 8));
    assert_null(arena_strndup(&a, "", SIZE_MAX));
    assert_non_null(arena_array(&a, 0, 16));
    char *s = arena_strndup(&a, "hello", 4);
    assert_string_equal(s, "hell");
    assert_string_equal(arena_strndup(&a, NULL, 0), "");
    arena_deinit(&a);
    arena_deinit(&a); /* twice is fine */
}

static void machine(void **state) {
    assert_in_range(machine_n_core(), 1, 100000);
    assert_true(machine_peak_rss() > 100000);
    uint64_t available = machine_memory_available();
    assert_true(available == 0 || available > 1000000);
    uint64_t t = clock_ns();
    assert_true(clock_ns() >= t);
}

static struct device *open_device(uint32_t n_thread) {
    struct device *d;
    OK(device_open(&(struct device_options){.n_thread = n_thread}, &d, &support_err));
    if (n_thread) assert_int_equal(device_n_thread(d), n_thread);
    return d;
}

static struct buf new_buf(struct device *d, uint64_t n) {
    struct buf b;
    OK(buf_new(d, n, "a test", &b, &support_err));
    assert_int_equal(b.size_bytes, n);
    return b;
}

static void run_and_wait(struct device *d, struct cmd *c) {
    uint64_t fence;
    OK(cmd_commit(c, &fence, &support_err));
    OK(device_wait(d, fence, &support_err));
}

static void device_opens(void **state) {
    struct device *d;
    device_close(NULL);
    REFUSED(device_open(&(struct device_options){.cpu_isa = "mmx"}, &d, &support_err), ERR_ARG, "mmx", "scalar");
    REFUSED(device_open(&(struct device_options){.cpu_isa = ""}, &d, &support_err), ERR_ARG, "''");
    REFUSED(device_open(&(struct device_options){.n_thread = 257}, &d, &support_err), ERR_ARG, "257", "256");
    REFUSED(device_open(&(struct device_options){.n_thread = UINT32_MAX}, &d, &support_err), ERR_ARG, "threads");
    for (int isa = 0; isa < CPU_N_ISA; isa++) {
        const char *name = cpu_isa_name((enum cpu_isa)isa);
        int rc = device_open(&(struct device_options){.cpu_isa = name, .n_thread = 1}, &d, &support_err);
        if (isa == CPU_SCALAR || isa == (int)cpu_isa_best()) OK(rc);
        if (rc) { /* not of this machine */
            assert_int_equal(rc, ERR_UNSUPPORTED);
            assert_non_null(strstr(support_err.text, name));
            continue;
        }
        assert_int_equal(cpu_isa_of(d), isa);
        assert_non_null(strstr(device_describe(d), name));
        assert_non_null(strstr(device_describe(d), "1 thread"));
        assert_null(strstr(device_describe(d), "threads"));
        assert_int_equal(device_kind(d), DEVICE_CPU);
        device_close(d);
    }
    d = open_device(0);
    assert_int_equal(device_n_thread(d), machine_n_core());
    assert_int_equal(cpu_isa_of(d), cpu_isa_best());
    device_close(d);
    for (uint32_t i = 0; i < 50; i++) device_close(open_device(1 + i % 9)); /* workers that never ran */
}

static void buffers(void **state) {
    static const uint64_t sizes[] = {0, 1, 4095, 4096, 4097, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (9 << 20) + 12345};
    struct device *d = open_device(1);
    struct buf all[LEN(sizes)];
    for (size_t i = 0; i < LEN(sizes); i++) {
        struct buf b = all[i] = new_buf(d, sizes[i]);
        assert_int_equal((uintptr_t)b.host % 4096, 0);
        if (!EXACT_BUFFERS && sizes[i] >= 2 << 20) assert_int_equal((uintptr_t)b.host % (2 << 20), 0);
        for (uint64_t k = 0; k < sizes[i]; k++)
            if (b.host[k]) fail_msg("byte %llu of a new buffer is not 0", (unsigned long long)k);
        memset(b.host, (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < LEN(sizes); i++) {
        for (uint64_t k = 0; k < sizes[i]; k++)
            if (all[i].host[k] != i + 1) fail_msg("buffers share bytes");
        buf_free(d, &all[i]);
        assert_null(all[i].host);
        buf_free(d, &all[i]); /* nothing left to free */
    }
    struct buf b;
    REFUSED(buf_new(d, UINT64_MAX, "the moon", &b, &support_err), ERR_NOMEM, "the moon");
    if (!EXACT_BUFFERS) /* the sanitizer aborts instead */
        REFUSED(buf_new(d, UINT64_MAX / 2 - 5000, "the moon", &b, &support_err), ERR_NOMEM, "the moon");
    b = new_buf(d, 100);
    assert_null(ref_host((struct ref){0}));
    assert_ptr_equal(ref_host(ref_at((struct ref){&b, 3}, 4)), b.host + 7);
    buf_free(d, &b);
    device_close(d);
}

/* Counts how often each item is done; args: the grain, to check the shape of what is handed out. */
static void count_items(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    uint32_t grain;
    memcpy(&grain, c->args, sizeof grain);
    atomic_uint *count = c->bind[0], *wrong = c->bind[1];
    if (begin >= end || end > c->n_item || end - begin > grain || begin % grain || w->index >= w->n_worker) atomic_fetch_add(wrong, 1);
    for (uint32_t i = begin; i < end; i++) atomic_fetch_add(&count[i], 1);
}

static void items_once(void **state) {
    static const uint32_t threads[] = {1, 2, 3, 8}, grains[] = {1, 2, 3, 7, 64, 999, 1000, 5000}, sizes[] = {0, 1, 2, 63, 1000};
    for (size_t t = 0; t < LEN(threads); t++) {
        struct device *d = open_device(threads[t]);
        struct buf count = new_buf(d, 1000 * 4), wrong = new_buf(d, 4);
        for (size_t g = 0; g < LEN(grains); g++)
            for (size_t s = 0; s < LEN(sizes); s++) {
                memset(count.host, 0, count.size_bytes);
                struct cmd *c = cmd_begin(d);
                assert_ptr_equal(cmd_device(c), d);
                struct ref bind[] = {{&count, 0}, {&wrong, 0}};
                cpu_encode(c, count_items, sizes[s], grains[g], &grains[g], 4, bind, 2);
                run_and_wait(d, c);
                for (uint32_t i = 0; i < 1000; i++) assert_int_equal(((atomic_uint *)count.host)[i], i < sizes[s]);
            }
        assert_int_equal(*(uint32_t *)wrong.host, 0);
        buf_free(d, &count);
        buf_free(d, &wrong);
        device_close(d);
    }
}

/* dst[i] = src[n-1-i] + 1: right only when all of src is. The work is uneven on purpose. */
static void reverse_plus_1(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    uint32_t *dst = c->bind[0];
    const uint32_t *src = c->bind[1];
    for (uint32_t i = begin; i < end; i++) {
        for (volatile uint32_t k = 0; k < i % 64 * 4; k = k + 1) {}
        dst[i] = src[c->n_item - 1 - i] + 1;
    }
}

static void barriers_order(void **state) {
    enum { N = 512, ROUNDS = 40 };
    for (uint32_t n_thread = 1; n_thread <= 5; n_thread++) {
        struct device *d = open_device(n_thread);
        struct buf x = new_buf(d, N * 4), y = new_buf(d, N * 4);
        for (uint32_t repeat = 0; repeat < 5; repeat++) {
            for (uint32_t i = 0; i < N; i++) ((uint32_t *)x.host)[i] = i;
            struct cmd *c = cmd_begin(d);
            for (uint32_t r = 0; r < ROUNDS; r++) {
                struct ref bind[] = {{r % 2 ? &x : &y, 0}, {r % 2 ? &y : &x, 0}};
                if (r) cmd_barrier(c);
                if (r % 5 == 3) cmd_barrier(c); /* two are one */
                if (r % 7 == 3) { /* and one before a call without items counts for what follows it */
                    cpu_encode(c, reverse_plus_1, 0, 1, NULL, 0, bind, 2);
                }
                cpu_encode(c, reverse_plus_1, N, 1 + r % 9, NULL, 0, bind, 2);
            }
            run_and_wait(d, c);
            for (uint32_t i = 0; i < N; i++) assert_int_equal(((uint32_t *)x.host)[i], i + ROUNDS);
        }
        buf_free(d, &x);
        buf_free(d, &y);
        device_close(d);
    }
}

/* Half of a meeting: tells the other call that it runs, and waits (10 s at most) until that one does. */
static void meet(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    atomic_uint *mine = c->bind[0], *theirs = c->bind[1], *met = c->bind[2];
    atomic_store(mine, 1);
    uint64_t until = clock_ns() + 10000000000u;
    while (!atomic_load(theirs) && clock_ns() < until) sched_yield();
    if (atomic_load(theirs)) atomic_fetch_add(met, 1);
}

static void calls_overlap(void **state) {
    struct device *d = open_device(2);
    struct buf b = new_buf(d, 12);
    struct ref first[] = {{&b, 0}, {&b, 4}, {&b, 8}}, second[] = {{&b, 4}, {&b, 0}, {&b, 8}};
    struct cmd *c = cmd_begin(d);
    cpu_encode(c, meet, 1, 1, NULL, 0, first, 3);
    cpu_encode(c, meet, 1, 1, NULL, 0, second, 3);
    run_and_wait(d, c);
    assert_int_equal(((uint32_t *)b.host)[2], 2);
    buf_free(d, &b);
    device_close(d);
}

static void fill_scratch(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    atomic_uint *wrong = c->bind[0];
    if ((uintptr_t)w->scratch % 64) atomic_fetch_add(wrong, 1);
    memset(w->scratch, (int)w->index + 1, 4096);
    w->scratch[CPU_SCRATCH_BYTES - 1] = (unsigned char)(w->index + 1);
    sched_yield();
    for (uint32_t i = 0; i < 4096; i++)
        if (w->scratch[i] != w->index + 1) atomic_fetch_add(wrong, 1);
    if (w->scratch[CPU_SCRATCH_BYTES - 1] != w->index + 1) atomic_fetch_add(wrong, 1);
}

static void scratch_is_private(void **state) {
    struct device *d = open_device(4);
    struct buf wrong = new_buf(d, 4);
    struct cmd *c = cmd_begin(d);
    cpu_encode(c, fill_scratch, 200, 1, NULL, 0, &(struct ref){&wrong, 0}, 1);
    run_and_wait(d, c);
    assert_int_equal(*(uint32_t *)wrong.host, 0);
    buf_free(d, &wrong);
    device_close(d);
}

static void append_arg(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    uint32_t *log = c->bind[0], arg;
    memcpy(&arg, c->args, sizeof arg);
    log[1 + log[0]++] = arg;
    if (c->bind[1] || c->bind[CPU_MAX_BIND - 1]) log[0] = 0; /* operands that were not given are NULL */
}

/* Lists longer than the room grow while they are encoded; barriers and operands survive that. */
static void lists_grow(void **state) {
    static const uint32_t reserve[] = {0, 1, 65, 3000};
    for (size_t r = 0; r < LEN(reserve); r++) {
        struct device *d = open_device(2);
        struct buf log = new_buf(d, 4 * 2001);
        if (reserve[r]) OK(device_reserve(d, reserve[r], &support_err));
        struct cmd *c = cmd_begin(d);
        for (uint32_t i = 0; i < 2000; i++) {
            if (i == 700) OK(device_reserve(d, 1000, &support_err));
            cmd_barrier(c);
            cpu_encode(c, append_arg, 1, 0, &i, 4, &(struct ref){&log, 0}, 1);
        }
        run_and_wait(d, c);
        const uint32_t *l = (uint32_t *)log.host;
        assert_int_equal(l[0], 2000);
        for (uint32_t i = 0; i < 2000; i++) assert_int_equal(l[1 + i], i);
        buf_free(d, &log);
        device_close(d);
    }
}

static void add_1(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    uint32_t *x = c->bind[0];
    for (uint32_t i = begin; i < end; i++) x[i]++;
}

static void commit_often(uint32_t n_thread, uint32_t n_commit) {
    struct device *d = open_device(n_thread);
    struct buf x = new_buf(d, 16 * 4);
    uint64_t fence = 0;
    for (uint32_t i = 0; i < n_commit; i++) {
        struct cmd *c = cmd_begin(d);
        for (uint32_t k = 0; k < i % 4; k++) { /* sometimes none */
            cmd_barrier(c);
            cpu_encode(c, add_1, 16, 1, NULL, 0, &(struct ref){&x, 0}, 1);
        }
        uint64_t before = fence;
        OK(cmd_commit(c, &fence, &support_err));
        assert_true(fence > before);
    }
    OK(device_wait(d, fence, &support_err));
    for (uint32_t i = 0; i < 16; i++) assert_int_equal(((uint32_t *)x.host)[i], n_commit / 4 * 6);
    buf_free(d, &x);
    device_close(d);
}

static void many_commits(void **state) {
    commit_often(1, 10000);
    commit_often(2, 10000);
    commit_often(3, 1000);
}

static void more_threads_than_cores(void **state) {
    commit_often(machine_n_core() + 1, 400);
    commit_often(16, 40);
}

static void two_devices(void **state) {
    struct device *a = open_device(2), *b = open_device(3);
    struct buf x = new_buf(a, 64), y = new_buf(b, 64);
    for (uint32_t i = 0; i < 50; i++) {
        struct cmd *ca = cmd_begin(a), *cb = cmd_begin(b);
        cpu_encode(ca, add_1, 16, 2, NULL, 0, &(struct ref){&x, 0}, 1);
        cpu_encode(cb, add_1, 16, 3, NULL, 0, &(struct ref){&y, 0}, 1);
        run_and_wait(b, cb);
        run_and_wait(a, ca);
    }
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(((uint32_t *)x.host)[i], 50);
        assert_int_equal(((uint32_t *)y.host)[i], 50);
    }
    buf_free(a, &x);
    buf_free(b, &y);
    device_close(a);
    device_close(b);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),         cmocka_unit_test(sizes),              cmocka_unit_test(arena_keeps_apart),
        cmocka_unit_test(arena_limits),   cmocka_unit_test(machine),            cmocka_unit_test(device_opens),
        cmocka_unit_test(buffers),
        cmocka_unit_test(items_once),     cmocka_unit_test(barriers_order),     cmocka_unit_test(calls_overlap),
        cmocka_unit_test(scratch_is_private), cmocka_unit_test(lists_grow),     cmocka_unit_test(many_commits),
        cmocka_unit_test(more_threads_than_cores), cmocka_unit_test(two_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
