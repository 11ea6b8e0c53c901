/* Soft Metal itself: refused commands, broken object rules, planted faults, orders, leaks. Linux only. */
#include "tests/metal_host.h"

#ifdef __linux__
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "runtime/mtl.h"
#include "runtime/soft/soft.h"

/* A device, a queue, a command buffer and its encoder, used message by message. */
struct bench {
    void *pool;
    id device, queue, commands, encoder, x;
    id step;
};

static const struct step_args n_args = {N_FLOAT, 1};

static id new_pipeline(id device, const char *name, id values, char *why) {
    id error = NULL, function = NULL, options = oc_new_object(oc_class("MTLCompileOptions"));
    id text = oc_new_string(host_text, sizeof host_text - 1), kernel = oc_new_string(name, strlen(name)),
       state = NULL;
    mtl_set_math_mode(options, MTLMathModeSafe);
    id library = mtl_new_library(device, text, options, &error);
    if (library) function = mtl_new_function(library, kernel, values, &error);
    if (function) state = mtl_new_pipeline(device, function, &error);
    if (!state && why) snprintf(why, 200, "%s", oc_utf8(oc_error_text(error)));
    id all[] = {options, text, kernel, library, function};
    for (int i = 0; i < 5; i++) oc_drop(&all[i]);
    return state;
}

static struct bench bench_open(void) {
    struct bench b = {.pool = oc_pool_push(), .device = MTLCreateSystemDefaultDevice()};
    id values = oc_new_object(oc_class("MTLFunctionConstantValues"));
    b.queue = mtl_new_queue(b.device, 8);
    b.step = new_pipeline(b.device, "step", values, NULL);
    b.x = mtl_new_buffer(b.device, N_FLOAT * 4, MTLResourceHazardTrackingModeUntracked);
    b.commands = mtl_command_buffer_unretained(b.queue);
    b.encoder = mtl_compute_encoder(b.commands, MTLDispatchTypeConcurrent);
    oc_release(values);
    return b;
}

static void bench_close(struct bench *b) {
    oc_drop(&b->x);
    oc_drop(&b->step);
    oc_drop(&b->queue);
    oc_drop(&b->device);
    oc_pool_pop(b->pool);
    assert_int_equal(soft_live(NULL), 0);
}

static void set_all(struct bench *b) {
    mtl_set_pipeline(b->encoder, b->step);
    mtl_set_bytes(b->encoder, &n_args, sizeof n_args, 0);
    mtl_set_buffer(b->encoder, b->x, 0, 1);
}

static void dispatch(struct bench *b) { mtl_dispatch(b->encoder, (MTLSize){16, 1, 1}, (MTLSize){64, 1, 1}); }

/* Runs what is encoded; the error's sentence, "" when all is well. */
static void finish(struct bench *b, char why[512]) {
    mtl_end_encoding(b->encoder);
    mtl_commit(b->commands);
    mtl_wait_completed(b->commands);
    id error = mtl_error(b->commands);
    assert_int_equal(mtl_status(b->commands),
                     error ? MTLCommandBufferStatusError : MTLCommandBufferStatusCompleted);
    snprintf(why, 512, "%s", error ? oc_utf8(oc_error_text(error)) : "");
}

