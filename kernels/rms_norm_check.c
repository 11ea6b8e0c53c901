#include <math.h>
#include <string.h>

#include "kernels/check.h"
#include "kernels/rms_norm.h"

enum { APART, IN_PLACE, ADDS };
/* p: rows, row length, 1 with weight, largest |x|, how */
static const struct check_case cases[] = {
    {"weight", {1, 1, 1, 3, APART}}, {"weight", {3, 77, 1, 3, APART}}, {"weight", {2, 2048, 1, 100, APART}},
    {"weight", {33, 64, 1, 3, APART}}, {"weight", {5, 8191, 1, 1000000, APART}},
    {"plain", {3, 77, 0, 3, APART}}, {"plain", {19, 128, 0, 3, APART}},
    {"in place", {7, 130, 1, 3, IN_PLACE}}, {"in place", {40, 8, 1, 3, IN_PLACE}},
    {"zeros", {2, 50, 1, 0, APART}},
    {"adds", {3, 77, 1, 3, ADDS}}, {"adds", {1, 2048, 1, 100, ADDS}}, {"adds", {9, 130, 0, 3, ADDS}},
    {"adds", {2, 1023, 1, 3, ADDS}},
    {"adds zeros", {2, 600, 1, 0, ADDS}},
    {"512 x 2048", {512, 2048, 1, 3, APART}, .bench = true}, {"adds 512 x 2048", {512, 2048, 1, 3, ADDS}, .bench = true},
};

static void build(struct check *k) {
    uint32_t n_row = (uint32_t)k->c->p[0], dim = (uint32_t)k->c->p[1];
    *(struct rms_norm_args *)k->args = (struct rms_norm_args){.n_row = n_row, .dim = dim, .eps = 1e-5f};
    uint64_t n = (uint64_t)n_row * dim;
    float top = (float)k->c->p[3];
    bool adds = k->c->p[4] == ADDS;
    float *x = check_in_f32(k, 0, n, -top, top);
    if (k->c->p[2]) check_in_f32(k, 1, dim, -2, 2);
    if (adds) check_in_f32(k, 2, n, -top, top);
    check_out(k, adds ? 2 * n : n); /* the norm, then x with y added */
    if (k->c->p[4] == IN_PLACE) k->out = k->in[0];
    if (adds) memcpy((float *)ref_host(k->out) + n, x, n * 4);
    k->n_row = n_row;
    k->bytes = (adds ? 16.0 : 8.0) * n_row * dim;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct rms_norm_args a = *(struct rms_norm_args *)k->args;
    uint64_t at = (uint64_t)first * a.dim * 4;
    bool adds = k->c->p[4] == ADDS;
    struct ref x = adds ? ref_at(k->out, (uint64_t)a.n_row * a.dim * 4) : k->in[0];
    a.n_row = n;
    return rms_norm_encode(cmd, &a, ref_at(k->out, at), ref_at(x, at), adds ? ref_at(k->in[2], at) : k->in[2], k->in[1], e);
}

/* The sum runs in at least 16 lanes: dim / 16 + 4 fma each (two roundings in scalar code), 4 levels of
 * adding them up; all terms are positive, so that is its relative error, and the root halves
 * it. The mean, eps, the root, the quotient and two products: 6 more.
 * x + y is rounded once; its norm is off by that, and by as much again because all its squares' sum is. */
static void oracle(struct check *k) {
    const struct rms_norm_args *a = (struct rms_norm_args *)k->args;
    uint64_t n = (uint64_t)a->n_row * a->dim;
    bool adds = k->c->p[4] == ADDS;
    rms_norm_ref(a, ref_host(k->in[0]), ref_host(k->in[2]), ref_host(k->in[1]), k->want + n, k->want);
    double share = (2 * (a->dim / 16.0 + 4) + 4) / 2 + (adds ? 8 : 6);
    for (uint64_t i = 0; i < k->n_out; i++) k->limit[i] = fabs(k->want[i]) * (i < n ? share : 1) * CHECK_EPS;
}

const struct check_op rms_norm_check = {"rms_norm", CHECK_CASES(cases), build, encode, oracle, NULL};
