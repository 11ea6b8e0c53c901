/* hy kernels-test: every op against the scalar oracle (kernels/check.h), and its speed. */
#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <xxhash.h>

#include "kernels/check.h"
#include "runtime/machine.h"
#include "runtime/metal.h"
#include "tools/cli.h"

struct run {
    const char *device, *isa, *filter;
    uint32_t n_thread;
    bool bench, quick, json;
    struct device *dev, *again;
    uint32_t n_passed, n_failed, n_group;
    uint64_t digest; /* of all outputs: equal for every thread order and poison pattern */
};

/* The cases of one op with one label: a line of the report. */
struct group {
    const char *op, *label;
    uint32_t n_case, n_failed;
    struct check_result worst; /* of those with the largest err / limit; speed of the last */
};

static double share(const struct check_result *r) {
    return r->limit > 0 ? r->err / r->limit : r->err > 0 ? INFINITY : 0;
}

static void print_text(const struct group *g) {
    const struct check_result *r = &g->worst;
    printf("%-12s %-34s %3u case%s  err %-9.2e limit %-9.2e %s", g->op, g->label, g->n_case, g->n_case == 1 ? " " : "s",
           r->err, r->limit, g->n_failed ? "FAIL" : "pass");
    if (r->seconds > 0) {
        printf("  %8.3f ms", r->seconds * 1e3);
        if (r->bytes > 0) printf("  %7.2f GB/s", r->bytes / r->seconds * 1e-9);
        if (r->flops > 0) printf("  %7.1f GFLOP/s", r->flops / r->seconds * 1e-9);
    }
    putchar('\n');
    fflush(stdout);
}

static void print_json(const struct run *run, const struct group *g) {
    const struct check_result *r = &g->worst;
    printf("%s\n  {\"op\": \"%s\", \"label\": \"%s\", \"cases\": %u, \"failed\": %u", run->n_group ? "," : "", g->op, g->label,
           g->n_case, g->n_failed);
    if (isfinite(r->err)) printf(", \"err\": %.3e, \"limit\": %.3e", r->err, r->limit);
    if (r->seconds > 0)
        printf(", \"seconds\": %.6e, \"gb_s\": %.3f, \"gflop_s\": %.3f", r->seconds, r->bytes / r->seconds * 1e-9,
               r->flops / r->seconds * 1e-9);
    putchar('}');
}

static void end_group(struct run *run, struct group *g) {
    if (!g->n_case) return;
    if (run->json) print_json(run, g);
    else print_text(g);
    run->n_group++;
    g->n_case = 0;
}

static void print_failure(const struct check_op *op, const struct check_case *c, const struct check_result *r) {
    fprintf(stderr, "%s %s (", op->name, c->label);
    for (int i = 0; i < CHECK_N_PARAM; i++) fprintf(stderr, "%s%lld", i ? " " : "", (long long)c->p[i]);
    fprintf(stderr, "): %s\n", r->why);
}

static void run_case(struct run *run, struct group *g, const struct check_op *op, const struct check_case *c) {
    struct check_result r;
    if (g->n_case && strcmp(g->label, c->label) != 0) end_group(run, g);
    if (g->n_case && run->quick) return;
    if (!g->n_case) *g = (struct group){.op = op->name, .label = c->label};
    check_run(op, c, run->dev, run->quick ? NULL : run->again, run->bench && c->bench, &r);
    if (!r.pass) print_failure(op, c, &r);
    if (!g->n_case || share(&r) > share(&g->worst)) g->worst = r;
    g->n_case++;
    g->n_failed += !r.pass;
    run->n_failed += !r.pass;
    run->n_passed += r.pass;
    run->digest = XXH3_64bits_withSeed(&r.digest, sizeof r.digest, run->digest);
}

static bool wanted(const struct run *run, const struct check_op *op, const struct check_case *c) {
    char name[128];
    if (c->bench && !run->bench) return false;
    snprintf(name, sizeof name, "%s %s", op->name, c->label);
    return !run->filter || strstr(name, run->filter);
}

static void run_op(struct run *run, const struct check_op *op) {
    struct group g = {0};
    if (op->cpu_only && device_kind(run->dev) != DEVICE_CPU) return;
    for (uint32_t i = 0; i < op->n_case && !cli_interrupted(NULL); i++)
        if (wanted(run, op, &op->cases[i])) run_case(run, &g, op, &op->cases[i]);
    end_group(run, &g);
}

