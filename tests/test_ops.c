/* Every op but the matrix products, on every instruction set of this machine: values worked out by hand, so that oracle and
 * kernels cannot be wrong together; what encoders refuse; all cases of hy kernels-test; and that those can fail. */
#include "tests/support.h"

#include <math.h>

#include "gguf/blocks.h"
#include "gguf/half.h"
#include "kernels/add.h"
#include "kernels/attention.h"
#include "kernels/check.h"
#include "kernels/embed.h"
#include "kernels/expert_sum.h"
#include "kernels/gather_rows.h"
#include "kernels/glu.h"
#include "kernels/kv_write.h"
#include "kernels/matmul_glu.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/route.h"
#include "kernels/scale.h"
#include "kernels/softcap.h"
#include "runtime/cpu.h"

#define MAX_OPERAND 16
#define NEAR 2e-7f /* relative: a few roundings */

static struct device *dev; /* of the test that runs */
static struct buf bufs[MAX_OPERAND];
static uint32_t n_buf;

static int open_isa(void **state) {
    struct device_options o = {.n_thread = 2, .cpu_isa = *state};
    if (strcmp(*state, "metal") == 0) o = (struct device_options){.kind = DEVICE_METAL};
    n_buf = 0;
    return device_open(&o, &dev, &support_err);
}

static int close_isa(void **state) {
    for (uint32_t i = 0; i < n_buf; i++) buf_free(dev, &bufs[i]);
    device_close(dev);
    dev = NULL;
    return 0;
}

static struct ref bytes(const void *data, size_t n) {
    assert_true(n_buf < MAX_OPERAND);
    struct buf *b = &bufs[n_buf++];
    OK(buf_new(dev, n, "a test", b, &support_err));
    memcpy(b->host, data, n);
    return (struct ref){b, 0};
}

static struct ref blank(size_t n) {
    unsigned char *junk = malloc(n);
    assert_non_null(junk);
    struct ref r = bytes(memset(junk, 0xff, n), n);
    free(junk);
    return r;
}

#define F32(...) bytes((const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}))
#define U32(...) bytes((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}))
#define NONE ((struct ref){0})
#define RUN(call)                                                                                                    \
    do {                                                                                                             \
        struct cmd *cmd = cmd_begin(dev);                                                                            \
        uint64_t fence;                                                                                              \
        OK(call);                                                                                                    \
        OK(cmd_commit(cmd, &fence, &support_err));                                                                   \
        OK(device_wait(dev, fence, &support_err));                                                                   \
    } while (0)

static void are_near(struct ref r, const double *want, size_t n, int line) {
    const float *got = ref_host(r);
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= (double)NEAR * fmax(fabs(want[i]), 1e-3)))
            fail_msg("line %d: value %zu is %.9g, not %.9g", line, i, (double)got[i], want[i]);
}
#define ARE(r, ...)                                                                                                  \
    are_near(r, (const double[]){__VA_ARGS__}, LEN(((const double[]){__VA_ARGS__})), __LINE__)

static void embed_values(void **state) {
    struct block_q8_0 rows[2] = {{f16_from_f32(0.5f), {1, -2}}, {f16_from_f32(0.25f), {100, 127, -128}}};
    struct ref out = blank(2 * 32 * 4), table = bytes(rows, sizeof rows);
    RUN(embed_encode(cmd, &(struct embed_args){.n_tok = 2, .n_embd = 32, .n_vocab = 2, .dtype = DT_Q8_0, .scale = 2}, out,
                     table, U32(1, 0), &support_err));
    ARE(out, 50, 63.5, -64, 0);
    ARE(ref_at(out, 32 * 4), 1, -2, 0, 0);
    out = blank(4 * 4);
    RUN(embed_encode(cmd, &(struct embed_args){.n_tok = 2, .n_embd = 2, .n_vocab = 1, .dtype = DT_F32, .scale = 1}, out,
                     F32(3, 4), U32(5, 0), &support_err));
    ARE(out, 0, 0, 3, 4); /* id 5 is outside */
}

