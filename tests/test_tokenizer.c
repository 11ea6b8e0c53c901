/* Tokenizers: real vocabularies against llama.cpp's answers (where the data folder is), and small
 * self-made ones for each rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pthread.h>

#include <cmocka.h>

#include "gguf/gguf.h"
#include "gguf/gguf_write.h"
#include "models/tokenizer/detok.h"
#include "models/tokenizer/tokenizer.h"

#define LEN(a) (sizeof(a) / sizeof *(a))
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LONG_BYTES ((size_t)96 << 10)
#else
#define LONG_BYTES ((size_t)1 << 20)
#endif
#define ROW_BYTES ((size_t)96 << 10)
#define SP "\xe2\x96\x81"

struct bytes {
    char *p;
    size_t n;
};

static bool sink(void *ctx, const void *p, size_t n) {
    struct bytes *b = ctx;
    b->p = realloc(b->p, b->n + n + 1);
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
    return true;
}

/* A vocabulary under construction; tokens and merges are NUL-terminated. */
struct maker {
    struct gguf_writer w;
    struct gguf_str token[600], merge[64];
    int32_t type[600];
    float score[600];
    uint32_t n, n_merge, n_type, n_score;
    char text[600][24];
};

static int32_t add(struct maker *m, const char *text, int32_t type, float score) {
    uint32_t i = m->n++;
    m->token[i] = (struct gguf_str){text, strlen(text)};
    m->type[i] = type;
    m->score[i] = score;
    m->n_type = m->n_score = m->n;
    return (int32_t)i;
}

static void merge(struct maker *m, const char *line) {
    m->merge[m->n_merge++] = (struct gguf_str){line, strlen(line)};
}

static struct maker *maker_new(const char *model, const char *pre) {
    struct maker *m = calloc(1, sizeof *m);
    gguf_writer_init(&m->w);
    if (model) gguf_put_str(&m->w, "tokenizer.ggml.model", model);
    if (pre) gguf_put_str(&m->w, "tokenizer.ggml.pre", pre);
    return m;
}

/* Frees the maker. */
static int build(struct maker *m, struct tokenizer **t, struct err *e) {
    gguf_put_arr_str(&m->w, "tokenizer.ggml.tokens", m->token, m->n);
    if (m->n_type) gguf_put_arr(&m->w, "tokenizer.ggml.token_type", GGUF_I32, m->type, m->n_type);
    if (m->n_score) gguf_put_arr(&m->w, "tokenizer.ggml.scores", GGUF_F32, m->score, m->n_score);
    if (m->n_merge) gguf_put_arr_str(&m->w, "tokenizer.ggml.merges", m->merge, m->n_merge);
    struct bytes b = {0};
    assert_int_equal(gguf_write_head(&m->w, sink, &b, e), 0);
    struct arena a;
    arena_init(&a, 0);
    struct gguf g;
    assert_int_equal(gguf_parse(b.p, b.n, b.n, "made", &a, &g, NULL, e), 0);
    e->text[0] = 0;
    int rc = tokenizer_new(&g, t, e);
    arena_deinit(&a);
    free(b.p); /* the tokenizer has its own copies */
    gguf_writer_deinit(&m->w);
    free(m);
    return rc;
}

static struct tokenizer *built(struct maker *m) {
    struct tokenizer *t;
    struct err e = {0};
    int rc = build(m, &t, &e);
    if (rc) fail_msg("%s", e.text);
    return t;
}

static void refused(struct maker *m, int code, const char *word) {
    struct tokenizer *t;
    struct err e = {0};
    assert_int_equal(build(m, &t, &e), code);
    assert_null(t);
    if (!strstr(e.text, word)) fail_msg("'%s' does not say '%s'", e.text, word);
}

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };

/* <unk> <s> </s>, 256 bytes from id 3, then what the caller adds. */
static struct maker *spm_maker(void) {
    struct maker *m = maker_new("llama", NULL);
    add(m, "<unk>", UNKNOWN, 0);
    add(m, "<s>", CONTROL, 0);
    add(m, "</s>", CONTROL, 0);
    for (int b = 0; b < 256; b++) {
        snprintf(m->text[m->n], sizeof m->text[0], "<0x%02X>", b);
        add(m, m->text[m->n], BYTE, 0);
    }
    return m;
}
#define SPM_BYTE 3