static void do_nothing(struct bench *b) { dispatch(b); }
static void do_slot(struct bench *b) { mtl_set_buffer(b->encoder, b->x, 0, 31); }
static void do_bytes_slot(struct bench *b) { mtl_set_bytes(b->encoder, &n_args, 8, 40); }
static void do_far(struct bench *b) { mtl_set_buffer(b->encoder, b->x, N_FLOAT * 4, 1); }
static void do_odd(struct bench *b) { mtl_set_buffer(b->encoder, b->x, 2, 1); }
static void do_many_bytes(struct bench *b) {
    static const char bytes[5000];
    mtl_set_bytes(b->encoder, bytes, sizeof bytes, 0);
}
static void do_missing(struct bench *b) {
    mtl_set_buffer(b->encoder, NULL, 0, 1);
    dispatch(b);
}
static void do_short(struct bench *b) {
    mtl_set_bytes(b->encoder, &n_args, 4, 0);
    dispatch(b);
}
static void do_threads(struct bench *b) { mtl_dispatch(b->encoder, (MTLSize){1, 1, 1}, (MTLSize){33, 32, 1}); }
static void do_no_groups(struct bench *b) { mtl_dispatch(b->encoder, (MTLSize){0, 1, 1}, (MTLSize){64, 1, 1}); }
static void do_tg_odd(struct bench *b) { mtl_set_tg_memory(b->encoder, 40, 0); }
static void do_tg_large(struct bench *b) { mtl_set_tg_memory(b->encoder, 65536, 0); }
static void do_tg_sum(struct bench *b) {
    mtl_set_tg_memory(b->encoder, 32768, 0);
    mtl_set_tg_memory(b->encoder, 16, 1);
    dispatch(b);
}
static void do_scope(struct bench *b) { mtl_memory_barrier(b->encoder, 2); }
static void do_freed(struct bench *b) {
    id gone = mtl_new_buffer(b->device, N_FLOAT * 4, 0);
    mtl_set_buffer(b->encoder, gone, 0, 1);
    dispatch(b);
    oc_release(gone); /* the command buffer retains nothing */
}

