/* matmul and matmul_id on every instruction set of this machine: against the oracle, and bit for bit against
 * themselves with other batches and other chunks. Kernels are called directly; devices are tested elsewhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu_ops.h"
#include "kernels/matmul_id.h"
#include "kernels/matmul_random.h"
#include "kernels/matmul_rows.h"

static const enum dtype types[] = {DT_F32, DT_F16, DT_BF16, DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_0, DT_Q2_K,
                                   DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K, DT_IQ4_NL, DT_IQ4_XS, DT_MXFP4};
#define N_TYPE (sizeof types / sizeof *types)

static const enum cpu_isa all_isas[] = {CPU_SCALAR, CPU_NEON, CPU_NEON_I8MM, CPU_AVX2, CPU_AVX512};
static enum cpu_isa isas[5];
static int n_isa;

static void *must(void *p) {
    assert_non_null(p);
    return p;
}

/* Runs items begin..end-1 of an op, `step` at a time, the last chunk first. */
static void call(cpu_fn *fn, const void *args, size_t args_bytes, uint32_t n_item, uint32_t step, void *const *bind) {
    static unsigned char *scratch;
    if (!scratch) scratch = must(aligned_alloc(64, CPU_SCRATCH_BYTES));
    memset(scratch, 0xff, MM_SCRATCH_BYTES); /* NaN wherever a kernel reads what it did not write */
    struct cpu_call c = {.fn = fn, .n_item = n_item, .grain = step};
    memcpy(c.args, args, args_bytes);
    memcpy(c.bind, bind, 5 * sizeof *bind);
    struct cpu_worker w = {0, 1, scratch};
    for (uint32_t n = (n_item + step - 1) / step; n-- > 0;)
        fn(&c, n * step, (n + 1) * step < n_item ? (n + 1) * step : n_item, &w);
}

struct problem {
    struct matmul_args a;
    enum cpu_isa isa;
    enum act_fmt fmt;
    uint64_t x_bytes;
    unsigned char *w, *xq;
    float *x, *bias, *y;
    double *want, *limit;
};

static void quantize(const struct problem *p) {
    if (p->fmt == ACT_F32) {
        memcpy(p->xq, p->x, p->x_bytes * p->a.n_tok);
        return;
    }
    struct act_quant_args a = {p->a.n_tok, p->a.n_in, (uint32_t)p->fmt, 0};
    void *bind[5] = {p->xq, p->x};
    call(cpu_ops(p->isa)->act_quant, &a, sizeof a, a.n_row, 3, bind);
}

static size_t off_grid(enum dtype t) { return t == DT_F32 ? 4 : 2; }

static struct problem make(enum cpu_isa isa, enum dtype t, uint32_t n_tok, uint32_t n_in, uint32_t n_out, int oracle) {
    uint64_t seed = 1234 + (uint64_t)t + n_in * 7 + n_out;
    struct problem p = {.a = {n_tok, n_in, n_out, (uint32_t)t}, .isa = isa, .fmt = matmul_act_fmt(t, isa)};
    p.x_bytes = act_bytes(p.fmt, n_in);
    /* Exactly as large as promised, so that sanitizers see reads beyond; at an odd multiple of what the type needs. */
    uint64_t w_bytes = n_out * dtype_bytes(t, n_in);
    p.w = (unsigned char *)must(malloc(w_bytes + off_grid(t))) + off_grid(t);
    p.xq = must(aligned_alloc(64, (p.x_bytes * n_tok + 63) / 64 * 64));
    p.x = must(malloc(4ull * n_tok * n_in)), p.y = must(malloc(4ull * n_tok * n_out)), p.bias = must(malloc(4ull * n_out));
    p.want = must(malloc(8ull * n_tok * n_out)), p.limit = must(malloc(8ull * n_tok * n_out));
    random_weights(t, p.w, (uint64_t)n_out * n_in, &seed);
    for (uint64_t i = 0; i < (uint64_t)n_tok * n_in; i++)
        p.x[i] = random_f32(&seed, -1, 1) * (random_next(&seed) % 64 ? 1.0f : 8.0f);
    for (uint32_t i = 0; i < n_out; i++) p.bias[i] = random_f32(&seed, -1, 1);
    quantize(&p);
    if (oracle) matmul_ref(&p.a, p.fmt, p.x, p.w, p.bias, p.want, p.limit);
    return p;
}

