/* Whole tiny models through sched/hy.h. The promise under test: the bits of a logits row depend on the tokens
 * of its sequence alone, not on how a prompt is cut, what else is in the batch, threads or limits. */
#include "tests/support.h"

#include <math.h>
#include <unistd.h>

#include "runtime/cpu.h"
#include "sched/hy.h"

enum { N_TOK = 70, N_VOCAB = 400 }; /* beyond one KV block of 64 */

static struct hy_engine *open_with(struct hy_options o) {
    struct hy_engine *en;
    OK(hy_open(&o, &en, &support_err));
    return en;
}

static struct hy_options options(const char *path) {
    return (struct hy_options){.model_path = path, .n_thread = 1, .n_ctx = 128, .n_seq = 3, .n_batch = 128, .n_logits = 128};
}

static uint32_t new_seq(struct hy_engine *en) {
    uint32_t s;
    OK(hy_seq_new(en, &s, &support_err));
    return s;
}

/* Token i of the text with that number. */
static int32_t text(uint32_t which, uint32_t i) { return (int32_t)((i * i * 31 + i * 7 + which * 101 + 3) % N_VOCAB); }

struct rows {
    float x[N_TOK][N_VOCAB];
};

/* The next n tokens of text `which` in one step; rows (from position pos on) go to r. */
static void step_text(struct hy_engine *en, uint32_t seq, uint32_t which, uint32_t n, struct rows *r) {
    int32_t token[N_TOK];
    uint32_t seqs[N_TOK], pos[N_TOK], at = hy_seq_len(en, seq);
    bool want[N_TOK];
    float *logits;
    for (uint32_t i = 0; i < n; i++) {
        token[i] = text(which, at + i);
        seqs[i] = seq;
        pos[i] = at + i;
        want[i] = true;
    }
    OK(hy_step(en, &(struct hy_batch){n, token, seqs, pos, want}, &logits, &support_err));
    assert_int_equal(hy_seq_len(en, seq), at + n);
    memcpy(r->x[at], logits, n * sizeof r->x[0]);
}

static void feed_text(struct hy_engine *en, uint32_t which, uint32_t chunk, struct rows *r) {
    uint32_t seq = new_seq(en);
    for (uint32_t at = 0; at < N_TOK; at += chunk) step_text(en, seq, which, N_TOK - at < chunk ? N_TOK - at : chunk, r);
    hy_seq_free(en, seq);
}

static void same_rows(const struct rows *a, const struct rows *b, uint32_t first, uint32_t end, const char *what) {
    for (uint32_t i = first; i < end; i++)
        if (memcmp(a->x[i], b->x[i], sizeof a->x[i]) != 0) {
            uint32_t k = 0;
            while (a->x[i][k] == b->x[i][k]) k++;
            fail_msg("%s: position %u, token %u: %.9g is not %.9g", what, i, k, a->x[i][k], b->x[i][k]);
        }
}

static double nmse(const struct rows *a, const struct rows *b) {
    double err = 0, sum = 0;
    for (uint32_t i = 0; i < N_TOK; i++)
        for (uint32_t k = 0; k < N_VOCAB; k++) {
            double d = (double)a->x[i][k] - b->x[i][k];
            err += d * d;
            sum += (double)a->x[i][k] * a->x[i][k];
        }
    return err / sum;
}

/* Logits that do not depend on what was read would pass every comparison. */
static void lively(const struct rows *r, const char *what) {
    for (uint32_t i = 0; i < N_TOK; i++)
        for (uint32_t k = 0; k < N_VOCAB; k++)
            if (!isfinite(r->x[i][k])) fail_msg("%s: position %u, token %u is %g", what, i, k, r->x[i][k]);
    for (uint32_t i = 1; i < N_TOK; i++) assert_memory_not_equal(r->x[i], r->x[i - 1], sizeof r->x[0]);
}

static struct rows one_by_one[2], got;

