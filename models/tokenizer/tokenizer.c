/* The public face: encoding around special tokens, and what is known of each token. */
#include "models/tokenizer/impl.h"

#define TEXT_MAX_BYTES ((size_t)256 << 20) /* positions and symbols are 32-bit */

int tokenizer_new(const struct gguf *g, struct tokenizer **out, struct err *e) {
    *out = NULL;
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t) return err_set(e, ERR_NOMEM, "no memory for the tokenizer");
    int rc = vocab_load(t, g, e);
    if (rc) {
        tokenizer_free(t);
        return rc;
    }
    *out = t;
    return ERR_OK;
}

void tokenizer_free(struct tokenizer *t) {
    if (!t) return;
    vocab_free(t);
    free(t);
}

bool tokenizer_grow(void **p, size_t *cap, size_t need, size_t elem_bytes) {
    if (need <= *cap) return true;
    size_t want = *cap * 2 > need ? *cap * 2 : need < 64 ? 64 : need;
    if (want > SIZE_MAX / elem_bytes) return false;
    void *q = realloc(*p, want * elem_bytes);
    if (!q) return false;
    *p = q;
    *cap = want;
    return true;
}

bool tokens_push(struct tokens *ts, int32_t id) {
    if (!SCRATCH_GROW(ts->id, ts->cap, ts->n + 1)) return false;
    ts->id[ts->n++] = id;
    return true;
}

void tokens_deinit(struct tokens *ts) {
    free(ts->id);
    *ts = (struct tokens){0};
}

const struct tokenizer_info *tokenizer_info(const struct tokenizer *t) { return &t->info; }

static bool in_vocab(const struct tokenizer *t, int32_t id) { return id >= 0 && (uint32_t)id < t->info.n_vocab; }

uint32_t tokenizer_attr(const struct tokenizer *t, int32_t id) { return in_vocab(t, id) ? t->token[id].attr : 0; }

int32_t tokenizer_find(const struct tokenizer *t, const char *text, size_t len) { return vocab_find(t, text, len); }

struct token_bytes tokenizer_text(const struct tokenizer *t, int32_t id) {
    if (!in_vocab(t, id)) return (struct token_bytes){"", 0};
    return (struct token_bytes){t->pool + t->token[id].text, t->token[id].text_len};
}

struct token_bytes tokenizer_piece(const struct tokenizer *t, int32_t id) {
    if (!in_vocab(t, id)) return (struct token_bytes){"", 0};
    return (struct token_bytes){t->pool + t->token[id].piece, t->token[id].piece_len};
}

/* Text between special tokens. SPM puts a space before each such stretch, as it does at the start of a text. */
static int encode_plain(const struct tokenizer *t, const char *text, size_t len, struct scratch *sc,
                        struct tokens *out, struct err *e) {
    if (!len) return ERR_OK;
    if (t->spm) return spm_encode(t, text, len, t->info.add_space_prefix, sc, out, e);
    return bpe_encode(t, text, len, sc, out, e);
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int encode_parts(const struct tokenizer *t, const char *text, size_t len, const struct special_set *set,
                        struct scratch *sc, struct tokens *out, struct err *e) {
    size_t start = 0, pos = 0;
    int rc = ERR_OK;
    while (pos < len && !rc) {
        const struct special *s = special_match(set, text + pos, len - pos);
        if (!s) {
            pos++;
            continue;
        }
        rc = encode_plain(t, text + start, pos - start, sc, out, e);
        if (!rc && !tokens_push(out, s->id)) rc = err_set(e, ERR_NOMEM, "no memory for tokens");
        pos += s->len;
        if (t->token[s->id].attr & TOKEN_RSTRIP)
            while (pos < len && is_space(text[pos])) pos++;
        start = pos;
    }
    return rc ? rc : encode_plain(t, text + start, len - start, sc, out, e);
}

static void scratch_free(struct scratch *sc) {
    free(sc->symbol);
    free(sc->heap);
    free(sc->piece[0]);
    free(sc->piece[1]);
    free(sc->text);
    pretok_scratch_free(sc);
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, bool add_special, bool parse_special,
                     struct tokens *out, struct err *e) {
    if (len > TEXT_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "the text has %zu bytes; the most that can be encoded at once is %zu", len,
                       TEXT_MAX_BYTES);
    struct scratch sc = {0};
    size_t n_before = out->n;
    int rc = ERR_OK;
    if (add_special && t->info.add_bos && !tokens_push(out, t->info.bos)) rc = ERR_NOMEM;
    if (!rc) rc = encode_parts(t, text, len, parse_special ? &t->special : &t->user_defined, &sc, out, e);
    if (!rc && add_special && t->info.add_eos && !tokens_push(out, t->info.eos)) rc = ERR_NOMEM;
    if (rc == ERR_NOMEM) err_set(e, rc, "no memory to encode %zu bytes of text", len);
    if (rc) out->n = n_before;
    scratch_free(&sc);
    return rc;
}
