/* The vocabulary: reads the file's arrays, finds tokens by text, works out what each token stands for. */
#include <math.h>
#include <stdio.h>
#include <utf8proc.h>
#include <xxhash.h>

#include "models/tokenizer/impl.h"

#define VOCAB_MAX (1u << 24)

int32_t vocab_find(const struct tokenizer *t, const char *text, size_t len) {
    if (!len || len > t->max_text_len) return -1;
    uint64_t h = XXH3_64bits(text, len);
    for (uint32_t i = (uint32_t)h & t->slot_mask; t->slot[i].id1; i = (i + 1) & t->slot_mask) {
        if (t->slot[i].tag != (uint32_t)(h >> 32)) continue;
        const struct vocab_token *v = &t->token[t->slot[i].id1 - 1];
        if (v->text_len == len && !memcmp(t->pool + v->text, text, len)) return (int32_t)(t->slot[i].id1 - 1);
    }
    return -1;
}

int32_t vocab_find_plain(const struct tokenizer *t, const char *text, size_t len) {
    int32_t id = vocab_find(t, text, len);
    if (id < 0 || t->token[id].attr & (TOKEN_CONTROL | TOKEN_UNKNOWN | TOKEN_BYTE)) return -1;
    return id;
}

int vocab_push_byte(const struct tokenizer *t, unsigned char b, struct tokens *out, struct err *e) {
    int32_t id = t->byte_id[b] >= 0 ? t->byte_id[b] : t->info.unk;
    if (id < 0)
        return err_set(e, ERR_FORMAT, "the vocabulary has no token for the byte 0x%02X and no unknown token", b);
    return tokens_push(out, id) ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for tokens");
}

/* The first of several tokens with one text is the one that is found. */
static int vocab_index(struct tokenizer *t, struct err *e) {
    uint32_t n_slot = 16;
    while (n_slot < 2 * t->info.n_vocab) n_slot *= 2;
    t->slot = calloc(n_slot, sizeof *t->slot);
    if (!t->slot) return err_set(e, ERR_NOMEM, "no memory for the vocabulary's index");
    t->slot_mask = n_slot - 1;
    for (uint32_t id = 0; id < t->info.n_vocab; id++) {
        const struct vocab_token *v = &t->token[id];
        if (!v->text_len || vocab_find(t, t->pool + v->text, v->text_len) >= 0) continue;
        uint64_t h = XXH3_64bits(t->pool + v->text, v->text_len);
        uint32_t i = (uint32_t)h & t->slot_mask;
        while (t->slot[i].id1) i = (i + 1) & t->slot_mask;
        t->slot[i] = (struct vocab_slot){(uint32_t)(h >> 32), id + 1};
    }
    return ERR_OK;
}

/* Copies the texts; the pool has twice their size, so that pieces fit behind them. */
static int vocab_texts(struct tokenizer *t, const struct gguf *g, uint32_t *pool_used, struct err *e) {
    struct gguf_arr a;
    if (!gguf_get_arr(g, "tokenizer.ggml.tokens", GGUF_STR, &a))
        return err_set(e, ERR_NOT_FOUND, "tokenizer.ggml.tokens is missing or not an array of strings");
    if (!a.n || a.n > VOCAB_MAX)
        return err_set(e, ERR_FORMAT, "tokenizer.ggml.tokens has %llu tokens; 1 to %u are possible",
                       (unsigned long long)a.n, VOCAB_MAX);
    if (a.size_bytes > UINT32_MAX / 2)
        return err_set(e, ERR_FORMAT, "tokenizer.ggml.tokens has %llu bytes; the most is 2 GiB",
                       (unsigned long long)a.size_bytes);
    t->info.n_vocab = (uint32_t)a.n;
    t->token = calloc(a.n, sizeof *t->token);
    t->pool = malloc(2 * a.size_bytes);
    if (!t->token || !t->pool) return err_set(e, ERR_NOMEM, "no memory for %u tokens", t->info.n_vocab);
    struct gguf_str s;
    uint64_t pos = 0;
    for (uint32_t id = 0, at = 0; id < a.n && gguf_arr_next_str(&a, &pos, &s); id++) {
        if (s.len > TOKEN_MAX_BYTES)
            return err_set(e, ERR_FORMAT, "tokenizer.ggml.tokens: token %u has %llu bytes; the most is %d", id,
                           (unsigned long long)s.len, TOKEN_MAX_BYTES);
        t->token[id] = (struct vocab_token){.text = at, .text_len = (uint32_t)s.len, .attr = TOKEN_NORMAL};
        if (s.len) memcpy(t->pool + at, s.p, s.len);
        at += (uint32_t)s.len;
        if (s.len > t->max_text_len) t->max_text_len = (uint32_t)s.len;
        *pool_used = at;
    }
    return ERR_OK;
}

