/* The planted fault "an early slot reuse": a host that overwrites what a committed, unfinished list reads is caught by
 * soft Metal every time, and one that waits first is not. Linux only. */
#include "tests/metal_host.h"

#ifdef __linux__
#include "runtime/metal_impl.h"
#include "runtime/mtl.h"
#include "runtime/soft/soft.h"

static const struct mtl_const one = {0, MTL_CONST_FLOAT, 0x3f800000};

enum overwrite { AFTER_WAIT, BEFORE_WAIT, IN_OTHER_BUFFER };

/* A list that copies n floats to x from what the table points to. */
struct bench {
    struct device *d;
    struct buf x, y, table, other;
    id gate; /* holds the queue until the host raises it */
};

static struct bench bench_open(void) {
    struct device *d = host_open();
    struct bench b = {d, host_buf(d, N_FLOAT * 4), host_buf(d, N_FLOAT * 4), host_buf(d, 16), host_buf(d, N_FLOAT * 4)};
    void *pool = oc_pool_push();
    b.gate = mtl_new_shared_event(metal_of(d)->device);
    oc_pool_pop(pool);
    ((uint64_t *)(void *)b.table.host)[0] = metal_gpu_address(d, &b.y);
    return b;
}

static void bench_close(struct bench *b) {
    struct buf *all[] = {&b->x, &b->y, &b->table, &b->other};
    for (int i = 0; i < 4; i++) buf_free(b->d, all[i]);
    oc_drop(&b->gate);
    device_close(b->d);
    assert_int_equal(soft_live(NULL), 0);
}

static void hold_queue(struct bench *b, uint64_t value) {
    void *pool = oc_pool_push();
    id commands = mtl_command_buffer(metal_of(b->d)->queue);
    mtl_await_event(commands, b->gate, value);
    mtl_commit(commands);
    oc_pool_pop(pool);
}

static uint64_t commit_reader(struct bench *b, const char *kernel) {
    uint64_t fence;
    struct err e = {0};
    struct cmd *c = cmd_begin(b->d);
    const bool fills = strcmp(kernel, "fill") == 0;
    host_ok(mtl_encode(c,
                       &(struct mtl_call){.kernel = kernel,
                                          .args = &(struct step_args){N_FLOAT, 0},
                                          .args_bytes = sizeof(struct step_args),
                                          .consts = fills ? &one : NULL,
                                          .n_const = fills,
                                          .bind = (struct ref[]){{&b->x, 0}, {&b->table, 0}},
                                          .n_bind = 2,
                                          .groups = {16, 1, 1},
                                          .threads = {64, 1, 1}},
                       &e),
            &e);
    host_ok(cmd_commit(c, &fence, &e), &e);
    return fence;
}

/* One list of the kernel; the host writes a byte before the list may begin, or when it has waited. The wait's error. */
static struct err overwrite(struct bench *b, const char *kernel, struct buf *what, enum overwrite when, uint64_t turn) {
    struct err e = {0};
    hold_queue(b, turn);
    uint64_t fence = commit_reader(b, kernel);
    if (when == BEFORE_WAIT) what->host[what->size_bytes - 1] ^= 1;
    if (when == IN_OTHER_BUFFER) b->other.host[0] ^= 1;
    mtl_set_event_value(b->gate, turn);
    int rc = device_wait(b->d, fence, &e);
    assert_int_equal(rc, e.code);
    if (when == AFTER_WAIT) what->host[what->size_bytes - 1] ^= 1;
    return e;
}

static void expect(const struct err *e, const char *kernel, const char *slot) {
    const char *const parts[] = {kernel, slot, "'a test'", "changed by the host between commit and completion"};
    assert_int_equal(e->code, ERR_DEVICE);
    for (int i = 0; i < 4; i++)
        if (!strstr(e->text, parts[i])) fail_msg("'%s' is not in '%s'", parts[i], e->text);
}

static void test_waiting_host(void **state) {
    struct bench b = bench_open();
    for (uint64_t i = 1; i <= 30; i++) {
        struct err e = overwrite(&b, i % 2 ? "reach" : "fill", i % 3 ? &b.y : &b.other, i % 5 ? AFTER_WAIT : IN_OTHER_BUFFER, i);
        host_ok(e.code, &e);
    }
    bench_close(&b);
}

