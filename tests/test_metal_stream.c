/* Models that stream on the metal device against the same models resident there: the same bits. On Linux soft Metal watches that no
 * byte changes while the device may read it (soft_reuse). */
#include "tests/stream_work.h"

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
        fail_reads(o, 27);
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

int main(int argc, char **argv) {
    support_init(argv[0]);
    setenv("HY_CACHE_DIR", support_path("cache"), 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits), cmocka_unit_test(failing_reads), cmocka_unit_test(stopped)};
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
