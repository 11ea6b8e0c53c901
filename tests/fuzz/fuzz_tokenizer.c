/* The first part of the input is a metadata block, the rest (after the last 0xFF 0x00 0xFF) a text. Whatever tokenizer
 * comes of it must encode the text without harm, and what it encodes must decode. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/gguf.h"
#include "gguf/gguf_write.h"
#include "models/tokenizer/detok.h"
#include "models/tokenizer/tokenizer.h"

#define MAX_TEXT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const struct tokenizer *t, const struct tokens *ids, bool special) {
    struct detok *d;
    if (detok_new(t, (struct detok_options){.special = special, .at_start = !special}, &d, NULL)) return;
    for (size_t i = 0; i < ids->n; i++) {
        struct token_bytes b = detok_push(d, ids->id[i]);
        if (b.len && !b.p) abort();
    }
    detok_flush(d);
    detok_free(d);
}

static void use(const struct tokenizer *t, const char *text, size_t len) {
    for (int special = 0; special < 2; special++) {
        struct tokens ids = {0};
        if (!tokenizer_encode(t, text, len, special, special, &ids, NULL)) {
            for (size_t i = 0; i < ids.n; i++) {
                if (ids.id[i] < 0 || (uint32_t)ids.id[i] >= tokenizer_info(t)->n_vocab) abort();
                bool control = tokenizer_attr(t, ids.id[i]) & TOKEN_CONTROL;
                if (!special && control && ids.id[i] != tokenizer_info(t)->unk) abort();
            }
            decode(t, &ids, special);
        }
        tokens_deinit(&ids);
    }
}

/* A well-formed block whose strings are pieces of the input: separated by 0x00, tokens first, merges those with a space. */
static void made(const uint8_t *data, size_t size, const char *text, size_t len) {
    static const char *const pre[] = {"gpt-2", "llama-bpe", "deepseek-llm", "tekken", "qwen2", "default", "deepseek-v3"};
    enum { MAX = 256 };
    struct gguf_str token[MAX], merge[MAX];
    int32_t type[MAX];
    float score[MAX];
    uint64_t n = 0, n_merge = 0;
    if (size < 8) return;
    uint8_t flags = data[0];
    for (const uint8_t *p = data + 1, *end = data + size; p < end && n < MAX && n_merge < MAX;) {
        const uint8_t *z = memchr(p, 0, (size_t)(end - p));
        size_t k = z ? (size_t)(z - p) : (size_t)(end - p);
        struct gguf_str s = {(const char *)p, k};
        if (k > 2 && memchr(p + 1, ' ', k - 1)) {
            merge[n_merge++] = s;
        } else {
            type[n] = k && p[0] == '<' ? 3 : k && p[0] == '{' ? 4 : k && p[0] == '[' ? p[k - 1] % 8 : 1;
            score[n] = k ? (float)p[k - 1] - 100 : 0;
            if (k == 3 && p[0] == 'n') memset(&score[n], 0xff, sizeof score[n]);
            token[n++] = s;
        }
        p += k + 1;
    }
    if (!n) return;
    struct gguf_writer w;
    gguf_writer_init(&w);
    gguf_put_str(&w, "tokenizer.ggml.model", flags & 1 ? "gpt2" : "llama");
    gguf_put_str(&w, "tokenizer.ggml.pre", pre[(flags >> 1) % 7]);
    if (flags & 16) gguf_put_str(&w, "general.name", "phi3");
    gguf_put_bool(&w, "tokenizer.ggml.add_space_prefix", flags & 32);
    gguf_put_bool(&w, "tokenizer.ggml.add_bos_token", flags & 64);
    gguf_put_u32(&w, "tokenizer.ggml.unknown_token_id", flags & 128 ? 0 : 1000);
    gguf_put_arr_str(&w, "tokenizer.ggml.tokens", token, n);
    gguf_put_arr_str(&w, "tokenizer.ggml.merges", merge, n_merge);
    gguf_put_arr(&w, "tokenizer.ggml.token_type", GGUF_I32, type, n);
    gguf_put_arr(&w, "tokenizer.ggml.scores", GGUF_F32, score, n);
    struct gguf g;
    struct arena a;
    struct tokenizer *t;
    arena_init(&a, 0);
    uint8_t head[24] = {'G', 'G', 'U', 'F', 3};
    memcpy(head + 16, &w.n_kv, 8);
    size_t total = 24 + w.kv.n;
    uint8_t *file = malloc(total);
    memcpy(file, head, 24);
    memcpy(file + 24, w.kv.p, w.kv.n);
    if (gguf_parse(file, total, total, "fuzz", &a, &g, NULL, NULL)) abort();
    if (!tokenizer_new(&g, &t, NULL)) {
        use(t, text, len);
        tokenizer_free(t);
    }
    free(file);
    arena_deinit(&a);
    gguf_writer_deinit(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t cut = size / 2;
    for (size_t i = 0; i + 3 <= size; i++)
        if (data[i] == 0xff && data[i + 1] == 0 && data[i + 2] == 0xff) cut = i;
    const char *text = (const char *)data + cut;
    size_t len = size - cut > MAX_TEXT ? MAX_TEXT : size - cut;
    struct arena a;
    struct gguf g;
    struct tokenizer *t;
    arena_init(&a, (size_t)64 << 20);
    if (!gguf_parse(data, cut, cut, "fuzz", &a, &g, NULL, NULL) && !tokenizer_new(&g, &t, NULL)) {
        use(t, text, len);
        tokenizer_free(t);
    }
    arena_deinit(&a);
    made(data, cut, text, len);
    return 0;
}