/* The 256 byte tokens at ids 0..255 = the bytes themselves. */
static struct maker *bpe_maker(const char *pre) {
    struct maker *m = maker_new("gpt2", pre);
    for (int b = 0, extra = 256; b < 256; b++) {
        bool self = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        int cp = self ? b : extra++;
        char *s = m->text[m->n];
        if (cp < 0x80)
            s[0] = (char)cp;
        else
            s[0] = (char)(0xc0 | cp >> 6), s[1] = (char)(0x80 | (cp & 63));
        add(m, s, NORMAL, 0);
    }
    return m;
}

static void expect_ids(const struct tokenizer *t, const char *text, size_t len, bool add_special, bool parse_special,
                       const int32_t *want, size_t n) {
    struct tokens got = {0};
    struct err e = {0};
    int rc = tokenizer_encode(t, text, len, add_special, parse_special, &got, &e);
    if (rc) fail_msg("encode: %s", e.text);
    bool same = got.n == n && (!n || !memcmp(got.id, want, n * sizeof *want));
    if (!same) {
        fprintf(stderr, "text '%.*s'\n  got ", (int)len, text);
        for (size_t i = 0; i < got.n; i++) fprintf(stderr, " %d", got.id[i]);
        fprintf(stderr, "\n  want");
        for (size_t i = 0; i < n; i++) fprintf(stderr, " %d", want[i]);
        fprintf(stderr, "\n");
    }
    tokens_deinit(&got);
    assert_true(same);
}
#define EXPECT(t, text, special, ...)                                                                       \
    expect_ids(t, text, strlen(text), special, special, (int32_t[]){__VA_ARGS__}, LEN(((int32_t[]){__VA_ARGS__})))
#define EXPECT_PLAIN(t, text, ...) EXPECT(t, text, false, __VA_ARGS__)

static void decode(const struct tokenizer *t, const int32_t *id, size_t n, struct detok_options opt, struct bytes *out) {
    struct detok *d;
    assert_int_equal(detok_new(t, opt, &d, NULL), 0);
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct token_bytes b = detok_push(d, id[i]);
        sink(out, b.p, b.len);
    }
    struct token_bytes b = detok_flush(d);
    sink(out, b.p, b.len);
    detok_free(d);
}

/* Encoding and decoding gives the same bytes. */
static void expect_round_trip(const struct tokenizer *t, const char *text, size_t len) {
    struct tokens ids = {0};
    struct err e = {0};
    struct bytes out = {0};
    int rc = tokenizer_encode(t, text, len, false, false, &ids, &e);
    if (rc) fail_msg("encode: %s", e.text);
    decode(t, ids.id, ids.n, (struct detok_options){.at_start = true, .raw = true}, &out);
    if (out.n != len || (len && memcmp(out.p, text, len)))
        fail_msg("round trip of '%.*s' gave '%.*s'", (int)len, text, (int)out.n, out.p ? out.p : "");
    free(out.p);
    tokens_deinit(&ids);
}

static void spm_merges_by_score(void **state) {
    struct maker *m = spm_maker();
    int32_t sp = add(m, SP, NORMAL, -9), a = add(m, "a", NORMAL, -9), b = add(m, "b", NORMAL, -9);
    int32_t ab = add(m, "ab", NORMAL, -2), ba = add(m, "ba", NORMAL, -1), sa = add(m, SP "a", NORMAL, -3);
    int32_t spsp = add(m, SP SP, NORMAL, -4);
    struct tokenizer *t = built(m);
    EXPECT_PLAIN(t, "a", sa);
    EXPECT_PLAIN(t, "ab", sp, ab);       /* ab scores above " a" */
    EXPECT_PLAIN(t, "aba", sa, ba);      /* ba above ab */
    EXPECT_PLAIN(t, "baba", sp, ba, ba); /* equal scores: from the left */
    EXPECT_PLAIN(t, "b  a", sp, b, sp, sa);
    EXPECT_PLAIN(t, " b", spsp, b);
    EXPECT_PLAIN(t, "ac\n", sa, SPM_BYTE + 'c', SPM_BYTE + '\n');
    EXPECT_PLAIN(t, "\xc3\xa9", sp, SPM_BYTE + 0xc3, SPM_BYTE + 0xa9);
    EXPECT(t, "a", true, 1, sa);
    expect_ids(t, "", 0, true, true, (int32_t[]){1}, 1);
    expect_ids(t, "", 0, false, false, NULL, 0);
    assert_int_equal(tokenizer_find(t, "ab", 2), ab);
    assert_int_equal(tokenizer_find(t, "abc", 3), -1);
    assert_true(a > 0);
    tokenizer_free(t);
}