static void rms_norm_values(void **state) {
    struct ref x = F32(3, 4, 0, 0.002f), out = blank(16);
    RUN(rms_norm_encode(cmd, &(struct rms_norm_args){.n_row = 2, .dim = 2, .eps = 0}, out, x, NONE, F32(1, 2), &support_err));
    ARE(out, 0.848528137423857, 2.26274169979695, 0, 2.82842712474619);
    RUN(rms_norm_encode(cmd, &(struct rms_norm_args){.n_row = 1, .dim = 2, .eps = 12.5f}, x, x, NONE, NONE, &support_err));
    ARE(x, 0.6, 0.8);
    x = F32(1, 6);
    RUN(rms_norm_encode(cmd, &(struct rms_norm_args){.n_row = 1, .dim = 2, .eps = 12.5f}, out, x,
                        F32(2, -2), F32(1, 2), &support_err));
    ARE(x, 3, 4); /* keeps the sum */
    ARE(out, 0.6, 1.6);
}

static const struct rope_args rope4 = {.n_tok = 1, .n_head = 1, .head_dim = 4, .n_rot = 4, .mode = ROPE_NORMAL,
                                       .freq_base = 10000, .freq_scale = 1, .attn_factor = 1};

static void rope_values(void **state) {
    struct rope_args a = rope4;
    struct ref x = F32(1, 0, 0, 1), pos = U32(1);
    RUN(rope_encode(cmd, &a, x, pos, NONE, &support_err));
    ARE(x, 0.54030230586814, 0.841470984807897, -0.00999983333416666, 0.999950000416665);
    x = F32(1, 1, 0, 0);
    a.mode = ROPE_NEOX;
    RUN(rope_encode(cmd, &a, x, pos, NONE, &support_err));
    ARE(x, 0.54030230586814, 0.999950000416665, 0.841470984807897, 0.00999983333416666);
    x = F32(1, 1, 0, 0);
    RUN(rope_encode(cmd, &a, x, pos, F32(2, 1), &support_err));
    ARE(x, 0.877582561890373, 0.999950000416665, 0.479425538604203, 0.00999983333416666);
    x = F32(1, 0, 7, 8);
    a.n_rot = 2; /* the first two elements are one pair */
    a.freq_scale = 0.5f;
    RUN(rope_encode(cmd, &a, x, pos, NONE, &support_err));
    ARE(x, 0.877582561890373, 0.479425538604203, 7, 8);
}

/* low = floor(0.654) = 0, high = ceil(1.41) = 2: pair 0 keeps its angle 1; pair 1 has mix 1/2, its angle 0.01 becomes
 * 0.01 * 0.25 / 2 + 0.01 / 2 = 0.00625; all is stretched by 1 + 0.1 ln 4. */
static void rope_yarn(void **state) {
    struct rope_args a = rope4;
    struct ref x = F32(1, 0, 1, 0);
    a.freq_scale = 0.25f;
    a.ext_factor = 1;
    a.beta_fast = 32;
    a.beta_slow = 1;
    a.n_ctx_orig = 4096;
    RUN(rope_encode(cmd, &a, x, U32(1), NONE, &support_err));
    ARE(x, 0.615204109860647, 0.958123632936415, 1.13860719732821, 0.00711638764484);
}

static void kv_write_values(void **state) {
    struct kv_write_args a = {.n_tok = 1, .n_head_kv = 2, .head_dim = 1, .head_dim_v = 2, .block_tok = 2, .n_block = 2,
                              .dtype = DT_F16};
    struct ref k = blank(2 * 2 * 2 * 2), v = blank(2 * 2 * 2 * 4);
    /* slot 3: block 1, second token; rows (block, head, token) */
    RUN(kv_write_encode(cmd, &a, k, v, F32(1, -2), F32(70000, -1e30f, 0.5f, 0), U32(3), &support_err));
    const uint16_t want_k[8] = {0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0x3c00, 0xffff, 0xc000};
    const uint16_t want_v[8] = {0xffff, 0xffff, 0x7bff, 0xfbff, 0xffff, 0xffff, 0x3800, 0};
    assert_memory_equal(ref_host(k), want_k, sizeof want_k);
    assert_memory_equal((char *)ref_host(v) + 16, want_v, sizeof want_v);
    RUN(kv_write_encode(cmd, &a, k, v, F32(9, 9), F32(9, 9, 9, 9), U32(4), &support_err)); /* outside */
    assert_memory_equal(ref_host(k), want_k, sizeof want_k);
}

