#include <math.h>
#include <string.h>

#include "gguf/dtype.h"
#include "gguf/half.h"
#include "kernels/attention.h"
#include "kernels/check.h"
#include "kernels/kv_write.h"

enum { CAP = 1, SINKS = 2, WORK = 4, SHARP = 8 }; /* SHARP: scores far apart, so that tops change */
enum { TYPE, TOK, HEAD, HEAD_KV, DIM, DIM_V, BLOCK, CTX, WINDOW, FLAGS, SEQ };
/* p: type, tokens, heads, kv heads, head_dim, head_dim_v, tokens per block, context, window, flags, sequences.
 * The tokens are the last of the context; with several sequences each has a share of them. */
static const struct check_case cases[] = {
    {"F16 decode", {DT_F16, 1, 1, 1, 8, 8, 16, 1, 0, 0, 1}},
    {"F16 decode", {DT_F16, 1, 8, 4, 8, 8, 16, 70, 0, 0, 1}},
    {"F16 decode", {DT_F16, 1, 4, 4, 64, 64, 32, 333, 0, 0, 1}},
    {"F16 decode", {DT_F16, 1, 6, 2, 80, 48, 16, 100, 0, SHARP, 1}},
    {"F16 decode", {DT_F16, 1, 7, 1, 100, 36, 24, 65, 0, 0, 1}},
    {"F16 decode, segments", {DT_F16, 1, 4, 2, 64, 64, 64, 1500, 0, SHARP, 1}},
    {"F16 decode, segments in parallel", {DT_F16, 1, 4, 2, 64, 64, 64, 1500, 0, SHARP | WORK, 1}},
    {"F16 decode, segments in parallel", {DT_F16, 3, 8, 2, 32, 24, 16, 1100, 0, WORK | SINKS, 2}},
    {"F16 decode, segments in parallel", {DT_F16, 5, 4, 2, 64, 64, 64, 1100, 0, WORK, 5}}, /* only its single rows are split */
    {"F16 decode, segments in parallel", {DT_F16, 1, 4, 1, 64, 64, 64, 1600, 700, WORK | SINKS, 1}},
    {"F16 decode, odd heads", {DT_F16, 3, 2, 2, 33, 41, 8, 50, 0, 0, 1}},
    {"F16 decode, odd heads", {DT_F16, 1, 40, 1, 40, 40, 16, 40, 0, SINKS, 1}},
    {"F16 decode, wide heads", {DT_F16, 2, 6, 2, 512, 512, 16, 70, 0, 0, 2}},
    {"F16 decode, wide heads", {DT_F16, 1, 5, 1, 264, 300, 16, 45, 0, SHARP, 1}},
    {"F16 users", {DT_F16, 5, 4, 2, 32, 32, 16, 200, 0, 0, 5}},
    {"F16 users", {DT_F16, 19, 8, 2, 64, 64, 16, 150, 0, 0, 3}},
    {"F16 prompt", {DT_F16, 33, 8, 4, 8, 8, 16, 33, 0, 0, 1}},
    {"F16 prompt", {DT_F16, 130, 4, 1, 64, 64, 32, 130, 0, SHARP, 1}},
    {"F16 prompt", {DT_F16, 40, 2, 2, 128, 128, 16, 700, 0, 0, 1}},
    {"F16 prompt", {DT_F16, 70, 6, 2, 72, 40, 16, 70, 0, 0, 1}},
    {"F16 prompt", {DT_F16, 9, 2, 1, 256, 256, 16, 77, 0, 0, 1}},
    {"F16 prompt, odd heads", {DT_F16, 21, 40, 1, 33, 41, 24, 60, 0, 0, 1}},
    {"F16 prompt, wide heads", {DT_F16, 17, 4, 2, 200, 256, 16, 50, 0, SHARP, 1}},
    {"F16 prompt, wide heads", {DT_F16, 18, 3, 1, 512, 512, 16, 40, 0, 0, 2}},
    {"F16 prompt, wide heads", {DT_F16, 10, 2, 2, 320, 24, 16, 40, 0, SINKS, 1}},
    {"F16 window", {DT_F16, 1, 4, 2, 64, 64, 16, 300, 100, 0, 1}},
    {"F16 window", {DT_F16, 90, 4, 2, 64, 64, 16, 700, 33, SHARP, 1}},
    {"F16 window", {DT_F16, 20, 4, 4, 32, 32, 16, 40, 1, 0, 2}},
    {"F16 cap", {DT_F16, 20, 4, 2, 64, 64, 16, 100, 0, CAP | SHARP, 1}},
    {"F16 sinks", {DT_F16, 20, 4, 2, 64, 64, 16, 100, 0, SINKS, 1}},
    {"F16 sinks", {DT_F16, 1, 4, 2, 64, 64, 16, 600, 128, SINKS | CAP, 1}},
    {"Q8_0", {DT_Q8_0, 1, 4, 2, 64, 64, 16, 100, 0, 0, 1}},
    {"Q8_0", {DT_Q8_0, 30, 4, 2, 96, 32, 16, 130, 50, SHARP, 2}},
    {"Q8_0", {DT_Q8_0, 16, 2, 1, 256, 512, 16, 60, 0, 0, 1}},
    {"Q8_0", {DT_Q8_0, 2, 4, 2, 128, 128, 64, 1030, 0, WORK | CAP, 1}},
    {"F16 prompt 512 x 32 (8) x 64", {DT_F16, 512, 32, 8, 64, 64, 32, 512, 0, 0, 1}, .bench = true},
    {"F16 prompt 512 x 32 (32) x 128", {DT_F16, 512, 32, 32, 128, 128, 32, 512, 0, 0, 1}, .bench = true},
    {"F16 decode 4096 x 32 (8) x 64", {DT_F16, 1, 32, 8, 64, 64, 32, 4096, 0, WORK, 1}, .bench = true},
    {"F16 decode 4096 x 32 (8) x 128", {DT_F16, 1, 32, 8, 128, 128, 32, 4096, 0, WORK, 1}, .bench = true},
    {"F16 decode 4096 x 16 (16) x 128", {DT_F16, 1, 16, 16, 128, 128, 32, 4096, 0, WORK, 1}, .bench = true},
    {"Q8_0 decode 4096 x 32 (8) x 128", {DT_Q8_0, 1, 32, 8, 128, 128, 32, 4096, 0, WORK, 1}, .bench = true},
};

