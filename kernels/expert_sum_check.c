#include <math.h>

#include "kernels/check.h"
#include "kernels/expert_sum.h"

/* p: tokens, experts used, row length */
static const struct check_case cases[] = {
    {"f32", {1, 1, 1}}, {"f32", {1, 2, 64}}, {"f32", {5, 8, 77}}, {"f32", {3, 4, 2048}},
};

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    *(struct expert_sum_args *)k->args =
        (struct expert_sum_args){.n_tok = (uint32_t)p[0], .n_used = (uint32_t)p[1], .dim = (uint32_t)p[2]};
    check_in_f32(k, 0, (uint64_t)(p[0] * p[1] * p[2]), -3, 3);
    check_in_f32(k, 1, (uint64_t)(p[0] * p[1]), 0, 1);
    check_out(k, (uint64_t)(p[0] * p[2]));
    k->n_row = (uint32_t)p[0];
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct expert_sum_args a = *(struct expert_sum_args *)k->args;
    uint64_t tok = first;
    a.n_tok = n;
    return expert_sum_encode(cmd, &a, ref_at(k->out, tok * a.dim * 4), ref_at(k->in[0], tok * a.n_used * a.dim * 4),
                             ref_at(k->in[1], tok * a.n_used * 4), e);
}

/* A chain of n_used products and sums, each rounded: 2 n_used eps of the sum of sizes. */
static void oracle(struct check *k) {
    const struct expert_sum_args *a = (struct expert_sum_args *)k->args;
    const float *x = ref_host(k->in[0]), *weights = ref_host(k->in[1]);
    expert_sum_ref(a, x, weights, k->want);
    for (uint64_t i = 0; i < k->n_out; i++) {
        double sizes = 0;
        uint64_t t = i / a->dim;
        for (uint64_t j = 0; j < a->n_used; j++)
            sizes += fabs((double)weights[t * a->n_used + j] * (double)x[(t * a->n_used + j) * a->dim + i % a->dim]);
        k->limit[i] = sizes * 2 * a->n_used * CHECK_EPS;
    }
}

const struct check_op expert_sum_check = {"expert_sum", CHECK_CASES(cases), build, encode, oracle, NULL};