/* Keys that are turned on their way have the bits of those turned before. */
static void kv_write_rope_bits(void **state) {
    enum { N_TOK = 3, N_HEAD = 2, DIM = 96 };
    float x[N_TOK * N_HEAD * DIM];
    for (size_t i = 0; i < LEN(x); i++) x[i] = (float)((int)(i * 7919 % 2001) - 1000) / 77;
    for (uint32_t i = 0; i < 4; i++) {
        struct kv_write_args a = {.n_tok = N_TOK, .n_head_kv = N_HEAD, .head_dim = DIM, .head_dim_v = DIM, .block_tok = 4,
                                  .n_block = 1, .dtype = i & 1 ? DT_Q8_0 : DT_F16};
        struct rope_args rope = {.n_tok = N_TOK, .n_head = N_HEAD, .head_dim = DIM, .n_rot = 74, .freq_base = 10000,
                                 .freq_scale = 0.5f, .attn_factor = 1.1f, .mode = i & 2 ? ROPE_NEOX : ROPE_NORMAL};
        size_t n = N_HEAD * 4 * kv_row_bytes(a.dtype, DIM);
        for (uint32_t k = 0; k < n_buf; k++) buf_free(dev, &bufs[k]);
        n_buf = 0;
        struct ref k = bytes(x, sizeof x), pos = U32(5, 999, 70000), slots = U32(2, 0, 3);
        struct ref v_pool = blank(n), one = blank(n), two = blank(n);
        RUN(kv_write_rope_encode(cmd, &a, &rope, one, v_pool, k, k, slots, pos, NONE, &support_err));
        RUN(rope_encode(cmd, &rope, k, pos, NONE, &support_err));
        RUN(kv_write_encode(cmd, &a, two, v_pool, k, k, slots, &support_err));
        assert_memory_equal(ref_host(one), ref_host(two), n);
    }
}

static void kv_write_q8_values(void **state) {
    float x[32] = {127, -64, 0.4f, -0.6f};
    struct kv_write_args a = {.n_tok = 1, .n_head_kv = 1, .head_dim = 32, .head_dim_v = 32, .block_tok = 1, .n_block = 1,
                              .dtype = DT_Q8_0};
    struct ref k = blank(36), v = blank(36), in = bytes(x, sizeof x), zero = bytes((float[32]){0}, 128);
    RUN(kv_write_encode(cmd, &a, k, v, in, zero, U32(0), &support_err));
    const struct block_q8_0 *b = ref_host(k), *z = ref_host(v);
    assert_int_equal(b->d, 0x3c00);
    assert_int_equal(b->qs[0], 127);
    assert_int_equal(b->qs[1], -64);
    assert_int_equal(b->qs[2], 0);
    assert_int_equal(b->qs[3], -1);
    assert_int_equal(z->d, 0);
    assert_int_equal(z->qs[31], 0);
}

/* Two positions in two blocks of one token, block 1 first; keys 1 and 0, values (1, 2) and (3, 6). */
struct attention_test {
    struct attention_args a;
    struct ref k, v, tables, seqs, pos;
};

static struct attention_test attention_init(void) {
    const uint16_t keys[2] = {0, 0x3c00}, values[4] = {0x4200, 0x4600, 0x3c00, 0x4000};
    return (struct attention_test){
        .a = {.n_tok = 1, .n_head = 1, .n_head_kv = 1, .head_dim = 1, .head_dim_v = 2, .block_tok = 1, .n_block = 2,
              .n_seq = 1, .table_stride = 2, .dtype = DT_F16, .n_pos_max = 2, .scale = 1},
        .k = bytes(keys, sizeof keys), .v = bytes(values, sizeof values), .tables = U32(1, 0), .seqs = U32(0), .pos = U32(1)};
}

