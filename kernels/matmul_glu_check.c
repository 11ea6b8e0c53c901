#include <math.h>
#include <stdlib.h>

#include "kernels/check.h"
#include "kernels/matmul_glu.h"
#include "kernels/matmul_metal.h"
#include "kernels/matmul_random.h"

enum { NO_BIAS, GATE_BIAS, UP_BIAS, BOTH };
/* p: type, tokens, columns (0: one block; odd for the types that have none), rows, biases, activation */
#define CASES(t)                                                                                             \
    {#t, {DT_##t, 1, 0, 3, NO_BIAS, GLU_SILU}}, {#t, {DT_##t, 2, 512, 15, BOTH, GLU_GELU_TANH}},              \
    {#t, {DT_##t, 3, 512, 33, GATE_BIAS, GLU_SILU}}, {#t, {DT_##t, 7, 256, 5, UP_BIAS, GLU_SILU}},            \
    {#t, {DT_##t, 9, 256, 33, BOTH, GLU_SILU}},                                                              \
    {"1 x 2048 " #t, {DT_##t, 1, 2048, 8192, NO_BIAS, GLU_SILU}, .bench = true}
static const struct check_case cases[] = {
    CASES(F32), CASES(F16), CASES(BF16), CASES(Q4_0), CASES(Q4_1), CASES(Q5_0), CASES(Q5_1), CASES(Q8_0), CASES(Q2_K),
    CASES(Q3_K), CASES(Q4_K), CASES(Q5_K), CASES(Q6_K), CASES(IQ4_NL), CASES(IQ4_XS), CASES(MXFP4),
};

enum { X, GATE, UP, GATE_B, UP_B, ROOM, X_F32 };

static enum act_fmt fmt_of(const struct check *k) { return matmul_x_fmt(k->dev, (enum dtype)k->c->p[0]); }

static bool is_mat(const struct check *k) {
    return device_kind(k->dev) == DEVICE_METAL && matmul_metal_is_mat((uint32_t)k->c->p[1]);
}

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    enum dtype t = (enum dtype)p[0];
    uint32_t block = dtype_info((uint32_t)t)->block_elems, n_tok = (uint32_t)p[1], n_in = (uint32_t)p[2];
    if (n_in == 0) n_in = block == 1 ? 7 : block;
    struct matmul_glu_args a = {n_tok, n_in, (uint32_t)p[3], (uint32_t)t, (uint32_t)p[5]};
    *(struct matmul_glu_args *)k->args = a;
    uint64_t x_bytes = act_bytes(fmt_of(k), n_in), w_bytes = a.n_out * dtype_bytes(t, n_in), seed = check_rand(k, 1u << 30);
    for (uint32_t side = GATE; side <= UP; side++) random_weights(t, check_in(k, side, w_bytes), (uint64_t)a.n_out * n_in, &seed);
    const float *x = check_in_f32(k, X_F32, (uint64_t)n_tok * n_in, -2, 2);
    unsigned char *xq = check_in(k, X, n_tok * x_bytes);
    for (uint64_t i = 0; i < n_tok; i++) act_quant_row_ref(fmt_of(k), x + i * n_in, xq + i * x_bytes, n_in);
    if (p[4] == GATE_BIAS || p[4] == BOTH) check_in_f32(k, GATE_B, a.n_out, -1, 1);
    if (p[4] == UP_BIAS || p[4] == BOTH) check_in_f32(k, UP_B, a.n_out, -1, 1);
    check_in(k, ROOM, 4ull * n_tok * a.n_out);
    check_out(k, (uint64_t)n_tok * a.n_out);
    k->n_row = is_mat(k) ? 0 : n_tok; /* one token goes by the vec form, with another order of arithmetic */
    k->bytes = 2 * (double)w_bytes + (double)(n_tok * (x_bytes + 4ull * a.n_out));
    k->flops = 4.0 * n_tok * n_in * a.n_out;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct matmul_glu_args a = *(struct matmul_glu_args *)k->args;
    if (n < a.n_tok) a.n_tok = n;
    const struct matmul_glu_side gate = {k->in[GATE], k->in[GATE_B]}, up = {k->in[UP], k->in[UP_B]};
    return matmul_glu_encode(cmd, &a, ref_at(k->out, 4ull * first * a.n_out), k->in[ROOM],
                             ref_at(k->in[X], first * act_bytes(fmt_of(k), a.n_in)), &gate, &up, e);
}

/* A product in double and how far off it may be (matmul.h, matmul_metal.c). */
static void product(struct check *k, uint32_t w, uint32_t bias, double *y, double *off) {
    const struct matmul_glu_args *g = (struct matmul_glu_args *)k->args;
    const struct matmul_args a = {g->n_tok, g->n_in, g->n_out, g->w_type};
    matmul_ref(&a, fmt_of(k), ref_host(k->in[X_F32]), ref_host(k->in[w]), ref_host(k->in[bias]), y, off);
    if (is_mat(k)) matmul_metal_limit(&a, ref_host(k->in[X_F32]), ref_host(k->in[w]), off);
}

/* Neither activation is steeper than 1.13, so it is off by 1.13 of what its product is off. Both factors may be at
 * the far end at once; glu's own roundings (glu_ref_limit) are those of the largest values that the factors can have. */
static void oracle(struct check *k) {
    const struct matmul_glu_args *a = (struct matmul_glu_args *)k->args;
    uint64_t n = k->n_out;
    double *gate = malloc(4 * n * sizeof *gate), *gate_off = gate + n, *up = gate + 2 * n, *up_off = gate + 3 * n;
    CHECK(gate);
    product(k, GATE, GATE_B, gate, gate_off);
    product(k, UP, UP_B, up, up_off);
    for (uint64_t i = 0; i < n; i++) {
        double act = glu_ref_act(a->act, gate[i]), act_off = 1.13 * gate_off[i], up_top = fabs(up[i]) + up_off[i];
        k->want[i] = act * up[i];
        k->limit[i] = act_off * up_top + fabs(act) * up_off[i] +
                      glu_ref_limit(a->act, device_kind(k->dev), fabs(gate[i]) + gate_off[i], up_top, (fabs(act) + act_off) * up_top);
    }
    free(gate);
}

const struct check_op matmul_glu_check = {"matmul_glu", CHECK_CASES(cases), build, encode, oracle, NULL};
