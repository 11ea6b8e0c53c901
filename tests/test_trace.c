/* Traces: the ring when it runs over, whole steps, and sums of planted events. */
#include "tests/support.h"

#include <pthread.h>

#include "sched/experts.h"
#include "sched/trace_sum.h"

static struct trace_event event(enum trace_kind kind, uint64_t t0, uint64_t t1) {
    return (struct trace_event){.kind = (uint8_t)kind, .t0_ns = t0, .t1_ns = t1, .expert = TRACE_NO_EXPERT};
}

static void add(struct trace *t, enum trace_kind kind, uint64_t t0, uint64_t t1) {
    struct trace_event ev = event(kind, t0, t1);
    trace_add(t, &ev);
}

static void add_step(struct trace *t, uint32_t step, uint32_t n_tok, uint64_t t0, uint64_t t1) {
    struct trace_event ev = event(TRACE_STEP, t0, t1);
    ev.step = step;
    ev.n = n_tok;
    trace_add(t, &ev);
}

static void add_read(struct trace *t, uint8_t lane, uint16_t layer, uint64_t t0, uint64_t t1, uint64_t bytes) {
    struct trace_event ev = event(TRACE_READ, t0, t1);
    ev.lane = lane;
    ev.layer = layer;
    ev.bytes = bytes;
    trace_add(t, &ev);
}

static void add_cache(struct trace *t, enum trace_kind kind, uint64_t at, uint32_t why) {
    struct trace_event ev = event(kind, at, at);
    ev.n = why;
    ev.expert = 1;
    trace_add(t, &ev);
}

/* Spans */

static void test_spans_join(void **state) {
    struct trace_span s[] = {{50, 60}, {10, 20}, {15, 30}, {30, 40}, {12, 13}, {70, 70}, {59, 65}};
    assert_int_equal(trace_spans_join(s, LEN(s)), 2);
    assert_int_equal(s[0].a, 10);
    assert_int_equal(s[0].b, 40);
    assert_int_equal(s[1].a, 50);
    assert_int_equal(s[1].b, 65);
    assert_int_equal(trace_spans_join(s, 0), 0);
}

static void test_spans_len(void **state) {
    const struct trace_span s[] = {{10, 20}, {30, 40}, {50, 60}};
    assert_int_equal(trace_spans_len(s, 3, 0, 100), 30);
    assert_int_equal(trace_spans_len(s, 3, 15, 55), 5 + 10 + 5);
    assert_int_equal(trace_spans_len(s, 3, 20, 30), 0);
    assert_int_equal(trace_spans_len(s, 3, 12, 13), 1);
    assert_int_equal(trace_spans_len(s, 0, 0, 100), 0);
}

static void test_spans_common(void **state) {
    const struct trace_span s[] = {{10, 20}, {30, 40}}, t[] = {{0, 12}, {18, 35}, {39, 90}};
    assert_int_equal(trace_spans_common(s, 2, t, 3, 0, 100), 2 + 2 + 5 + 1);
    assert_int_equal(trace_spans_common(t, 3, s, 2, 0, 100), 2 + 2 + 5 + 1);
    assert_int_equal(trace_spans_common(s, 2, t, 3, 19, 34), 1 + 4);
}

/* Random spans against a count of every nanosecond. */
static void test_spans_random(void **state) {
    enum { END = 200 };
    for (int round = 0; round < 200; round++) {
        struct trace_span s[12], t[12];
        bool in_s[END] = {0}, in_t[END] = {0};
        for (uint32_t i = 0; i < LEN(s); i++) {
            s[i].a = support_random(END), s[i].b = s[i].a + support_random((uint32_t)(END - s[i].a) / 4 + 1);
            t[i].a = support_random(END), t[i].b = t[i].a + support_random((uint32_t)(END - t[i].a) / 4 + 1);
            for (uint64_t k = s[i].a; k < s[i].b; k++) in_s[k] = true;
            for (uint64_t k = t[i].a; k < t[i].b; k++) in_t[k] = true;
        }
        uint64_t n = trace_spans_join(s, LEN(s)), m = trace_spans_join(t, LEN(t)), len = 0, both = 0;
        uint64_t a = support_random(END), b = a + support_random((uint32_t)(END - a));
        for (uint64_t k = a; k < b; k++) len += in_s[k], both += in_s[k] && in_t[k];
        assert_int_equal(trace_spans_len(s, n, a, b), len);
        assert_int_equal(trace_spans_common(s, n, t, m, a, b), both);
    }
}