static void test_refused_commands(void **state) {
    static const struct {
        void (*what)(struct bench *);
        const char *why[2];
        bool bare;
    } cases[] = {
        {do_nothing, {"dispatchThreadgroups", "no pipeline"}, true},
        {do_slot, {"setBuffer:offset:atIndex:", "slot 31"}},
        {do_bytes_slot, {"setBytes:length:atIndex:", "slot 40"}},
        {do_far, {"setBuffer:offset:atIndex:", "offset 4000"}},
        {do_odd, {"setBuffer:offset:atIndex:", "multiple of 4"}},
        {do_many_bytes, {"setBytes:length:atIndex:", "5000 bytes"}},
        {do_missing, {"missing argument: slot 1", "step"}},
        {do_short, {"slot 0 (a) has 4 bytes", "step"}},
        {do_threads, {"33 x 32 x 1 threads", "step"}},
        {do_no_groups, {"no groups", "step"}},
        {do_tg_odd, {"setThreadgroupMemoryLength:atIndex:", "multiple of 16"}},
        {do_tg_large, {"setThreadgroupMemoryLength:atIndex:", "65536 bytes"}},
        {do_tg_sum, {"32784 bytes of threadgroup memory", "step"}},
        {do_scope, {"memoryBarrierWithScope:", "scope 2"}},
        {do_freed, {"freed before the command ran", "step"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench b = bench_open();
        char why[512];
        if (!cases[i].bare) set_all(&b);
        cases[i].what(&b);
        finish(&b, why);
        for (int k = 0; k < 2; k++)
            if (!strstr(why, cases[i].why[k])) fail_msg("case %zu: '%s' is not in '%s'", i, cases[i].why[k], why);
        bench_close(&b);
    }
    struct bench b = bench_open();
    char why[512];
    set_all(&b);
    dispatch(&b);
    finish(&b, why);
    assert_string_equal(why, "");
    assert_float_equal(((float *)mtl_contents(b.x))[N_FLOAT - 1], 1, 0);
    bench_close(&b);
}

/* Two encoders over one untracked buffer: Metal orders them only by a fence. */
static void two_encoders(bool fenced, char why[512]) {
    struct bench b = bench_open();
    id fence = mtl_new_fence(b.device);
    set_all(&b);
    dispatch(&b);
    if (fenced) mtl_update_fence(b.encoder, fence);
    mtl_end_encoding(b.encoder);
    b.encoder = mtl_compute_encoder(b.commands, MTLDispatchTypeSerial);
    if (fenced) mtl_wait_fence(b.encoder, fence);
    set_all(&b);
    dispatch(&b);
    finish(&b, why);
    oc_drop(&fence);
    bench_close(&b);
}

static void test_fences(void **state) {
    char why[512];
    two_encoders(true, why);
    assert_string_equal(why, "");
    two_encoders(false, why);
    assert_non_null(strstr(why, "no fence orders the two"));
}

/* A missing barrier changes the result when dispatches run in another order, a present one does not. */
static float in_order(const char *order, bool barrier) {
    struct bench b = bench_open();
    char why[512];
    soft_configure(order, NULL);
    set_all(&b);
    for (int i = 0; i < 4; i++) {
        struct step_args a = {N_FLOAT, (float)i};
        mtl_set_bytes(b.encoder, &a, sizeof a, 0);
        dispatch(&b);
        if (barrier) mtl_memory_barrier(b.encoder, MTLBarrierScopeBuffers);
    }
    finish(&b, why);
    assert_string_equal(why, "");
    float x = ((float *)mtl_contents(b.x))[0];
    bench_close(&b);
    soft_configure(NULL, NULL);
    return x;
}

/* The same through the device: cmd_barrier becomes a barrier. */
static float device_in_order(const char *order) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct err e = {0};
    uint64_t fence;
    soft_configure(order, NULL);
    struct cmd *c = cmd_begin(d);
    for (int i = 0; i < 6; i++) {
        host_ok(host_step(c, &x, N_FLOAT, (float)i, &e), &e);
        cmd_barrier(c);
    }
    host_ok(cmd_commit(c, &fence, &e), &e);
    host_ok(device_wait(d, fence, &e), &e);
    float got = ((float *)(void *)x.host)[5];
    buf_free(d, &x);
    device_close(d);
    soft_configure(NULL, NULL);
    return got;
}

static void test_orders(void **state) {
    static const char *const orders[] = {"desc", "random:1", "random:2", "random:3", "random:4"};
    float want = in_order("asc", true);
    int differ = 0;
    for (int i = 0; i < 5; i++) {
        assert_float_equal(in_order(orders[i], true), want, 0);
        assert_float_equal(device_in_order(orders[i]), 57, 0); /* 5 + 2 (4 + 2 (3 + 2 (2 + 2 (1)))) */
        differ += in_order(orders[i], false) != want;
    }
    assert_true(differ >= 2);
}

static void test_blit_and_storage(void **state) {
    struct bench b = bench_open();
    id hidden = mtl_new_buffer(b.device, 64, MTLResourceStorageModePrivate), seen = mtl_new_buffer(b.device, 64, 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *own = NULL;
    char why[512];
    assert_int_equal(posix_memalign(&own, page, page), 0);
    id wrapped = mtl_new_buffer_no_copy(b.device, own, page, MTLResourceStorageModeShared, NULL);
    assert_ptr_equal(mtl_contents(wrapped), own);
    assert_null(mtl_contents(hidden));
    mtl_end_encoding(b.encoder);
    b.encoder = mtl_blit_encoder(b.commands);
    mtl_fill(b.encoder, hidden, (NSRange){16, 32}, 7);
    mtl_copy(b.encoder, hidden, 0, seen, 0, 64);
    mtl_copy(b.encoder, hidden, 16, wrapped, 4, 8);
    finish(&b, why);
    assert_string_equal(why, "");
    const unsigned char *bytes = mtl_contents(seen);
    for (int i = 0; i < 64; i++) assert_int_equal(bytes[i], i >= 16 && i < 48 ? 7 : 0);
    assert_int_equal(((unsigned char *)own)[11], 7);
    b.commands = mtl_command_buffer(b.queue);
    b.encoder = mtl_blit_encoder(b.commands);
    mtl_fill(b.encoder, seen, (NSRange){16, 64}, 7);
    finish(&b, why);
    assert_non_null(strstr(why, "bytes 16 to 80 of a buffer of 64"));
    id all[] = {hidden, seen, wrapped};
    for (int i = 0; i < 3; i++) oc_drop(&all[i]);
    free(own);
    bench_close(&b);
}

static void *raise_later(void *event) {
    void *pool = oc_pool_push();
    usleep(20000);
    mtl_set_event_value(event, 5);
    oc_pool_pop(pool);
    return NULL;
}

static void test_events(void **state) {
    struct bench b = bench_open();
    id event = mtl_new_shared_event(b.device);
    pthread_t t;
    char why[512];
    mtl_end_encoding(b.encoder);
    mtl_await_event(b.commands, event, 5);
    mtl_signal_event(b.commands, event, 9);
    b.encoder = mtl_compute_encoder(b.commands, MTLDispatchTypeConcurrent);
    assert_false(mtl_wait_event(event, 1, 5));
    pthread_create(&t, NULL, raise_later, event);
    finish(&b, why);
    pthread_join(t, NULL);
    assert_string_equal(why, "");
    assert_true(mtl_wait_event(event, 9, 0));
    assert_int_equal(mtl_event_value(event), 9);
    oc_drop(&event);
    bench_close(&b);
}

/* Buffers run in the order in which they were enqueued, not committed. */
static void test_enqueue(void **state) {
    struct bench b = bench_open();
    id event = mtl_new_shared_event(b.device), other = mtl_command_buffer(b.queue);
    mtl_end_encoding(b.encoder);
    mtl_signal_event(b.commands, event, 1);
    mtl_enqueue(b.commands);
    assert_int_equal(mtl_status(b.commands), MTLCommandBufferStatusEnqueued);
    mtl_await_event(other, event, 1);
    mtl_commit(other);
    usleep(10000);
    assert_true(mtl_status(other) < MTLCommandBufferStatusCompleted);
    mtl_commit(b.commands);
    mtl_wait_completed(other);
    assert_int_equal(mtl_status(other), MTLCommandBufferStatusCompleted);
    assert_true(mtl_gpu_end(other) >= mtl_gpu_start(other) && mtl_gpu_start(other) > 0);
    oc_drop(&event);
    bench_close(&b);
}

static void test_libraries(void **state) {
    struct bench b = bench_open();
    id values = oc_new_object(oc_class("MTLFunctionConstantValues")), error = NULL;
    char why[200] = "";
    uint32_t one = 1;
    assert_null(new_pipeline(b.device, "nothing", values, why));
    assert_non_null(strstr(why, "no kernel 'nothing'"));
    mtl_set_constant(values, &one, MTLDataTypeUInt, 0);
    assert_null(new_pipeline(b.device, "fill", values, why));
    assert_non_null(strstr(why, "VALUE"));
    id options = oc_new_object(oc_class("MTLCompileOptions")), text = oc_new_string("kernel void f() {}", 18);
    assert_null(mtl_new_library(b.device, text, options, &error));
    assert_non_null(strstr(oc_utf8(oc_error_text(error)), "safe math"));
    mtl_set_fast_math(options, false);
    assert_null(mtl_new_library(b.device, text, options, &error));
    assert_non_null(strstr(oc_utf8(oc_error_text(error)), "not theirs"));
    id all[] = {values, options, text};
    for (int i = 0; i < 3; i++) oc_drop(&all[i]);
    mtl_end_encoding(b.encoder);
    bench_close(&b);
}

/* What stops the program, each in a process of its own. */
static void die_unknown(struct bench *b) {
    SEL sel = sel_registerName("fooBar:");
    OC_IMP(void (*)(id, SEL, id), b->x, sel)(b->x, sel, NULL);
}
static void die_freed(struct bench *b) {
    id gone = mtl_new_buffer(b->device, 16, 0);
    oc_release(gone);
    mtl_length(gone);
}
static void die_over_release(struct bench *b) {
    id gone = mtl_new_fence(b->device);
    oc_release(gone);
    oc_release(gone);
}
static void *no_pool(void *queue) { return mtl_command_buffer(queue); }
static void die_no_pool(struct bench *b) {
    pthread_t t;
    pthread_create(&t, NULL, no_pool, b->queue);
    pthread_join(t, NULL);
}
static void die_commit_twice(struct bench *b) {
    mtl_end_encoding(b->encoder);
    mtl_commit(b->commands);
    mtl_commit(b->commands);
}
static void die_open_encoder(struct bench *b) { mtl_commit(b->commands); }
static void die_after_end(struct bench *b) {
    mtl_end_encoding(b->encoder);
    set_all(b);
}
static void die_two_encoders(struct bench *b) { mtl_compute_encoder(b->commands, MTLDispatchTypeSerial); }
static void die_wait_uncommitted(struct bench *b) { mtl_wait_completed(b->commands); }
static void die_nil(struct bench *b) { mtl_length(NULL); }
static void die_never_committed(struct bench *b) {
    for (int i = 0; i < 9; i++) mtl_command_buffer(b->queue);
}
static void die_pool(struct bench *b) { oc_pool_pop((void *)999); }

static const struct {
    void (*what)(struct bench *);
    const char *why;
} deaths[] = {
    {die_unknown, "MTLBuffer does not answer fooBar:"},
    {die_freed, "length sent to a freed MTLBuffer"},
    {die_over_release, "release sent to a freed MTLFence"},
    {die_no_pool, "without a pool"},
    {die_commit_twice, "commit] a second time"},
    {die_open_encoder, "endEncoding is missing"},
    {die_after_end, "after endEncoding"},
    {die_two_encoders, "another of the command buffer is open"},
    {die_wait_uncommitted, "before commit"},
    {die_nil, "self"},
    {die_never_committed, "none is committed"},
    {die_pool, "not there"},
};
#define N_DEATH (sizeof deaths / sizeof *deaths)

static int die(const char *which) {
    alarm(20);
    struct bench b = bench_open();
    deaths[strtoul(which, NULL, 10)].what(&b);
    return 0;
}

/* Runs this program again, which is to stop with the sentence. */
static void expect_death(size_t i) {
    int fd[2], status;
    char text[1024], which[16];
    ssize_t n = 0, got;
    assert_int_equal(pipe(fd), 0);
    snprintf(which, sizeof which, "%zu", i);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd[1], 2);
        close(fd[0]);
        close(fd[1]);
        execl("/proc/self/exe", "test_soft_metal", "--die", which, (char *)NULL);
        _exit(127);
    }
    close(fd[1]);
    while ((got = read(fd[0], text + n, sizeof text - 1 - (size_t)n)) > 0) n += got;
    text[n] = 0;
    close(fd[0]);
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(text, deaths[i].why))
        fail_msg("status %d, '%s' and not '%s'", status, text, deaths[i].why);
}