static void drop(struct problem *p) {
    free(p->w - off_grid((enum dtype)p->a.w_type)), free(p->xq), free(p->x), free(p->y), free(p->bias), free(p->want), free(p->limit);
}

/* Tokens first..first+n-1 into y. */
static void run(const struct problem *p, uint32_t first, uint32_t n, uint32_t step, float *y) {
    struct matmul_args a = p->a;
    a.n_tok = n;
    void *bind[5] = {y, p->xq + first * p->x_bytes, p->w, p->bias};
    call(cpu_ops(p->isa)->matmul, &a, sizeof a, (a.n_out + MM_ITEM_ROWS - 1) / MM_ITEM_ROWS, step, bind);
}

static void compare(const struct problem *p, const char *what) {
    const char *name = dtype_info(p->a.w_type)->name;
    double worst = 0;
    for (uint64_t i = 0; i < (uint64_t)p->a.n_tok * p->a.n_out; i++) {
        double err = fabs(p->y[i] - p->want[i]);
        if (!(err <= p->limit[i]))
            fail_msg("%s %s %s tok %u in %u out %u: value %llu is %.9g, should be %.9g +- %.3g", what,
                     cpu_isa_name(p->isa), name, p->a.n_tok, p->a.n_in, p->a.n_out, (unsigned long long)i, p->y[i],
                     p->want[i], p->limit[i]);
        if (err / p->limit[i] > worst) worst = err / p->limit[i];
    }
    if (getenv("VERBOSE")) print_message("%s %s %s: %.3f of the limit\n", what, cpu_isa_name(p->isa), name, worst);
}

static const uint32_t tok_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 33, 100};
static const uint32_t outs[] = {1, 3, 15, 17, 33, 64, 130};

static void test_oracle(void **state) {
    for (int i = 0; i < n_isa; i++)
        for (size_t t = 0; t < N_TYPE; t++) {
            uint32_t block = dtype_info((uint32_t)types[t])->block_elems;
            const uint32_t ins[] = {block == 1 ? 7 : block, block == 256 ? 512 : block == 32 ? 352 : 45, 768};
            for (int s = 0; s < 3; s++)
                for (size_t k = 0; k < 13; k++) {
                    struct problem p = make(isas[i], types[t], tok_counts[k], ins[s], outs[(k + t + (size_t)s) % 7], 1);
                    run(&p, 0, p.a.n_tok, 1, p.y);
                    compare(&p, "matmul");
                    drop(&p);
                }
        }
}

static void test_batch_invariance(void **state) {
    for (int i = 0; i < n_isa; i++)
        for (size_t t = 0; t < N_TYPE; t++) {
            uint32_t block = dtype_info((uint32_t)types[t])->block_elems;
            struct problem p = make(isas[i], types[t], 41, block == 256 ? 1024 : block == 32 ? 1120 : 1021, 197, 0);
            float *alone = must(malloc(4ull * 41 * 197));
            run(&p, 0, 41, 1, p.y);
            for (uint32_t n = 1; n <= 13; n += n < 9 ? 1 : 4) { /* all rows again, n at a time */
                for (uint32_t k = 0; k < 41; k += n) run(&p, k, 41 - k < n ? 41 - k : n, 1 + n % 3, alone + (size_t)k * 197);
                if (memcmp(alone, p.y, 4ull * 41 * 197))
                    fail_msg("%s %s: %u tokens at once give other bits than 41", cpu_isa_name(isas[i]),
                             dtype_info((uint32_t)types[t])->name, n);
            }
            free(alone);
            drop(&p);
        }
}