/* An optional array with one number per token; a->n is 0 when absent. */
static int vocab_column(const struct tokenizer *t, const struct gguf *g, const char *key, bool floats,
                        struct gguf_arr *a, struct err *e) {
    *a = (struct gguf_arr){0};
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return ERR_OK;
    bool is_float = kv->type == GGUF_ARR && (kv->a.type == GGUF_F32 || kv->a.type == GGUF_F64);
    bool is_int = kv->type == GGUF_ARR && !is_float && kv->a.type != GGUF_STR && kv->a.type != GGUF_ARR &&
                  kv->a.type != GGUF_BOOL;
    if (floats ? !is_float : !is_int) return err_set(e, ERR_FORMAT, "%s is not an array of numbers", key);
    if (kv->a.n < t->info.n_vocab)
        return err_set(e, ERR_FORMAT, "%s has %llu entries for %u tokens", key, (unsigned long long)kv->a.n,
                       t->info.n_vocab);
    *a = kv->a;
    return ERR_OK;
}

static int vocab_scores(struct tokenizer *t, const struct gguf *g, struct err *e) {
    struct gguf_arr a;
    int rc = vocab_column(t, g, "tokenizer.ggml.scores", true, &a, e);
    for (uint32_t id = 0; !rc && a.n && id < t->info.n_vocab; id++) {
        float s = (float)gguf_arr_f64(&a, id);
        t->token[id].score = isnan(s) ? -INFINITY : s; /* merges need an order */
    }
    return rc;
}

static int vocab_types(struct tokenizer *t, const struct gguf *g, struct err *e) {
    static const uint32_t attr_of[] = {TOKEN_NORMAL,       TOKEN_NORMAL, TOKEN_UNKNOWN, TOKEN_CONTROL,
                                       TOKEN_USER_DEFINED, TOKEN_UNUSED, TOKEN_BYTE};
    struct gguf_arr a;
    int rc = vocab_column(t, g, "tokenizer.ggml.token_type", false, &a, e);
    for (uint32_t id = 0; !rc && a.n && id < t->info.n_vocab; id++) {
        int64_t type = gguf_arr_i64(&a, id);
        bool known = type >= 0 && type < (int64_t)(sizeof attr_of / sizeof *attr_of);
        t->token[id].attr = known ? attr_of[type] : TOKEN_NORMAL;
    }
    return rc;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of "<0xXX>", or -1. */
static int byte_of_text(const char *s, uint32_t len) {
    if (len != 6 || memcmp(s, "<0x", 3) || s[5] != '>') return -1;
    int hi = hex_digit(s[3]), lo = hex_digit(s[4]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

static uint32_t piece_spm(const char *s, uint32_t len, char *out) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < len;) {
        if (len - i >= 3 && !memcmp(s + i, SPM_SPACE, 3)) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = s[i++];
        }
    }
    return n;
}

/* The bytes that a byte-level text means, or the text itself when it is not written that way. */
static uint32_t piece_bytelevel(const char *s, uint32_t len, char *out) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < len;) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(len - i), &cp);
        int b = k > 0 ? bytes_of_char((uint32_t)cp) : -1;
        if (b < 0) {
            memcpy(out, s, len);
            return len;
        }
        out[n++] = (char)b;
        i += (uint32_t)k;
    }
    return n;
}

static void vocab_pieces(struct tokenizer *t, uint32_t pool_used) {
    for (uint32_t id = 0; id < t->info.n_vocab; id++) {
        struct vocab_token *v = &t->token[id];
        const char *s = t->pool + v->text;
        char *out = t->pool + pool_used;
        int byte = v->attr & TOKEN_BYTE ? byte_of_text(s, v->text_len) : -1;
        uint32_t n;
        if (byte >= 0) {
            out[0] = (char)byte;
            n = 1;
        } else if (t->spm && !(v->attr & (TOKEN_CONTROL | TOKEN_UNKNOWN))) {
            n = piece_spm(s, v->text_len, out);
        } else if (!t->spm && v->attr & (TOKEN_NORMAL | TOKEN_UNUSED | TOKEN_BYTE)) {
            n = piece_bytelevel(s, v->text_len, out);
        } else {
            v->piece = v->text;
            v->piece_len = v->text_len;
            n = 0;
        }
        if (n) v->piece = pool_used, v->piece_len = n;
        pool_used += n;
        if (v->piece_len > t->max_piece_len) t->max_piece_len = v->piece_len;
    }
}