static void test_deaths(void **state) {
    for (size_t i = 0; i < N_DEATH; i++) expect_death(i);
}

/* The device over planted faults. */
static void test_no_device(void **state) {
    struct device *d;
    struct err e = {0};
    soft_fault_set("nodevice");
    assert_int_equal(metal_device_open(&(struct device_options){.kind = DEVICE_METAL}, &d, &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "no Metal device"));
    assert_int_equal(soft_live(NULL), 0);
}

static void test_fault_buffer(void **state) {
    struct device *d = host_open();
    struct buf b = host_buf(d, 100), second = {0};
    struct err e = {0};
    soft_fault_set("buffer@1");
    assert_int_equal(buf_new(d, 1000000, "the KV cache", &second, &e), ERR_NOMEM);
    assert_non_null(strstr(e.text, "the KV cache"));
    second = host_buf(d, 1000000);
    buf_free(d, &b);
    buf_free(d, &second);
    device_close(d);
    soft_fault_set("buffer@1"); /* the device's own */
    assert_int_equal(metal_device_open(&(struct device_options){.kind = DEVICE_METAL}, &d, &e), ERR_DEVICE);
    assert_int_equal(soft_live(NULL), 0);
}

static void test_fault_compilers(void **state) {
    struct device *d = host_open();
    struct err e = {0};
    soft_fault_set("library@1,pipeline@1");
    assert_int_equal(metal_pipeline(d, "fill", NULL, 0, NULL, &e), ERR_DEVICE);
    assert_non_null(
        strstr(e.text, "kernels/host.metal does not compile (kernel step): program_source:6:1: error: a planted"));
    assert_non_null(strstr(metal_compiler_text(), "a planted fault\n"));
    assert_int_equal(metal_pipeline(d, "fill", NULL, 0, NULL, &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "kernel fill does not compile for this GPU"));
    host_ok(metal_pipeline(d, "fill", NULL, 0, NULL, &e), &e);
    device_close(d);
    soft_fault_set(NULL);
    assert_int_equal(soft_live(NULL), 0);
}

