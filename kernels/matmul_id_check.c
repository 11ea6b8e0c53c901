#include <string.h>

#include "kernels/check.h"
#include "kernels/matmul_metal.h"
#include "kernels/matmul_random.h"
#include "runtime/metal.h"

/* p: type, tokens, columns, rows, experts, used, 1 for x per slot, how many experts get all tokens (0: all), 1 with bias */
#define EACH(t) {#t, {DT_##t, 3, 256, 19, 4, 2, 0, 0, 1}}, {#t, {DT_##t, 37, 256, 70, 3, 2, 1, 0, 1}}
static const struct check_case cases[] = {
    EACH(F32), EACH(F16), EACH(BF16), EACH(Q4_0), EACH(Q4_1), EACH(Q5_0), EACH(Q5_1), EACH(Q8_0), EACH(Q2_K),
    EACH(Q3_K), EACH(Q4_K), EACH(Q5_K), EACH(Q6_K), EACH(IQ4_NL), EACH(IQ4_XS), EACH(MXFP4),
    {"one token", {DT_Q4_K, 1, 512, 70, 9, 4, 0, 0, 0}}, {"one token", {DT_Q6_K, 1, 768, 33, 8, 2, 1, 0, 1}},
    {"skewed", {DT_Q4_K, 20, 512, 70, 9, 3, 0, 2, 1}}, {"skewed", {DT_Q8_0, 33, 352, 20, 4, 2, 1, 1, 0}},
    {"spread", {DT_MXFP4, 40, 256, 65, 6, 4, 0, 0, 1}}, {"spread", {DT_Q5_0, 12, 64, 130, 16, 2, 1, 0, 0}},
    {"spread", {DT_F16, 9, 45, 21, 5, 2, 0, 0, 0}}, {"spread", {DT_Q3_K, 30, 256, 64, 3, 2, 1, 0, 0}},
    {"many tokens", {DT_Q4_0, 700, 64, 5, 2, 2, 0, 0, 1}},
    {"1 x 8 of 64 experts", {DT_Q4_K, 1, 2048, 768, 64, 8, 0, 0, 0}, .bench = true},
    {"512 x 8 of 64 experts", {DT_Q4_K, 512, 2048, 128, 64, 8, 0, 0, 0}, .bench = true},
};

enum { X, TABLE, IDS, BIAS, W, X_F32, LISTS };

static enum act_fmt fmt_of(const struct check *k) {
    return matmul_x_fmt(k->dev, (enum dtype)k->c->p[0]);
}

static void build_ids(struct check *k, const struct matmul_id_args *a, uint32_t among) {
    int32_t *ids = check_in(k, IDS, 4ull * a->n_tok * a->n_used);
    for (uint32_t i = 0; i < a->n_tok * a->n_used; i++) ids[i] = (int32_t)check_rand(k, among ? among : a->n_expert);
}

static uint64_t address_of(const struct check *k, struct ref r) {
    if (device_kind(k->dev) == DEVICE_METAL) return metal_gpu_address(k->dev, r.buf) + r.off;
    return (uintptr_t)ref_host(r);
}

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    enum dtype t = (enum dtype)p[0];
    struct matmul_id_args a = {(uint32_t)p[1], (uint32_t)p[2], (uint32_t)p[3], (uint32_t)t,
                               (uint32_t)p[4], (uint32_t)p[5], (uint32_t)p[6], 0};
    memcpy(k->args, &a, sizeof a);
    uint64_t n_x = (uint64_t)a.n_tok * (a.x_per_slot ? a.n_used : 1), x_bytes = act_bytes(fmt_of(k), a.n_in);
    uint64_t expert_bytes = a.n_out * dtype_bytes(t, a.n_in), seed = check_rand(k, 1u << 30);
    unsigned char *w = check_in(k, W, a.n_expert * expert_bytes), *xq = check_in(k, X, n_x * x_bytes);
    random_weights(t, w, (uint64_t)a.n_expert * a.n_out * a.n_in, &seed);
    const float *x = check_in_f32(k, X_F32, n_x * a.n_in, -2, 2);
    for (uint64_t i = 0; i < n_x; i++) act_quant_row_ref(fmt_of(k), x + i * a.n_in, xq + i * x_bytes, a.n_in);
    uint64_t *table = check_in(k, TABLE, 8ull * a.n_expert), lists = matmul_id_lists_bytes(k->dev, &a);
    for (uint32_t e = 0; e < a.n_expert; e++) table[e] = address_of(k, k->in[W]) + (a.n_expert - 1 - e) * expert_bytes;
    if (lists) check_in(k, LISTS, lists);
    build_ids(k, &a, (uint32_t)p[7]);
    if (p[8]) check_in_f32(k, BIAS, (uint64_t)a.n_expert * a.n_out, -1, 1);
    check_out(k, (uint64_t)a.n_tok * a.n_used * a.n_out);
    k->n_row = lists ? 0 : a.n_tok; /* one token goes by no lists, with another order of arithmetic */
    uint64_t n_slot = (uint64_t)a.n_tok * a.n_used, n_read = n_slot < a.n_expert ? n_slot : a.n_expert;
    k->bytes = (double)(n_read * expert_bytes);
    k->flops = 2.0 * (double)n_slot * a.n_in * a.n_out;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct matmul_id_args a = *(struct matmul_id_args *)k->args;
    uint64_t slot = (uint64_t)first * a.n_used, x_row = a.x_per_slot ? slot : first;
    if (k->in[LISTS].buf) {
        int rc = matmul_id_lists_encode(cmd, &a, k->in[LISTS], k->in[IDS], e);
        cmd_barrier(cmd);
        return rc ? rc : matmul_id_listed_encode(cmd, &a, k->out, k->in[X], k->in[TABLE], k->in[LISTS], k->in[BIAS], e);
    }
    if (n < a.n_tok) a.n_tok = n;
    return matmul_id_encode(cmd, &a, ref_at(k->out, 4 * slot * a.n_out),
                            ref_at(k->in[X], x_row * act_bytes(fmt_of(k), a.n_in)), k->in[TABLE],
                            ref_at(k->in[IDS], 4 * slot), k->in[BIAS], e);
}

static void oracle(struct check *k) { /* slot by slot: the product of its expert */
    const struct matmul_id_args *a = (struct matmul_id_args *)k->args;
    const struct matmul_args one = {1, a->n_in, a->n_out, a->w_type};
    const float *x = ref_host(k->in[X_F32]), *bias = ref_host(k->in[BIAS]);
    const int32_t *ids = ref_host(k->in[IDS]);
    uint64_t expert_bytes = a->n_out * dtype_bytes((enum dtype)a->w_type, a->n_in);
    for (uint64_t s = 0; s < (uint64_t)a->n_tok * a->n_used; s++) {
        const float *xs = x + (a->x_per_slot ? s : s / a->n_used) * a->n_in;
        const unsigned char *w = ref_host(ref_at(k->in[W], (a->n_expert - 1 - (uint32_t)ids[s]) * expert_bytes));
        double *want = k->want + s * a->n_out, *limit = k->limit + s * a->n_out;
        matmul_ref(&one, fmt_of(k), xs, w, bias ? bias + (uint64_t)ids[s] * a->n_out : NULL, want, limit);
        if (k->in[LISTS].buf) matmul_metal_limit(&one, xs, w, limit);
    }
}

const struct check_op matmul_id_check = {"matmul_id", CHECK_CASES(cases), build, encode, oracle, NULL};