static struct ref attend(const struct attention_test *t, float q, struct ref sinks) {
    struct ref out = blank(8);
    RUN(attention_encode(cmd, &t->a, out, F32(q), t->k, t->v, t->tables, t->seqs, t->pos, sinks, NONE, &support_err));
    return out;
}

static void attention_values(void **state) {
    struct attention_test t = attention_init();
    ARE(attend(&t, 0, NONE), 2, 4);
    ARE(attend(&t, logf(3), NONE), 1.5, 3);      /* weights 3/4 and 1/4 */
    ARE(attend(&t, 0, F32(0)), 4.0 / 3, 8.0 / 3); /* the sink takes a third */
    t.a.scale = 0.5f;
    ARE(attend(&t, 2 * logf(3), NONE), 1.5, 3);
}

static void attention_variants(void **state) {
    struct attention_test t = attention_init();
    t.a.softcap = 1;
    ARE(attend(&t, 1, NONE), 3 - 2 * 0.681699742194526, 6 - 4 * 0.681699742194526); /* scores tanh 1 and 0 */
    t.a.softcap = 0;
    t.a.window = 1;
    ARE(attend(&t, 5, NONE), 3, 6);
    t.a.window = 0;
    t.pos = U32(0);
    ARE(attend(&t, 5, NONE), 1, 2);
}

static void glu_values(void **state) {
    struct ref out = blank(12);
    struct glu_args a = {.n = 3, .act = GLU_SILU};
    RUN(glu_encode(cmd, &a, out, F32(1, 0, -200), F32(2, 5, 1), &support_err));
    ARE(out, 1.46211715726001, 0, 0);
    a.act = GLU_GELU_TANH;
    RUN(glu_encode(cmd, &a, out, F32(1, 0, 50), F32(1, 5, 2), &support_err));
    ARE(out, 0.841191990608277, 0, 100);
}

/* gate, up and the activation in one op have the bits of the three. */
static void matmul_glu_bits(void **state) {
    enum { N_IN = 256, N_OUT = 7, N_TOK = 3, N_W = N_IN * N_OUT };
    static float x[N_TOK * N_IN], gate_w[N_W], up_w[N_W];
    for (uint32_t i = 0; i < N_TOK * N_IN; i++) x[i] = (float)((int)(i * 7919 % 2001) - 1000) / 777;
    for (uint32_t i = 0; i < N_W; i++) gate_w[i] = (float)((int)(i * 104729 % 2003) - 1001) / 3000, up_w[i] = gate_w[i] * gate_w[N_W - 1 - i];
    struct ref in = bytes(x, sizeof x), y = blank(N_TOK * N_OUT * 4), room = blank(N_TOK * N_OUT * 4), g = blank(N_TOK * N_OUT * 4);
    struct matmul_glu_side gate = {bytes(gate_w, sizeof gate_w), F32(1, 2, 3, 4, 5, 6, 7)}, up = {bytes(up_w, sizeof up_w), NONE};
    for (uint32_t n = 1; n <= N_TOK; n++) {
        struct matmul_glu_args a = {n, N_IN, N_OUT, DT_F32, n & 1 ? GLU_SILU : GLU_GELU_TANH};
        struct matmul_args product = {n, N_IN, N_OUT, DT_F32};
        RUN(matmul_glu_encode(cmd, &a, y, room, in, &gate, &up, &support_err));
        RUN(matmul_encode(cmd, &product, g, in, gate.w, gate.bias, &support_err));
        RUN(matmul_encode(cmd, &product, room, in, up.w, up.bias, &support_err));
        RUN(glu_encode(cmd, &(struct glu_args){n * N_OUT, a.act}, g, g, room, &support_err));
        assert_memory_equal(ref_host(y), ref_host(g), n * N_OUT * 4);
    }
    struct cmd *cmd = cmd_begin(dev);
    REFUSED(matmul_glu_encode(cmd, &(struct matmul_glu_args){1, N_IN, N_OUT, DT_F32, 2}, y, room, in, &gate, &up, &support_err), ERR_ARG,
            "activation 2");
    REFUSED(matmul_glu_encode(cmd, &(struct matmul_glu_args){1, N_IN, N_OUT + 1, DT_F32, 0}, room, room, in, &gate, &up, &support_err),
            ERR_ARG, "bytes");
}

