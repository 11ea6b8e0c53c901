/* Memory: what the kernel's texts mean, cgroup limits in planted trees, the budget's rules for given machines, pressure. */
#include "tests/support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cgroup.h"
#include "runtime/clock.h"
#include "runtime/pressure.h"
#include "sched/budget.h"

#define MB ((uint64_t)1 << 20)
#define GB ((uint64_t)1 << 30)

static void numbers_in_texts(void **state) {
    const char *meminfo = "MemTotal:       24684092 kB\nMemFree:         2000 kB\nMemAvailable:   24269192 kB\n";
    uint64_t v = 7;
    assert_true(machine_text_number(meminfo, "MemTotal:", &v) && v == 24684092);
    assert_true(machine_text_number(meminfo, "MemAvailable:", &v) && v == 24269192);
    assert_false(machine_text_number(meminfo, "Available:", &v)); /* only at the beginning of a line */
    assert_false(machine_text_number(meminfo, "MemSwap:", &v));
    assert_false(machine_text_number("", "x", &v));
    assert_false(machine_text_number("max\n", "", &v));
    assert_true(machine_text_number("12\n", "", &v) && v == 12);
    assert_true(machine_text_number("inactive_file_more 3\ninactive_file 4\n", "inactive_file", &v) && v == 4);
    char text[8];
    assert_false(machine_read_text(support_path("missing"), text, sizeof text));
    support_write(support_path("long"), "0123456789", 10);
    assert_true(machine_read_text(support_path("long"), text, sizeof text));
    assert_string_equal(text, "0123456");
}