static void spm_special_text(void **state) {
    struct maker *m = spm_maker();
    int32_t sp = add(m, SP, NORMAL, -9), s = add(m, "s", NORMAL, -9), lt = add(m, "<", NORMAL, -9);
    int32_t gt = add(m, ">", NORMAL, -9), lts = add(m, "<s", NORMAL, -1), u = add(m, "{{", USER, 0);
    int32_t uu = add(m, "{{{", USER, 0), eot = add(m, "<end_of_turn>", NORMAL, 0);
    struct tokenizer *t = built(m);
    EXPECT_PLAIN(t, "<s>", sp, lts, gt); /* never the control token, though merges would reach it */
    EXPECT(t, "<s>", true, 1, 1);
    EXPECT(t, "s<s>s", true, 1, sp, s, 1, sp, s);
    EXPECT_PLAIN(t, "s{{{{{s", sp, s, uu, u, sp, s); /* user-defined: longest first, always */
    EXPECT(t, "<end_of_turn>", true, 1, eot);
    assert_true(tokenizer_is_eog(t, eot));
    assert_true(tokenizer_is_eog(t, 2));
    assert_false(tokenizer_is_eog(t, s));
    assert_false(tokenizer_is_eog(t, -1));
    assert_false(tokenizer_is_eog(t, 1 << 30));
    assert_int_equal(tokenizer_info(t)->eot, eot);
    assert_true(tokenizer_attr(t, eot) & TOKEN_CONTROL);
    assert_int_equal(tokenizer_info(t)->nl, SPM_BYTE + '\n');
    assert_true(lt > 0);
    tokenizer_free(t);
}

static void spm_flags(void **state) {
    struct maker *m = spm_maker();
    gguf_put_bool(&m->w, "tokenizer.ggml.add_space_prefix", false);
    gguf_put_bool(&m->w, "tokenizer.ggml.add_bos_token", false);
    gguf_put_bool(&m->w, "tokenizer.ggml.add_eos_token", true);
    int32_t a = add(m, "a", NORMAL, -9);
    struct tokenizer *t = built(m);
    EXPECT(t, "a", true, a, 2);
    EXPECT_PLAIN(t, "a", a);
    tokenizer_free(t);
}

static void phi3_swallows_space(void **state) {
    struct maker *m = spm_maker();
    gguf_put_str(&m->w, "general.name", "My Phi-3 mini");
    int32_t end = add(m, "<|end|>", CONTROL, 0), sa = add(m, SP "a", NORMAL, -1);
    add(m, SP, NORMAL, -2);
    add(m, "a", NORMAL, -2);
    struct tokenizer *t = built(m);
    EXPECT(t, "a<|end|> \n a", true, 1, sa, end, sa);
    tokenizer_free(t);
}

static void bpe_merges_by_rank(void **state) {
    struct maker *m = bpe_maker("gpt-2");
    int32_t bc = add(m, "bc", NORMAL, 0), ab = add(m, "ab", NORMAL, 0), abc = add(m, "abc", NORMAL, 0);
    int32_t ga = add(m, "\xc4\xa0" "a", NORMAL, 0), aa = add(m, "aa", NORMAL, 0);
    merge(m, "b c");
    merge(m, "a b");
    merge(m, "ab c");
    merge(m, "\xc4\xa0 a");
    merge(m, "a a");
    merge(m, "x nothere"); /* dropped */
    merge(m, "nospace");   /* dropped */
    struct tokenizer *t = built(m);
    EXPECT_PLAIN(t, "abc", 'a', bc); /* bc first, then "a bc" is no rule */
    EXPECT_PLAIN(t, "ab", ab);
    EXPECT_PLAIN(t, "a a", 'a', ga);
    EXPECT_PLAIN(t, "aaa", aa, 'a');
    EXPECT_PLAIN(t, "a\n", 'a', '\n');
    EXPECT_PLAIN(t, "\xc3\xa9", 0xc3, 0xa9);
    assert_true(abc > 0);
    assert_null(tokenizer_info(t)->warning);
    tokenizer_free(t);
}

