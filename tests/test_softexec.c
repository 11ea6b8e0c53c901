/* Soft Metal's executor: right results, the same bits under every order of threads, and each planted fault found. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "gguf/blocks.h"
#include "gguf/half.h"
#include "runtime/kernel_source.h"
#include "runtime/soft/exec.h"
#include "runtime/soft/lane.h"
#include "tests/soft/sample.h"

static const char *const orders[] = {"asc", "desc", "random:1", "random:2", "random:3", "random:4"};
#define N_ORDER (sizeof orders / sizeof *orders)

static char error[512];

static float *random_floats(size_t n, uint32_t seed) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    return x;
}

static void bind(struct soft_dispatch *d, uint32_t i, const void *p, uint64_t bytes) {
    d->buf[i] = (void *)(uintptr_t)p;
    d->len[i] = bytes;
}

static struct soft_dispatch dispatch(const char *kernel, uint32_t groups, uint32_t threads) {
    struct soft_dispatch d = {.k = soft_kernel_find(kernel), .groups = {groups, 1, 1}, .threads = {threads, 1, 1}};
    assert_non_null(d.k);
    return d;
}

static void run(const struct soft_dispatch *d) {
    error[0] = '\0';
    if (soft_run(d, error, sizeof error)) fail_msg("%s", error);
}

/* Runs d under every order and both poisons; out must hold the same bits each time. */
static void run_orders(const struct soft_dispatch *d, void *out, size_t bytes) {
    void *first = malloc(bytes);
    for (unsigned p = 0; p < 2; p++)
        for (unsigned i = 0; i < N_ORDER; i++) {
            soft_configure(orders[i], p ? "0" : NULL);
            memset(out, 0xee, bytes);
            run(d);
            if (i + p == 0) memcpy(first, out, bytes);
            assert_memory_equal(first, out, bytes);
        }
    free(first);
    soft_configure(NULL, NULL);
}

static void close_to(double got, double want, double scale) {
    if (!(fabs(got - want) <= 1e-5 * scale)) fail_msg("got %.9g, want %.9g", got, want);
}

static void test_norm(void **state) {
    struct sample_args a = {.n_row = 5, .dim = 333, .eps = 1e-5f};
    float *x = random_floats(5 * 333, 1), *w = random_floats(333, 2), *out = malloc(5 * 333 * sizeof *out);
    struct soft_dispatch d = dispatch("sample_norm", 5, 256);
    bind(&d, 0, &a, sizeof a);
    bind(&d, 1, out, 5 * 333 * 4);
    bind(&d, 2, x, 5 * 333 * 4);
    bind(&d, 3, w, 333 * 4);
    run_orders(&d, out, 5 * 333 * 4);
    for (int r = 0; r < 5; r++) {
        double sum = 0;
        for (int i = 0; i < 333; i++) sum += (double)x[r * 333 + i] * x[r * 333 + i];
        for (int i = 0; i < 333; i++) close_to(out[r * 333 + i], x[r * 333 + i] * w[i] / sqrt(sum / 333 + 1e-5), 1);
    }
    free(x), free(w), free(out);
}

static int simd_expected(const int *x, int lane) {
    int best = x[0], least = x[0], before = 0, sum = 0, votes = 0;
    for (int i = 0; i < 32; i++) {
        best = x[i] > best ? x[i] : best;
        least = x[i] < least ? x[i] : least;
        before += i < lane ? x[i] : 0;
        sum += x[i];
        votes |= i < 8 && x[i] > 0 ? 1 << i : 0;
    }
    return best + 3 * least + 5 * before + 7 * (before + x[lane]) + 11 * x[lane ? lane - 1 : 0] + 13 * x[lane < 31 ? lane + 1 : 31] +
           17 * x[lane ^ 1] + 19 * x[3] + votes + (sum + 32 + 96) + 1 + lane;
}

static void test_simd_functions(void **state) {
    int x[128], out[128];
    for (int i = 0; i < 128; i++) x[i] = (i * 7919 % 201) - 100;
    struct soft_dispatch d = dispatch("sample_simd", 2, 64);
    bind(&d, 0, x, sizeof x);
    bind(&d, 1, out, sizeof out);
    run_orders(&d, out, sizeof out);
    for (int i = 0; i < 128; i++) assert_int_equal(out[i], simd_expected(x + i / 32 * 32, i % 32));
}