/* What a reader of a pasted report needs to know of the machine. */
static void print_machine(const struct run *run) {
    struct utsname u;
    printf("device    %s\n", device_describe(run->dev));
    if (uname(&u) == 0) printf("system    %s %s %s\n", u.sysname, u.release, u.machine);
    printf("memory    %.1f GB available, %u cores\n", (double)machine_memory_available() / 1e9, machine_n_core());
    if (device_kind(run->dev) != DEVICE_METAL) return;
    struct metal_info i;
    metal_get_info(run->dev, &i);
    printf("chip      %s, GPU family Apple%u, %.1f GB may be resident, %.1f GB per buffer\n", i.name, i.apple_family,
           (double)i.working_set_bytes / 1e9, (double)i.max_buffer_bytes / 1e9);
    printf("limits    %u threads and %u bytes of memory per threadgroup, residency sets: %s\n", i.max_threads, i.tg_memory_bytes,
           i.residency_sets ? "yes" : "no");
}

static void print_pipelines(const struct run *run) {
    if (device_kind(run->dev) != DEVICE_METAL) return;
    struct metal_stats s;
    metal_get_stats(run->dev, &s);
    printf("pipelines %llu compiled in %.2f s, %llu calls in %llu command buffers\n", (unsigned long long)s.n_pipeline,
           (double)s.compile_ns / 1e9, (unsigned long long)s.n_call, (unsigned long long)s.n_cmd_buffer);
    if (metal_compiler_text()[0]) printf("the compiler said:\n%s\n", metal_compiler_text());
}

static int report(struct run *run) {
    if (run->json) printf("[");
    else print_machine(run);
    for (uint32_t i = 0; check_ops[i] && !cli_interrupted(NULL); i++) run_op(run, check_ops[i]);
    if (run->json) printf("\n]\n");
    else print_pipelines(run);
    if (!run->json) printf("outputs   %016llx (xxh3)\n%u passed, %u failed\n", (unsigned long long)run->digest, run->n_passed, run->n_failed);
    if (!cli_flush()) return EXIT_FAILED;
    if (cli_interrupted(NULL)) return cli_fail(&(struct err){ERR_CANCELLED, "interrupted; the cases that follow were not run"});
    return run->n_failed ? EXIT_FAILED : EXIT_OK;
}

static int open_devices(struct run *run, struct err *e) {
    struct device_options o = {.kind = cli_device(run->device), .n_thread = run->n_thread, .cpu_isa = run->isa};
    int rc = device_open(&o, &run->dev, e);
    if (rc || o.kind != DEVICE_CPU) return rc;
    o.n_thread = device_n_thread(run->dev) == 1 ? 3 : 1;
    return device_open(&o, &run->again, e);
}

int cmd_kernels_test(int argc, char **argv) {
    struct run run = {0};
    const struct opt opts[] = {
        {"--device", OPT_STR, &run.device, "auto|cpu|metal", "what to check (auto)", 0, 0},
        {"--filter", OPT_STR, &run.filter, "TEXT", "only cases whose op and label contain it", 0, 0},
        {"--bench", OPT_FLAG, &run.bench, NULL, "large shapes too, with their speed", 0, 0},
        {"--quick", OPT_FLAG, &run.quick, NULL, "one case per group, one run each", 0, 0},
        {"--isa", OPT_STR, &run.isa, "NAME", "CPU kernels: scalar, avx2, avx512, neon, neon_i8mm (the best)", 0, 0},
        {"--threads", OPT_U32, &run.n_thread, "N", "CPU threads (one per physical core)", 1, 256},
        {"--json", OPT_FLAG, &run.json, NULL, "a JSON array, one object per group", 0, 0},
    };
    const struct command c = {
        .name = "kernels-test", .usage = "[options]", .opts = opts, .n_opt = sizeof opts / sizeof *opts,
        .about = "Runs every kernel on every kind of shape and compares it with a scalar computation in double\n"
                 "precision. Prints the worst error of each group and the limit that holds for it."};
    int code;
    struct err e;
    if (!cli_parse(&c, argc, argv, NULL, &code)) return code;
    if (run.device && strcmp(run.device, "auto") && strcmp(run.device, "cpu") && strcmp(run.device, "metal"))
        return cli_usage_error("--device takes auto, cpu or metal, not '%s'", run.device);
    cli_catch_interrupt();
    int rc = open_devices(&run, &e);
    code = rc == ERR_ARG ? cli_usage_error("%s", e.text) : rc ? cli_fail(&e) : report(&run);
    device_close(run.again);
    device_close(run.dev);
    return code;
}