static void bpe_whole_words(void **state) {
    for (int i = 0; i < 2; i++) {
        struct maker *m = bpe_maker(i ? "llama-bpe" : "qwen2");
        int32_t word = add(m, "\xc4\xa0hello", NORMAL, 0), ctl = add(m, "<|eot_id|>", CONTROL, 0);
        int32_t bos = add(m, "<|begin_of_text|>", CONTROL, 0);
        gguf_put_u32(&m->w, "tokenizer.ggml.bos_token_id", (uint32_t)bos);
        merge(m, "q q");
        struct tokenizer *t = built(m);
        if (i) {
            EXPECT_PLAIN(t, " hello", word);
            EXPECT(t, "a<|eot_id|>", true, bos, 'a', ctl);
        } else {
            EXPECT_PLAIN(t, " hello", ' ', 'h', 'e', 'l', 'l', 'o');
            EXPECT(t, "a<|eot_id|>", true, 'a', ctl);
        }
        assert_int_equal(tokenizer_info(t)->eot, ctl);
        tokenizer_free(t);
    }
}

/* What a pre-tokenizer lets join: with every pair of letters mergeable, tokens show the cuts. */
static void pretok_cuts(void **state) {
    static const struct {
        const char *pre, *text, *words; /* '|' between words */
    } cases[] = {
        {"gpt-2", "I'll be  there 123!!\n\n x", "I|'ll| be| | there| 123|!!|\n\n| x"},
        {"qwen2", "I'LL 1234", "I|'LL| |1|2|3|4"},
        {"llama-bpe", "12345 (a)\n\nb", "123|45| (|a|)\n\n|b"},
        {"deepseek-llm", "ab 12\n c", "ab| |12|\n| c"},
        {"deepseek-coder", "ab 12\n c", "ab| |1|2|\n| c"},
        {"deepseek-v3", "ab 1234, c", "ab| |123|4|,| c"},
        {"falcon", "a+b 1234", "a|+|b| |123|4"},
        {"starcoder", "a 12", "a| |1|2"},
        {"tekken", "HelloWorld ABc", "Hello|World| ABc"},
        {"gpt-4o", "HelloWorld's 1234", "Hello|World's| |123|4"},
        {"viking", "abc 12", "abc| |1|2"},
        {"poro-chat", "abc, 12", "abc|,| 12"},
        {"seed-coder", "a!!\n1", "a|!!|\n|1"},
        {"bailingmoe", "a\n\n1", "a|\n|\n|1"},
        {"default", "a1234b", "a|123|4|b"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct maker *m = bpe_maker(cases[i].pre);
        char words[64];
        int32_t want[32];
        size_t n = 0;
        strcpy(words, cases[i].words);
        merge(m, "q q");
        /* each expected word is built by its own chain of merges, so that only the cuts keep words apart */
        static char text[32][64], rule[32][80];
        uint32_t n_text = 0;
        for (char *w = strtok(words, "|"); w; w = strtok(NULL, "|")) {
            char so_far[64] = "";
            for (char *c = w; *c; c++) {
                const char *one = *c == ' ' ? "\xc4\xa0" : *c == '\n' ? "\xc4\x8a" : (char[]){*c, 0};
                char left[64];
                strcpy(left, so_far);
                strcat(so_far, one);
                if (!*left) continue;
                snprintf(rule[n_text], sizeof rule[0], "%s %s", left, one);
                strcpy(text[n_text], so_far);
                merge(m, rule[n_text]);
                add(m, text[n_text], NORMAL, 0);
                n_text++;
            }
            n++;
        }
        struct tokenizer *t = built(m);
        size_t k = 0;
        strcpy(words, cases[i].words);
        for (char *w = strtok(words, "|"); w; w = strtok(NULL, "|")) {
            char mapped[64] = "";
            for (char *c = w; *c; c++) strcat(mapped, *c == ' ' ? "\xc4\xa0" : *c == '\n' ? "\xc4\x8a" : (char[]){*c, 0});
            want[k++] = tokenizer_find(t, mapped, strlen(mapped));
        }
        expect_ids(t, cases[i].text, strlen(cases[i].text), false, false, want, n);
        tokenizer_free(t);
    }
}

static void missing_pretokenizer_warns(void **state) {
    struct maker *m = bpe_maker(NULL);
    merge(m, "a b");
    struct tokenizer *t = built(m);
    assert_string_equal(tokenizer_info(t)->pre, "default");
    assert_non_null(strstr(tokenizer_info(t)->warning, "pre-tokenizer"));
    tokenizer_free(t);
}

static void refusals(void **state) {
    static const char *const models[] = {"bert", "t5", "rwkv", "none", "llama2", ""};
    for (size_t i = 0; i < LEN(models); i++) refused(maker_new(models[i], NULL), ERR_UNSUPPORTED, models[i]);
    refused(maker_new(NULL, NULL), ERR_NOT_FOUND, "tokenizer.ggml.model");
    static const char *const pres[] = {"gpt-3", "", "gpt", " ", "gpt-2 phi-2", "kimi"};
    for (size_t i = 0; i < LEN(pres); i++) refused(bpe_maker(pres[i]), ERR_UNSUPPORTED, pres[i]);
    refused(bpe_maker("gpt-2"), ERR_NOT_FOUND, "merges");
    refused(maker_new("llama", NULL), ERR_FORMAT, "tokens");
    struct maker *m = spm_maker();
    m->n_score = 5;
    refused(m, ERR_FORMAT, "scores");
    m = spm_maker();
    m->n_type = 1;
    refused(m, ERR_FORMAT, "token_type");
    m = spm_maker();
    gguf_put_bool(&m->w, "tokenizer.ggml.add_eos_token", true);
    m->n = m->n_type = m->n_score = 1; /* ids 1 and 2 do not exist */
    refused(m, ERR_FORMAT, "EOS");
    m = spm_maker();
    char *big = malloc(70001);
    memset(big, 'a', 70000);
    big[70000] = 0;
    add(m, big, NORMAL, 0);
    refused(m, ERR_FORMAT, "70000");
    m = spm_maker();
    big[2000] = 0;
    add(m, big, CONTROL, 0);
    refused(m, ERR_FORMAT, "2000");
    free(big);
}

static void strange_vocabularies(void **state) {
    struct maker *m = spm_maker(); /* duplicates, empty texts, NaN scores, ids out of range */
    int32_t a = add(m, "a", NORMAL, -1);
    add(m, "a", NORMAL, 5);
    int32_t empty = add(m, "", CONTROL, 0);
    int32_t aa = add(m, "aa", NORMAL, 0.0f / 0.0f);
    add(m, "<0xZZ>", BYTE, 0);
    add(m, "\xff\xfe", USER, 0);
    gguf_put_u32(&m->w, "tokenizer.ggml.bos_token_id", 4000000000u);
    gguf_put_u32(&m->w, "tokenizer.ggml.padding_token_id", 99999);
    struct tokenizer *t = built(m);
    assert_int_equal(tokenizer_info(t)->bos, 1);
    assert_int_equal(tokenizer_info(t)->pad, -1);
    EXPECT_PLAIN(t, "aaa", SPM_BYTE + 0xe2, SPM_BYTE + 0x96, SPM_BYTE + 0x81, aa, a);
    assert_int_equal(tokenizer_piece(t, empty).len, 0);
    assert_int_equal(tokenizer_piece(t, -5).len, 0);
    tokenizer_free(t);

    m = maker_new("llama", NULL); /* no byte tokens: the unknown token */
    add(m, "<unk>", UNKNOWN, 0);
    add(m, "a", NORMAL, 0);
    t = built(m);
    EXPECT_PLAIN(t, "ab", 0, 0, 0, 1, 0);
    tokenizer_free(t);

    m = maker_new("gpt2", "gpt-2"); /* nor an unknown one: an error that names the byte */
    add(m, "a", NORMAL, 0);
    merge(m, "a a");
    t = built(m);
    struct tokens out = {0};
    struct err e = {0};
    assert_true(tokens_push(&out, 7));
    assert_int_equal(tokenizer_encode(t, "ab", 2, false, false, &out, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "0x62"));
    assert_int_equal(out.n, 1);
    tokens_deinit(&out);
    tokenizer_free(t);
}

static void invalid_utf8_survives(void **state) {
    static const char *const texts[] = {"\xff", "a\x80", "\xc3", "\xe2\x82", "x\xf0\x9f\x98y", "\xed\xa0\x80",
                                        "\xc0\xaf", "\xf8\x88\x80\x80\x80", "\xe2\x96", "a\xe2\x96\x80", "ok \xff\xfe ok"};
    struct maker *m = spm_maker();
    add(m, SP, NORMAL, 0);
    struct tokenizer *spm = built(m);
    m = bpe_maker("llama-bpe");
    merge(m, "a b");
    struct tokenizer *bpe = built(m);
    for (size_t i = 0; i < LEN(texts); i++) {
        expect_round_trip(spm, texts[i], strlen(texts[i]));
        expect_round_trip(bpe, texts[i], strlen(texts[i]));
    }
    expect_round_trip(bpe, "nul\0inside\0", 11);
    expect_round_trip(spm, "nul\0inside\0", 11);
    uint32_t x = 1;
    char noise[64];
    for (int k = 0; k < 300; k++) {
        for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)((x = x * 1664525u + 1013904223u) >> 24);
        expect_round_trip(bpe, noise, sizeof noise);
        expect_round_trip(spm, noise, sizeof noise);
    }
    tokenizer_free(spm);
    tokenizer_free(bpe);
}

