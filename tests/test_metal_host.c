/* The device `metal`, on whatever Metal the system has: lists, barriers, fences, pipelines, buffers. */
#include "tests/metal_host.h"

static void test_buffers(void **state) {
    struct device *d = host_open();
    uint64_t sizes[] = {1, 100, 4096, 70000, 5000000};
    struct buf b[5];
    for (int i = 0; i < 5; i++) {
        b[i] = host_buf(d, sizes[i]);
        assert_int_equal((uintptr_t)b[i].host % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
        assert_int_equal(b[i].size_bytes, sizes[i]);
        for (uint64_t k = 0; k < sizes[i]; k += 97) assert_int_equal(b[i].host[k], 0);
        assert_true(metal_gpu_address(d, &b[i]) != 0);
    }
    struct metal_stats s;
    metal_get_stats(d, &s);
    assert_int_equal(s.n_buffer, 5);
    buf_free(d, &b[2]);
    for (int i = 0; i < 5; i++) buf_free(d, &b[i]);
    metal_get_stats(d, &s);
    assert_int_equal(s.n_buffer, 0);
    assert_int_equal(s.buffer_bytes, 0);
    struct buf big;
    struct err e = {0};
    assert_int_equal(buf_new(d, (uint64_t)1 << 50, "too much", &big, &e), ERR_NOMEM);
    assert_non_null(strstr(e.text, "too much"));
    device_close(d);
}

/* n calls of x = 2x + 1, each behind a barrier: 2^n - 1 everywhere. */
static void run_steps(struct device *d, struct buf *x, int n, bool flush) {
    struct err e = {0};
    uint64_t fence = 0;
    memset(x->host, 0, x->size_bytes);
    struct cmd *c = cmd_begin(d);
    for (int i = 0; i < n; i++) {
        host_ok(host_step(c, x, N_FLOAT, 1, &e), &e);
        cmd_barrier(c);
        if (flush && i % 3 == 2) host_ok(metal_flush(c, &e), &e);
    }
    host_ok(cmd_commit(c, &fence, &e), &e);
    host_ok(device_wait(d, fence, &e), &e);
    for (int i = 0; i < N_FLOAT; i++) assert_float_equal(((float *)(void *)x->host)[i], ldexpf(1, n) - 1, 0);
}

static void test_lists(void **state) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct metal_stats s;
    run_steps(d, &x, 1, false);
    run_steps(d, &x, 20, false);
    metal_get_stats(d, &s);
    assert_int_equal(s.n_cmd_buffer, 2);
    assert_int_equal(s.n_call, 21);
    assert_int_equal(s.n_pipeline, 1);
    assert_true(s.gpu_ns > 0 && s.last_gpu_ns <= s.gpu_ns);
    metal_set_options(d, &(struct metal_options){.split_calls = 4});
    run_steps(d, &x, 20, false);
    metal_get_stats(d, &s);
    assert_int_equal(s.n_cmd_buffer, 2 + 5);
    run_steps(d, &x, 20, true);
    buf_free(d, &x);
    device_close(d);
}

/* More lists than may be in flight, and only the last is waited for. */
static void test_many_lists(void **state) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct err e = {0};
    uint64_t fence = 0;
    for (uint64_t i = 1; i <= 600; i++) {
        struct cmd *c = cmd_begin(d);
        host_ok(host_step(c, &x, N_FLOAT, i % 2 ? 1 : -1, &e), &e);
        if (i % 8 == 0) { /* keeps the numbers small */
            const struct mtl_const zero = {0, MTL_CONST_FLOAT, 0};
            const struct ref bind[] = {{&x, 0}, {NULL, 0}};
            cmd_barrier(c);
            host_ok(mtl_encode(c,
                               &(struct mtl_call){.kernel = "fill",
                                                  .consts = &zero,
                                                  .n_const = 1,
                                                  .args = &(struct step_args){N_FLOAT, 0},
                                                  .args_bytes = 8,
                                                  .bind = bind,
                                                  .n_bind = 2,
                                                  .groups = {16, 1, 1},
                                                  .threads = {64, 1, 1}},
                               &e),
                    &e);
        }
        host_ok(cmd_commit(c, &fence, &e), &e);
        assert_int_equal(fence, i);
    }
    host_ok(device_wait(d, fence, &e), &e);
    host_ok(device_wait(d, 1, &e), &e);
    assert_true(metal_fence_done(d, fence));
    assert_false(metal_fence_done(d, fence + 1));
    for (int i = 0; i < N_FLOAT; i++) assert_float_equal(((float *)(void *)x.host)[i], 0, 0);
    buf_free(d, &x);
    device_close(d);
}