/* one_by_one: texts 0 and 1, a token at a time, one thread, alone. */
static void make_reference(struct hy_options o, const char *what) {
    struct hy_engine *en = open_with(o);
    for (uint32_t which = 0; which < 2; which++) {
        feed_text(en, which, 1, &one_by_one[which]);
        lively(&one_by_one[which], what);
    }
    assert_memory_not_equal(one_by_one[0].x[40], one_by_one[1].x[40], sizeof got.x[0]);
    hy_close(en);
}

static void check_cuts(struct hy_engine *en, bool small, const char *what) {
    static const uint32_t chunks[] = {64, N_TOK, 7, 3};
    for (size_t i = 0; i < (small ? LEN(chunks) : 3); i++) {
        feed_text(en, i % 2, chunks[i], &got);
        same_rows(&one_by_one[i % 2], &got, 0, N_TOK, what);
    }
}

/* Steps of both texts and noise, their tokens interleaved, at positions that drift apart. */
static void check_mixed(struct hy_engine *en, const char *what) {
    static struct rows r[2];
    uint32_t seq[3] = {new_seq(en), new_seq(en), new_seq(en)}, left;
    do {
        int32_t token[64];
        uint32_t seqs[64], pos[64], n = 0, at[3], share[3] = {support_random(12), support_random(30), support_random(4)};
        bool want[64];
        float *logits;
        left = 0;
        for (uint32_t s = 0; s < 3; s++) {
            at[s] = hy_seq_len(en, seq[s]);
            if (share[s] > N_TOK - at[s]) share[s] = N_TOK - at[s];
        }
        for (bool more = true; more;) {
            more = false;
            for (uint32_t s = 0; s < 3; s++) {
                if (!share[s]) continue;
                share[s]--;
                token[n] = text(s, at[s]);
                seqs[n] = seq[s];
                pos[n] = at[s]++;
                want[n++] = s < 2;
                more = true;
            }
        }
        if (n) OK(hy_step(en, &(struct hy_batch){n, token, seqs, pos, want}, &logits, &support_err));
        for (uint32_t i = 0, row = 0; i < n; i++)
            if (want[i]) memcpy(r[seqs[i] == seq[1]].x[pos[i]], logits + N_VOCAB * row++, sizeof got.x[0]);
        for (uint32_t s = 0; s < 2; s++) left += N_TOK - at[s];
    } while (left);
    same_rows(&one_by_one[0], &r[0], 0, N_TOK, what);
    same_rows(&one_by_one[1], &r[1], 0, N_TOK, what);
    for (uint32_t s = 0; s < 3; s++) hy_seq_free(en, seq[s]);
}

/* Drafts that are rejected: a wrong text is fed, cut off, and the right one goes on. */
static void check_drafts(struct hy_engine *en, const char *what) {
    uint32_t seq = new_seq(en), other = new_seq(en);
    for (uint32_t round = 0; hy_seq_len(en, seq) < N_TOK; round++) {
        uint32_t at = hy_seq_len(en, seq), n = 1 + round * 5 % 17, most = N_TOK - at;
        if (round % 3 == 2) { /* back over what was right, and over block borders */
            at = at > 20 ? at - 20 : 0;
            hy_seq_truncate(en, seq, at);
            most = N_TOK - at;
            n = 33;
        }
        step_text(en, seq, 5, most < 9 ? most : 9, &got);
        hy_seq_truncate(en, seq, at);
        assert_int_equal(hy_seq_len(en, seq), at);
        if (hy_seq_len(en, other) + 3 <= N_TOK) step_text(en, other, 4, 3, &got); /* may take the blocks given back */
        step_text(en, seq, 0, n < most ? n : most, &got);
        same_rows(&one_by_one[0], &got, at, hy_seq_len(en, seq), what);
    }
    hy_seq_free(en, seq);
    hy_seq_free(en, other);
}