struct job {
    const struct tokenizer *t;
    struct tokens out;
    int rc;
};

static void *encode_job(void *arg) {
    struct job *j = arg;
    static const char text[] = "one tokenizer, many threads: 12 3456 \xf0\x9f\xa6\x99 \xff <|eot_id|> ab abab";
    for (int i = 0; i < 50 && !j->rc; i++) j->rc = tokenizer_encode(j->t, text, strlen(text), true, true, &j->out, NULL);
    return NULL;
}

static void threads_share_a_tokenizer(void **state) {
    struct maker *m = bpe_maker("llama-bpe");
    add(m, "ab", NORMAL, 0);
    add(m, "<|eot_id|>", CONTROL, 0);
    merge(m, "a b");
    struct tokenizer *t = built(m);
    struct job job[4] = {{t}, {t}, {t}, {t}};
    pthread_t th[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&th[i], NULL, encode_job, &job[i]), 0);
    for (int i = 0; i < 4; i++) pthread_join(th[i], NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(job[i].rc, 0);
        assert_int_equal(job[i].out.n, job[0].out.n);
        assert_memory_equal(job[i].out.id, job[0].out.id, job[0].out.n * sizeof(int32_t));
    }
    for (int i = 0; i < 4; i++) tokens_deinit(&job[i].out);
    tokenizer_free(t);
}