static struct block_q4_0 *random_blocks(size_t n) {
    struct block_q4_0 *b = malloc(n * sizeof *b);
    for (size_t i = 0; i < n; i++) {
        b[i].d = (uint16_t)(0x2c00 + i % 512); /* 0.0625 to 0.094 */
        for (int j = 0; j < 16; j++) b[i].qs[j] = (uint8_t)(i * 31 + (size_t)j * 77 + (i >> 3));
    }
    return b;
}

static double row_dot(const struct block_q4_0 *b, const float *x, int n_block) {
    double sum = 0;
    for (int i = 0; i < n_block; i++) {
        double part = 0, scale = ldexp(1024 + (b[i].d & 1023), -14);
        for (int j = 0; j < 16; j++)
            part += x[32 * i + j] * ((b[i].qs[j] & 15) - 8.0) + x[32 * i + j + 16] * ((b[i].qs[j] >> 4) - 8.0);
        sum += part * scale;
    }
    return sum;
}

static struct soft_value value_of(uint32_t index, const void *p, size_t bytes) {
    struct soft_value v = {.index = index};
    memcpy(v.bytes, p, bytes);
    return v;
}

static void matvec_case(const char *kernel, uint32_t rows_each, uint32_t n_simd, bool add_bias, float scale) {
    struct sample_args a = {.n_row = 37, .dim = 1056};
    float *x = random_floats(a.dim, 3), *bias = random_floats(a.n_row, 4), y[37];
    struct block_q4_0 *w = random_blocks(37 * 33);
    struct soft_value v[3] = {value_of(0, &add_bias, sizeof add_bias), value_of(1, &n_simd, 4), value_of(2, &scale, 4)};
    uint32_t per_group = rows_each * n_simd;
    struct soft_dispatch d = dispatch(kernel, (37 + per_group - 1) / per_group, 32 * n_simd);
    d.values = v;
    d.n_value = scale != 0 ? 3 : 2;
    bind(&d, 0, &a, sizeof a);
    bind(&d, 1, y, sizeof y);
    bind(&d, 2, w, 37 * 33 * sizeof *w);
    bind(&d, 3, x, a.dim * 4);
    bind(&d, 4, bias, 37 * 4);
    run_orders(&d, y, sizeof y);
    for (int r = 0; r < 37; r++)
        close_to(y[r], row_dot(w + 33 * r, x, 33) * (scale != 0 ? scale : 1) + (add_bias ? bias[r] : 0), 20);
    free(x), free(bias), free(w);
}

static void test_templates_and_constants(void **state) {
    matvec_case("sample_matvec_q4_0_r1", 1, 2, false, 0);
    matvec_case("sample_matvec_q4_0_r4", 4, 4, true, 0);
    matvec_case("sample_matvec_q4_0_r4", 4, 1, true, 2.5f);
    assert_null(soft_kernel_find("sample_matvec"));
}

/* Pipelines of one function with different constants, at the same time. */
static void *run_scaled(void *arg) {
    float scale = *(float *)arg, x[32], y[8], bias[8] = {0};
    struct sample_args a = {.n_row = 8, .dim = 32};
    struct block_q4_0 *w = random_blocks(8);
    uint32_t n_simd = 2;
    bool add_bias = false;
    char why[512];
    struct soft_value v[3] = {value_of(0, &add_bias, sizeof add_bias), value_of(1, &n_simd, 4), value_of(2, &scale, 4)};
    struct soft_dispatch d = {.k = soft_kernel_find("sample_matvec_q4_0_r1"), .groups = {4, 1, 1}, .threads = {64, 1, 1}, .values = v, .n_value = 3};
    for (int i = 0; i < 32; i++) x[i] = 1;
    bind(&d, 0, &a, sizeof a), bind(&d, 1, y, sizeof y), bind(&d, 2, w, 8 * sizeof *w), bind(&d, 3, x, sizeof x), bind(&d, 4, bias, 32);
    void *bad = NULL;
    for (int i = 0; i < 200 && !bad; i++) {
        if (soft_run(&d, why, sizeof why)) bad = arg;
        for (int r = 0; r < 8; r++)
            if (fabs(y[r] - scale * row_dot(w + r, x, 1)) > 1e-3) bad = arg;
    }
    free(w);
    return bad;
}