/* Steps: two steps of known parts. Step 0 is a prompt of 5 tokens, [100, 200); step 1 one token, [220, 320).
 *
 *   compute     100-140               230-260
 *   waits              150-190                 260-300
 *   reader 0         130------180  210-225     265-280
 *   reader 1             160----185                      310--330 (ends after the run) */
static void plant(struct trace *t) {
    OK(trace_init(t, 64, &support_err));
    add(t, TRACE_COMPUTE, 100, 140);
    add_read(t, 0, 3, 130, 180, 1000);
    add_read(t, 1, 4, 160, 185, 500);
    add(t, TRACE_WAIT, 150, 190);
    add_cache(t, TRACE_MISS, 105, EXPERT_DEMAND);
    add_cache(t, TRACE_MISS, 106, EXPERT_GUESS);
    add_cache(t, TRACE_USEFUL, 106, 0);
    add_step(t, 0, 5, 100, 200);
    add_cache(t, TRACE_PREDICT, 205, 0);
    add_cache(t, TRACE_PREDICT, 206, 0);
    add_read(t, 0, 3, 210, 225, 70);
    add(t, TRACE_COMPUTE, 230, 260);
    add(t, TRACE_WAIT, 260, 300);
    add_read(t, 0, 4, 265, 280, 7);
    for (int i = 0; i < 3; i++) add_cache(t, TRACE_HIT, 240, 0);
    add_cache(t, TRACE_USEFUL, 240, 0);
    add_cache(t, TRACE_MISS, 241, EXPERT_DEMAND);
    add_cache(t, TRACE_EVICT, 242, 0);
    add_step(t, 1, 1, 220, 320);
    add_read(t, 1, 0, 310, 330, 9999);
}

static void test_sums_of_steps(void **state) {
    struct trace t;
    struct trace_log l;
    struct trace_sum s[2];
    plant(&t);
    OK(trace_take(&t, 0, &l, &support_err));
    assert_int_equal(l.n_step, 2);
    assert_int_equal(l.lost_events, 0);
    OK(trace_sum_steps(&l, s, &support_err));
    assert_int_equal(s[0].n_tok, 5);
    assert_int_equal(s[0].time_ns, 100);
    assert_int_equal(s[0].compute_ns, 40);
    assert_int_equal(s[0].stall_ns, 40);
    assert_int_equal(s[0].other_ns, 20);
    assert_int_equal(s[0].between_ns, 0);
    assert_int_equal(s[0].io_ns, 55);        /* 130 to 185: the readers overlap */
    assert_int_equal(s[0].overlap_ns, 10);   /* 130 to 140 */
    assert_int_equal(s[0].idle_stall_ns, 5); /* 185 to 190 */
    assert_int_equal(s[0].read_bytes, 1500);
    assert_int_equal(s[0].n_miss, 2);
    assert_int_equal(s[0].n_unforeseen, 1);
    assert_int_equal(s[1].step, 1);
    assert_int_equal(s[1].time_ns, 120); /* from 200 on */
    assert_int_equal(s[1].between_ns, 20);
    assert_int_equal(s[1].compute_ns, 30);
    assert_int_equal(s[1].stall_ns, 40);
    assert_int_equal(s[1].other_ns, 30);
    assert_int_equal(s[1].io_ns, 15 + 15 + 10);
    assert_int_equal(s[1].overlap_ns, 0);
    assert_int_equal(s[1].idle_stall_ns, 25);
    assert_int_equal(s[1].read_bytes, 77); /* the read that ends after the run is nobody's */
    assert_int_equal(s[1].n_hit, 3);
    assert_int_equal(s[1].n_evict, 1);
    for (int i = 0; i < 2; i++) assert_int_equal(s[i].compute_ns + s[i].stall_ns + s[i].other_ns + s[i].between_ns, s[i].time_ns);
    trace_log_free(&l);
    trace_deinit(&t);
}