static void detok_streams_valid_utf8(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"\xf0\x9f\xa6\x99 \xe2\x82\xac \xc3\xa9", "\xf0\x9f\xa6\x99 \xe2\x82\xac \xc3\xa9"},
        {"a\xff" "b", "a\xef\xbf\xbd" "b"},
        {"\xe2\x82", "\xef\xbf\xbd"},                      /* cut off: one replacement */
        {"\xe2\x82x", "\xef\xbf\xbdx"},                    /* one for the maximal part */
        {"\xf0\x9f\x98\xf0\x9f\x98\x81", "\xef\xbf\xbd\xf0\x9f\x98\x81"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate: three */
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe0\x80\xf0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    struct maker *m = bpe_maker("gpt-2");
    merge(m, "a b");
    struct tokenizer *t = built(m);
    for (size_t i = 0; i < LEN(cases); i++) {
        int32_t id[32];
        size_t n = strlen(cases[i].in);
        for (size_t k = 0; k < n; k++) id[k] = (unsigned char)cases[i].in[k];
        struct bytes out = {0};
        decode(t, id, n, (struct detok_options){0}, &out);
        assert_int_equal(out.n, strlen(cases[i].out));
        assert_memory_equal(out.p, cases[i].out, out.n);
        free(out.p);
    }
    struct detok *d;
    assert_int_equal(detok_new(t, (struct detok_options){0}, &d, NULL), 0);
    assert_int_equal(detok_push(d, 0xf0).len, 0);
    assert_int_equal(detok_push(d, 0x9f).len, 0);
    assert_int_equal(detok_push(d, 1 << 20).len, 0); /* a padding row */
    assert_int_equal(detok_push(d, 0xa6).len, 0);
    assert_int_equal(detok_push(d, 0x99).len, 4);
    detok_free(d);
    tokenizer_free(t);
}

