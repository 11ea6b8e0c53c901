#include "kernels/check.h"
#include "kernels/gather_rows.h"

/* p: rows out, rows in, row length */
static const struct check_case cases[] = {
    {"f32", {1, 1, 1}}, {"f32", {1, 9, 64}}, {"f32", {9, 4, 77}}, {"f32", {3, 100, 2048}},
};

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    *(struct gather_rows_args *)k->args =
        (struct gather_rows_args){.n_out = (uint32_t)p[0], .n_row = (uint32_t)p[1], .dim = (uint32_t)p[2]};
    check_in_f32(k, 0, (uint64_t)(p[1] * p[2]), -3, 3);
    int32_t *ids = check_in(k, 1, (uint64_t)p[0] * 4);
    for (int64_t i = 0; i < p[0]; i++) ids[i] = (int32_t)check_rand(k, (uint32_t)p[1]);
    if (p[0] > 4) { /* outside: rows of zeros */
        ids[1] = -1;
        ids[2] = (int32_t)p[1];
    }
    check_out(k, (uint64_t)(p[0] * p[2]));
    k->n_row = (uint32_t)p[0];
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct gather_rows_args a = *(struct gather_rows_args *)k->args;
    a.n_out = n;
    return gather_rows_encode(cmd, &a, ref_at(k->out, (uint64_t)first * a.dim * 4), k->in[0],
                              ref_at(k->in[1], first * 4), e);
}

static void oracle(struct check *k) { /* copies: exact */
    gather_rows_ref((struct gather_rows_args *)k->args, ref_host(k->in[0]), ref_host(k->in[1]), k->want);
}

const struct check_op gather_rows_check = {"gather_rows", CHECK_CASES(cases), build, encode, oracle, NULL};
