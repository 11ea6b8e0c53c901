/* Vocabularies for tests of grammars: a tokenizer, its trie, and which tokens are single bytes. Static, for tests. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/gguf.h"
#include "gguf/gguf_write.h"
#include "models/grammar/grammar.h"

#define VOCAB_PADDING 5 /* rows of logits beyond the tokens */

struct vocab {
    const char *name;
    struct tokenizer *t;
    struct grammar_vocab *v;
    uint32_t n_vocab;
    int32_t byte[256]; /* a token of this one byte */
    int32_t eog;
};

static void vocab_open(struct vocab *x, const char *name, const struct gguf *g) {
    *x = (struct vocab){.name = name, .eog = -1};
    CHECK(!tokenizer_new(g, &x->t, NULL));
    x->n_vocab = tokenizer_info(x->t)->n_vocab;
    CHECK(!grammar_vocab_new(x->t, x->n_vocab + VOCAB_PADDING, &x->v, NULL));
    for (int i = 0; i < 256; i++) x->byte[i] = -1;
    for (int32_t id = 0; id < (int32_t)x->n_vocab; id++) {
        struct token_bytes b = tokenizer_piece(x->t, id);
        uint32_t attr = tokenizer_attr(x->t, id);
        if (b.len == 1 && !(attr & (TOKEN_CONTROL | TOKEN_UNUSED | TOKEN_EOG))) x->byte[(uint8_t)*b.p] = id;
        if (attr & TOKEN_EOG) x->eog = id;
    }
}

__attribute__((unused)) static void vocab_close(struct vocab *x) {
    grammar_vocab_free(x->v);
    tokenizer_free(x->t);
}

static struct gguf_str vocab_str(const char *s) { return (struct gguf_str){s, strlen(s)}; }

/* A head with these metadata, parsed; the caller frees the bytes. */
static uint8_t *parse_head(struct gguf_writer *w, struct arena *a, struct gguf *g) {
    uint8_t head[24] = {'G', 'G', 'U', 'F', 3};
    memcpy(head + 16, &w->n_kv, 8);
    uint8_t *file = malloc(24 + w->kv.n);
    memcpy(file, head, 24);
    memcpy(file + 24, w->kv.p, w->kv.n);
    CHECK(!gguf_parse(file, 24 + w->kv.n, 24 + w->kv.n, "small", a, g, NULL, NULL));
    gguf_writer_deinit(w);
    return file;
}

/* All bytes, and some tokens that lie across JSON's borders or in the middle of characters. */
static void small_vocab(struct vocab *x) {
    static const char *const words[] = {"{\"",          "\":",  "\": ",  "\",",  "\", \"", "},",       "}]",
                                        "}}",           "true", "null",  "12",   "-1",     "[]",       "{}",
                                        "\xe2\x96\x81", "\\\"", "\\u00", "\xc3", "\xa9\"", "\xf0\x9f", "name",
                                        "\"name\":",    "\n  ", "e1",    ".5",   "aaaa",   "\"}",      "]}"};
    static char text[256][8];
    struct gguf_str token[400];
    int32_t type[400];
    float score[400] = {0};
    uint64_t n = 0;
    token[n] = vocab_str("<unk>"), type[n++] = 2;
    token[n] = vocab_str("<s>"), type[n++] = 3;
    token[n] = vocab_str("</s>"), type[n++] = 3;
    token[n] = vocab_str("<think>"), type[n++] = 3;
    for (int i = 0; i < 256; i++) {
        snprintf(text[i], sizeof text[i], "<0x%02X>", i);
        token[n] = vocab_str(text[i]), type[n++] = 6;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) token[n] = vocab_str(words[i]), type[n++] = 1;
    struct gguf_writer w;
    struct arena a;
    struct gguf g;
    gguf_writer_init(&w);
    arena_init(&a, 0);
    gguf_put_str(&w, "tokenizer.ggml.model", "llama");
    gguf_put_u32(&w, "tokenizer.ggml.eos_token_id", 2);
    gguf_put_arr_str(&w, "tokenizer.ggml.tokens", token, n);
    gguf_put_arr(&w, "tokenizer.ggml.token_type", GGUF_I32, type, n);
    gguf_put_arr(&w, "tokenizer.ggml.scores", GGUF_F32, score, n);
    uint8_t *file = parse_head(&w, &a, &g);
    vocab_open(x, "small", &g);
    free(file);
    arena_deinit(&a);
}
