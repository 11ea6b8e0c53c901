#include "kernels/act_quant.h"
#include "kernels/check.h"
#include "kernels/matmul_metal.h"
#include "kernels/matmul_random.h"

/* p: type, tokens, columns (0: one block; odd for the types that have none), rows, 1 with bias */
#define SMALL(t)                                                                                   \
    {#t, {DT_##t, 1, 0, 3, 0}}, {#t, {DT_##t, 2, 768, 15, 1}}, {#t, {DT_##t, 3, 1024, 130, 0}},    \
    {#t, {DT_##t, 4, 512, 64, 1}}, {#t, {DT_##t, 7, 512, 9, 1}}, {#t, {DT_##t, 9, 768, 33, 0}},     \
    {#t, {DT_##t, 13, 0, 17, 1}}, {#t, {DT_##t, 100, 512, 65, 1}}
#define LARGE(t)                                                                                   \
    {"1 x 2048 " #t, {DT_##t, 1, 2048, 16384, 0}, .bench = true},                                  \
    {"512 x 2048 " #t, {DT_##t, 512, 2048, 512, 0}, .bench = true}
#define BOTH(t) SMALL(t), LARGE(t)
static const struct check_case cases[] = {
    BOTH(F32), BOTH(F16), BOTH(BF16), BOTH(Q4_0), BOTH(Q4_1), BOTH(Q5_0), BOTH(Q5_1), BOTH(Q8_0), BOTH(Q2_K),
    BOTH(Q3_K), BOTH(Q4_K), BOTH(Q5_K), BOTH(Q6_K), BOTH(IQ4_NL), BOTH(IQ4_XS), BOTH(MXFP4),
    {"groups of 8 blocks", {DT_Q8_0, 5, 352, 40, 1}}, {"groups of 8 blocks", {DT_Q5_1, 14, 480, 40, 0}},
    {"ragged rows", {DT_F16, 7, 45, 66, 1}}, {"ragged rows", {DT_F32, 1, 1021, 5, 0}},
    {"many tokens", {DT_Q4_K, 1030, 256, 3, 1}},
};

enum { X, W, BIAS, X_F32 };

static enum act_fmt fmt_of(const struct check *k) {
    return matmul_x_fmt(k->dev, (enum dtype)k->c->p[0]);
}

static bool is_mat(const struct check *k) {
    return device_kind(k->dev) == DEVICE_METAL && matmul_metal_is_mat((uint32_t)k->c->p[1]);
}

static void build(struct check *k) {
    enum dtype t = (enum dtype)k->c->p[0];
    uint32_t block = dtype_info((uint32_t)t)->block_elems, n_tok = (uint32_t)k->c->p[1], n_in = (uint32_t)k->c->p[2];
    if (n_in == 0) n_in = block == 1 ? 7 : block;
    struct matmul_args a = {n_tok, n_in, (uint32_t)k->c->p[3], (uint32_t)t};
    *(struct matmul_args *)k->args = a;
    uint64_t x_bytes = act_bytes(fmt_of(k), n_in), w_bytes = a.n_out * dtype_bytes(t, n_in), seed = check_rand(k, 1u << 30);
    random_weights(t, check_in(k, W, w_bytes), (uint64_t)a.n_out * n_in, &seed);
    const float *x = check_in_f32(k, X_F32, (uint64_t)n_tok * n_in, -2, 2);
    unsigned char *xq = check_in(k, X, n_tok * x_bytes);
    for (uint64_t i = 0; i < n_tok; i++) act_quant_row_ref(fmt_of(k), x + i * n_in, xq + i * x_bytes, n_in);
    if (k->c->p[4]) check_in_f32(k, BIAS, a.n_out, -1, 1);
    check_out(k, (uint64_t)n_tok * a.n_out);
    k->n_row = is_mat(k) ? 0 : n_tok; /* one token goes by the vec form, with another order of arithmetic */
    k->bytes = (double)w_bytes + (double)(n_tok * (x_bytes + 4ull * a.n_out));
    k->flops = 2.0 * n_tok * n_in * a.n_out;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct matmul_args a = *(struct matmul_args *)k->args;
    if (n < a.n_tok) a.n_tok = n;
    return matmul_encode(cmd, &a, ref_at(k->out, 4ull * first * a.n_out),
                         ref_at(k->in[X], first * act_bytes(fmt_of(k), a.n_in)), k->in[W], k->in[BIAS], e);
}

static void oracle(struct check *k) { /* the limit is derived in matmul.h and matmul_metal.c */
    const struct matmul_args *a = (struct matmul_args *)k->args;
    const void *x = ref_host(k->in[X_F32]), *w = ref_host(k->in[W]);
    matmul_ref(a, fmt_of(k), x, w, ref_host(k->in[BIAS]), k->want, k->limit);
    if (is_mat(k)) matmul_metal_limit(a, x, w, k->limit);
}

const struct check_op matmul_check = {"matmul", CHECK_CASES(cases), build, encode, oracle, NULL};
