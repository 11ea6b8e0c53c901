/* Whole tiny models on the metal device against the CPU: all architectures, several types, prompts in one piece and
 * token by token.
 *
 * Limit. Metal's products keep f32 activations token by token and round them (and dequantized weights) to half in the
 * matrix form: 2^-11 relative at most, 2^-12.3 in the mean square, so each product adds about (2^-12.3)^2 * 2 = 8e-8 to
 * the normalised mean squared error; a model of a few layers stays under 1e-5. The CPU rounds activations to
 * 8 bits for quantized weights, an error of its own that is a hundred times larger; so the reference is
 * the CPU on the model's F32 twin: the same weights, dequantized. */
#include "tests/support.h"

#include <math.h>

#include "kernels/dequant.h"
#include "sched/hy.h"
#include "sched/model_file.h"

#define LIMIT 1e-5
enum { N_TOK = 70, N_VOCAB = 400 };

static bool file_sink(void *ctx, const void *bytes, size_t n) { return fwrite(bytes, 1, n, ctx) == n; }

static void write_twin_tensor(struct gguf_writer *w, const struct model_file *m, const struct gguf_tensor *t) {
    uint64_t n = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    unsigned char *raw = malloc(t->size_bytes);
    float *f = malloc(n * sizeof *f);
    OK(file_read(&m->files[0], t->offset, raw, t->size_bytes, false, &support_err));
    dequant_row(t->type, raw, f, n);
    OK(gguf_write_data(w, f, n * sizeof *f, &support_err));
    free(raw);
    free(f);
}

/* A copy of a model with all tensors as F32. */
static const char *f32_twin(const char *path) {
    static char twin[256];
    struct model_file *m;
    struct gguf_writer w;
    snprintf(twin, sizeof twin, "%s.f32.gguf", path);
    FILE *f = fopen(twin, "wb");
    assert_non_null(f);
    OK(model_file_open(path, &m, &support_err));
    gguf_writer_init(&w);
    for (uint64_t i = 0; i < m->gguf.n_kv; i++) gguf_put_kv(&w, &m->gguf.kv[i]);
    for (uint64_t i = 0; i < m->gguf.n_tensor; i++) {
        const struct gguf_tensor *t = &m->gguf.tensors[i];
        gguf_put_tensor(&w, t->name, DT_F32, t->n_dims, t->dims);
    }
    OK(gguf_write_head(&w, file_sink, f, &support_err));
    for (uint64_t i = 0; i < m->gguf.n_tensor; i++) write_twin_tensor(&w, m, &m->gguf.tensors[i]);
    OK(gguf_write_end(&w, &support_err));
    gguf_writer_deinit(&w);
    model_file_close(m);
    assert_int_equal(fclose(f), 0);
    return twin;
}

static float cpu_rows[N_TOK][N_VOCAB], metal_rows[N_TOK][N_VOCAB]; /* contiguous: compared as one vector */

static void compute_rows(enum device_kind kind, const char *path, uint32_t chunk, enum hy_kv kv, float (*rows)[N_VOCAB]) {
    struct hy_engine *en;
    struct hy_options o = {.model_path = path, .device = kind, .n_ctx = 128, .n_batch = N_TOK, .n_logits = N_TOK, .kv = kv, .n_thread = 2};
    uint32_t seq, seqs[N_TOK], pos[N_TOK];
    int32_t token[N_TOK];
    bool want[N_TOK];
    OK(hy_open(&o, &en, &support_err));
    assert_int_equal(hy_info(en)->n_vocab, N_VOCAB);
    OK(hy_seq_new(en, &seq, &support_err));
    for (uint32_t i = 0; i < N_TOK; i++) {
        seqs[i] = seq;
        pos[i] = i;
        want[i] = true;
        token[i] = (int32_t)((i * i * 31 + i * 7 + 3) % N_VOCAB);
    }
    for (uint32_t at = 0; at < N_TOK; at += chunk) {
        float *logits;
        uint32_t n = N_TOK - at < chunk ? N_TOK - at : chunk;
        OK(hy_step(en, &(struct hy_batch){n, token + at, seqs + at, pos + at, want + at}, &logits, &support_err));
        memcpy(rows[at], logits, n * sizeof rows[0]);
    }
    hy_close(en);
}