static float bits_float(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static void test_constants(void **state) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct err e = {0};
    for (uint32_t round = 0; round < 6; round++) {
        const struct mtl_const consts[] = {{0, MTL_CONST_FLOAT, 0x40400000u + (round % 3 << 20)},
                                           {3, MTL_CONST_BOOL, round % 2}};
        const struct ref bind[] = {{&x, 0}, {NULL, 0}};
        struct mtl_call call = {.kernel = "fill",
                                .consts = consts,
                                .n_const = 2,
                                .args = &(struct step_args){N_FLOAT, 0},
                                .args_bytes = 8,
                                .bind = bind,
                                .n_bind = 2,
                                .groups = {16, 1, 1},
                                .threads = {64, 1, 1}};
        uint64_t fence;
        struct cmd *c = cmd_begin(d);
        host_ok(mtl_encode(c, &call, &e), &e);
        host_ok(cmd_commit(c, &fence, &e), &e);
        host_ok(device_wait(d, fence, &e), &e);
        float want = bits_float(consts[0].bits) * (round % 2 ? -1 : 1);
        assert_float_equal(((float *)(void *)x.host)[N_FLOAT - 1], want, 0);
    }
    for (uint32_t i = 0; i < 300; i++) /* past the table's first size */
        host_ok(metal_pipeline(d, "fill", &(struct mtl_const){0, MTL_CONST_FLOAT, i}, 1, NULL, &e), &e);
    struct metal_stats s;
    metal_get_stats(d, &s);
    assert_int_equal(s.n_pipeline, 6 + 300);
    struct metal_pipeline_info info;
    host_ok(metal_pipeline(d, "step", NULL, 0, &info, &e), &e);
    assert_int_equal(info.simd_width, 32);
    assert_true(info.max_threads >= 64);
    buf_free(d, &x);
    device_close(d);
}

static void test_table_of_addresses(void **state) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4), table = host_buf(d, 8), y = host_buf(d, N_FLOAT * 4);
    for (int i = 0; i < N_FLOAT; i++) ((float *)(void *)y.host)[i] = (float)i;
    uint64_t address = metal_gpu_address(d, &y) + 4, fence;
    memcpy(table.host, &address, 8);
    const struct ref bind[] = {{&x, 0}, {&table, 0}};
    struct err e = {0};
    struct cmd *c = cmd_begin(d);
    host_ok(mtl_encode(c,
                       &(struct mtl_call){.kernel = "reach",
                                          .args = &(struct step_args){N_FLOAT - 1, 0},
                                          .args_bytes = 8,
                                          .bind = bind,
                                          .n_bind = 2,
                                          .groups = {16, 1, 1},
                                          .threads = {64, 1, 1}},
                       &e),
            &e);
    host_ok(cmd_commit(c, &fence, &e), &e);
    host_ok(device_wait(d, fence, &e), &e);
    for (int i = 0; i < N_FLOAT - 1; i++) assert_float_equal(((float *)(void *)x.host)[i], (float)(i + 1), 0);
    buf_free(d, &x);
    buf_free(d, &table);
    buf_free(d, &y);
    device_close(d);
}

static void test_bad_calls(void **state) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct err e = {0};
    uint64_t fence;
    struct cmd *c = cmd_begin(d);
    struct step_args args = {N_FLOAT, 0};
    struct mtl_call call = {.kernel = "no_such",
                            .args = &args,
                            .args_bytes = 8,
                            .bind = &(struct ref){&x, 0},
                            .n_bind = 1,
                            .groups = {1, 1, 1},
                            .threads = {64, 1, 1}};
    assert_int_equal(mtl_encode(c, &call, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "no_such"));
    call.kernel = "step";
    call.threads[0] = 4096;
    assert_int_equal(mtl_encode(c, &call, &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "4096 threads"));
    call.threads[0] = 64;
    call.tg_bytes = 1 << 20;
    assert_int_equal(mtl_encode(c, &call, &e), ERR_DEVICE);
    call.tg_bytes = 0;
    call.bind = &(struct ref){&x, N_FLOAT * 4};
    assert_int_equal(mtl_encode(c, &call, &e), ERR_ARG);
    call.groups[1] = 0;
    call.bind = &(struct ref){&x, 0};
    assert_int_equal(mtl_encode(c, &call, &e), ERR_OK); /* an empty grid runs nothing */
    cmd_begin(d);                                       /* gives that list up */
    c = cmd_begin(d);
    host_ok(cmd_commit(c, &fence, &e), &e); /* an empty list completes */
    host_ok(device_wait(d, fence, &e), &e);
    run_steps(d, &x, 3, false);
    buf_free(d, &x);
    device_close(d);
}

static void test_info(void **state) {
    struct device *d = host_open();
    struct metal_info i;
    metal_get_info(d, &i);
    assert_true(i.name[0] && i.tg_memory_bytes >= 32768 && i.max_threads >= 1024 && i.working_set_bytes > 0);
    assert_true(strncmp(device_describe(d), "metal: ", 7) == 0);
    assert_int_equal(device_kind(d), DEVICE_METAL);
    device_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_many_lists),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_table_of_addresses),
        cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
