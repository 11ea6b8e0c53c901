#include <math.h>

#include "kernels/check.h"
#include "kernels/scale.h"

/* p: rows, row length, factor in thousandths, 1 in place */
static const struct check_case cases[] = {
    {"f32", {1, 1, 500}}, {"f32", {3, 37, -1700}}, {"f32", {2, 8200, 45254}}, {"f32", {4, 19, 0}}, {"in place", {3, 37, 700, 1}},
};

static void build(struct check *k) {
    uint32_t n = (uint32_t)(k->c->p[0] * k->c->p[1]);
    *(struct scale_args *)k->args = (struct scale_args){.n = n, .factor = (float)k->c->p[2] / 1000};
    check_in_f32(k, 0, n, -3, 3);
    check_out(k, n);
    if (k->c->p[3]) k->out = k->in[0];
    k->n_row = (uint32_t)k->c->p[0];
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct scale_args a = *(struct scale_args *)k->args;
    a.n = n * (uint32_t)k->c->p[1];
    uint64_t at = (uint64_t)first * (uint32_t)k->c->p[1] * 4;
    return scale_encode(cmd, &a, ref_at(k->out, at), ref_at(k->in[0], at), e);
}

static void oracle(struct check *k) {
    scale_ref((struct scale_args *)k->args, ref_host(k->in[0]), k->want);
    for (uint64_t i = 0; i < k->n_out; i++) k->limit[i] = fabs(k->want[i]) * CHECK_EPS; /* one rounding */
}

const struct check_op scale_check = {"scale", CHECK_CASES(cases), build, encode, oracle, NULL};
