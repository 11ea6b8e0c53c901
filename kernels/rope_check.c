#include <math.h>

#include "kernels/check.h"
#include "kernels/rope.h"

enum { PLAIN, LINEAR, FACTORS, YARN };
/* p: tokens, heads, head_dim, n_rot, mode, variant, first position */
static const struct check_case cases[] = {
    {"normal", {1, 1, 2, 2, ROPE_NORMAL, PLAIN, 0}}, {"normal", {3, 5, 64, 64, ROPE_NORMAL, PLAIN, 7}},
    {"normal", {2, 3, 80, 80, ROPE_NORMAL, LINEAR, 100}}, {"normal factors", {4, 2, 128, 128, ROPE_NORMAL, FACTORS, 130000}},
    {"neox", {1, 1, 8, 8, ROPE_NEOX, PLAIN, 3}}, {"neox", {3, 5, 64, 64, ROPE_NEOX, PLAIN, 4000}},
    {"neox partial", {5, 2, 96, 72, ROPE_NEOX, LINEAR, 1000}}, {"neox partial", {5, 3, 80, 20, ROPE_NEOX, FACTORS, 1}},
    {"neox far out", {2, 2, 256, 256, ROPE_NEOX, PLAIN, 1000000}},
    {"normal yarn", {3, 2, 128, 128, ROPE_NORMAL, YARN, 30000}}, {"neox yarn", {3, 4, 64, 64, ROPE_NEOX, YARN, 5000}},
    {"no rotation", {2, 2, 16, 0, ROPE_NEOX, PLAIN, 5}},
    {"normal 512 x 32 x 64", {512, 32, 64, 64, ROPE_NORMAL, PLAIN, 0}, .bench = true},
    {"neox 512 x 32 x 64", {512, 32, 64, 64, ROPE_NEOX, PLAIN, 0}, .bench = true},
};

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    struct rope_args *a = (struct rope_args *)k->args;
    *a = (struct rope_args){
        .n_tok = (uint32_t)p[0], .n_head = (uint32_t)p[1], .head_dim = (uint32_t)p[2], .n_rot = (uint32_t)p[3],
        .mode = (uint32_t)p[4], .freq_base = 10000, .freq_scale = p[5] == LINEAR || p[5] == YARN ? 0.25f : 1,
        .ext_factor = p[5] == YARN, .attn_factor = p[5] == FACTORS ? 1.19f : 1, .beta_fast = 32, .beta_slow = 1,
        .n_ctx_orig = 4096};
    uint64_t n = (uint64_t)a->n_tok * a->n_head * a->head_dim;
    check_in_f32(k, 0, n, -3, 3);
    int32_t *pos = check_in(k, 1, a->n_tok * 4);
    for (uint32_t t = 0; t < a->n_tok; t++) pos[t] = (int32_t)(p[6] + t);
    if (p[5] == FACTORS) check_in_f32(k, 2, a->n_rot / 2, 1, 8);
    k->out = k->in[0];
    k->out_bytes = n * 4;
    k->n_out = n;
    k->n_row = a->n_tok;
    k->bytes = 8.0 * (double)n;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct rope_args a = *(struct rope_args *)k->args;
    a.n_tok = n;
    return rope_encode(cmd, &a, ref_at(k->in[0], (uint64_t)first * a.n_head * a.head_dim * 4), ref_at(k->in[1], first * 4),
                       k->in[2], e);
}

static void oracle(struct check *k) {
    const struct rope_args *a = (struct rope_args *)k->args;
    const float *x = ref_host(k->in[0]);
    rope_ref(a, x, ref_host(k->in[1]), ref_host(k->in[2]), k->want);
    rope_ref_limit(a, device_kind(k->dev), x, k->limit);
}

const struct check_op rope_check = {"rope", CHECK_CASES(cases), build, encode, oracle, NULL};