/* Sets the scales of every block to 1. */
static void plain_scales(enum dtype t, unsigned char *w, uint64_t n_block) {
    const struct dtype_info *d = dtype_info((uint32_t)t);
    uint32_t last = d->block_bytes - 2, first_at = t == DT_Q2_K ? last - 2 : t == DT_Q3_K || t == DT_Q6_K ? last : 0;
    int two = t == DT_Q4_1 || t == DT_Q5_1 || t == DT_Q2_K || t == DT_Q4_K || t == DT_Q5_K;
    for (uint64_t b = 0; b < n_block; b++, w += d->block_bytes) {
        if (t == DT_MXFP4) *w = 128;
        else memcpy(w + first_at, "\0\x3c\0\x3c", two ? 4 : 2);
    }
}

/* The largest quants on both sides: no form may saturate where another does not. */
static void test_extremes(void **state) {
    static const unsigned char fills[] = {0x00, 0xff, 0x80, 0x7f, 0x0f};
    for (int i = 0; i < n_isa; i++)
        for (size_t t = 3; t < N_TYPE; t++)
            for (size_t f = 0; f < sizeof fills; f++) {
                struct problem p = make(isas[i], types[t], 16, 512, 17, 0);
                uint64_t n_block = 17 * 512 / dtype_info((uint32_t)types[t])->block_elems;
                float alone[17];
                memset(p.w, fills[f], n_block * dtype_info((uint32_t)types[t])->block_bytes);
                plain_scales(types[t], p.w, n_block);
                for (uint32_t k = 0; k < 16 * 512; k++) p.x[k] = k / 512 % 2 && (k / 1024 % 2 || k % 2) ? -1 : 1;
                quantize(&p);
                run(&p, 0, 16, 1, p.y);
                for (uint32_t k = 0; k < 16; k++) {
                    run(&p, k, 1, 1, alone);
                    if (memcmp(alone, p.y + 17 * k, sizeof alone))
                        fail_msg("%s %s filled with %02x: token %u gives %g alone, %g with others", cpu_isa_name(isas[i]),
                                 dtype_info((uint32_t)types[t])->name, fills[f], k, alone[0], p.y[17 * k]);
                }
                drop(&p);
            }
}

static void test_many_tokens(void **state) { /* more than one list of MM_TOK */
    struct problem p = make(isas[n_isa - 1], DT_Q4_K, 2 * MM_TOK + 5, 256, 3, 1);
    run(&p, 0, p.a.n_tok, 1, p.y);
    compare(&p, "matmul");
    drop(&p);
}

static void test_act_quant(void **state) { /* all sets and the reference give the same bytes */
    const uint32_t dims[] = {256, 1024, 32, 352};
    uint64_t seed = 5;
    for (int i = 0; i < n_isa; i++)
        for (uint32_t fmt = ACT_Q8_32; fmt <= ACT_Q8_256; fmt++)
            for (int s = 0; s < 4; s++) {
                uint32_t dim = dims[s], n = 9;
                if (fmt == ACT_Q8_256 && dim % 256) continue;
                size_t bytes = n * act_bytes((enum act_fmt)fmt, dim);
                float *x = must(malloc(4ull * n * dim));
                unsigned char *y = must(calloc(1, bytes)), *want = must(calloc(1, bytes));
                for (uint32_t k = 0; k < n * dim; k++)
                    x[k] = k / 32 % 5 == 4 ? 0 : k < dim ? 0x1p-140f : random_f32(&seed, -1, 1) * ldexpf(1, (int)(k / 97 % 40) - 20);
                struct act_quant_args a = {n, dim, fmt, 0};
                void *bind[5] = {y, x};
                call(cpu_ops(isas[i])->act_quant, &a, sizeof a, n, 2, bind);
                for (uint32_t r = 0; r < n; r++)
                    act_quant_row_ref((enum act_fmt)fmt, x + r * dim, want + r * act_bytes((enum act_fmt)fmt, dim), dim);
                assert_memory_equal(y, want, bytes);
                free(x), free(y), free(want);
            }
}