static void test_concurrent(void **state) {
    float scales[4] = {1, 2, 3, 4};
    pthread_t t[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, run_scaled, &scales[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
}

static void test_gemm(void **state) {
    struct sample_gemm_args g = {64, 96, 40, 0};
    float *a = random_floats(64 * 40, 5), *b = random_floats(40 * 96, 6), *c = malloc(64 * 96 * sizeof *c);
    uint16_t ha[64 * 40], hb[40 * 96];
    for (int i = 0; i < 64 * 40; i++) a[i] = f16_to_f32(ha[i] = f16_from_f32(a[i]));
    for (int i = 0; i < 40 * 96; i++) b[i] = f16_to_f32(hb[i] = f16_from_f32(b[i]));
    for (int half = 0; half < 2; half++) {
        struct soft_dispatch d = dispatch(half ? "sample_gemm_f16" : "sample_gemm_f32", 3, 128);
        d.groups[1] = 2;
        d.tg_len[0] = half ? 512 : 1024;
        bind(&d, 0, &g, sizeof g);
        bind(&d, 1, c, 64 * 96 * 4);
        bind(&d, 2, half ? (void *)ha : (void *)a, 64 * 40 * (half ? 2 : 4));
        bind(&d, 3, half ? (void *)hb : (void *)b, 40 * 96 * (half ? 2 : 4));
        run_orders(&d, c, 64 * 96 * 4);
        for (int i = 0; i < 64; i++)
            for (int j = 0; j < 96; j++) {
                double sum = 0;
                for (int k = 0; k < 40; k++) sum += (double)a[i * 40 + k] * b[k * 96 + j];
                close_to(c[i * 96 + j], sum, 4);
            }
    }
    free(a), free(b), free(c);
}

static void test_forms(void **state) {
    static const float want[] = {744, 4, 11, 21, 10, 16, 5, 6, 5, -1, 1, 3, 42, 7.5f, 3, 40, 3, 50, 6, 11.75f, 14, 4, 13, 4498, 1509, 5,
                                 -0.0078125f, 4};
    struct sample_args a = {.dim = 2};
    float out[32], far[2] = {41, 42}, scales[4] = {1, 2, 3, 4};
    _Alignas(8) uint16_t h[4] = {0x3c00, 0x4000, 0, 0};
    uint64_t address = (uintptr_t)far;
    uint32_t counter = 0;
    struct soft_dispatch d = dispatch("forms", 2, 32);
    d.tg_len[1] = 64;
    bind(&d, 0, &a, sizeof a);
    bind(&d, 1, out, sizeof out);
    bind(&d, 2, h, sizeof h);
    bind(&d, 3, &address, sizeof address);
    bind(&d, 4, &counter, sizeof counter);
    bind(&d, 5, scales, sizeof scales);
    run(&d);
    assert_int_equal(counter, 64);
    assert_int_equal(d.k->max_threads, 64);
    for (unsigned i = 0; i < sizeof want / sizeof *want; i++)
        if (fabsf(out[i] - want[i]) > 1e-5f * fabsf(want[i])) fail_msg("form %u gives %g, not %g", i, out[i], want[i]);
}

/* What the host side is told about a kernel. */
static void test_tables(void **state) {
    const struct soft_kernel *k = soft_kernel_find("sample_gemm_f16");
    assert_non_null(k);
    assert_int_equal(k->n_slot, 5);
    assert_int_equal(k->slots[0].space, SOFT_CONSTANT);
    assert_int_equal(k->slots[0].size, 16);
    assert_true(k->slots[0].reference && k->slots[0].read_only);
    assert_int_equal(k->slots[1].space, SOFT_DEVICE);
    assert_true(!k->slots[1].read_only && k->slots[2].read_only && !k->slots[2].reference);
    assert_int_equal(k->slots[2].align, 2);
    assert_int_equal(soft_slot_find(k, 1, 0)->size, 2);
    assert_int_equal(k->static_bytes(), 512);
    assert_int_equal(soft_kernel_find("sample_gemm_f32")->static_bytes(), 1024);
    const struct soft_file *f = soft_kernel_find("sample_matvec_q4_0_r1")->file;
    assert_string_equal(f->path, "tests/soft/matvec.metal");
    assert_int_equal(f->n_const, 3);
    assert_int_equal(f->consts[0].type, 53);
    assert_ptr_equal(soft_file_find(f->text, f->text_bytes), f);
    assert_null(soft_file_find(f->text, f->text_bytes - 1));
    assert_int_equal(strlen(f->text), f->text_bytes);
    assert_null(strstr(f->text, "#include \""));
    assert_int_equal(kernel_n_source, soft_n_file);
    assert_string_equal(kernel_sources[1].names[1], "sample_matvec_q4_0_r4");
    for (uint32_t i = 0; i < kernel_n_source; i++)
        assert_non_null(soft_file_find(kernel_sources[i].text, kernel_sources[i].text_bytes));
}

static float *fault_x, fault_out[257];

static struct soft_dispatch fault(const char *kernel, uint32_t threads) {
    struct soft_dispatch d = dispatch(kernel, 1, threads);
    bind(&d, 0, fault_x, 256 * 4);
    bind(&d, 1, fault_out, sizeof fault_out);
    return d;
}

static void refused(const struct soft_dispatch *d, const char *words) {
    error[0] = '\0';
    assert_int_equal(soft_run(d, error, sizeof error), -1);
    if (!strstr(error, words)) fail_msg("\"%s\" does not tell of \"%s\"", error, words);
}

#ifndef SOFT_RACE
/* Under some pair of orders the bits differ. */
static void orders_differ(const char *kernel) {
    struct soft_dispatch d = fault(kernel, 256);
    float first[256];
    bool differ = false;
    for (unsigned i = 0; i < N_ORDER; i++) {
        soft_configure(orders[i], NULL);
        run(&d);
        if (i) differ |= memcmp(first, fault_out, sizeof first) != 0;
        else memcpy(first, fault_out, sizeof first);
    }
    soft_configure(NULL, NULL);
    assert_true(differ);
}

static void test_missing_barriers(void **state) {
    orders_differ("fault_no_barrier");
    orders_differ("fault_write_after_read");
}

static void test_uninitialised(void **state) {
    struct soft_dispatch d = fault("fault_uninitialised", 256);
    soft_configure(NULL, "0x7f");
    run(&d);
    float with_large = fault_out[255];
    soft_configure(NULL, "0");
    run(&d);
    assert_true(with_large != fault_out[255]);
    soft_configure(NULL, NULL);
}

#ifdef SOFT_ASAN
/* The sanitizer ends the process. */
static void dies(const struct soft_dispatch *d) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(0);
        soft_run(d, error, sizeof error);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

static void test_overruns(void **state) {
    struct soft_dispatch d = fault("fault_threadgroup_overrun", 256);
    d.tg_len[0] = 1024;
    dies(&d);
    d = fault("fault_device_overrun", 256);
    dies(&d);
    d = fault("fault_device_overrun", 255);
    run(&d);
}
#else
static void test_overruns(void **state) {
    struct soft_dispatch d = fault("fault_threadgroup_overrun", 256);
    d.tg_len[0] = 1024;
    refused(&d, "past the end of threadgroup memory object 0");
    d.tg_len[0] = 1040;
    run(&d);
}
#endif
#endif

static void test_divergence(void **state) {
    static const struct { const char *kernel; int line; const char *what; } cases[] = {
        {"fault_barrier_in_branch", 61, "(threadgroup_barrier)"},
        {"fault_barrier_of_some_simdgroups", 67, "(threadgroup_barrier)"},
        {"fault_simd_in_branch", 74, "(simd_sum)"},
        {"fault_early_return", 82, "(simd_sum)"},
        {"fault_matrix_in_branch", 89, "matrix operations"},
        {"fault_shuffle", 95, "reads lane "},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned o = 0; o < N_ORDER; o++) {
            struct soft_dispatch d = fault(cases[i].kernel, 128);
            char where[64];
            soft_configure(orders[o], NULL);
            snprintf(where, sizeof where, "tests/soft/faults.metal:%d:", cases[i].line);
            refused(&d, where);
            if (!strstr(error, cases[i].what)) fail_msg("\"%s\" does not name %s", error, cases[i].what);
        }
    soft_configure(NULL, NULL);
}

static void test_arguments(void **state) {
    struct soft_dispatch d = fault("fault_no_barrier", 256);
    bind(&d, 0, NULL, 0);
    refused(&d, "buffer 0 (x) is not set");
    bind(&d, 0, (char *)fault_x + 2, 1022);
    refused(&d, "buffer 0 (x) is misaligned");
    d = fault("fault_no_barrier", 1025);
    refused(&d, "1025 x 1 x 1 threads");
    d = fault("fault_no_barrier", 0);
    refused(&d, "0 x 1 x 1 threads");
    d = fault("fault_threadgroup_overrun", 256);
    refused(&d, "threadgroup argument 0 (part) has 0 bytes");
    d.tg_len[0] = 1025;
    refused(&d, "no multiple of 16");
    d.tg_len[0] = 32784;
    refused(&d, "32784 bytes of threadgroup memory");
    d = fault("fault_too_much_memory", 32);
    refused(&d, "32784 bytes of threadgroup memory");
    struct sample_args a = {0};
    d = dispatch("sample_norm", 1, 32);
    bind(&d, 0, &a, sizeof a - 1);
    bind(&d, 1, fault_out, 4), bind(&d, 2, fault_x, 4), bind(&d, 3, fault_x, 4);
    refused(&d, "buffer 0 (a) is too short: 15 bytes");
}

/* dispatchThreads: 100 threads in groups of 64. */
static void test_ragged_grid(void **state) {
    int x[128], out[128];
    for (int i = 0; i < 128; i++) x[i] = i, out[i] = -1;
    struct soft_dispatch d = dispatch("sample_simd", 2, 64);
    d.grid[0] = 96, d.grid[1] = d.grid[2] = 1;
    bind(&d, 0, x, sizeof x);
    bind(&d, 1, out, sizeof out);
    run(&d);
    for (int i = 0; i < 96; i++) assert_int_equal(out[i], simd_expected(x + i / 32 * 32, i % 32));
    assert_int_equal(out[96], -1);
    d.grid[0] = 129;
    refused(&d, "threads per grid");
}

#ifdef SOFT_RACE
/* The checker names the lines of both accesses. */
static void test_races(void **state) {
    static const struct { const char *kernel, *first, *second; } cases[] = {
        {"fault_no_barrier", "faults.metal:11", "thread 255 reads"}, /* what may not be written yet, or was just now */
        {"fault_write_after_read", "faults.metal:20", "faults.metal:22"},
        {"fault_flags", "faults.metal:33", "faults.metal:31"},
        {"fault_uninitialised", "faults.metal:42", "reads what nobody has written"},
        {"fault_threadgroup_overrun", "past the end", "threadgroup memory object 0"},
        {"fault_device_race", "faults.metal:108", "of group 0 wrote"},
    };
    for (unsigned i = 0; i < 6; i++) {
        struct soft_dispatch d = fault(cases[i].kernel, 256);
        d.tg_len[0] = i == 4 ? 1024 : 0;
        d.groups[0] = i == 5 ? 2 : 1;
        soft_configure(i == 0 ? "desc" : "asc", NULL);
        refused(&d, cases[i].first);
        if (!strstr(error, cases[i].second)) fail_msg("\"%s\" does not tell of \"%s\"", error, cases[i].second);
    }
    soft_configure(NULL, NULL);
}
#endif

static void test_configure(void **state) {
    static const char *const wrong[] = {"up", "random", "random:x", ""};
    for (unsigned i = 0; i < 4; i++) assert_int_equal(soft_configure(wrong[i], NULL), -1);
    assert_int_equal(soft_configure(NULL, "300"), -1);
    assert_int_equal(soft_configure("random:7", "0xff"), 0);
    assert_int_equal(soft_configure(NULL, NULL), 0);
}

static int make_faults(void **state) { return (fault_x = random_floats(256, 9)) == NULL; }
static int drop_faults(void **state) { return free(fault_x), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_simd_functions),
        cmocka_unit_test(test_templates_and_constants),
        cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_ragged_grid),
        cmocka_unit_test(test_configure),
#ifdef SOFT_RACE
        cmocka_unit_test(test_races),
#else
        cmocka_unit_test(test_missing_barriers),
        cmocka_unit_test(test_uninitialised),
        cmocka_unit_test(test_overruns),
#endif
    };
    return cmocka_run_group_tests(tests, make_faults, drop_faults);
}