static void fill_row(struct check *k, uint32_t dtype, unsigned char *row, uint32_t dim, bool poison) {
    for (uint32_t i = 0; i < dim; i++) {
        unsigned char *block = row + i / 32 * 34;
        uint16_t half = f16_from_f32(poison ? NAN : check_rand_f32(k, -1, 1));
        if (dtype == DT_F16) memcpy(row + i * 2, &half, 2);
        else {
            if (i % 32 == 0) half = f16_from_f32(poison ? NAN : 0.01f), memcpy(block, &half, 2);
            block[2 + i % 32] = (unsigned char)check_rand(k, 256);
        }
    }
}

/* A pool whose rows are numbers where a sequence has positions, NaN everywhere else. */
static void fill_pool(struct check *k, uint32_t slot, const struct attention_args *a, uint32_t dim, const uint32_t *tables,
                      const uint32_t *n_pos) {
    uint64_t row_bytes = kv_row_bytes(a->dtype, dim), n_row = (uint64_t)a->n_block * a->n_head_kv * a->block_tok;
    unsigned char *pool = check_in(k, slot, n_row * row_bytes);
    for (uint64_t r = 0; r < n_row; r++) fill_row(k, a->dtype, pool + r * row_bytes, dim, true);
    for (uint32_t s = 0; s < a->n_seq; s++)
        for (uint32_t pos = 0; pos < n_pos[s]; pos++)
            for (uint32_t h = 0; h < a->n_head_kv; h++) {
                uint64_t block = tables[s * a->table_stride + pos / a->block_tok];
                uint64_t row = (block * a->n_head_kv + h) * a->block_tok + pos % a->block_tok;
                fill_row(k, a->dtype, pool + row * row_bytes, dim, false);
            }
}

/* Blocks of the sequences lie scattered; their order is a permutation by a stride. */
static void fill_tables(uint32_t *tables, const struct attention_args *a) {
    for (uint32_t i = 0; i < a->n_seq * a->table_stride; i++) tables[i] = (i * 5 + 2) % a->n_block;
}