/* The last row through hy_feed, in steps of the engine's own choice. */
static void check_feed(struct hy_engine *en, const char *what) {
    int32_t tokens[N_TOK];
    uint32_t seq = new_seq(en);
    float *logits;
    for (uint32_t i = 0; i < N_TOK; i++) tokens[i] = text(1, i);
    OK(hy_feed(en, seq, tokens, 60, 0, &logits, NULL, NULL, &support_err));
    memcpy(got.x[59], logits, sizeof got.x[0]);
    same_rows(&one_by_one[1], &got, 59, 60, what);
    OK(hy_feed(en, seq, tokens + 60, N_TOK - 60, 0, &logits, NULL, NULL, &support_err));
    memcpy(got.x[N_TOK - 1], logits, sizeof got.x[0]);
    same_rows(&one_by_one[1], &got, N_TOK - 1, N_TOK, what);
    hy_seq_free(en, seq);
}

/* Only the rows asked for, in batch order; the last by default. */
static void check_wanted(struct hy_engine *en, const char *what) {
    int32_t token[N_TOK];
    uint32_t seqs[N_TOK], pos[N_TOK], seq = new_seq(en);
    bool want[N_TOK];
    float *logits;
    for (uint32_t i = 0; i < N_TOK; i++) {
        token[i] = text(0, i);
        seqs[i] = seq;
        pos[i] = i;
        want[i] = i % 13 == 5;
    }
    struct hy_batch b = {N_TOK, token, seqs, pos, want};
    OK(hy_step(en, &b, &logits, &support_err));
    for (uint32_t i = 5, row = 0; i < N_TOK; i += 13, row++) {
        memcpy(got.x[i], logits + row * N_VOCAB, sizeof got.x[0]);
        same_rows(&one_by_one[0], &got, i, i + 1, what);
    }
    hy_seq_truncate(en, seq, 0);
    b.want_logits = NULL;
    OK(hy_step(en, &b, &logits, &support_err));
    memcpy(got.x[N_TOK - 1], logits, sizeof got.x[0]);
    same_rows(&one_by_one[0], &got, N_TOK - 1, N_TOK, what);
    hy_seq_truncate(en, seq, 30); /* no logits at all: only keys and values */
    memset(want, 0, sizeof want);
    OK(hy_step(en, &(struct hy_batch){20, token + 30, seqs, pos + 30, want}, NULL, &support_err));
    step_text(en, seq, 0, 20, &got);
    same_rows(&one_by_one[0], &got, 50, 70, what);
    hy_seq_free(en, seq);
}

static void same_answer(const char *path, enum hy_kv kv, bool all) {
    struct hy_options o = options(path);
    o.kv = kv;
    make_reference(o, path);
    for (o.n_thread = 1; o.n_thread <= 3; o.n_thread++) {
        struct hy_engine *en = open_with(o);
        if (o.n_thread == 1 || all) check_cuts(en, o.n_thread == 1, path); /* threads make small steps slow on a busy machine */
        if (o.n_thread == 1) check_wanted(en, path);
        if (o.n_thread == 1) check_drafts(en, path);
        if (o.n_thread == 2) check_feed(en, path);
        if (o.n_thread == 3 || (o.n_thread == 1 && all)) check_mixed(en, path);
        hy_close(en);
    }
    struct hy_options other = options(path); /* other limits, other places in memory */
    other.kv = kv;
    other.n_thread = 2;
    other.n_ctx = 500;
    other.n_seq = 1;
    other.n_batch = 11;
    other.n_logits = 11;
    struct hy_engine *en = open_with(other);
    assert_int_equal(hy_info(en)->n_batch, 11);
    assert_int_equal(hy_info(en)->n_ctx, 500);
    feed_text(en, 0, 10, &got);
    same_rows(&one_by_one[0], &got, 0, N_TOK, path);
    check_feed(en, path);
    hy_close(en);
}