static void detok_spaces_and_specials(void **state) {
    struct maker *m = spm_maker();
    int32_t a = add(m, SP "a", NORMAL, 0), sp2 = add(m, SP SP "b", NORMAL, 0), u = add(m, "{" SP "}", USER, 0);
    struct tokenizer *t = built(m);
    int32_t id[] = {1, a, a, sp2, u, 2};
    struct bytes out = {0};
    decode(t, id, LEN(id), (struct detok_options){.at_start = true}, &out);
    assert_int_equal(out.n, 9);
    assert_memory_equal(out.p, "a a  b{ }", 9);
    decode(t, id, LEN(id), (struct detok_options){.special = true}, &out);
    assert_int_equal(out.n, 17);
    assert_memory_equal(out.p, "<s> a a  b{ }</s>", 17);
    free(out.p);
    tokenizer_free(t);
}

static bool data_path(char *out, size_t size, const char *name, const char *ext) {
    const char *dir = getenv("HY_DATA");
    snprintf(out, size, "%s/vocab/%s%s", dir ? dir : "../shared/data", name, ext);
    FILE *f = fopen(out, "rb");
    if (!f) {
        printf("SKIPPED: %s is not there\n", out);
        return false;
    }
    fclose(f);
    return true;
}

static struct bytes slurp(const char *name, const char *ext) {
    char path[512];
    struct bytes b = {0};
    assert_true(data_path(path, sizeof path, name, ext));
    FILE *f = fopen(path, "rb");
    char buf[65536];
    for (size_t n; (n = fread(buf, 1, sizeof buf, f)) > 0;) sink(&b, buf, n);
    fclose(f);
    b.p[b.n] = 0;
    return b;
}

/* NULL when the data are not there. */
static struct tokenizer *real(const char *name) {
    char path[512];
    if (!data_path(path, sizeof path, name, ".gguf")) return NULL;
    struct bytes b = slurp(name, ".gguf");
    struct arena a;
    struct gguf g;
    struct err e = {0};
    struct tokenizer *t = NULL;
    arena_init(&a, 0);
    int rc = gguf_parse(b.p, b.n, b.n, name, &a, &g, NULL, &e);
    if (!rc) rc = tokenizer_new(&g, &t, &e);
    if (rc) fail_msg("%s: %s", name, e.text);
    arena_deinit(&a);
    free(b.p);
    return t;
}

static const char *const names[] = {"llama-spm", "phi-3", "gpt-2", "llama-bpe", "qwen2", "deepseek-llm"};

static void real_vocabulary(const char *name) {
    struct tokenizer *t = real(name);
    if (!t) return;
    struct bytes in = slurp(name, ".inp"), out = slurp(name, ".out");
    static const char sep[] = "\n__ggml_vocab_test__\n";
    char *line = out.p;
    int n_case = 0;
    for (char *s = in.p, *end; s; s = end ? end + strlen(sep) : NULL, n_case++) {
        end = strstr(s, sep);
        char *eol = strchr(line, '\n');
        if (!eol) break;
        int32_t want[1024];
        size_t n = 0;
        for (char *p = line; p < eol;) {
            char *next;
            long v = strtol(p, &next, 10);
            if (next == p || next > eol) break;
            want[n++] = (int32_t)v;
            p = next;
        }
        size_t len = end ? (size_t)(end - s) : strlen(s);
        expect_ids(t, s, len, false, false, want, n);
        expect_round_trip(t, s, len);
        line = eol + 1;
    }
    assert_true(n_case >= 45);
    expect_round_trip(t, in.p, in.n);
    free(in.p);
    free(out.p);
    tokenizer_free(t);
}

