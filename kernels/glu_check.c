#include "kernels/check.h"
#include "kernels/glu.h"

/* p: rows, row length, activation, largest |gate|, 1 or 2 when out is gate or up */
static const struct check_case cases[] = {
    {"silu", {1, 1, GLU_SILU, 4}}, {"silu", {3, 37, GLU_SILU, 8}}, {"silu", {2, 8200, GLU_SILU, 30}},
    {"silu far out", {4, 100, GLU_SILU, 1000}},
    {"gelu", {1, 1, GLU_GELU_TANH, 4}}, {"gelu", {3, 37, GLU_GELU_TANH, 8}}, {"gelu", {2, 8200, GLU_GELU_TANH, 3}},
    {"gelu far out", {4, 100, GLU_GELU_TANH, 1000}},
    {"in place", {3, 37, GLU_SILU, 8, 1}}, {"in place", {3, 37, GLU_SILU, 8, 2}},
    {"silu 512 x 8192", {512, 8192, GLU_SILU, 8}, .bench = true},
    {"gelu 512 x 8192", {512, 8192, GLU_GELU_TANH, 8}, .bench = true},
};

static void build(struct check *k) {
    uint32_t n = (uint32_t)(k->c->p[0] * k->c->p[1]);
    *(struct glu_args *)k->args = (struct glu_args){.n = n, .act = (uint32_t)k->c->p[2]};
    check_in_f32(k, 0, n, -(float)k->c->p[3], (float)k->c->p[3]);
    check_in_f32(k, 1, n, -3, 3);
    check_out(k, n);
    if (k->c->p[4]) k->out = k->in[k->c->p[4] - 1];
    k->n_row = (uint32_t)k->c->p[0];
    k->bytes = 12.0 * n;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct glu_args a = *(struct glu_args *)k->args;
    a.n = n * (uint32_t)k->c->p[1];
    uint64_t at = (uint64_t)first * (uint32_t)k->c->p[1] * 4;
    return glu_encode(cmd, &a, ref_at(k->out, at), ref_at(k->in[0], at), ref_at(k->in[1], at), e);
}

static void oracle(struct check *k) {
    const float *gate = ref_host(k->in[0]), *up = ref_host(k->in[1]);
    const struct glu_args *a = (struct glu_args *)k->args;
    glu_ref(a, gate, up, k->want);
    for (uint64_t i = 0; i < k->n_out; i++)
        k->limit[i] = glu_ref_limit(a->act, device_kind(k->dev), (double)gate[i], (double)up[i], k->want[i]);
}

const struct check_op glu_check = {"glu", CHECK_CASES(cases), build, encode, oracle, NULL};