static void elementwise_values(void **state) {
    struct ref out = blank(16), x = F32(1, 2, 3, 4);
    RUN(add_encode(cmd, &(struct add_args){.n = 4, .n_b = 4}, out, x, F32(10, 20, 30, 40), &support_err));
    ARE(out, 11, 22, 33, 44);
    RUN(add_encode(cmd, &(struct add_args){.n = 4, .n_b = 2}, x, x, F32(-1, 1), &support_err));
    ARE(x, 0, 3, 2, 5);
    RUN(scale_encode(cmd, &(struct scale_args){.n = 4, .factor = -0.5f}, x, x, &support_err));
    ARE(x, 0, -1.5, -1, -2.5);
    RUN(softcap_encode(cmd, &(struct softcap_args){.n = 4, .cap = 30}, out, F32(15, -15, 1e30f, 0), &support_err));
    ARE(out, 13.8635147178003, -13.8635147178003, 30, 0);
}

static void are_ids(struct ref r, const int32_t *want, size_t n) { assert_memory_equal(ref_host(r), want, n * 4); }
#define ARE_IDS(r, ...) are_ids(r, (const int32_t[]){__VA_ARGS__}, LEN(((const int32_t[]){__VA_ARGS__})))

static void route_values(void **state) {
    struct route_args a = {.n_tok = 2, .n_expert = 4, .n_used = 2, .scale = 1};
    struct ref ids = blank(16), weights = blank(16), logits = F32(0, logf(2), logf(4), 0, 1, 1, 1, 1);
    RUN(route_encode(cmd, &a, ids, weights, logits, &support_err));
    ARE_IDS(ids, 2, 1, 0, 1);
    ARE(weights, 0.5, 0.25, 0.25, 0.25);
    a.flags = ROUTE_RENORM;
    a.scale = 3;
    RUN(route_encode(cmd, &a, ids, weights, logits, &support_err));
    ARE(weights, 2, 1, 1.5, 1.5);
    a.flags = ROUTE_SOFTMAX_CHOSEN;
    RUN(route_encode(cmd, &a, ids, weights, logits, &support_err));
    ARE(weights, 2, 1, 1.5, 1.5);
    RUN(route_encode(cmd, &a, ids, weights, F32(NAN, NAN, -1, NAN, -INFINITY, NAN, -INFINITY, 0), &support_err));
    ARE_IDS(ids, 2, 0, 3, 0); /* ids stay distinct and in range whatever comes */
}

static void rows_values(void **state) {
    struct ref out = blank(24);
    RUN(gather_rows_encode(cmd, &(struct gather_rows_args){.n_out = 3, .n_row = 3, .dim = 2}, out, F32(1, 2, 3, 4, 5, 6),
                           U32(2, 0, UINT32_MAX), &support_err));
    ARE(out, 5, 6, 1, 2, 0, 0);
    RUN(expert_sum_encode(cmd, &(struct expert_sum_args){.n_tok = 1, .n_used = 2, .dim = 2}, out, F32(1, 2, 10, 20),
                          F32(0.5f, 0.25f), &support_err));
    ARE(out, 3, 6);
}