static void every_architecture(void **state) {
    static const char *const types[] = {"Q8_0", "Q4_K", "F16", "Q4_0", "Q6_K", "Q5_0", "BF16", "Q8_0"};
    for (size_t i = 0; i < LEN(support_archs); i++) same_answer(support_arch_model(&support_archs[i], types[i]), HY_KV_F16, true);
}

static void every_type(void **state) {
    static const char *const types[] = {"F32", "Q4_1", "Q5_1", "Q2_K", "Q3_K", "Q5_K", "IQ4_NL", "IQ4_XS", "MXFP4"};
    for (size_t i = 0; i < LEN(types); i++)
        same_answer(support_arch_model(&support_archs[i % 3 == 1], types[i]), HY_KV_F16, false);
}

static void kv_q8_0(void **state) {
    static const uint32_t archs[] = {0, 4, 6};
    static struct rows f16;
    for (size_t i = 0; i < LEN(archs); i++) {
        const char *path = support_arch_model(&support_archs[archs[i]], "Q8_0");
        make_reference(options(path), path);
        f16 = one_by_one[0];
        same_answer(path, HY_KV_Q8_0, i == 0);
        double d = nmse(&f16, &one_by_one[0]);
        if (!(d > 0 && d < 1e-2)) fail_msg("%s: the error of Q8_0 keys and values is %g", path, d);
    }
}

/* The plain C kernels are a second implementation: close, and as true to themselves. */
static void scalar_kernels(void **state) {
    static const char *const types[] = {"Q8_0", "Q4_K", "F32"};
    static struct rows scalar;
    for (size_t i = 0; i < LEN(support_archs); i++) {
        struct hy_options o = options(support_arch_model(&support_archs[i], types[i % LEN(types)]));
        struct hy_engine *en = open_with(o);
        feed_text(en, 0, N_TOK, &got);
        hy_close(en);
        o.cpu_isa = "scalar";
        en = open_with(o);
        assert_non_null(strstr(hy_info(en)->device, "scalar"));
        feed_text(en, 0, N_TOK, &scalar);
        feed_text(en, 0, 7, &one_by_one[0]);
        same_rows(&scalar, &one_by_one[0], 0, N_TOK, "scalar");
        double d = nmse(&scalar, &got);
        if (!(d < 5e-3)) fail_msg("%s: kernels differ by %g", support_archs[i].name, d);
        hy_close(en);
    }
}

/* Long enough for attention's segments of 512 to be split over threads, with small steps and large ones. */
static void long_context(void **state) {
    enum { N = 1100, LAST = 20 };
    static float want[LAST][N_VOCAB];
    static int32_t token[N];
    const char *path = support_model("long.gguf", "--arch llama --type Q8_0 --n-layer 2 --n-embd 128 --n-ff 128 --n-vocab 400 --n-ctx 2048");
    for (uint32_t i = 0; i < N; i++) token[i] = text(3, i);
    for (uint32_t n_thread = 1; n_thread <= 3; n_thread++) {
        struct hy_options o = options(path);
        o.n_thread = n_thread;
        o.n_ctx = 1100;
        o.n_batch = n_thread == 2 ? 100 : 600;
        struct hy_engine *en = open_with(o);
        uint32_t seq = new_seq(en), k = 0;
        float *logits;
        OK(hy_feed(en, seq, token, N - LAST, 0, &logits, NULL, NULL, &support_err));
        for (uint32_t i = 0; i < LAST; i += k) {
            k = n_thread == 1 ? 1 : n_thread == 2 ? LAST : 4; /* tokens per step */
            uint32_t seqs[LAST], pos[LAST];
            bool rows[LAST];
            for (uint32_t j = 0; j < k; j++) {
                seqs[j] = seq;
                pos[j] = N - LAST + i + j;
                rows[j] = true;
            }
            OK(hy_step(en, &(struct hy_batch){k, token + N - LAST + i, seqs, pos, rows}, &logits, &support_err));
            if (n_thread == 1) memcpy(want[i], logits, k * sizeof want[0]);
            else if (memcmp(want[i], logits, k * sizeof want[0]) != 0) fail_msg("position %u with %u threads", N - LAST + i, n_thread);
        }
        REFUSED(hy_feed(en, seq, token, 1, 0, &logits, NULL, NULL, &support_err), ERR_LIMIT, "context of 1100");
        hy_close(en);
    }
}

