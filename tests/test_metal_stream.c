/* Models that stream on the metal device against the same models resident there: the same bits. On Linux soft Metal watches that no
 * byte changes while the device may read it (soft_reuse). */
#include "tests/stream_work.h"

#include "runtime/metal.h"

static struct hy_options metal_options(uint32_t model) {
    struct hy_options o = options(model_of(model));
    o.device = DEVICE_METAL;
    return o;
}

static void check(struct hy_options *o, const char *mood, uint32_t n_slot) {
    char what[128];
    o->n_ring_slot = o->n_expert_slot = n_slot;
    snprintf(what, sizeof what, "%s, %u slots, %s", strrchr(o->model_path, '/') + 1, n_slot, mood ? mood : "a healthy disk");
    disk_fault(mood);
    struct hy_engine *en = open_with(o);
    assert_int_not_equal(hy_planned(en)->mode, HY_RESIDENT);
    work(en, &got);
    same_rows(&want, &got, what);
    hy_close(en);
    disk_fault(NULL);
}

static void same_bits(void **state) {
    static const uint32_t models[] = {0, 1, 5};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = metal_options(models[i]);
        make_reference(o, o.model_path);
        check(&o, NULL, 6);
        check(&o, "poison,delay=1ms,reorder", 3);
    }
}

static void failing_reads(void **state) {
    static const uint32_t models[] = {0, 1};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = metal_options(models[i]);
        make_reference(o, o.model_path);
        o.n_ring_slot = o.n_expert_slot = 3;
        o.n_reader = 3;
        fail_reads(o, 6);
    }
}

static void stopped(void **state) {
    static const uint32_t models[] = {0, 1};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = metal_options(models[i]);
        make_reference(o, o.model_path);
        o.n_ring_slot = o.n_expert_slot = 3;
        disk_fault("poison,delay=1ms,reorder");
        stop_steps(&o);
        disk_fault(NULL);
    }
}

static void stopped_resident(void **state) {
    static const uint32_t models[] = {0, 1};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = metal_options(models[i]);
        o.n_batch = o.n_logits = N_CTX;
        make_reference(o, o.model_path);
        stop_steps(&o);
    }
}

static uint64_t n_list(const struct hy_engine *en) {
    struct metal_stats s;
    metal_get_stats(en->dev, &s);
    return s.n_list;
}

static bool is_near(void *ctx) {
    const struct hy_engine *en = ctx;
    n_asked++;
    if (n_list(en) && !device_done(en->dev, n_list(en) - 1)) fail_msg("asked with two lists that the device has not done");
    return false;
}

/* Whoever asks to stop does not wait for more than two layers; steps of few tokens stay one list. */
static void lists(void **state) {
    struct hy_options o = metal_options(0);
    o.model_path = support_model("rows.gguf", "--arch llama --type Q8_0 --tied 0 --n-vocab 2000 --n-embd 256 --n-layer 4");
    o.n_batch = N_CTX;
    for (uint32_t rows = 0; rows < 2; rows++) { /* resident, and so but for the embedding */
        struct hy_plan p;
        OK(hy_plan(&o, &p, &support_err));
        if (rows) o.memory = (struct budget_request){.kind = BUDGET_BYTES, .bytes = p.total_bytes - 100000};
        struct hy_engine *en = open_with(&o);
        assert_int_equal(hy_planned(en)->mode, rows ? HY_ROWS : HY_RESIDENT);
        int32_t token[80] = {0};
        float *logits;
        uint32_t s;
        OK(hy_seq_new(en, &s, &support_err));
        uint64_t before = n_list(en);
        n_asked = 0;
        OK(hy_feed(en, s, token, 80, N_BEST, &logits, is_near, en, &support_err));
        uint32_t n_layer = en->p.ops[en->p.n_op - 1].layer + 1;
        assert_int_equal(n_list(en) - before, n_layer);
        assert_true(n_asked >= n_layer); /* hy_feed asks, too */
        before = n_list(en);
        OK(hy_feed(en, s, token, 1, N_BEST, &logits, is_near, en, &support_err));
        assert_int_equal(n_list(en) - before, 1);
        hy_seq_truncate(en, s, 0);
        OK(hy_feed(en, s, token, LONG_STEP, N_BEST, &logits, is_near, en, &support_err));
        assert_int_equal(n_list(en) - before, 2);
        hy_close(en);
    }
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    setenv("HY_CACHE_DIR", support_path("cache"), 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits), cmocka_unit_test(failing_reads), cmocka_unit_test(stopped),
                                       cmocka_unit_test(stopped_resident), cmocka_unit_test(lists)};
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