static int32_t byte_token(const struct tokenizer *t, unsigned char b) {
    char text[8];
    int32_t id = -1;
    if (t->spm) {
        snprintf(text, sizeof text, "<0x%02X>", b);
        id = vocab_find(t, text, 6);
        text[0] = (char)b;
        if (id < 0) id = vocab_find(t, text, 1);
    } else {
        utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)bytes_to_char(b), (utf8proc_uint8_t *)text);
        id = vocab_find(t, text, (size_t)n);
    }
    return id >= 0 && t->token[id].attr & (TOKEN_CONTROL | TOKEN_UNKNOWN) ? -1 : id;
}

static bool space_inside(const char *s, uint32_t len) {
    bool other = false;
    for (uint32_t i = 0; i < len;) {
        bool space = len - i >= 3 && !memcmp(s + i, SPM_SPACE, 3);
        if (space && other) return true;
        if (!space) other = true;
        i += space ? 3 : 1;
    }
    return false;
}

static bool vocab_word_split(const struct tokenizer *t) {
    for (uint32_t id = 0; id < t->info.n_vocab; id++)
        if (space_inside(t->pool + t->token[id].text, t->token[id].text_len)) return false;
    return true;
}

static int vocab_kind(struct tokenizer *t, const struct gguf *g, struct pretok_flags *pf, struct err *e) {
    struct gguf_str model, pre = {"default", 7};
    if (!gguf_get_str(g, "tokenizer.ggml.model", &model))
        return err_set(e, ERR_NOT_FOUND, "tokenizer.ggml.model is missing: the file has no tokenizer");
    t->spm = model.len == 5 && !memcmp(model.p, "llama", 5);
    if (!t->spm && !(model.len == 4 && !memcmp(model.p, "gpt2", 4)))
        return err_set(e, ERR_UNSUPPORTED, "tokenizer model '%.*s' is not supported; hy knows 'llama' and 'gpt2'",
                       model.len > 64 ? 64 : (int)model.len, model.p);
    t->info.model = t->spm ? "llama" : "gpt2";
    t->info.pre = "";
    if (t->spm) return ERR_OK;
    if (!gguf_get_str(g, "tokenizer.ggml.pre", &pre)) {
        if (gguf_find(g, "tokenizer.ggml.pre")) return err_set(e, ERR_FORMAT, "tokenizer.ggml.pre is not a string");
        t->info.warning = "the file does not name its pre-tokenizer (tokenizer.ggml.pre); using 'default', so text may "
                          "be cut into tokens wrongly: convert the model again";
    }
    int rc = pretok_new(pre.p, pre.len, &t->pretok, pf, e);
    if (rc) return rc;
    t->pre_name = strndup(pre.p, pre.len);
    if (!t->pre_name) return err_set(e, ERR_NOMEM, "no memory for the tokenizer");
    t->info.pre = t->pre_name;
    t->ignore_merges = pf->ignore_merges;
    return ERR_OK;
}

int vocab_load(struct tokenizer *t, const struct gguf *g, struct err *e) {
    struct pretok_flags pf = {0};
    uint32_t pool_used = 0;
    int rc = vocab_kind(t, g, &pf, e);
    if (!rc) rc = vocab_texts(t, g, &pool_used, e);
    if (!rc) rc = vocab_scores(t, g, e);
    if (!rc) rc = vocab_types(t, g, e);
    if (!rc) rc = vocab_index(t, e);
    if (!rc) rc = special_ids(t, g, &pf, e);
    if (rc) return rc;
    vocab_pieces(t, pool_used);
    for (int b = 0; b < 256; b++) t->byte_id[b] = byte_token(t, (unsigned char)b);
    t->info.nl = t->byte_id['\n'];
    t->word_split = t->spm && vocab_word_split(t);
    special_mark(t, g);
    rc = special_sets(t, e);
    if (!rc && !t->spm) rc = bpe_load_merges(t, g, e);
    return rc;
}

void vocab_free(struct tokenizer *t) {
    pretok_free(t->pretok);
    free(t->pre_name);
    free(t->token);
    free(t->pool);
    free(t->slot);
    free(t->special.at);
    free(t->user_defined.at);
    free(t->rule);
}