static void real_vocabularies(void **state) {
    for (size_t i = 0; i < LEN(names); i++) real_vocabulary(names[i]);
}

static double seconds(const struct tokenizer *t, const char *text, size_t len, size_t *n) {
    struct timespec a, b;
    struct tokens out = {0};
    struct err e = {0};
    clock_gettime(CLOCK_MONOTONIC, &a);
    int rc = tokenizer_encode(t, text, len, false, true, &out, &e);
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (rc) fail_msg("%s", e.text);
    *n = out.n;
    tokens_deinit(&out);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

static const char *const unit[] = {
    "It was the best of times, it was the worst of times, it was the age of wisdom... (1859)\n", "a", "A", " ", "\n", "1",
    "!", "\xe6\x97\xa5", "\xff", "aA", "' ", "\xcc\x80",
};

/* Long runs must not blow up; the limit is loose because machines and sanitizers differ. */
static void long_texts(void **state) {
    static const char *const slow[] = {"llama-spm", "llama-bpe", "deepseek-llm"};
    char *text = malloc(LONG_BYTES);
    for (size_t v = 0; v < LEN(slow); v++) {
        struct tokenizer *t = real(slow[v]);
        if (!t) continue;
        printf("%-13s", slow[v]);
        for (size_t u = 0; u < LEN(unit); u++) {
            for (size_t i = 0; i < LONG_BYTES; i++) text[i] = unit[u][i % strlen(unit[u])];
            size_t n;
            double s = seconds(t, text, LONG_BYTES, &n);
            printf(" %.2f", s);
            assert_true(n > 0);
            assert_true(s < 20);
        }
        printf(" s for %zu KB each\n", LONG_BYTES / 1024);
        tokenizer_free(t);
    }
    free(text);
}

/* No row's expressions backtrack badly on runs of one unit, ended by something that does not fit. */
static void pretok_rows_are_linear(void **state) {
    static const char *const pre[] = {
        "default", "llama-bpe", "qwen2", "qwen35", "gpt-2", "starcoder", "falcon", "deepseek-llm",
        "deepseek-coder", "deepseek-v3", "tekken", "gpt-4o", "bailingmoe", "seed-coder", "poro-chat", "viking",
        "chatglm-bpe", "dbrx",
    };
    char *text = malloc(ROW_BYTES + 1);
    for (size_t v = 0; v < LEN(pre); v++) {
        struct maker *m = bpe_maker(pre[v]);
        merge(m, "q q");
        struct tokenizer *t = built(m);
        for (size_t u = 0; u < LEN(unit); u++) {
            for (size_t i = 0; i < ROW_BYTES; i++) text[i] = unit[u][i % strlen(unit[u])];
            text[ROW_BYTES] = u % 2 ? 'Z' : '.';
            size_t n;
            double s = seconds(t, text, ROW_BYTES + 1, &n);
            if (s > 5) fail_msg("%s takes %.1f s for a run of '%s'", pre[v], s, unit[u]);
            assert_int_equal(n, ROW_BYTES + 1);
        }
        tokenizer_free(t);
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spm_merges_by_score),
        cmocka_unit_test(spm_special_text),
        cmocka_unit_test(spm_flags),
        cmocka_unit_test(phi3_swallows_space),
        cmocka_unit_test(bpe_merges_by_rank),
        cmocka_unit_test(bpe_whole_words),
        cmocka_unit_test(pretok_cuts),
        cmocka_unit_test(missing_pretokenizer_warns),
        cmocka_unit_test(refusals),
        cmocka_unit_test(strange_vocabularies),
        cmocka_unit_test(invalid_utf8_survives),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(detok_streams_valid_utf8),
        cmocka_unit_test(detok_spaces_and_specials),
        cmocka_unit_test(real_vocabularies),
        cmocka_unit_test(pretok_rows_are_linear),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