static uint32_t argmax(const float *row) {
    uint32_t best = 0;
    for (uint32_t k = 1; k < N_VOCAB; k++)
        if (row[k] > row[best]) best = k;
    return best;
}

struct difference {
    double nmse, rms;
};

static struct difference difference(void) {
    const float *c = (const float *)cpu_rows, *m = (const float *)metal_rows;
    double err = 0, sum = 0, mean = 0, n = N_TOK * N_VOCAB;
    for (size_t i = 0; i < sizeof cpu_rows / sizeof *c; i++) mean += c[i] / n;
    for (size_t i = 0; i < sizeof cpu_rows / sizeof *c; i++) {
        err += ((double)m[i] - c[i]) * ((double)m[i] - c[i]);
        sum += (c[i] - mean) * (c[i] - mean);
    }
    return (struct difference){err / sum, sqrt(err / n)};
}

/* Greedy choices are equal but where the two best are closer than the error. */
static void compare_rows(const char *what) {
    struct difference d = difference();
    if (!(d.nmse < LIMIT)) fail_msg("%s: nmse %.2e, limit %.0e", what, d.nmse, LIMIT);
    for (uint32_t i = 0; i < N_TOK; i++) {
        uint32_t a = argmax(cpu_rows[i]), b = argmax(metal_rows[i]);
        if (a != b && cpu_rows[i][a] - cpu_rows[i][b] > 6 * d.rms)
            fail_msg("%s: position %u: token %u on metal, %u on cpu (lead %g)", what, i, b, a, cpu_rows[i][a] - cpu_rows[i][b]);
    }
    print_message("%-36s nmse %.1e\n", what, d.nmse);
}

static void check_model(const struct support_arch *a, const char *type, uint32_t chunk, enum hy_kv kv) {
    char what[96];
    const char *path = support_arch_model(a, type);
    snprintf(what, sizeof what, "%s %s%s, %u at a time", a->name, type, kv == HY_KV_Q8_0 ? " kv q8_0" : "", chunk);
    compute_rows(DEVICE_CPU, f32_twin(path), N_TOK, kv, cpu_rows);
    compute_rows(DEVICE_METAL, path, chunk, kv, metal_rows);
    compare_rows(what);
}

static void architectures(void **state) {
    for (size_t i = 0; i < LEN(support_archs); i++) {
        check_model(&support_archs[i], "F32", N_TOK, HY_KV_F16);
        check_model(&support_archs[i], "Q4_K", N_TOK, HY_KV_F16);
        check_model(&support_archs[i], "Q4_K", 1, HY_KV_F16);
    }
}

static void types(void **state) {
    static const char *const all[] = {"F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q5_K", "Q6_K",
                                      "IQ4_NL", "IQ4_XS", "MXFP4"};
    for (size_t i = 0; i < LEN(all); i++) check_model(&support_archs[0], all[i], i % 2 ? 7 : N_TOK, HY_KV_F16);
    check_model(&support_archs[1], "Q8_0", 5, HY_KV_F16);
}

/* KV rounded to 8 bits on both devices: a value near a rounding border may fall to either side, so the limit is what
 * one step of 1/127 in a few values costs; the architectures above bound the rest. */
static void kv_q8(void **state) {
    const char *path = support_arch_model(&support_archs[0], "F32");
    compute_rows(DEVICE_CPU, path, N_TOK, HY_KV_F16, cpu_rows);
    compute_rows(DEVICE_METAL, path, N_TOK, HY_KV_Q8_0, metal_rows);
    assert_true(difference().nmse < 1e-3);
    assert_true(difference().nmse > 1e-9); /* it was not F16 after all */
}

static void same_bits_every_run(void **state) {
    const char *path = support_arch_model(&support_archs[1], "Q4_K");
    compute_rows(DEVICE_METAL, path, 9, HY_KV_F16, cpu_rows);
    compute_rows(DEVICE_METAL, path, 9, HY_KV_F16, metal_rows);
    assert_memory_equal(cpu_rows, metal_rows, sizeof cpu_rows);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(architectures), cmocka_unit_test(types), cmocka_unit_test(kv_q8),
                                       cmocka_unit_test(same_bits_every_run)};
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