static void test_early_host(void **state) {
    struct bench b = bench_open();
    for (uint64_t i = 1; i <= 5; i++) {
        struct err e = overwrite(&b, "fill", &b.table, BEFORE_WAIT, i);
        expect(&e, "kernel fill", "slot 2 (z)");
    }
    struct err e = overwrite(&b, "fill", &b.table, AFTER_WAIT, 21); /* and the device goes on */
    host_ok(e.code, &e);
    bench_close(&b);
}

static void test_reached_by_address(void **state) {
    struct bench b = bench_open();
    for (uint64_t i = 1; i <= 5; i++) {
        struct err e = overwrite(&b, "reach", &b.y, BEFORE_WAIT, i);
        expect(&e, "kernel reach", "an address in slot 2 (table)");
    }
    bench_close(&b);
}

/* What the device writes is not watched, nor anything when the check is off: the fault goes by. */
static void test_limits(void **state) {
    struct bench b = bench_open();
    struct err e = overwrite(&b, "fill", &b.x, BEFORE_WAIT, 1);
    host_ok(e.code, &e);
    soft_reuse_set(false);
    e = overwrite(&b, "fill", &b.table, BEFORE_WAIT, 2);
    host_ok(e.code, &e);
    bench_close(&b);
}

static void encode_fill(struct bench *b, id commands) {
    const struct metal_pipeline *p = NULL;
    struct err e = {0};
    id encoder = mtl_compute_encoder(commands, MTLDispatchTypeConcurrent);
    host_ok(metal_pipelines_get(&metal_of(b->d)->pipelines, metal_of(b->d)->device, "fill", &one, 1, &p, &e), &e);
    mtl_set_pipeline(encoder, p->state);
    mtl_set_bytes(encoder, &(struct step_args){N_FLOAT, 0}, sizeof(struct step_args), 0);
    mtl_set_buffer(encoder, ((struct metal_buf *)b->x.native)->mtl, 0, 1);
    mtl_set_buffer(encoder, ((struct metal_buf *)b->table.native)->mtl, 0, 2);
    mtl_dispatch(encoder, (MTLSize){16, 1, 1}, (MTLSize){64, 1, 1});
    mtl_end_encoding(encoder);
}

/* A command buffer that itself waits for the host: what it reads is the host's until then, and again when the event
 * that it raises after reading says so, though it has not completed. */
static void test_between_events(void **state) {
    struct bench b = bench_open();
    void *pool = oc_pool_push();
    id commands = mtl_command_buffer(metal_of(b.d)->queue);
    mtl_await_event(commands, b.gate, 1);
    encode_fill(&b, commands);
    mtl_signal_event(commands, b.gate, 2);
    mtl_await_event(commands, b.gate, 3);
    mtl_commit(commands);
    b.table.host[9] ^= 1;
    mtl_set_event_value(b.gate, 1);
    assert_true(mtl_wait_event(b.gate, 2, 4000));
    b.table.host[9] ^= 3;
    mtl_set_event_value(b.gate, 3);
    mtl_wait_completed(commands);
    assert_null(mtl_error(commands));
    oc_pool_pop(pool);
    bench_close(&b);
}

/* No event is raised for a command buffer whose reading was spoiled. */
static void test_no_event(void **state) {
    struct bench b = bench_open();
    hold_queue(&b, 1);
    void *pool = oc_pool_push();
    id commands = mtl_command_buffer(metal_of(b.d)->queue);
    encode_fill(&b, commands);
    mtl_signal_event(commands, b.gate, 2);
    mtl_commit(commands);
    b.table.host[9] ^= 1;
    mtl_set_event_value(b.gate, 1);
    mtl_wait_completed(commands);
    assert_non_null(mtl_error(commands));
    assert_non_null(strstr(oc_utf8(oc_error_text(mtl_error(commands))), "kernel fill: slot 2 (z)"));
    assert_int_equal(mtl_event_value(b.gate), 1);
    oc_pool_pop(pool);
    bench_close(&b);
}

static int check_on(void **state) {
    soft_reuse_set(true);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_waiting_host, check_on), cmocka_unit_test_setup(test_early_host, check_on),
        cmocka_unit_test_setup(test_reached_by_address, check_on), cmocka_unit_test_setup(test_limits, check_on),
        cmocka_unit_test_setup(test_between_events, check_on), cmocka_unit_test_setup(test_no_event, check_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) { return 0; }
#endif
