#include <stdlib.h>

#include "gguf/dtype.h"
#include "kernels/check.h"
#include "kernels/dequant.h"
#include "kernels/kv_write.h"

enum { AS_IS, NORMAL, HALVES };
/* p: type, tokens, kv heads, head_dim, head_dim_v, tokens per block, blocks, largest |x|, rope, n_rot, 1 with factors */
static const struct check_case cases[] = {
    {"F16", {DT_F16, 1, 1, 8, 8, 16, 2, 4}},      {"F16", {DT_F16, 13, 3, 80, 48, 16, 3, 4}},
    {"F16", {DT_F16, 40, 2, 64, 64, 32, 2, 100}}, {"F16 too large", {DT_F16, 5, 2, 33, 33, 8, 2, 1000000}},
    {"Q8_0", {DT_Q8_0, 1, 1, 32, 32, 16, 2, 4}},  {"Q8_0", {DT_Q8_0, 13, 3, 96, 64, 16, 3, 100}},
    {"Q8_0 zeros", {DT_Q8_0, 2, 2, 64, 64, 16, 1, 0}},
    {"F16 rope", {DT_F16, 1, 1, 8, 8, 16, 2, 4, NORMAL, 8}},          {"F16 rope", {DT_F16, 13, 3, 80, 48, 16, 3, 4, HALVES, 80}},
    {"F16 rope", {DT_F16, 5, 2, 34, 33, 8, 2, 1000000, NORMAL, 22}},  {"F16 rope", {DT_F16, 7, 2, 99, 64, 32, 2, 4, HALVES, 74, 1}},
    {"F16 rope", {DT_F16, 3, 2, 64, 64, 16, 1, 4, NORMAL, 0}},        {"Q8_0 rope", {DT_Q8_0, 1, 1, 32, 32, 16, 2, 4, HALVES, 32}},
    {"Q8_0 rope", {DT_Q8_0, 13, 3, 96, 64, 16, 3, 100, NORMAL, 96, 1}}, {"Q8_0 rope", {DT_Q8_0, 5, 2, 96, 96, 16, 3, 4, HALVES, 50}},
};

static uint64_t n_row_of(const struct kv_write_args *a) { return (uint64_t)a->n_block * a->n_head_kv * a->block_tok; }

static uint64_t v_offset(const struct kv_write_args *a) { /* of the value pool in out, aligned */
    return (n_row_of(a) * kv_row_bytes(a->dtype, a->head_dim) + 63) / 64 * 64;
}

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    struct kv_write_args *a = (struct kv_write_args *)k->args;
    *a = (struct kv_write_args){.n_tok = (uint32_t)p[1], .n_head_kv = (uint32_t)p[2], .head_dim = (uint32_t)p[3],
                                .head_dim_v = (uint32_t)p[4], .block_tok = (uint32_t)p[5], .n_block = (uint32_t)p[6],
                                .dtype = (uint32_t)p[0]};
    float top = (float)p[7];
    check_in_f32(k, 0, (uint64_t)a->n_tok * a->n_head_kv * a->head_dim, -top, top);
    check_in_f32(k, 1, (uint64_t)a->n_tok * a->n_head_kv * a->head_dim_v, -top, top);
    uint32_t *slots = check_in(k, 2, a->n_tok * 4), n_slot = a->block_tok * a->n_block;
    for (uint32_t t = 0; t < a->n_tok; t++) slots[t] = (t * 7 + 3) % n_slot; /* 7 and n_slot have no common factor */
    uint64_t bytes = v_offset(a) + n_row_of(a) * kv_row_bytes(a->dtype, a->head_dim_v);
    check_out_bytes(k, bytes, n_row_of(a) * (a->head_dim + a->head_dim_v));
    unsigned char *pool = ref_host(k->out); /* finite content, which other slots must keep */
    for (uint64_t i = 0; i < bytes; i++) pool[i] = (unsigned char)(check_rand(k, 256) & 0xbf);
    k->n_row = a->n_tok;
    if (p[8] == AS_IS) return;
    int32_t *pos = check_in(k, 3, a->n_tok * 4);
    for (uint32_t t = 0; t < a->n_tok; t++) pos[t] = (int32_t)(1000 + 37 * t);
    if (p[10]) check_in_f32(k, 4, (uint64_t)p[9] / 2, 1, 8);
}

static struct rope_args rope_of(const struct check *k, const struct kv_write_args *a) {
    const int64_t *p = k->c->p;
    return (struct rope_args){.n_tok = a->n_tok, .n_head = a->n_head_kv, .head_dim = a->head_dim, .n_rot = (uint32_t)p[9],
                              .mode = p[8] == NORMAL ? ROPE_NORMAL : ROPE_NEOX, .freq_base = 10000, .freq_scale = 1,
                              .attn_factor = p[10] ? 1.19f : 1};
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct kv_write_args a = *(struct kv_write_args *)k->args;
    uint64_t at = (uint64_t)first * a.n_head_kv * 4;
    a.n_tok = n;
    struct ref k_new = ref_at(k->in[0], at * a.head_dim), v_new = ref_at(k->in[1], at * a.head_dim_v);
    struct ref slots = ref_at(k->in[2], first * 4), v_pool = ref_at(k->out, v_offset(&a));
    struct rope_args rope = rope_of(k, &a);
    if (k->c->p[8] == AS_IS) return kv_write_encode(cmd, &a, k->out, v_pool, k_new, v_new, slots, e);
    return kv_write_rope_encode(cmd, &a, &rope, k->out, v_pool, k_new, v_new, slots, ref_at(k->in[3], first * 4), k->in[4], e);
}

static void collect(struct check *k, double *got) {
    const struct kv_write_args *a = (struct kv_write_args *)k->args;
    const char *pool = ref_host(k->out);
    uint64_t n_k = n_row_of(a) * a->head_dim, n_v = n_row_of(a) * a->head_dim_v;
    dequant_row_f64((enum dtype)a->dtype, pool, got, n_k);
    dequant_row_f64((enum dtype)a->dtype, pool + v_offset(a), got + n_k, n_v);
}

/* What rows of dim must become; turned first if there is a rope. */
static void oracle_rows(struct check *k, const float *x, uint32_t dim, const struct rope_args *rope, double *want, double *limit) {
    const struct kv_write_args *a = (struct kv_write_args *)k->args;
    uint64_t n = (uint64_t)a->n_tok * a->n_head_kv * dim;
    double *exact = calloc(n, 2 * sizeof *exact), *off = exact + n;
    CHECK(exact);
    if (rope) {
        rope_ref(rope, x, ref_host(k->in[3]), ref_host(k->in[4]), exact);
        rope_ref_limit(rope, device_kind(k->dev), x, off);
    } else {
        for (uint64_t i = 0; i < n; i++) exact[i] = (double)x[i];
    }
    kv_write_ref(a, dim, exact, off, ref_host(k->in[2]), want, limit);
    free(exact);
}

static void oracle(struct check *k) { /* limits: kv_write_ref.c, rope_ref.c; 0 for untouched slots */
    const struct kv_write_args *a = (struct kv_write_args *)k->args;
    uint64_t n_k = n_row_of(a) * a->head_dim;
    struct rope_args rope = rope_of(k, a);
    collect(k, k->want);
    oracle_rows(k, ref_host(k->in[0]), a->head_dim, k->c->p[8] == AS_IS ? NULL : &rope, k->want, k->limit);
    oracle_rows(k, ref_host(k->in[1]), a->head_dim_v, NULL, k->want + n_k, k->limit + n_k);
}

const struct check_op kv_write_check = {"kv_write", CHECK_CASES(cases), build, encode, oracle, collect};