/* Split files and tensors at other offsets hold the same model; so do fused tensors cut in three. */
static void same_model_in_other_files(void **state) {
    const char *path = support_model("whole.gguf", "--arch qwen2 --type Q8_0 --n-layer 2 --n-vocab 400");
    make_reference(options(path), path);
    support_model("parts.gguf", "--arch qwen2 --type Q8_0 --n-layer 2 --n-vocab 400 --split 4");
    support_model("wide-apart.gguf", "--arch qwen2 --type Q8_0 --n-layer 2 --n-vocab 400 --alignment 131072");
    static const char *const others[] = {"parts-00001-of-00004.gguf", "wide-apart.gguf"};
    for (size_t i = 0; i < LEN(others); i++) {
        struct hy_engine *en = open_with(options(support_path(others[i])));
        feed_text(en, 0, N_TOK, &got);
        same_rows(&one_by_one[0], &got, 0, N_TOK, others[i]);
        hy_close(en);
    }
    assert_int_equal(unlink(support_path("parts-00003-of-00004.gguf")), 0);
    struct hy_engine *en;
    struct hy_options o = options(support_path(others[0]));
    REFUSED(hy_open(&o, &en, &support_err), ERR_NOT_FOUND, "parts-00003-of-00004.gguf");
}

static bool file_sink(void *ctx, const void *bytes, size_t n) { return fwrite(bytes, 1, n, ctx) == n; }

/* phi3 with attn_qkv as three tensors. */
static void write_unfused(const char *from, const char *to) {
    struct head m;
    struct gguf_writer w;
    head_read(&m, from);
    FILE *f = fopen(to, "wb");
    gguf_writer_init(&w);
    for (uint64_t i = 0; i < m.g.n_kv; i++) gguf_put_kv(&w, &m.g.kv[i]);
    for (uint64_t i = 0; i < m.g.n_tensor; i++) {
        const struct gguf_tensor *t = &m.g.tensors[i];
        if (strstr(t->name, "attn_qkv")) {
            static const struct { const char *part; uint64_t n_row; } parts[] = {{"q", 256}, {"k", 128}, {"v", 128}};
            for (size_t k = 0; k < 3; k++) {
                char name[64];
                snprintf(name, sizeof name, "%.6sattn_%s.weight", t->name, parts[k].part);
                gguf_put_tensor(&w, name, t->type, 2, (uint64_t[]){t->dims[0], parts[k].n_row});
            }
        } else {
            gguf_put_tensor(&w, t->name, t->type, t->n_dims, t->dims);
        }
    }
    OK(gguf_write_head(&w, file_sink, f, &support_err));
    for (uint64_t i = 0; i < m.g.n_tensor; i++) { /* the rows of q, k and v follow each other in both files */
        const struct gguf_tensor *t = &m.g.tensors[i];
        OK(gguf_write_data(&w, m.bytes + t->offset, t->size_bytes, &support_err));
    }
    OK(gguf_write_end(&w, &support_err));
    gguf_writer_deinit(&w);
    assert_int_equal(fclose(f), 0);
    head_free(&m);
}

static void fused_is_the_same(void **state) {
    const char *path = support_arch_model(&support_archs[5], "Q8_0"), *unfused = support_path("unfused.gguf");
    write_unfused(path, unfused);
    make_reference(options(path), path);
    struct hy_engine *en = open_with(options(unfused));
    feed_text(en, 0, N_TOK, &got);
    same_rows(&one_by_one[0], &got, 0, N_TOK, "unfused");
    hy_close(en);
}

/* Errors. */

