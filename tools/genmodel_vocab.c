/* Vocabularies of hy-genmodel, made up: bytes, letters, common words, then syllables. */
#include "tools/genmodel.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_USER = 4, TOKEN_BYTE = 6 };

struct vocab { /* tokens in order, and by hash */
    enum vocab_kind kind;
    uint32_t n, cap, n_merge, mask;
    struct gguf_str *tokens, *merges;
    float *scores;
    int32_t *types;
    uint32_t *slots; /* token + 1 */
    struct arena arena;
};

static uint32_t *vocab_slot(struct vocab *v, const char *text, size_t len) {
    for (uint32_t k = (uint32_t)XXH3_64bits(text, len);; k++) {
        uint32_t *slot = &v->slots[k & v->mask];
        if (*slot == 0) return slot;
        struct gguf_str s = v->tokens[*slot - 1];
        if (s.len == len && memcmp(s.p, text, len) == 0) return slot;
    }
}

/* False when the vocabulary is full or has the token. */
static bool vocab_add(struct vocab *v, const char *text, size_t len, int type, float score) {
    uint32_t *slot = vocab_slot(v, text, len);
    if (v->n == v->cap || *slot != 0) return false;
    v->tokens[v->n] = (struct gguf_str){genmodel_must(arena_strndup(&v->arena, text, len)), len};
    v->scores[v->n] = score;
    v->types[v->n] = type;
    *slot = ++v->n;
    return true;
}

static void vocab_add_c(struct vocab *v, const char *text, int type) { vocab_add(v, text, strlen(text), type, 0); }

/* The character that stands for a byte in byte-level BPE vocabularies, as UTF-8. */
static size_t bpe_symbol(uint32_t byte, char *out) {
    bool shown = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    uint32_t code = byte;
    if (!shown) code = 256 + (byte <= 32 ? byte : byte <= 160 ? byte - 127 + 33 : 67);
    if (code < 128) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 63));
    return 2;
}

/* Every beginning of a word becomes a token, so that merges reach the whole; with `space` for words that
 * stand after one. */
static void vocab_add_word(struct vocab *v, const char *word, bool space) {
    char text[64], merge[64];
    size_t begin = 0;
    if (space) begin = (size_t)snprintf(text, sizeof text, "%s", v->kind == VOCAB_SPM ? "\xe2\x96\x81" : "\xc4\xa0");
    snprintf(text + begin, sizeof text - begin, "%s", word);
    size_t len = strlen(text);
    for (size_t i = begin + (space ? 1 : 2); i <= len && v->n < v->cap; i++) {
        if (!vocab_add(v, text, i, TOKEN_NORMAL, -(float)v->n) || v->kind == VOCAB_SPM) continue;
        size_t n = (size_t)snprintf(merge, sizeof merge, "%.*s %c", (int)(i - 1), text, text[i - 1]);
        v->merges[v->n_merge++] = (struct gguf_str){genmodel_must(arena_strndup(&v->arena, merge, n)), n};
    }
}

static void vocab_specials(struct vocab *v, const char *pre) {
    if (v->kind == VOCAB_SPM) {
        vocab_add_c(v, "<unk>", TOKEN_UNKNOWN);
        vocab_add_c(v, "<s>", TOKEN_CONTROL);
        vocab_add_c(v, "</s>", TOKEN_CONTROL);
    } else if (strcmp(pre, "qwen2") == 0) {
        vocab_add_c(v, "<|endoftext|>", TOKEN_CONTROL);
        vocab_add_c(v, "<|im_start|>", TOKEN_CONTROL);
        vocab_add_c(v, "<|im_end|>", TOKEN_CONTROL);
    } else {
        vocab_add_c(v, "<|unused|>", TOKEN_CONTROL);
        vocab_add_c(v, "<|begin_of_text|>", TOKEN_CONTROL);
        vocab_add_c(v, "<|end_of_text|>", TOKEN_CONTROL);
    }
    vocab_add_c(v, "<|tool|>", TOKEN_USER);
}

