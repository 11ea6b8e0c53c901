#include "kernels/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "runtime/clock.h"

#define X(op) &op##_check,
const struct check_op *const check_ops[] = {CHECK_OPS(X) NULL};
#undef X

static uint32_t next_rand(uint64_t *state) { /* a 64-bit LCG's upper half: plenty for operands */
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

uint32_t check_rand(struct check *k, uint32_t n) { return (uint32_t)((uint64_t)next_rand(&k->rng) * n >> 32); }

float check_rand_f32(struct check *k, float lo, float hi) {
    return lo + (hi - lo) * ((float)(next_rand(&k->rng) >> 8) * 0x1p-24f);
}

static struct ref new_operand(struct check *k, uint64_t bytes) {
    CHECK(k->n_buf < CHECK_MAX_IN);
    struct buf *b = &k->bufs[k->n_buf];
    if (buf_new(k->dev, bytes, "an operand", b, &k->err) != ERR_OK) {
        fprintf(stderr, "hy: %s\n", k->err.text);
        CHECK(!"a device that cannot hold the operands cannot be checked");
    }
    k->n_buf++;
    return (struct ref){b, 0};
}

void *check_in(struct check *k, uint32_t slot, uint64_t bytes) {
    CHECK(slot < CHECK_MAX_IN);
    k->in[slot] = new_operand(k, bytes);
    return memset(ref_host(k->in[slot]), 0, bytes);
}

float *check_in_f32(struct check *k, uint32_t slot, uint64_t n, float lo, float hi) {
    float *x = check_in(k, slot, n * sizeof *x);
    for (uint64_t i = 0; i < n; i++) x[i] = check_rand_f32(k, lo, hi);
    return x;
}

void check_out_bytes(struct check *k, uint64_t bytes, uint64_t n_value) {
    k->out = new_operand(k, bytes);
    memset(ref_host(k->out), 0xff, bytes);
    k->out_bytes = bytes;
    k->n_out = n_value;
}

void check_out(struct check *k, uint64_t n_f32) { check_out_bytes(k, n_f32 * 4, n_f32); }

static void free_operands(struct check *k) {
    for (uint32_t i = 0; i < k->n_buf; i++) buf_free(k->dev, &k->bufs[i]);
    k->n_buf = 0;
}

/* The same operands every time, whatever the device. */
static void build(struct check *k, const struct check_op *op, const struct check_case *c, struct device *dev) {
    free_operands(k);
    memset(k->in, 0, sizeof k->in);
    k->out = (struct ref){0};
    k->dev = dev;
    k->c = c;
    k->rng = 1;
    for (const char *s = op->name; *s; s++) k->rng = k->rng * 31 + (unsigned char)*s;
    for (uint32_t i = 0; i < CHECK_N_PARAM; i++) k->rng = k->rng * 1000003 + (uint64_t)c->p[i];
    op->build(k);
    CHECK(k->out.buf && k->n_out > 0);
}

static int finish(struct check *k, struct cmd *cmd) {
    uint64_t fence;
    int rc = cmd_commit(cmd, &fence, &k->err);
    return rc ? rc : device_wait(k->dev, fence, &k->err);
}

static int run_whole(struct check *k, const struct check_op *op) {
    struct cmd *cmd = cmd_begin(k->dev);
    int rc = op->encode(k, cmd, 0, k->n_row ? k->n_row : UINT32_MAX, &k->err);
    return rc ? rc : finish(k, cmd);
}

static int run_rows(struct check *k, const struct check_op *op) {
    struct cmd *cmd = cmd_begin(k->dev);
    int rc = ERR_OK;
    for (uint32_t r = 0; r < k->n_row && !rc; r++) {
        if (r) cmd_barrier(cmd); /* rows may share an operand that the op writes */
        rc = op->encode(k, cmd, r, 1, &k->err);
    }
    return rc ? rc : finish(k, cmd);
}

static bool value_ok(double got, double want, double limit, double *error) {
    *error = got == want ? 0 : fabs(got - want);
    if (isnan(want)) return isnan(got);
    return *error <= limit;
}

static void compare(struct check *k, const struct check_op *op, struct check_result *res) {
    double *got = malloc(k->n_out * sizeof *got), worst = -1;
    CHECK(got);
    if (op->collect) op->collect(k, got);
    else
        for (uint64_t i = 0; i < k->n_out; i++) got[i] = (double)((const float *)ref_host(k->out))[i];
    for (uint64_t i = 0; i < k->n_out; i++) {
        double error, share;
        bool ok = value_ok(got[i], k->want[i], k->limit[i], &error);
        share = k->limit[i] > 0 ? error / k->limit[i] : error > 0 ? INFINITY : 0;
        if (share > worst) {
            worst = share;
            res->err = error;
            res->limit = k->limit[i];
        }
        if (ok || !res->pass) continue;
        res->pass = false;
        snprintf(res->why, sizeof res->why, "value %llu is %.9g, must be %.9g within %.3g", (unsigned long long)i,
                 got[i], k->want[i], k->limit[i]);
    }
    free(got);
}

static void same_bytes(struct check *k, int rc, const unsigned char *bytes, const char *what, struct check_result *res) {
    if (!res->pass) return;
    const unsigned char *got = ref_host(k->out);
    res->pass = rc == ERR_OK && memcmp(bytes, got, k->out_bytes) == 0;
    if (rc) snprintf(res->why, sizeof res->why, "%s: %.300s", what, k->err.text);
    if (rc || res->pass) return;
    uint64_t i = 0;
    while (bytes[i] == got[i]) i++;
    snprintf(res->why, sizeof res->why, "%s: other bits, first at byte %llu", what, (unsigned long long)i);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct check *k, const struct check_op *op, struct check_result *res) {
    enum { MAX_RUN = 200 };
    double seconds[MAX_RUN], total = 0;
    int n = 0;
    for (; n < MAX_RUN && (n < 5 || total < 0.4); n++) {
        uint64_t begin = clock_ns();
        if (run_whole(k, op) != ERR_OK) return;
        seconds[n] = (double)(clock_ns() - begin) * 1e-9;
        total += seconds[n];
    }
    qsort(seconds, (size_t)n, sizeof *seconds, by_value);
    res->seconds = seconds[n / 2];
    res->bytes = k->bytes;
    res->flops = k->flops;
}

void check_run(const struct check_op *op, const struct check_case *c, struct device *dev, struct device *again,
               bool time_it, struct check_result *out) {
    struct check k = {0};
    *out = (struct check_result){.pass = true};
    build(&k, op, c, dev);
    k.want = calloc(k.n_out, sizeof *k.want);
    k.limit = calloc(k.n_out, sizeof *k.limit);
    unsigned char *bytes = malloc(k.out_bytes);
    CHECK(k.want && k.limit && bytes);
    op->oracle(&k);
    if (run_whole(&k, op) != ERR_OK) {
        out->pass = false;
        snprintf(out->why, sizeof out->why, "%.380s", k.err.text);
    } else {
        compare(&k, op, out);
        memcpy(bytes, ref_host(k.out), k.out_bytes);
        out->digest = XXH3_64bits(bytes, k.out_bytes);
    }
    if (out->pass && k.n_row > 1 && !c->bench) {
        build(&k, op, c, dev);
        same_bytes(&k, run_rows(&k, op), bytes, "row by row", out);
    }
    if (out->pass && again) {
        build(&k, op, c, again);
        same_bytes(&k, run_whole(&k, op), bytes, "with another number of threads", out);
    }
    if (out->pass && time_it) {
        build(&k, op, c, dev);
        measure(&k, op, out);
    }
    free_operands(&k);
    free(bytes);
    free(k.want);
    free(k.limit);
}