static bool yes(void *ctx) { return true; }
static bool third(void *ctx) { return ++*(uint32_t *)ctx == 3; }
static bool grow_it(void *path, uint64_t done, uint64_t total) {
    FILE *f = fopen(path, "ab");
    assert_non_null(f);
    fputc(0, f);
    return fclose(f) == 0;
}

/* Of weights that were read while somebody wrote them, some are of before and some of after. */
static void changed_while_loading(void **state) {
    struct hy_engine *en = NULL;
    const char *path = support_model("written.gguf", "--arch llama --type Q8_0 --n-layer 1 --n-vocab 400");
    struct hy_options o = options(path);
    o.progress = grow_it;
    o.progress_ctx = (void *)(uintptr_t)path;
    REFUSED(hy_open(&o, &en, &support_err), ERR_IO, "written.gguf", "start again");
    assert_null(en);
}

static bool go_on_not(void *ctx, uint64_t done, uint64_t total) { return false; }

/* The engine still works, and a sequence that was there is as it was. */
static void unhurt(struct hy_engine *en, uint32_t seq, uint32_t len) {
    assert_int_equal(hy_seq_len(en, seq), len);
    step_text(en, seq, 0, 4, &got);
    same_rows(&one_by_one[0], &got, len, len + 4, "after an error");
    hy_seq_truncate(en, seq, len);
}

static void step_errors(void **state) {
    const char *path = support_arch_model(&support_archs[0], "Q8_0");
    make_reference(options(path), path);
    struct hy_options o = options(path);
    o.n_ctx = 96;
    o.n_batch = 70;
    o.n_logits = 5;
    o.n_seq = 2;
    struct hy_engine *en = open_with(o);
    uint32_t seq = new_seq(en), other = new_seq(en), none, len = 62; /* new blocks are needed soon */
    float *logits = NULL;
    for (uint32_t i = 0; i < len; i += 2) step_text(en, seq, 0, 2, &got);
    unhurt(en, seq, len);
    REFUSED(hy_seq_new(en, &none, &support_err), ERR_LIMIT, "2 sequences");

    int32_t token[128];
    uint32_t seqs[128], pos[128];
    bool want[128] = {false};
    for (uint32_t i = 0; i < 128; i++) {
        token[i] = text(0, len + i);
        seqs[i] = i < 10 ? seq : other;
        pos[i] = i < 10 ? len + i : i - 10;
    }
    struct hy_batch b = {20, token, seqs, pos, want};
#define BAD(change, back, code, ...)                                                                                 \
    do {                                                                                                             \
        change;                                                                                                      \
        REFUSED(hy_step(en, &b, &logits, &support_err), code, __VA_ARGS__);                                          \
        assert_int_equal(hy_step(en, &b, &logits, NULL), code);                                                      \
        back;                                                                                                        \
        assert_int_equal(hy_seq_len(en, other), 0);                                                                  \
        unhurt(en, seq, len);                                                                                        \
    } while (0)
    int32_t t15 = token[15];
    BAD(token[15] = N_VOCAB, token[15] = t15, ERR_ARG, "token 400", "vocabulary of 400");
    BAD(token[15] = -1, token[15] = t15, ERR_ARG, "token -1");
    BAD(token[0] = INT32_MAX, token[0] = text(0, len), ERR_ARG, "token 2147483647");
    BAD(pos[9]++, pos[9]--, ERR_ARG, "position 72 does not follow");
    BAD(pos[0]--, pos[0]++, ERR_ARG, "position 61 does not follow");
    BAD(pos[12] = 0, pos[12] = 2, ERR_ARG, "position 0 does not follow");
    BAD(pos[5] = UINT32_MAX, pos[5] = len + 5, ERR_ARG, "does not follow");
    BAD(seqs[19] = 2, seqs[19] = other, ERR_ARG, "sequence 2");
    BAD(seqs[19] = UINT32_MAX, seqs[19] = other, ERR_ARG, "sequence 4294967295");
    BAD(b.n_tok = 0, b.n_tok = 20, ERR_LIMIT, "0 tokens", "1 to 70");
    BAD(b.n_tok = 71, b.n_tok = 20, ERR_LIMIT, "71 tokens", "1 to 70");
    BAD(memset(want, 1, 6), memset(want, 0, 6), ERR_LIMIT, "more than 5 rows");
    for (uint32_t i = 0; i < 128; i++) { /* one token more than the context */
        seqs[i] = seq;
        pos[i] = len + i;
        token[i] = text(0, 0);
    }
    BAD(b.n_tok = 35, b.n_tok = 1, ERR_LIMIT, "97 tokens", "context of 96");
    hy_seq_free(en, other);
    uint32_t zero = 0;
    REFUSED(hy_step(en, &(struct hy_batch){1, token, &other, &zero, NULL}, &logits, &support_err), ERR_ARG, "sequence 1 does not exist");
    unhurt(en, seq, len);
    REFUSED(hy_feed(en, seq, token, 35, 0, &logits, NULL, NULL, &support_err), ERR_LIMIT, "35 tokens after 62", "96");
    REFUSED(hy_feed(en, seq, token, UINT32_MAX, 0, &logits, NULL, NULL, &support_err), ERR_LIMIT, "context");
    REFUSED(hy_feed(en, other, token, 1, 0, &logits, NULL, NULL, &support_err), ERR_ARG, "sequence 1 does not exist");
    REFUSED(hy_feed(en, 123456789, token, 1, 0, &logits, NULL, NULL, &support_err), ERR_ARG, "sequence 123456789 does not exist");
    REFUSED(hy_feed(en, seq, token, 10, 0, &logits, yes, NULL, &support_err), ERR_CANCELLED, "interrupted");
    unhurt(en, seq, len);
    OK(hy_feed(en, seq, token, 0, 0, &logits, NULL, NULL, &support_err));
    hy_seq_truncate(en, seq, 1000); /* nothing to forget */
    unhurt(en, seq, len);
    hy_close(en);
}