static int one_list(struct device *d, struct buf *x, uint64_t *fence, struct err *e) {
    struct cmd *c = cmd_begin(d);
    int rc = host_step(c, x, N_FLOAT, 1, e);
    return rc ? rc : cmd_commit(c, fence, e);
}

/* The second of three lists fails: the first is fine, the two others report it, a fourth runs. */
static void test_fault_commands(void **state) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct err e = {0};
    uint64_t fence[3];
    soft_fault_set("commands@2:2");
    for (int i = 0; i < 3; i++) host_ok(one_list(d, &x, &fence[i], &e), &e);
    assert_int_equal(device_wait(d, fence[2], &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "list 2: Caused GPU Timeout Error"));
    host_ok(device_wait(d, fence[0], &e), &e);
    assert_int_equal(device_wait(d, fence[1], &e), ERR_DEVICE);
    assert_true(metal_fence_done(d, fence[2]));
    host_ok(one_list(d, &x, &fence[0], &e), &e);
    host_ok(device_wait(d, fence[0], &e), &e);
    soft_fault_set("commands@1:8"); /* alone, so that nothing signals after it */
    host_ok(one_list(d, &x, &fence[0], &e), &e);
    assert_int_equal(device_wait(d, fence[0], &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "Insufficient Memory"));
    buf_free(d, &x);
    device_close(d);
    assert_int_equal(soft_live(NULL), 0);
}

