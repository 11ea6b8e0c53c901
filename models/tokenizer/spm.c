/* SPM: characters join by the score of the token that they make; what makes no token becomes bytes. */
#include "models/tokenizer/impl.h"

static bool spm_join(const struct tokenizer *t, const char *text, const struct symbol *l, const struct symbol *r,
                     double *key, int32_t *id) {
    *id = vocab_find_plain(t, text + l->begin, (size_t)l->len + r->len);
    if (*id < 0) return false;
    *key = -(double)t->token[*id].score;
    return true;
}

/* Spaces become U+2581, with one more in front when asked. */
static bool spm_escape(const char *text, size_t len, bool space_before, struct scratch *sc, size_t *out_len) {
    size_t n_space = space_before ? 1 : 0;
    for (size_t i = 0; i < len; i++) n_space += text[i] == ' ';
    *out_len = len + 2 * n_space + (space_before ? 1 : 0);
    if (!SCRATCH_GROW(sc->text, sc->text_cap, *out_len)) return false;
    char *o = sc->text;
    if (space_before) memcpy(o, SPM_SPACE, 3), o += 3;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ') {
            memcpy(o, SPM_SPACE, 3);
            o += 3;
        } else {
            *o++ = text[i];
        }
    }
    return true;
}

static bool spm_symbols(const struct tokenizer *t, const char *text, size_t len, struct scratch *sc) {
    sc->n_symbol = 0;
    for (size_t at = 0; at < len;) {
        uint32_t n = bytes_utf8(text + at, len - at);
        if (!n) n = 1;
        if (!SCRATCH_GROW(sc->symbol, sc->symbol_cap, sc->n_symbol + 1)) return false;
        int32_t i = (int32_t)sc->n_symbol++;
        bool last = at + n == len;
        sc->symbol[i] = (struct symbol){(uint32_t)at, n, -2, i - 1, last ? -1 : i + 1};
        at += n;
    }
    return true;
}

static int spm_word(const struct tokenizer *t, const char *text, size_t len, struct scratch *sc, struct tokens *out,
                    struct err *e) {
    if (!spm_symbols(t, text, len, sc) || !merge_run(t, text, spm_join, sc))
        return err_set(e, ERR_NOMEM, "no memory to encode %zu bytes of text", len);
    for (int32_t i = 0; i >= 0; i = sc->symbol[i].next) {
        const struct symbol *s = &sc->symbol[i];
        int32_t id = s->id >= 0 ? s->id : vocab_find_plain(t, text + s->begin, s->len);
        if (id >= 0 && !tokens_push(out, id)) return err_set(e, ERR_NOMEM, "no memory for tokens");
        for (uint32_t k = 0; id < 0 && k < s->len; k++) {
            int rc = vocab_push_byte(t, (unsigned char)text[s->begin + k], out, e);
            if (rc) return rc;
        }
    }
    return ERR_OK;
}

static bool at_space(const char *text, size_t len, size_t i) { return len - i >= 3 && !memcmp(text + i, SPM_SPACE, 3); }

/* The next place where a run of spaces begins, or len. */
static size_t spm_word_end(const char *text, size_t len, size_t begin) {
    size_t i = begin;
    while (i < len && at_space(text, len, i)) i += 3;
    while (i < len && !at_space(text, len, i)) i++;
    return i;
}

int spm_encode(const struct tokenizer *t, const char *text, size_t len, bool space_before, struct scratch *sc,
               struct tokens *out, struct err *e) {
    size_t n;
    if (!spm_escape(text, len, space_before, sc, &n))
        return err_set(e, ERR_NOMEM, "no memory to encode %zu bytes of text", len);
    int rc = ERR_OK;
    for (size_t at = 0, end; at < n && !rc; at = end) {
        end = t->word_split ? spm_word_end(sc->text, n, at) : n;
        rc = spm_word(t, sc->text + at, end - at, sc, out, e);
    }
    return rc;
}