static void feed_stops_between_chunks(void **state) {
    const char *path = support_arch_model(&support_archs[0], "Q8_0");
    struct hy_options o = options(path);
    o.n_batch = 10;
    struct hy_engine *en = open_with(o);
    uint32_t seq = new_seq(en), asked = 0;
    int32_t token[100];
    float *logits;
    for (uint32_t i = 0; i < 100; i++) token[i] = text(0, i);
    REFUSED(hy_feed(en, seq, token, 100, 0, &logits, third, &asked, &support_err), ERR_CANCELLED, "interrupted");
    assert_int_equal(hy_seq_len(en, seq), 20);
    token[35] = -7;
    REFUSED(hy_feed(en, seq, token + 20, 80, 0, &logits, NULL, NULL, &support_err), ERR_ARG, "token -7");
    assert_int_equal(hy_seq_len(en, seq), 30); /* whole chunks */
    hy_close(en);
}

static struct budget_request bytes_of(uint64_t n) { return (struct budget_request){.kind = BUDGET_BYTES, .bytes = n}; }

static void open_errors(void **state) {
    struct hy_engine *en = NULL;
    const char *path = support_arch_model(&support_archs[0], "Q8_0");
    struct hy_options o = options(path);
    hy_close(NULL);
#define NOT_OPENED(change, code, ...)                                                                                \
    do {                                                                                                             \
        o = options(path);                                                                                           \
        change;                                                                                                      \
        REFUSED(hy_open(&o, &en, &support_err), code, __VA_ARGS__);                                                  \
        assert_int_equal(hy_open(&o, &en, NULL), code);                                                              \
    } while (0)
    NOT_OPENED(o.n_ctx = 513, ERR_LIMIT, "513", "512");
    NOT_OPENED(o.memory = bytes_of(1 << 20), ERR_NOMEM, "--memory allows", "needs");
    NOT_OPENED(o.n_thread = 1000, ERR_ARG, "1000 threads");
    NOT_OPENED(o.cpu_isa = "z80", ERR_ARG, "z80");
    NOT_OPENED(o.n_seq = 4097, ERR_ARG, "4097");
    NOT_OPENED(o.model_path = support_model("far.gguf", "--arch llama --type Q8_0 --n-layer 1 --n-ctx 1048576"); o.n_ctx = 1 << 20; o.n_seq = 4096,
               ERR_LIMIT, "4096 sequences of 1048576 tokens");
    NOT_OPENED(o.model_path = support_dir, ERR_FORMAT, "directory");
    NOT_OPENED(o.model_path = "/no/such/model.gguf", ERR_NOT_FOUND, "/no/such/model.gguf");
    NOT_OPENED(o.model_path = support_model("odd.gguf", "--arch llama --type F16 --n-layer 1 --head-dim 48"); o.kv = HY_KV_Q8_0,
               ERR_UNSUPPORTED, "48", "--kv f16");
    o = options(path);
    o.progress = go_on_not; /* a tiny load may end before it is asked */
    int rc = hy_open(&o, &en, &support_err);
    assert_true(rc == ERR_OK || rc == ERR_CANCELLED);
    if (!rc) hy_close(en);

    o = options(path); /* exactly what is needed is enough */
    en = open_with(o);
    const struct hy_info *i = hy_info(en);
    uint64_t need = i->weights_bytes + i->kv_bytes + i->work_bytes;
    assert_int_equal(i->n_vocab, N_VOCAB);
    assert_int_equal(i->n_ctx_train, 512);
    assert_string_equal(i->arch, "llama");
    assert_string_equal(i->name, "random weights");
    assert_true(i->step_weights_bytes > 0 && i->step_weights_bytes < i->weights_bytes);
    hy_close(en);
    NOT_OPENED(o.memory = bytes_of(need - 1), ERR_NOMEM, "--memory allows"); /* so small a model gains nothing by streaming */
    o.memory = bytes_of(need);
    en = open_with(o);
    hy_close(en);
    o = (struct hy_options){.model_path = path}; /* all by default */
    en = open_with(o);
    assert_int_equal(hy_info(en)->n_ctx, 512);
    assert_int_equal(hy_info(en)->n_batch, 512);
    assert_int_equal(hy_info(en)->n_logits, 8);
    assert_true(hy_read_bandwidth(en) > 0);
    const struct tokenizer *t, *again;
    OK(hy_tokenizer(en, &t, &support_err));
    OK(hy_tokenizer(en, &again, &support_err));
    assert_ptr_equal(t, again);
    hy_close(en);
}