static void vocab_bytes(struct vocab *v) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[8];
        size_t len;
        if (v->kind == VOCAB_SPM) len = (size_t)snprintf(text, sizeof text, "<0x%02X>", byte);
        else len = bpe_symbol(byte, text);
        vocab_add(v, text, len, v->kind == VOCAB_SPM ? TOKEN_BYTE : TOKEN_NORMAL, 0);
    }
}

static void vocab_letters(struct vocab *v) {
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'-:;\n\"()";
    vocab_add(v, "\xe2\x96\x81", 3, TOKEN_NORMAL, -(float)v->n);
    for (const char *c = letters; *c; c++)
        if (*c != '\n') vocab_add(v, c, 1, TOKEN_NORMAL, -(float)v->n);
}

static void vocab_syllables(struct vocab *v) {
    const char *consonants = "bdfgklmnprstvz", *vowels = "aeiou";
    for (uint32_t i = 0; v->n < v->cap; i++) {
        char word[32], *w = word;
        for (uint32_t k = i, j = 0; j < 4 && (k > 0 || j < 2); j++, k /= 70) {
            *w++ = consonants[k % 70 / 5];
            *w++ = vowels[k % 5];
        }
        *w = 0;
        vocab_add_word(v, word, i % 3 != 0);
    }
}

static void vocab_init(struct vocab *v, enum vocab_kind kind, const char *pre, uint32_t n_vocab) {
    static const char *const words[] = {
        "the", "and", "to", "of", "in", "is", "you", "that", "it", "he", "was", "for", "on", "are", "with", "as",
        "his", "they", "be", "at", "one", "have", "this", "from", "or", "had", "by", "hello", "world", "once", "upon",
        "time", "there", "she", "we", "not", "but", "what", "all", "were", "when", "your", "can", "said",
    };
    uint32_t n_slot = 64;
    while (n_slot < n_vocab * 2) n_slot *= 2;
    *v = (struct vocab){.kind = kind, .cap = n_vocab, .mask = n_slot - 1};
    arena_init(&v->arena, 0);
    v->tokens = genmodel_must(arena_array(&v->arena, v->cap, sizeof *v->tokens));
    v->merges = genmodel_must(arena_array(&v->arena, v->cap, sizeof *v->merges));
    v->scores = genmodel_must(arena_array(&v->arena, v->cap, sizeof *v->scores));
    v->types = genmodel_must(arena_array(&v->arena, v->cap, sizeof *v->types));
    v->slots = genmodel_must(arena_array(&v->arena, n_slot, sizeof *v->slots));
    vocab_specials(v, pre);
    vocab_bytes(v);
    if (v->kind == VOCAB_SPM) vocab_letters(v);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) vocab_add_word(v, words[i], true);
    vocab_syllables(v);
}

void genmodel_put_vocab(struct gguf_writer *w, enum vocab_kind kind, const char *pre, uint32_t n_vocab) {
    struct vocab v;
    vocab_init(&v, kind, pre, n_vocab);
    bool qwen = kind == VOCAB_BPE && strcmp(pre, "qwen2") == 0;
    gguf_put_str(w, "tokenizer.ggml.model", kind == VOCAB_SPM ? "llama" : "gpt2");
    gguf_put_str(w, "tokenizer.ggml.pre", kind == VOCAB_SPM ? "default" : pre);
    gguf_put_arr_str(w, "tokenizer.ggml.tokens", v.tokens, v.n);
    if (kind == VOCAB_SPM) gguf_put_arr(w, "tokenizer.ggml.scores", GGUF_F32, v.scores, v.n);
    gguf_put_arr(w, "tokenizer.ggml.token_type", GGUF_I32, v.types, v.n);
    if (kind == VOCAB_BPE) gguf_put_arr_str(w, "tokenizer.ggml.merges", v.merges, v.n_merge);
    gguf_put_u32(w, "tokenizer.ggml.bos_token_id", qwen ? 0 : 1);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    if (kind == VOCAB_SPM) gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", !qwen);
    gguf_put_bool(w, "tokenizer.ggml.add_eos_token", false);
    arena_deinit(&v.arena);
}
