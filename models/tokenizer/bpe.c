/* Byte-level BPE: within each word, pairs of tokens join in the order of the file's merge list. */
#include <utf8proc.h>

#include "models/tokenizer/impl.h"

static uint64_t rule_hash(int32_t left, int32_t right) {
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static struct merge_rule *rule_slot(const struct tokenizer *t, int32_t left, int32_t right) {
    uint64_t i = rule_hash(left, right) & t->rule_mask;
    while (t->rule[i].rank1 && (t->rule[i].left != left || t->rule[i].right != right)) i = (i + 1) & t->rule_mask;
    return &t->rule[i];
}

/* A line is "left right"; the left part has at least one character, which may itself be a space. */
static void rule_add(struct tokenizer *t, struct gguf_str line, uint32_t rank, char *joined) {
    const char *space = line.len > 1 ? memchr(line.p + 1, ' ', line.len - 1) : NULL;
    if (!space) return;
    size_t n_left = (size_t)(space - line.p), n_right = line.len - n_left - 1;
    if (n_left + n_right > t->max_text_len) return;
    memcpy(joined, line.p, n_left);
    memcpy(joined + n_left, space + 1, n_right);
    int32_t left = vocab_find_plain(t, joined, n_left), right = vocab_find_plain(t, joined + n_left, n_right);
    int32_t result = vocab_find_plain(t, joined, n_left + n_right);
    if (left < 0 || right < 0 || result < 0) return;
    struct merge_rule *r = rule_slot(t, left, right);
    if (!r->rank1) *r = (struct merge_rule){left, right, result, rank + 1};
}

/* Lines whose parts or result are not tokens can never apply and are dropped; the first of equal lines counts. */
int bpe_load_merges(struct tokenizer *t, const struct gguf *g, struct err *e) {
    struct gguf_arr a;
    if (!gguf_get_arr(g, "tokenizer.ggml.merges", GGUF_STR, &a))
        return err_set(e, ERR_NOT_FOUND, "tokenizer.ggml.merges is missing or not an array of strings");
    if (a.n > UINT32_MAX / 4)
        return err_set(e, ERR_FORMAT, "tokenizer.ggml.merges has %llu entries, which is too many",
                       (unsigned long long)a.n);
    uint64_t n_slot = 16;
    while (n_slot < 2 * a.n) n_slot *= 2;
    t->rule = calloc(n_slot, sizeof *t->rule);
    t->rule_mask = n_slot - 1;
    char *joined = malloc((size_t)t->max_text_len + 1);
    if (t->rule && joined) {
        struct gguf_str line;
        uint64_t pos = 0;
        for (uint32_t rank = 0; rank < a.n && gguf_arr_next_str(&a, &pos, &line); rank++)
            rule_add(t, line, rank, joined);
    }
    bool ok = t->rule && joined;
    free(joined);
    return ok ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for %llu merges", (unsigned long long)a.n);
}

static bool bpe_join(const struct tokenizer *t, const char *text, const struct symbol *l, const struct symbol *r,
                     double *key, int32_t *id) {
    if (l->id < 0 || r->id < 0) return false;
    const struct merge_rule *rule = rule_slot(t, l->id, r->id);
    *key = rule->rank1;
    *id = rule->result;
    return rule->rank1 != 0;
}

/* The token that is this whole word, or -1; text has room for twice its length. */
static int32_t whole_word(const struct tokenizer *t, const char *word, size_t len, char *text) {
    size_t n = 0;
    if (len > t->max_text_len) return -1;
    for (size_t i = 0; i < len; i++)
        n += (size_t)utf8proc_encode_char((utf8proc_int32_t)bytes_to_char((unsigned char)word[i]),
                                          (utf8proc_uint8_t *)text + n);
    return vocab_find_plain(t, text, n);
}

static int bpe_word(const struct tokenizer *t, const char *word, size_t len, struct scratch *sc, struct tokens *out,
                    struct err *e) {
    if (!SCRATCH_GROW(sc->symbol, sc->symbol_cap, len) || !SCRATCH_GROW(sc->text, sc->text_cap, 2 * len))
        return err_set(e, ERR_NOMEM, "no memory to encode %zu bytes", len);
    int32_t whole = t->ignore_merges ? whole_word(t, word, len, sc->text) : -1;
    if (whole >= 0) return tokens_push(out, whole) ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for tokens");
    sc->n_symbol = len;
    for (size_t i = 0; i < len; i++)
        sc->symbol[i] = (struct symbol){(uint32_t)i, 1, t->byte_id[(unsigned char)word[i]], (int32_t)i - 1,
                                        i + 1 < len ? (int32_t)i + 1 : -1};
    if (!merge_run(t, word, bpe_join, sc)) return err_set(e, ERR_NOMEM, "no memory to encode %zu bytes", len);
    int rc = ERR_OK;
    for (int32_t i = 0; i >= 0 && !rc; i = sc->symbol[i].next) {
        const struct symbol *s = &sc->symbol[i];
        if (s->id < 0)
            rc = vocab_push_byte(t, (unsigned char)word[s->begin], out, e);
        else if (!tokens_push(out, s->id))
            rc = err_set(e, ERR_NOMEM, "no memory for tokens");
    }
    return rc;
}

int bpe_encode(const struct tokenizer *t, const char *text, size_t len, struct scratch *sc, struct tokens *out,
               struct err *e) {
    int which;
    int rc = pretok_split(t->pretok, text, len, sc, &which, e);
    size_t at = 0;
    for (size_t i = 0; !rc && i < sc->n_piece[which]; i++) {
        size_t n = sc->piece[which][i].len;
        rc = bpe_word(t, text + at, n, sc, out, e);
        at += n;
    }
    return rc;
}
