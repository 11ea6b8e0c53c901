#include <math.h>

#include "kernels/check.h"
#include "kernels/softcap.h"

/* p: rows, row length, cap, largest |x|, 1 in place */
static const struct check_case cases[] = {
    {"f32", {1, 1, 30, 10}}, {"f32", {3, 37, 30, 1}}, {"f32", {2, 8200, 50, 100}}, {"far out", {4, 19, 1, 10000}}, {"in place", {3, 37, 30, 100, 1}},
};

static void build(struct check *k) {
    uint32_t n = (uint32_t)(k->c->p[0] * k->c->p[1]);
    *(struct softcap_args *)k->args = (struct softcap_args){.n = n, .cap = (float)k->c->p[2]};
    float *x = check_in_f32(k, 0, n, -(float)k->c->p[3], (float)k->c->p[3]);
    x[n - 1] = INFINITY;
    check_out(k, n);
    if (k->c->p[4]) k->out = k->in[0];
    k->n_row = (uint32_t)k->c->p[0];
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct softcap_args a = *(struct softcap_args *)k->args;
    a.n = n * (uint32_t)k->c->p[1];
    uint64_t at = (uint64_t)first * (uint32_t)k->c->p[1] * 4;
    return softcap_encode(cmd, &a, ref_at(k->out, at), ref_at(k->in[0], at), e);
}

/* x / cap is rounded, and tanh never enlarges a relative error: 1. tanh. The product: 1. */
static void oracle(struct check *k) {
    softcap_ref((struct softcap_args *)k->args, ref_host(k->in[0]), k->want);
    for (uint64_t i = 0; i < k->n_out; i++) k->limit[i] = fabs(k->want[i]) * (2 + check_tanh_eps(device_kind(k->dev))) * CHECK_EPS;
}

const struct check_op softcap_check = {"softcap", CHECK_CASES(cases), build, encode, oracle, NULL};