static void plant(const char *path, const char *text) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", support_dir, path);
    for (char *slash = strchr(full + strlen(support_dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(full, 0755);
        *slash = '/';
    }
    support_write(full, text, strlen(text));
}

static void cgroup_version_2(void **state) {
    struct cgroup_memory m;
    char path[PATH_MAX];
    const char *root = strdup(support_path("v2"));
    plant("v2/a/b/memory.max", "max\n");
    plant("v2/a/b/memory.current", "100\n");
    assert_false(cgroup_memory(root, "0::/a/b\n", &m)); /* no group limits */
    plant("v2/a/memory.max", "1000000\n");
    plant("v2/a/memory.current", "700000\n");
    plant("v2/a/memory.stat", "anon 1\nfile 300000\ninactive_anon 5\ninactive_file 200000\n");
    assert_true(cgroup_memory(root, "0::/a/b\n", &m)); /* the one above does */
    assert_int_equal(m.limit_bytes, 1000000);
    assert_int_equal(m.left_bytes, 500000); /* idle file pages are free */
    plant("v2/a/b/memory.max", "150\n");
    assert_true(cgroup_memory(root, "0::/a/b\n", &m));
    assert_int_equal(m.limit_bytes, 150); /* the tightest */
    assert_int_equal(m.left_bytes, 50);
    assert_true(cgroup_memory(root, "0::/a\n", &m) && m.limit_bytes == 1000000);
    plant("v2/a/b/memory.current", "151\n"); /* over the limit */
    assert_true(cgroup_memory(root, "0::/a/b\n", &m) && m.left_bytes == 0);
    plant("v2/a/b/memory.max", "9223372036854771712\n");
    assert_true(cgroup_memory(root, "0::/a/b\n", &m) && m.limit_bytes == 1000000);

    assert_false(cgroup_pressure_path(root, "0::/a/b\n", path));
    plant("v2/a/b/memory.pressure", "some avg10=0.00\n");
    assert_true(cgroup_pressure_path(root, "0::/a/b\n", path));
    assert_non_null(strstr(path, "v2/a/b/memory.pressure"));
    free((char *)root);
}

static void cgroup_in_a_container(void **state) {
    struct cgroup_memory m;
    const char *root = strdup(support_path("box"));
    plant("box/memory.max", "4096000\n");
    plant("box/memory.current", "96000\n");
    assert_true(cgroup_memory(root, "0::/\n", &m) && m.left_bytes == 4000000);
    assert_true(cgroup_memory(root, "0::/../../outer/box\n", &m) && m.left_bytes == 4000000); /* the path is not ours to see */
    assert_true(cgroup_memory(root, "0::/docker/123\n", &m) && m.left_bytes == 4000000);
    free((char *)root);
}

static void cgroup_version_1(void **state) {
    struct cgroup_memory m;
    char path[PATH_MAX];
    const char *root = strdup(support_path("v1"));
    const char *self = "9:name=systemd:/\n5:cpu,cpuacct:/x\n4:hugetlb,memory:/job\n0::/unified\n";
    plant("v1/memory/job/memory.limit_in_bytes", "5000\n");
    plant("v1/memory/job/memory.usage_in_bytes", "3000\n");
    plant("v1/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
    plant("v1/memory/memory.limit_in_bytes", "9223372036854771712\n");
    plant("v1/memory/memory.usage_in_bytes", "900000\n");
    assert_true(cgroup_memory(root, self, &m));
    assert_int_equal(m.limit_bytes, 5000);
    assert_int_equal(m.left_bytes, 2500);
    assert_false(cgroup_pressure_path(root, self, path));
    const char *none[] = {"", "\n", "4:memory", "4:memory:", "::::", "0::/elsewhere\n", "4:memoryless:/job\n", "4:notmemory:/job\n"};
    for (size_t i = 0; i < LEN(none); i++) assert_false(cgroup_memory(root, none[i], &m));
    free((char *)root);
}

static void this_machine(void **state) {
    struct machine_memory m;
    struct budget b;
    char id[256];
    machine_memory(&m);
    assert_true(m.ram_bytes > 64 * MB && machine_memory_left(&m) <= machine_memory_total(&m));
    assert_true(machine_memory_reserve(&m) <= machine_memory_total(&m) / 8);
    machine_identity(id, sizeof id);
    assert_true(strlen(id) > 10 && !strchr(id, '\n'));
    OK(budget_make(&(struct budget_request){0}, &b, &support_err));
    assert_in_range(b.bytes, 1, m.ram_bytes);
}

static struct budget make(const struct budget_request *r, const struct machine_memory *m) {
    struct budget b;
    OK(budget_of(r, m, &b, &support_err));
    assert_true(*b.from && *b.help);
    return b;
}

/* Exact to a thousandth of a GB. */
static void near_gb(uint64_t bytes, double gb) {
    if ((double)bytes / GB < gb - 0.001 || (double)bytes / GB > gb + 0.001) fail_msg("%.4f GB, not %.4f", (double)bytes / GB, gb);
}

static const struct machine_memory box = {.ram_bytes = 24 * GB, .available_bytes = 22 * GB};
static const struct machine_memory mac = {.ram_bytes = 64 * GB, .available_bytes = 60 * GB, .unified = true};

static void linux_rules(void **state) {
    struct budget b = make(&(struct budget_request){0}, &box);
    near_gb(b.bytes, 22 - 0.96); /* nearly all, 4 % of RAM left alone */
    near_gb(b.reserve_bytes, 0.96);
    assert_string_equal(b.from, "this machine has");
    assert_non_null(strstr(b.help, "close other programs"));
    near_gb(make(&(struct budget_request){0}, &(struct machine_memory){.ram_bytes = 256 * GB, .available_bytes = 250 * GB}).bytes, 248);
    near_gb(make(&(struct budget_request){0}, &(struct machine_memory){.ram_bytes = 8 * GB, .available_bytes = 7 * GB}).bytes, 6.5);
    b = make(&(struct budget_request){0}, &(struct machine_memory){.ram_bytes = 24 * GB, .available_bytes = GB});
    near_gb(b.bytes, 0.5); /* a crowded machine: half of what is left */

    struct machine_memory group = box;
    group.group_bytes = 10 * GB;
    group.group_left_bytes = 9 * GB;
    b = make(&(struct budget_request){0}, &group);
    near_gb(b.bytes, 9 - 0.5);
    near_gb(b.machine_bytes, 10);
    assert_non_null(strstr(b.from, "container"));
    assert_non_null(strstr(b.help, "memory.max"));
    group.group_left_bytes = 0;
    assert_int_equal(make(&(struct budget_request){0}, &group).bytes, 1); /* 0 would mean "unknown" */
    assert_int_equal(make(&(struct budget_request){0}, &(struct machine_memory){0}).bytes, 0);
    near_gb(make(&(struct budget_request){.gpu_hint_bytes = GB}, &box).bytes, 22 - 0.96); /* soft Metal's hint is no limit */
}

static void what_was_asked(void **state) {
    struct budget b = make(&(struct budget_request){.kind = BUDGET_BYTES, .bytes = 20 * GB}, &box);
    assert_int_equal(b.bytes, 20 * GB);
    assert_string_equal(b.from, "--memory allows");
    assert_non_null(strstr(b.help, "at most 22.0G"));
    b = make(&(struct budget_request){.kind = BUDGET_BYTES, .bytes = 100 * GB}, &box);
    assert_int_equal(b.bytes, 22 * GB); /* never swap; the reserve is the user's to spend */
    assert_string_equal(b.from, "this machine has");
    near_gb(make(&(struct budget_request){.kind = BUDGET_FRACTION, .fraction = 0.5}, &box).bytes, 12);
    near_gb(make(&(struct budget_request){.kind = BUDGET_FRACTION, .fraction = 1.0}, &box).bytes, 22);
    REFUSED(budget_of(&(struct budget_request){.kind = BUDGET_FRACTION, .fraction = 1.5}, &box, &b, &support_err), ERR_ARG, "1.5", "--memory");
    REFUSED(budget_of(&(struct budget_request){.kind = BUDGET_FRACTION, .fraction = 0}, &box, &b, &support_err), ERR_ARG, "--memory");
    REFUSED(budget_of(&(struct budget_request){.kind = BUDGET_FRACTION, .fraction = .5}, &(struct machine_memory){0}, &b, &support_err),
            ERR_UNSUPPORTED, "12G");
    assert_int_equal(make(&(struct budget_request){.kind = BUDGET_BYTES, .bytes = 5}, &(struct machine_memory){0}).bytes, 5);
}

static void mac_rules(void **state) {
    struct budget b = make(&(struct budget_request){0}, &mac);
    near_gb(b.bytes, 48); /* 3/4 above 36 GB */
    assert_non_null(strstr(b.from, "GPU"));
    assert_non_null(strstr(b.help, "iogpu.wired_limit_mb=57344"));
    struct machine_memory m = {.ram_bytes = 36 * GB, .available_bytes = 35 * GB, .unified = true};
    near_gb(make(&(struct budget_request){0}, &m).bytes, 24); /* 2/3 up to there */
    near_gb(make(&(struct budget_request){.gpu_hint_bytes = 20 * GB}, &m).bytes, 20);
    m.wired_limit_bytes = 30 * GB;
    near_gb(make(&(struct budget_request){.gpu_hint_bytes = 30 * GB}, &m).bytes, 30);
    m.available_bytes = 10 * GB; /* others use the rest */
    b = make(&(struct budget_request){0}, &m);
    near_gb(b.bytes, 10 - 1.44);
    assert_non_null(strstr(b.help, "close other programs"));
    near_gb(make(&(struct budget_request){.kind = BUDGET_BYTES, .bytes = 20 * GB}, &m).bytes, 20); /* macOS compresses them if asked to */
    b = make(&(struct budget_request){.kind = BUDGET_BYTES, .bytes = 40 * GB}, &m);
    near_gb(b.bytes, 30);
    assert_non_null(strstr(b.help, "wired_limit"));
}

static void simulated_machines(void **state) {
    struct budget b = make(&(struct budget_request){.simulate_bytes = 16 * GB}, &box);
    near_gb(b.bytes, 16 - 1 - 0.64);
    near_gb(b.machine_bytes, 16);
    assert_string_equal(b.from, "the simulated machine has");
    assert_non_null(strstr(b.help, "--simulate-memory"));
    struct machine_memory busier = box;
    busier.available_bytes = 15 * GB;
    assert_int_equal(make(&(struct budget_request){.simulate_bytes = 16 * GB}, &busier).bytes, b.bytes); /* the same each time */
    near_gb(make(&(struct budget_request){.simulate_bytes = 512 * MB}, &box).bytes, 0.375);
    near_gb(make(&(struct budget_request){.simulate_bytes = 16 * GB, .kind = BUDGET_FRACTION, .fraction = 0.5}, &box).bytes, 8);
    near_gb(make(&(struct budget_request){.simulate_bytes = 16 * GB, .kind = BUDGET_BYTES, .bytes = 20 * GB}, &box).bytes, 15);

    b = make(&(struct budget_request){.simulate_bytes = 128 * GB}, &box); /* it must still run here */
    near_gb(b.bytes, 22);
    assert_string_equal(b.from, "this machine has");
    near_gb(make(&(struct budget_request){.simulate_bytes = 128 * GB, .plan_only = true}, &box).bytes, 125);
    near_gb(make(&(struct budget_request){.simulate_bytes = 24 * GB}, &mac).bytes, 16);
    near_gb(make(&(struct budget_request){.simulate_bytes = 128 * GB, .gpu_hint_bytes = 48 * GB, .plan_only = true}, &mac).bytes, 96);
}

static void pressure_texts(void **state) {
    assert_int_equal(pressure_of_psi(""), PRESSURE_NONE);
    assert_int_equal(pressure_of_psi("some avg10=0.00 avg60=99.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"), PRESSURE_NONE);
    assert_int_equal(pressure_of_psi("some avg10=12.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=2.00 avg60=0.00\n"), PRESSURE_WARN);
    assert_int_equal(pressure_of_psi("some avg10=12.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=12.00 avg60=0.00\n"), PRESSURE_CRITICAL);
    assert_int_equal(pressure_of_psi("some avg10=50.00 avg60=0.00"), PRESSURE_CRITICAL);

    struct machine_memory m = box; /* reserve 0.96 GB */
    assert_int_equal(pressure_of_memory(&m), PRESSURE_NONE);
    m.available_bytes = 600 * MB;
    assert_int_equal(pressure_of_memory(&m), PRESSURE_NONE);
    m.available_bytes = 400 * MB;
    assert_int_equal(pressure_of_memory(&m), PRESSURE_WARN);
    m.available_bytes = 200 * MB;
    assert_int_equal(pressure_of_memory(&m), PRESSURE_CRITICAL);
    m.unified = true;
    assert_int_equal(pressure_of_memory(&m), PRESSURE_NONE); /* macOS has its own word for it */
    assert_int_equal(pressure_of_memory(&(struct machine_memory){0}), PRESSURE_NONE);
    assert_int_equal(pressure_of_memory(&(struct machine_memory){.available_bytes = 9 * GB, .group_bytes = GB, .group_left_bytes = 40 * MB}),
                     PRESSURE_WARN);
}

static void pressure_is_looked_at_rarely(void **state) {
    static struct pressure_watch w;
    uint64_t t = 1000;
    char *path = strdup(support_path("pressure"));
    setenv("HY_FAKE_PRESSURE", path, 1);
    pressure_watch_init(&w);
    assert_int_equal(pressure_now(&w, t), PRESSURE_NONE); /* no file */
    support_write(path, "warn\n", 5);
    assert_int_equal(pressure_now(&w, t + PRESSURE_LOOK_NS - 1), PRESSURE_NONE);
    assert_int_equal(pressure_now(&w, t + PRESSURE_LOOK_NS), PRESSURE_WARN);
    support_write(path, "critical", 8);
    assert_int_equal(pressure_now(&w, t + 2 * (uint64_t)PRESSURE_LOOK_NS), PRESSURE_CRITICAL);
    support_write(path, "whatever", 8);
    assert_int_equal(pressure_now(&w, t + 3 * (uint64_t)PRESSURE_LOOK_NS), PRESSURE_NONE);
    unsetenv("HY_FAKE_PRESSURE");
    pressure_watch_init(&w);
    uint64_t t0 = clock_ns();
    for (int i = 0; i < 1000; i++) assert_in_range(pressure_now(&w, clock_ns()), PRESSURE_NONE, PRESSURE_CRITICAL);
    assert_true(clock_ns() - t0 < 200000000); /* one or two looks, not a thousand */
    free(path);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_texts), cmocka_unit_test(cgroup_version_2),   cmocka_unit_test(cgroup_in_a_container),
        cmocka_unit_test(cgroup_version_1), cmocka_unit_test(this_machine),       cmocka_unit_test(linux_rules),
        cmocka_unit_test(what_was_asked),   cmocka_unit_test(mac_rules),          cmocka_unit_test(simulated_machines),
        cmocka_unit_test(pressure_texts),   cmocka_unit_test(pressure_is_looked_at_rarely),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
