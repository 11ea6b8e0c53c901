#include "gguf/dtype.h"
#include "kernels/check.h"
#include "kernels/dequant.h"
#include "kernels/kv_write.h"

/* p: type, tokens, kv heads, head_dim, head_dim_v, tokens per block, blocks, largest |x| */
static const struct check_case cases[] = {
    {"F16", {DT_F16, 1, 1, 8, 8, 16, 2, 4}},      {"F16", {DT_F16, 13, 3, 80, 48, 16, 3, 4}},
    {"F16", {DT_F16, 40, 2, 64, 64, 32, 2, 100}}, {"F16 too large", {DT_F16, 5, 2, 33, 33, 8, 2, 1000000}},
    {"Q8_0", {DT_Q8_0, 1, 1, 32, 32, 16, 2, 4}},  {"Q8_0", {DT_Q8_0, 13, 3, 96, 64, 16, 3, 100}},
    {"Q8_0 zeros", {DT_Q8_0, 2, 2, 64, 64, 16, 1, 0}},
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
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct kv_write_args a = *(struct kv_write_args *)k->args;
    uint64_t at = (uint64_t)first * a.n_head_kv * 4;
    a.n_tok = n;
    return kv_write_encode(cmd, &a, k->out, ref_at(k->out, v_offset(&a)), ref_at(k->in[0], at * a.head_dim),
                           ref_at(k->in[1], at * a.head_dim_v), ref_at(k->in[2], first * 4), e);
}

static void collect(struct check *k, double *got) {
    const struct kv_write_args *a = (struct kv_write_args *)k->args;
    const char *pool = ref_host(k->out);
    uint64_t n_k = n_row_of(a) * a->head_dim, n_v = n_row_of(a) * a->head_dim_v;
    dequant_row_f64((enum dtype)a->dtype, pool, got, n_k);
    dequant_row_f64((enum dtype)a->dtype, pool + v_offset(a), got + n_k, n_v);
}

static void oracle(struct check *k) { /* limits: kv_write_ref.c; 0 for untouched slots */
    const struct kv_write_args *a = (struct kv_write_args *)k->args;
    uint64_t n_k = n_row_of(a) * a->head_dim;
    collect(k, k->want);
    kv_write_ref(a, a->head_dim, ref_host(k->in[0]), ref_host(k->in[2]), k->want, k->limit);
    kv_write_ref(a, a->head_dim_v, ref_host(k->in[1]), ref_host(k->in[2]), k->want + n_k, k->limit + n_k);
}

const struct check_op kv_write_check = {"kv_write", CHECK_CASES(cases), build, encode, oracle, collect};