static void test_fault_lost(void **state) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct err e = {0};
    uint64_t fence;
    soft_fault_set("commands@1:11");
    host_ok(one_list(d, &x, &fence, &e), &e);
    assert_int_equal(device_wait(d, fence, &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "removed"));
    assert_int_equal(one_list(d, &x, &fence, &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "removed"));
    buf_free(d, &x);
    device_close(d);
    assert_int_equal(soft_live(NULL), 0);
}

static void test_fault_hang(void **state) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct err e = {0};
    uint64_t fence;
    metal_set_options(d, &(struct metal_options){.timeout_ms = 1});
    soft_fault_set("hang@1");
    host_ok(one_list(d, &x, &fence, &e), &e);
    assert_int_equal(device_wait(d, fence, &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "hangs"));
    assert_false(metal_fence_done(d, fence));
    buf_free(d, &x);
    device_close(d);
    assert_int_equal(soft_live(NULL), 0);
}

static void test_capture(void **state) {
    struct device *d;
    struct err e = {0};
    setenv("HY_CAPTURE", "/nowhere/x.gputrace", 1);
    assert_int_equal(metal_device_open(&(struct device_options){.kind = DEVICE_METAL}, &d, &e), ERR_UNSUPPORTED);
    unsetenv("HY_CAPTURE");
    assert_int_equal(soft_live(NULL), 0);
}

/* The same device on a system without residency sets: this program again, as that system. */
static void test_macos_14(void **state) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("HY_SOFT_MACOS", "14", 1);
        execl("/proc/self/exe", "test_soft_metal", "--older", (char *)NULL);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int older(void) {
    struct device *d = host_open();
    struct buf x = host_buf(d, N_FLOAT * 4);
    struct metal_info info;
    struct err e = {0};
    uint64_t fence;
    metal_get_info(d, &info);
    int rc = one_list(d, &x, &fence, &e);
    if (!rc) rc = device_wait(d, fence, &e);
    float got = ((float *)(void *)x.host)[3];
    buf_free(d, &x);
    device_close(d);
    return rc || info.residency_sets || got != 1 || soft_live(NULL);
}

static int forget_faults(void **state) {
    soft_fault_set(NULL);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--older") == 0) return older();
    if (argc > 2 && strcmp(argv[1], "--die") == 0) return die(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_commands),
        cmocka_unit_test(test_fences),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_blit_and_storage),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_enqueue),
        cmocka_unit_test(test_libraries),
        cmocka_unit_test(test_deaths),
        cmocka_unit_test_teardown(test_no_device, forget_faults),
        cmocka_unit_test_teardown(test_fault_buffer, forget_faults),
        cmocka_unit_test_teardown(test_fault_compilers, forget_faults),
        cmocka_unit_test_teardown(test_fault_commands, forget_faults),
        cmocka_unit_test_teardown(test_fault_lost, forget_faults),
        cmocka_unit_test_teardown(test_fault_hang, forget_faults),
        cmocka_unit_test(test_capture),
        cmocka_unit_test(test_macos_14),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) { return 0; }
#endif
