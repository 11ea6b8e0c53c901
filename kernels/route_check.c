#include <math.h>
#include <stdlib.h>

#include "kernels/check.h"
#include "kernels/route.h"

/* p: tokens, experts, used, flags, scale in thousandths, 1 with many equal logits */
static const struct check_case cases[] = {
    {"softmax", {1, 1, 1, 0, 1000, 0}}, {"softmax", {3, 8, 2, 0, 1000, 0}}, {"softmax", {5, 61, 7, 0, 2500, 0}},
    {"renormalised", {3, 8, 2, ROUTE_RENORM, 1000, 0}}, {"renormalised", {9, 128, 8, ROUTE_RENORM, 1000, 0}},
    {"of the chosen", {3, 32, 4, ROUTE_SOFTMAX_CHOSEN, 1000, 0}},
    {"of the chosen", {2, 9, 9, ROUTE_SOFTMAX_CHOSEN | ROUTE_RENORM, 1000, 0}},
    {"ties", {4, 64, 6, 0, 1000, 1}}, {"ties", {4, 17, 6, ROUTE_RENORM, 1000, 1}},
};

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    struct route_args *a = (struct route_args *)k->args;
    *a = (struct route_args){.n_tok = (uint32_t)p[0], .n_expert = (uint32_t)p[1], .n_used = (uint32_t)p[2],
                             .flags = (uint32_t)p[3], .scale = (float)p[4] / 1000};
    uint64_t n = (uint64_t)a->n_tok * a->n_expert, n_out = (uint64_t)a->n_tok * a->n_used;
    float *x = check_in_f32(k, 0, n, -8, 8);
    for (uint64_t i = 0; p[5] && i < n; i++) x[i] = roundf(x[i] / 4);
    check_out_bytes(k, n_out * 8, n_out * 2); /* ids, then weights */
    k->n_row = a->n_tok;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct route_args a = *(struct route_args *)k->args;
    struct ref ids = ref_at(k->out, (uint64_t)first * a.n_used * 4), weights = ref_at(ids, (uint64_t)a.n_tok * a.n_used * 4);
    a.n_tok = n;
    return route_encode(cmd, &a, ids, weights, ref_at(k->in[0], (uint64_t)first * a.n_expert * 4), e);
}

static void collect(struct check *k, double *got) {
    uint64_t n = k->n_out / 2;
    for (uint64_t i = 0; i < n; i++) {
        got[i] = ((const int32_t *)ref_host(k->out))[i];
        got[n + i] = (double)((const float *)ref_host(k->out))[n + i];
    }
}

/* Ids exactly. A weight is e^(x - top) over a sum of such: the difference is off by eps of itself (16 at most
 * here) and e^x by its own, in numerator and denominator: 2 (16 + exp); the sum is a chain of at most
 * n_expert / 4 + 4; the quotient, the scale: 2. */
static void oracle(struct check *k) {
    const struct route_args *a = (struct route_args *)k->args;
    uint64_t n = k->n_out / 2;
    double exp_eps = check_exp_eps(device_kind(k->dev));
    int32_t *ids = malloc(n * sizeof *ids);
    CHECK(ids);
    route_ref(a, ref_host(k->in[0]), ids, k->want + n);
    for (uint64_t i = 0; i < n; i++) {
        k->want[i] = ids[i];
        k->limit[n + i] = k->want[n + i] * (2 * (16 + exp_eps) + 2 + a->n_expert / 4.0 + 4) * CHECK_EPS;
    }
    free(ids);
}

const struct check_op route_check = {"route", CHECK_CASES(cases), build, encode, oracle, collect};