static void test_ratios(void **state) {
    struct trace t;
    struct trace_log l;
    struct trace_sum s[2], all = {0};
    plant(&t);
    OK(trace_take(&t, 0, &l, &support_err));
    OK(trace_sum_steps(&l, s, &support_err));
    trace_sum_add(&all, &s[0]);
    trace_sum_add(&all, &s[1]);
    assert_int_equal(all.n_step, 2);
    assert_int_equal(all.time_ns, 220);
    assert_float_equal(trace_sum_hit_rate(&all), 3.0 / 6, 1e-9);
    assert_float_equal(trace_sum_precision(&all), 2.0 / 2, 1e-9);
    assert_float_equal(trace_sum_recall(&all), 2.0 / (2 + 2), 1e-9); /* two used, two missing that nobody foresaw */
    /* 1500 bytes in 100 ns are 15 GB/s. */
    assert_float_equal(trace_sum_disk_share(&s[0], 30e9), 0.5, 1e-9);
    assert_float_equal(trace_sum_bound(&s[0], 30e9), 0.5, 1e-9);
    assert_float_equal(trace_sum_bound(&s[0], 60e9), 0.4, 1e-9); /* compute is the longer */
    assert_true(trace_sum_bound(&s[0], 0) < 0);
    assert_true(trace_sum_hit_rate(&(struct trace_sum){0}) < 0);
    assert_true(trace_sum_recall(&s[0]) < 0); /* no guess was made in it */
    trace_log_free(&l);
    trace_deinit(&t);
}

static void test_sums_of_layers(void **state) {
    struct trace t;
    struct trace_log l;
    struct trace_sum s[2];
    struct trace_layer_sum layer[5];
    plant(&t);
    OK(trace_take(&t, 0, &l, &support_err));
    OK(trace_sum_steps(&l, s, &support_err));
    trace_sum_layers(&l, s, (bool[]){true, true}, 5, layer);
    assert_int_equal(layer[3].read_bytes, 1070);
    assert_int_equal(layer[4].read_bytes, 507);
    assert_int_equal(layer[0].compute_ns, 70);
    assert_int_equal(layer[0].stall_ns, 80);
    assert_int_equal(layer[0].n_hit, 3);
    trace_sum_layers(&l, s, (bool[]){false, true}, 4, layer); /* events of layer 4 have no place and are let go */
    assert_int_equal(layer[3].read_bytes, 70);
    assert_int_equal(layer[0].stall_ns, 40);
    trace_log_free(&l);
    trace_deinit(&t);
}

static void test_verdicts(void **state) {
    struct trace_sum s = {.time_ns = 100, .compute_ns = 95, .stall_ns = 5};
    assert_int_equal(trace_sum_verdict(&s), TRACE_RESIDENT);
    s.read_bytes = 1;
    assert_int_equal(trace_sum_verdict(&s), TRACE_COMPUTE_BOUND);
    s = (struct trace_sum){.time_ns = 100, .compute_ns = 60, .stall_ns = 40, .read_bytes = 1};
    assert_int_equal(trace_sum_verdict(&s), TRACE_IN_TURN);
    s = (struct trace_sum){.time_ns = 100, .compute_ns = 30, .stall_ns = 60, .other_ns = 10, .read_bytes = 1};
    assert_int_equal(trace_sum_verdict(&s), TRACE_DISK_BOUND);
    s = (struct trace_sum){.time_ns = 100, .compute_ns = 30, .stall_ns = 20, .other_ns = 40, .between_ns = 10, .read_bytes = 1};
    assert_int_equal(trace_sum_verdict(&s), TRACE_HOST_BOUND);
}

/* Logs */

/* Steps of 10 ns and 4 events each, the last of them the step's own. */
static void run_steps(struct trace *t, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = 1000 + i * 10;
        add(t, TRACE_COMPUTE, at, at + 2);
        add(t, TRACE_WAIT, at + 2, at + 4);
        add_read(t, 0, 0, at + 1, at + 3, 100);
        add_step(t, i, 1, at, at + 9);
    }
}

