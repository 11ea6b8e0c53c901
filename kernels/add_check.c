#include <math.h>

#include "kernels/add.h"
#include "kernels/check.h"

/* p: rows, row length, 1 when b is one row (a bias), 1 or 2 when out is a or b */
static const struct check_case cases[] = {
    {"sum", {1, 1, 0}}, {"sum", {3, 37, 0}}, {"sum", {5, 4099, 0}},
    {"bias", {1, 77, 1}}, {"bias", {7, 1, 1}}, {"bias", {9, 100, 1}}, {"bias", {3, 5000, 1}},
    {"in place", {3, 37, 0, 1}}, {"in place", {3, 37, 0, 2}}, {"in place", {9, 100, 1, 1}},
    {"sum 512 x 2048", {512, 2048, 0}, .bench = true},
};

static void build(struct check *k) {
    uint32_t n_row = (uint32_t)k->c->p[0], dim = (uint32_t)k->c->p[1];
    *(struct add_args *)k->args = (struct add_args){.n = n_row * dim, .n_b = k->c->p[2] ? dim : n_row * dim};
    check_in_f32(k, 0, n_row * dim, -3, 3);
    check_in_f32(k, 1, k->c->p[2] ? dim : n_row * dim, -3, 3);
    check_out(k, n_row * dim);
    if (k->c->p[3]) k->out = k->in[k->c->p[3] - 1];
    k->n_row = n_row;
    k->bytes = 12.0 * n_row * dim;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    uint32_t dim = (uint32_t)k->c->p[1];
    struct add_args a = {.n = n * dim, .n_b = k->c->p[2] ? dim : n * dim};
    uint64_t at = (uint64_t)first * dim * 4;
    return add_encode(cmd, &a, ref_at(k->out, at), ref_at(k->in[0], at), ref_at(k->in[1], k->c->p[2] ? 0 : at), e);
}

static void oracle(struct check *k) {
    add_ref((struct add_args *)k->args, ref_host(k->in[0]), ref_host(k->in[1]), k->want);
    for (uint64_t i = 0; i < k->n_out; i++) k->limit[i] = fabs(k->want[i]) * CHECK_EPS; /* one rounding */
}

const struct check_op add_check = {"add", CHECK_CASES(cases), build, encode, oracle, NULL};
