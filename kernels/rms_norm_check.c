#include <math.h>

#include "kernels/check.h"
#include "kernels/rms_norm.h"

/* p: rows, row length, 1 with weight, largest |x|, 1 in place */
static const struct check_case cases[] = {
    {"weight", {1, 1, 1, 3, 0}}, {"weight", {3, 77, 1, 3, 0}}, {"weight", {2, 2048, 1, 100, 0}},
    {"weight", {33, 64, 1, 3, 0}}, {"weight", {5, 8191, 1, 1000000, 0}},
    {"plain", {3, 77, 0, 3, 0}}, {"plain", {19, 128, 0, 3, 0}},
    {"in place", {7, 130, 1, 3, 1}}, {"in place", {40, 8, 1, 3, 1}},
    {"zeros", {2, 50, 1, 0, 0}},
    {"512 x 2048", {512, 2048, 1, 3, 0}, .bench = true},
};

static void build(struct check *k) {
    uint32_t n_row = (uint32_t)k->c->p[0], dim = (uint32_t)k->c->p[1];
    *(struct rms_norm_args *)k->args = (struct rms_norm_args){.n_row = n_row, .dim = dim, .eps = 1e-5f};
    check_in_f32(k, 0, (uint64_t)n_row * dim, -(float)k->c->p[3], (float)k->c->p[3]);
    if (k->c->p[2]) check_in_f32(k, 1, dim, -2, 2);
    check_out(k, (uint64_t)n_row * dim);
    if (k->c->p[4]) k->out = k->in[0];
    k->n_row = n_row;
    k->bytes = 8.0 * n_row * dim;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct rms_norm_args a = *(struct rms_norm_args *)k->args;
    uint64_t at = (uint64_t)first * a.dim * 4;
    a.n_row = n;
    return rms_norm_encode(cmd, &a, ref_at(k->out, at), ref_at(k->in[0], at), k->in[1], e);
}

/* The sum runs in at least 16 lanes: dim / 16 + 4 fma each (two roundings in scalar code), 4 levels of
 * adding them up; all terms are positive, so that is its relative error, and the root halves
 * it. The mean, eps, the root, the quotient and two products: 6 more. */
static void oracle(struct check *k) {
    const struct rms_norm_args *a = (struct rms_norm_args *)k->args;
    rms_norm_ref(a, ref_host(k->in[0]), ref_host(k->in[1]), k->want);
    double share = (2 * (a->dim / 16.0 + 4) + 4) / 2 + 6;
    for (uint64_t i = 0; i < k->n_out; i++) k->limit[i] = fabs(k->want[i]) * share * CHECK_EPS;
}

const struct check_op rms_norm_check = {"rms_norm", CHECK_CASES(cases), build, encode, oracle, NULL};
