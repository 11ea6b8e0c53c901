#include <math.h>

#include "gguf/dtype.h"
#include "kernels/check.h"
#include "kernels/embed.h"

/* p: type, tokens, row length, rows of the table, scale in thousandths */
static const struct check_case cases[] = {
    {"F32", {DT_F32, 3, 77, 10, 1000}},       {"F32", {DT_F32, 1, 64, 2, 45254}},
    {"F16", {DT_F16, 3, 77, 10, 1000}},       {"BF16", {DT_BF16, 3, 77, 10, 8000}},
    {"Q4_0", {DT_Q4_0, 5, 96, 10, 1000}},     {"Q4_1", {DT_Q4_1, 5, 96, 10, 1000}},
    {"Q5_0", {DT_Q5_0, 5, 96, 10, 1000}},     {"Q5_1", {DT_Q5_1, 5, 96, 10, 1000}},
    {"Q8_0", {DT_Q8_0, 5, 96, 10, 33941}},    {"Q2_K", {DT_Q2_K, 5, 512, 10, 1000}},
    {"Q3_K", {DT_Q3_K, 5, 512, 10, 1000}},    {"Q4_K", {DT_Q4_K, 5, 512, 10, 1000}},
    {"Q5_K", {DT_Q5_K, 5, 512, 10, 1000}},    {"Q6_K", {DT_Q6_K, 5, 512, 10, 50596}},
    {"IQ4_NL", {DT_IQ4_NL, 5, 96, 10, 1000}}, {"IQ4_XS", {DT_IQ4_XS, 5, 512, 10, 1000}},
    {"MXFP4", {DT_MXFP4, 5, 96, 10, 1000}},
};

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    struct embed_args *a = (struct embed_args *)k->args;
    *a = (struct embed_args){.n_tok = (uint32_t)p[1], .n_embd = (uint32_t)p[2], .n_vocab = (uint32_t)p[3],
                             .dtype = (uint32_t)p[0], .scale = (float)p[4] / 1000};
    uint64_t bytes = dtype_bytes((enum dtype)p[0], a->n_embd) * a->n_vocab;
    unsigned char *table = check_in(k, 0, bytes);
    /* Without bit 6 no two or four bytes are an infinity or NaN, wherever a type has its scales. */
    for (uint64_t i = 0; i < bytes; i++) table[i] = (unsigned char)(check_rand(k, 256) & 0xbf);
    int32_t *ids = check_in(k, 1, a->n_tok * 4);
    for (uint32_t t = 0; t < a->n_tok; t++) ids[t] = (int32_t)check_rand(k, a->n_vocab);
    if (a->n_tok > 4) ids[3] = (int32_t)a->n_vocab; /* outside: zeros */
    check_out(k, (uint64_t)a->n_tok * a->n_embd);
    k->n_row = a->n_tok;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct embed_args a = *(struct embed_args *)k->args;
    a.n_tok = n;
    return embed_encode(cmd, &a, ref_at(k->out, (uint64_t)first * a.n_embd * 4), k->in[0], ref_at(k->in[1], first * 4), e);
}

static void oracle(struct check *k) {
    embed_ref((struct embed_args *)k->args, ref_host(k->in[0]), ref_host(k->in[1]), k->want);
    /* A GPU may take what is subnormal for 0: elements, results, MXFP4's two smallest scales (12 * 2^-127 at most). */
    double scale = fmax(1, ((struct embed_args *)k->args)->scale);
    double tiny = device_kind(k->dev) == DEVICE_METAL ? 0x1p-123 * scale : 0x1p-148;
    for (uint64_t i = 0; i < k->n_out; i++) /* rounded by the decode and by the scale */
        k->limit[i] = fabs(k->want[i]) * 2 * CHECK_EPS + tiny;
}

const struct check_op embed_check = {"embed", CHECK_CASES(cases), build, encode, oracle, NULL};