static void test_nan(void **state) { /* is not swallowed */
    for (int i = 0; i < n_isa; i++)
        for (size_t t = 0; t < N_TYPE; t++)
            for (uint32_t n = 1; n <= 9; n += 8) {
                struct problem p = make(isas[i], types[t], n, 512, 5, 0);
                p.x[300] = NAN;
                quantize(&p);
                run(&p, 0, n, 1, p.y);
                for (int o = 0; o < 5; o++) assert_true(isnan(p.y[o]));
                for (uint32_t o = 5; o < 5 * n; o++) assert_false(isnan(p.y[o]));
                drop(&p);
            }
}

/* Experts: every slot must have the bits that matmul gives for that expert and row. */
static void check_experts(enum cpu_isa isa, enum dtype t, uint32_t n_tok, uint32_t n_used, uint32_t n_expert, int skew,
                          uint32_t per_slot) {
    uint32_t n_slot = n_tok * n_used, n_x = per_slot ? n_slot : n_tok, n_in = 512, n_out = 70;
    struct problem p = make(isa, t, n_x, n_in, n_out * n_expert, 0);
    uint64_t seed = 77, w_bytes = n_out * dtype_bytes(t, n_in);
    int32_t *ids = must(malloc(4ull * n_slot));
    uint64_t *table = must(malloc(8ull * n_expert));
    float *y = must(malloc(4ull * n_slot * n_out)), *want = must(malloc(4ull * n_out));
    for (uint32_t s = 0; s < n_slot; s++) ids[s] = (int32_t)(random_next(&seed) % (skew ? 2 : n_expert));
    for (uint32_t e = 0; e < n_expert; e++) table[e] = (uintptr_t)(p.w + (n_expert - 1 - e) * w_bytes);
    struct matmul_id_args a = {n_tok, n_in, n_out, (uint32_t)t, n_expert, n_used, per_slot, 0};
    void *bind[5] = {y, p.xq, table, ids, p.bias};
    uint32_t n_item = (n_slot < n_expert ? n_slot : n_expert) * ((n_out + MM_ITEM_ROWS - 1) / MM_ITEM_ROWS);
    call(cpu_ops(isa)->matmul_id, &a, sizeof a, n_item, 3, bind);
    for (uint32_t s = 0; s < n_slot; s++) {
        uint32_t e = (uint32_t)ids[s];
        struct matmul_args one = {1, n_in, n_out, (uint32_t)t};
        void *bind_one[5] = {want, p.xq + (per_slot ? s : s / n_used) * p.x_bytes, (void *)(uintptr_t)table[e],
                             p.bias + (size_t)e * n_out};
        call(cpu_ops(isa)->matmul, &one, sizeof one, 2, 1, bind_one);
        assert_memory_equal(want, y + (size_t)s * n_out, 4ull * n_out);
    }
    free(ids), free(table), free(y), free(want);
    drop(&p);
}

static void test_experts(void **state) {
    for (int i = 0; i < n_isa; i++)
        for (size_t t = 0; t < N_TYPE; t++) {
            check_experts(isas[i], types[t], 1, 4, 9, 0, 0);
            check_experts(isas[i], types[t], 2, 3, 9, 1, 1);
            check_experts(isas[i], types[t], 20, 2, 5, 0, 1);
            check_experts(isas[i], types[t], 20, 3, 5, 1, 0);
        }
    check_experts(isas[n_isa - 1], DT_Q4_0, 600, 2, 2, 0, 0); /* an expert with more than MM_TOK slots */
}

int main(void) {
    for (int i = 0; i < 5; i++)
        if (all_isas[i] <= cpu_isa_best() && (all_isas[i] == CPU_SCALAR || cpu_ops(all_isas[i]) != cpu_ops(CPU_SCALAR)))
            isas[n_isa++] = all_isas[i];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_act_quant), cmocka_unit_test(test_oracle), cmocka_unit_test(test_batch_invariance),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_many_tokens), cmocka_unit_test(test_nan), cmocka_unit_test(test_experts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