static void refusals(void **state) {
    struct cmd *cmd = cmd_begin(dev);
    struct ref four = F32(1, 2, 3, 4);
    struct rope_args rope = rope4;
    REFUSED(scale_encode(cmd, &(struct scale_args){.n = 4}, four, NONE, &support_err), ERR_ARG, "scale", "x", "missing");
    REFUSED(scale_encode(cmd, &(struct scale_args){.n = 5}, four, four, &support_err), ERR_ARG, "out", "20", "16");
    REFUSED(scale_encode(cmd, &(struct scale_args){.n = 1}, ref_at(four, 2), four, &support_err), ERR_ARG, "multiple of 4");
    REFUSED(scale_encode(cmd, &(struct scale_args){.n = 1}, ref_at(four, 1024), four, &support_err), ERR_ARG, "1024");
    REFUSED(add_encode(cmd, &(struct add_args){.n = 4, .n_b = 3}, four, four, four, &support_err), ERR_ARG, "add", "3");
    REFUSED(rms_norm_encode(cmd, &(struct rms_norm_args){.n_row = 1}, four, four, NONE, NONE, &support_err), ERR_ARG, "0");
    REFUSED(rms_norm_encode(cmd, &(struct rms_norm_args){.n_row = 1, .dim = 4}, four, four, four, NONE, &support_err), ERR_ARG,
            "sum");
    rope.n_rot = 3;
    REFUSED(rope_encode(cmd, &rope, four, four, NONE, &support_err), ERR_ARG, "rope", "3 of 4");
    rope.n_rot = 6;
    REFUSED(rope_encode(cmd, &rope, four, four, NONE, &support_err), ERR_ARG, "rope", "6 of 4");
    REFUSED(route_encode(cmd, &(struct route_args){.n_tok = 1, .n_expert = 2, .n_used = 3}, four, four, four, &support_err),
            ERR_ARG, "3 of 2");
    REFUSED(softcap_encode(cmd, &(struct softcap_args){.n = 4}, four, four, &support_err), ERR_ARG, "positive");
    REFUSED(kv_write_encode(cmd, &(struct kv_write_args){.n_tok = 1, .n_head_kv = 1, .head_dim = 40, .head_dim_v = 40,
                                                         .block_tok = 1, .n_block = 1, .dtype = DT_Q8_0},
                            four, four, four, four, four, &support_err), ERR_UNSUPPORTED, "40", "--kv f16");
    REFUSED(kv_write_rope_encode(cmd, &(struct kv_write_args){.n_tok = 1, .n_head_kv = 2, .head_dim = 1, .head_dim_v = 1,
                                                              .block_tok = 1, .n_block = 1, .dtype = DT_F16},
                                 &rope, four, four, four, four, four, four, NONE, &support_err), ERR_ARG, "rope is for 1");
}

static void attention_refusals(void **state) {
    struct attention_test t = attention_init();
    struct cmd *cmd = cmd_begin(dev);
    struct ref q = F32(1), out = blank(8);
    struct attention_args bad[] = {t.a, t.a, t.a, t.a};
    bad[0].n_head_kv = 0;
    bad[1].n_pos_max = 3;  /* tables have room for 2 */
    bad[2].head_dim = 8192;
    bad[3].n_block = 3; /* more than the pools hold */
    const int want[] = {ERR_ARG, ERR_ARG, ERR_UNSUPPORTED, ERR_ARG};
    for (size_t i = 0; i < LEN(bad); i++)
        REFUSED(attention_encode(cmd, &bad[i], out, q, t.k, t.v, t.tables, t.seqs, t.pos, NONE, NONE, &support_err), want[i],
                "attention");
}

static void every_case(void **state) {
    const struct device_options o = {.n_thread = 3, .cpu_isa = *state};
    struct device *three;
    OK(device_open(&o, &three, &support_err));
    for (uint32_t i = 0; check_ops[i]; i++)
        for (uint32_t j = 0; j < check_ops[i]->n_case; j++) {
            const struct check_case *c = &check_ops[i]->cases[j];
            struct check_result r;
            if (c->bench) continue;
            check_run(check_ops[i], c, dev, three, false, &r);
            if (!r.pass) fail_msg("%s %s (case %u): %s", check_ops[i]->name, c->label, j, r.why);
        }
    device_close(three);
}