static void test_ring_runs_over(void **state) {
    struct trace t;
    struct trace_log l;
    OK(trace_init(&t, 30, &support_err));
    assert_int_equal(t.cap, 32);
    run_steps(&t, 20);
    add(&t, TRACE_COMPUTE, 1200, 1201); /* of a step that never ended */
    OK(trace_take(&t, 0, &l, &support_err));
    assert_int_equal(l.lost_events, 81 - 32);
    assert_int_equal(l.n_before, 13); /* of step 12 events are missing */
    assert_int_equal(l.n_step, 7);
    assert_int_equal(l.n, 7 * 4 + 1);
    assert_int_equal(l.from_ns, 1000 + 12 * 10 + 9);
    struct trace_sum s[7];
    OK(trace_sum_steps(&l, s, &support_err));
    for (int i = 0; i < 7; i++) {
        assert_int_equal(s[i].step, 13 + i);
        assert_int_equal(s[i].read_bytes, 100);
        assert_int_equal(s[i].time_ns, 10);
        assert_int_equal(s[i].between_ns, 1);
    }
    trace_log_free(&l);
    trace_deinit(&t);
}

static void test_last_steps(void **state) {
    struct trace t;
    struct trace_log l;
    OK(trace_init(&t, 128, &support_err));
    run_steps(&t, 20);
    OK(trace_take(&t, 3, &l, &support_err));
    assert_int_equal(l.lost_events, 0);
    assert_int_equal(l.n_before, 17);
    assert_int_equal(l.n_step, 3);
    assert_int_equal(l.n, 12);
    assert_int_equal(l.events[0].kind, TRACE_STEP); /* sorted by beginning, the longest first */
    for (uint64_t i = 1; i < l.n; i++) assert_true(l.events[i - 1].t0_ns <= l.events[i].t0_ns);
    trace_log_free(&l);
    OK(trace_take(&t, 50, &l, &support_err));
    assert_int_equal(l.n_step, 20);
    assert_int_equal(l.n_before, 0);
    assert_int_equal(l.from_ns, 1000);
    trace_log_free(&l);
    trace_deinit(&t);
}

/* A read that begins in a step that is left out and ends in one that is not belongs to the latter. */
static void test_read_over_the_cut(void **state) {
    struct trace t;
    struct trace_log l;
    struct trace_sum s;
    OK(trace_init(&t, 16, &support_err));
    add_step(&t, 0, 1, 100, 200);
    add_read(&t, 0, 0, 190, 250, 40);
    add_read(&t, 0, 0, 150, 200, 500); /* ends with the step before, */
    add_read(&t, 0, 0, 260, 300, 2);   /* and with this one */
    add_step(&t, 1, 1, 210, 300);
    OK(trace_take(&t, 1, &l, &support_err));
    assert_int_equal(l.n, 3);
    OK(trace_sum_steps(&l, &s, &support_err));
    assert_int_equal(s.read_bytes, 42);
    assert_int_equal(s.io_ns, 90);
    assert_int_equal(s.time_ns, 100);
    trace_log_free(&l);
    trace_deinit(&t);
}

static void test_nothing_to_take(void **state) {
    struct trace t;
    struct trace_log l;
    OK(trace_init(&t, 16, &support_err));
    REFUSED(trace_take(&t, 0, &l, &support_err), ERR_LIMIT, "no step");
    for (int i = 0; i < 40; i++) add(&t, TRACE_COMPUTE, 10, 20);
    add_step(&t, 0, 1, 0, 30);
    REFUSED(trace_take(&t, 0, &l, &support_err), ERR_LIMIT, "more events", "16");
    trace_deinit(&t);
    trace_add(NULL, &(struct trace_event){0}); /* an engine without a trace */
}

static void *add_many(void *ctx) {
    for (int i = 0; i < 1000; i++) add(ctx, TRACE_READ, 1, 2);
    return NULL;
}

static void test_threads(void **state) {
    struct trace t;
    struct trace_log l;
    pthread_t thread[4];
    OK(trace_init(&t, 8192, &support_err));
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, add_many, &t), 0);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    add_step(&t, 0, 1, 0, 3);
    OK(trace_take(&t, 0, &l, &support_err));
    assert_int_equal(l.n, 4001);
    trace_log_free(&l);
    trace_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans_join),     cmocka_unit_test(test_spans_len),        cmocka_unit_test(test_spans_common),
        cmocka_unit_test(test_spans_random),   cmocka_unit_test(test_sums_of_steps),    cmocka_unit_test(test_ratios),
        cmocka_unit_test(test_sums_of_layers), cmocka_unit_test(test_verdicts),         cmocka_unit_test(test_ring_runs_over),
        cmocka_unit_test(test_last_steps),     cmocka_unit_test(test_read_over_the_cut), cmocka_unit_test(test_nothing_to_take),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