/* A file cut anywhere is refused, and names itself. */
static void truncated_files(void **state) {
    size_t n;
    const char *path = support_arch_model(&support_archs[0], "Q4_0"), *cut = support_path("cut.gguf");
    unsigned char *bytes = support_read(path, &n);
    for (size_t at = 1; at < n; at += at < 100 ? 7 : at < 20000 ? 997 : n / 7) {
        struct hy_engine *en;
        struct hy_options o = options(cut);
        support_write(cut, bytes, at);
        int rc = hy_open(&o, &en, &support_err);
        if (rc != ERR_FORMAT && rc != ERR_SHORT) fail_msg("cut at %zu: %d %s", at, rc, rc ? support_err.text : "");
        assert_non_null(strstr(support_err.text, cut));
    }
    free(bytes);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture), cmocka_unit_test(every_type),
        cmocka_unit_test(kv_q8_0),            cmocka_unit_test(scalar_kernels),
        cmocka_unit_test(long_context),       cmocka_unit_test(same_model_in_other_files),
        cmocka_unit_test(fused_is_the_same),  cmocka_unit_test(step_errors),
        cmocka_unit_test(feed_stops_between_chunks), cmocka_unit_test(open_errors),
        cmocka_unit_test(changed_while_loading),
        cmocka_unit_test(truncated_files),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