/* A check of scale that is wrong in one of several ways. */
static int encode_wrong_row(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct scale_args a = {.n = n * 4, .factor = n == 1 ? 1 : 2};
    return scale_encode(cmd, &a, ref_at(k->out, first * 16), ref_at(k->in[0], first * 16), e);
}

static int encode_wrong_threads(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct scale_args a = {.n = 8, .factor = device_n_thread(k->dev) == 2 ? 2 : 2.0000002f};
    return scale_encode(cmd, &a, k->out, k->in[0], e);
}

static int encode_short(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    return scale_encode(cmd, &(struct scale_args){.n = 7, .factor = 2}, k->out, k->in[0], e);
}

static int encode_nothing(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    return err_set(e, ERR_ARG, "no");
}

static void build_two_rows(struct check *k) {
    check_in_f32(k, 0, 8, 1, 2);
    check_out(k, 8);
    k->n_row = (uint32_t)k->c->p[0];
}

static void oracle_twice(struct check *k) {
    for (int i = 0; i < 8; i++) k->want[i] = 2 * (double)((float *)ref_host(k->in[0]))[i];
}

static void checks_can_fail(void **state) {
    const struct device_options o = {.n_thread = 1, .cpu_isa = *state};
    const struct check_case rows = {"", {2}}, whole = {"", {0}};
    struct check_op op = {"wrong", NULL, 0, build_two_rows, encode_wrong_row, oracle_twice, NULL};
    struct check_result r;
    struct device *one;
    OK(device_open(&o, &one, &support_err));
    check_run(&op, &rows, dev, NULL, false, &r);
    assert_false(r.pass);
    assert_non_null(strstr(r.why, "row by row"));
    op.encode = encode_wrong_threads;
    check_run(&op, &whole, dev, NULL, false, &r);
    assert_true(r.pass);
    check_run(&op, &whole, dev, one, false, &r);
    assert_false(r.pass);
    assert_non_null(strstr(r.why, "number of threads"));
    check_run(&op, &whole, one, NULL, false, &r); /* one unit in the last place, limit 0 */
    assert_false(r.pass);
    op.encode = encode_short;
    check_run(&op, &whole, dev, NULL, false, &r);
    assert_false(r.pass);
    assert_non_null(strstr(r.why, "value 7 is"));
    op.encode = encode_nothing;
    check_run(&op, &whole, dev, NULL, false, &r);
    assert_false(r.pass);
    device_close(one);
}

static int run_isa(const char *isa) {
#define T(f) cmocka_unit_test_prestate_setup_teardown(f, open_isa, close_isa, (void *)(uintptr_t)isa)
    const struct CMUnitTest tests[] = {
        T(embed_values), T(rms_norm_values), T(rope_values), T(rope_yarn), T(kv_write_values), T(kv_write_rope_bits),
        T(kv_write_q8_values), T(attention_values), T(attention_variants), T(glu_values), T(matmul_glu_bits),
        T(elementwise_values), T(route_values), T(rows_values), T(refusals), T(attention_refusals), T(every_case), T(checks_can_fail),
    };
    return cmocka_run_group_tests_name(isa, tests, NULL, NULL);
}

static int run_metal(void) {
    static char metal[] = "metal";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(kv_write_rope_bits, open_isa, close_isa, metal),
        cmocka_unit_test_prestate_setup_teardown(matmul_glu_bits, open_isa, close_isa, metal),
    };
    return cmocka_run_group_tests_name(metal, tests, NULL, NULL);
}

int main(void) {
    int failed = 0;
    struct device *metal;
    if (device_open(&(struct device_options){.kind = DEVICE_METAL}, &metal, NULL) == ERR_OK) {
        device_close(metal);
        failed += run_metal();
    }
    for (int i = 0; i < CPU_N_ISA; i++) {
        const struct device_options o = {.n_thread = 1, .cpu_isa = cpu_isa_name((enum cpu_isa)i)};
        struct device *d;
        if (device_open(&o, &d, NULL) != ERR_OK) continue; /* not on this machine */
        device_close(d);
        failed += run_isa(o.cpu_isa);
    }
    return failed != 0;
}
