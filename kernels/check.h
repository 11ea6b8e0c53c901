/* Kernel checks: every op, type and ragged shape on a device, against the scalar oracle in double.
 *
 * An op brings one struct check_op, named <op>_check, and one line in CHECK_OPS; hy kernels-test and
 * the unit tests walk the list. For each case, on each device, from scratch: build fills the operands (always
 * the same numbers), oracle computes what must come out and how far off each value may be, encode
 * runs the op through its public function, and the outputs are compared value by value. Then the case
 * is run again with another thread count, and (when n_row is set) row by row: the bytes must be the same.
 * A limit has a derivation, written beside it; it is never widened until a test passes.
 * One thread. Buffers and arrays belong to struct check and live until the case ends. */
#pragma once
#include "runtime/device.h"

#define CHECK_N_PARAM 12
#define CHECK_MAX_IN 16
#define CHECK_ARGS_BYTES 128
#define CHECK_EPS 0x1p-24 /* f32: a rounded result is off by at most this share of itself */

/* e^x and tanh, in CHECK_EPS of the result. CPU: 1.5 and 3 units in the last place (kernels/simd.h). Metal's precise
 * ones: 4 and 5 (Metal Shading Language Specification, on numerical compliance). */
static inline double check_exp_eps(enum device_kind d) { return d == DEVICE_METAL ? 8 : 3; }
static inline double check_tanh_eps(enum device_kind d) { return d == DEVICE_METAL ? 10 : 6; }

struct check_case {
    const char *label;        /* the group that it is reported in, "f16 window" */
    int64_t p[CHECK_N_PARAM]; /* shape and variant; meaning by op */
    bool bench;               /* a large shape: only with --bench, and timed */
};

struct check {
    const struct check_case *c;
    /* Filled by build. */
    _Alignas(16) unsigned char args[CHECK_ARGS_BYTES]; /* the op's argument struct for all rows */
    struct ref in[CHECK_MAX_IN];
    struct ref out;           /* may be one of `in` (in place) */
    uint64_t out_bytes, n_out; /* n_out: values to compare */
    uint32_t n_row;           /* promise: encoding single rows gives the same bytes; 0: no such promise */
    double bytes, flops;      /* moved and done by one run, for --bench; 0: not reported */
    /* Filled by oracle: n_out values each. */
    double *want, *limit;
    /* Private to check.c. */
    struct device *dev;
    struct buf bufs[CHECK_MAX_IN];
    uint32_t n_buf;
    uint64_t rng;
    struct err err;
};

struct check_op {
    const char *name;
    const struct check_case *cases;
    uint32_t n_case;
    void (*build)(struct check *k);
    /* Encodes rows first..first+n-1; everything is (0, n_row), or
     * (0, UINT32_MAX) without n_row. */
    int (*encode)(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e);
    void (*oracle)(struct check *k);
    void (*collect)(struct check *k, double *got); /* outputs as n_out numbers; NULL: they are f32 */
    bool cpu_only;
};

#define CHECK_OPS(X)                                                                               \
    X(embed) X(rms_norm) X(rope) X(kv_write) X(attention) X(glu) X(add) X(scale) X(softcap)        \
    X(route) X(expert_sum) X(gather_rows) X(topk) X(act_quant) X(matmul) X(matmul_id)                  \
    X(matmul_glu)

#define X(op) extern const struct check_op op##_check;
CHECK_OPS(X)
#undef X
extern const struct check_op *const check_ops[]; /* ends with NULL */

/* The table of cases and its length, for a struct check_op. */
#define CHECK_CASES(table) .cases = (table), .n_case = sizeof(table) / sizeof *(table)

/* For build. Each makes operand k->in[slot] and returns its host address (never NULL: a
 * device that has no memory ends the program's check run with a message). */
void *check_in(struct check *k, uint32_t slot, uint64_t bytes);                          /* zeros */
float *check_in_f32(struct check *k, uint32_t slot, uint64_t n, float lo, float hi);     /* uniform */
void check_out(struct check *k, uint64_t n_f32);             /* outputs, poisoned with NaN */
void check_out_bytes(struct check *k, uint64_t bytes, uint64_t n_value);
uint32_t check_rand(struct check *k, uint32_t n);            /* 0..n-1 */
float check_rand_f32(struct check *k, float lo, float hi);

struct check_result {
    bool pass;
    double err, limit; /* of the worst value (largest err / limit) */
    char why[400];     /* when it did not pass */
    double seconds;    /* median of the timed runs; 0 when not timed */
    double bytes, flops;
    uint64_t digest;   /* of the output's bytes */
};

/* Runs one case on dev and, unless again is NULL, on `again` too for bit identity (the same kind of device with
 * another thread count). */
void check_run(const struct check_op *op, const struct check_case *c, struct device *dev, struct device *again,
               bool time_it, struct check_result *out);