static struct attention_args args_of(const int64_t *p) {
    struct attention_args a = {
        .n_tok = (uint32_t)p[TOK], .n_head = (uint32_t)p[HEAD], .n_head_kv = (uint32_t)p[HEAD_KV],
        .head_dim = (uint32_t)p[DIM], .head_dim_v = (uint32_t)p[DIM_V], .block_tok = (uint32_t)p[BLOCK],
        .n_seq = (uint32_t)p[SEQ], .dtype = (uint32_t)p[TYPE], .window = (uint32_t)p[WINDOW],
        .n_pos_max = (uint32_t)p[CTX], .scale = 1 / sqrtf((float)p[DIM]), .softcap = p[FLAGS] & CAP ? 5 : 0};
    a.table_stride = (a.n_pos_max + a.block_tok - 1) / a.block_tok + 1;
    a.n_block = a.n_seq * a.table_stride;
    while (a.n_block % 5 == 0) a.n_block++; /* so that the stride of fill_tables reaches all */
    return a;
}

static void count_work(struct check *k, const struct attention_args *a, const int32_t *pos) {
    double pairs = 0;
    for (uint32_t t = 0; t < a->n_tok; t++) pairs += pos[t] + 1;
    k->flops = pairs * a->n_head * 2.0 * (a->head_dim + a->head_dim_v);
    k->bytes = a->n_tok > 1 ? 0 : pairs * a->n_head_kv * (double)(kv_row_bytes(a->dtype, a->head_dim) +
                                                                  kv_row_bytes(a->dtype, a->head_dim_v));
}

/* Metal's prompt form promises equal bits among steps of that form: they are taken apart into steps of its fewest tokens. */
static uint32_t tok_per_row(const struct check *k) {
    const struct attention_args *a = (const struct attention_args *)k->args;
    bool prompt = device_kind(k->dev) == DEVICE_METAL && attention_metal_is_prompt(a);
    uint32_t least = 2 * a->n_seq + 1;
    return !prompt ? 1 : least > ATTENTION_PROMPT_MIN_TOK ? least : ATTENTION_PROMPT_MIN_TOK;
}

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    struct attention_args *a = (struct attention_args *)k->args;
    *a = args_of(p);
    float top = p[FLAGS] & SHARP ? 12 : 2;
    check_in_f32(k, 0, (uint64_t)a->n_tok * a->n_head * a->head_dim, -top, top);
    uint32_t *tables = check_in(k, 3, (uint64_t)a->n_seq * a->table_stride * 4);
    uint32_t *seqs = check_in(k, 4, a->n_tok * 4), n_pos[8] = {0};
    int32_t *pos = check_in(k, 5, a->n_tok * 4);
    CHECK(a->n_seq <= 8);
    fill_tables(tables, a);
    for (uint32_t t = a->n_tok; t-- > 0;) { /* the last token of sequence s is at CTX - 1 - 3 s */
        seqs[t] = t * a->n_seq / a->n_tok;
        bool last = t + 1 == a->n_tok || seqs[t + 1] != seqs[t];
        pos[t] = last ? (int32_t)(p[CTX] - 1 - 3 * seqs[t]) : pos[t + 1] - 1;
        if (last) n_pos[seqs[t]] = (uint32_t)pos[t] + 1;
    }
    fill_pool(k, 1, a, a->head_dim, tables, n_pos);
    fill_pool(k, 2, a, a->head_dim_v, tables, n_pos);
    if (p[FLAGS] & SINKS) check_in_f32(k, 6, a->n_head, -1, 4);
    if (p[FLAGS] & WORK) check_in(k, 7, attention_work_bytes(a));
    check_out(k, (uint64_t)a->n_tok * a->n_head * a->head_dim_v);
    k->n_row = a->n_tok / tok_per_row(k);
    count_work(k, a, pos);
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct attention_args a = *(struct attention_args *)k->args;
    uint32_t tok = tok_per_row(k), end = first + n == k->n_row ? a.n_tok : (first + n) * tok; /* the last row has what is left */
    first *= tok;
    uint64_t at = (uint64_t)first * a.n_head * 4;
    a.n_tok = end - first;
    return attention_encode(cmd, &a, ref_at(k->out, at * a.head_dim_v), ref_at(k->in[0], at * a.head_dim), k->in[1],
                            k->in[2], k->in[3], ref_at(k->in[4], first * 4), ref_at(k->in[5], first * 4), k->in[6],
                            k->in[7], e);
}

static void oracle(struct check *k) { /* the limit's derivation is at error_share in attention_ref.c */
    attention_ref((struct attention_args *)k->args, ref_host(k->in[0]), ref_host(k->in[1]), ref_host(k->in[2]),
                  ref_host(k->in[3]), ref_host(k->in[4]), ref_host(k->in[5]), ref_host(k->in[6]),
                  device_kind(k->dev), k->want, k->limit);
}

const struct check_op attention_check = {"attention", CHECK_CASES(cases), build, encode, oracle, NULL};
