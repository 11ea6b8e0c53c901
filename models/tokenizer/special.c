/* Special tokens: which ids they have, which of them end generation, and finding them in text. */
#include <strings.h>

#include "models/tokenizer/impl.h"

/* An id out of range counts as absent: files with -1 or a stale padding id are common. */
static int32_t special_id(const struct tokenizer *t, const struct gguf *g, const char *key, int32_t otherwise) {
    uint32_t id;
    if (gguf_get_u32(g, key, &id) && id < t->info.n_vocab) return (int32_t)id;
    return otherwise >= 0 && (uint32_t)otherwise < t->info.n_vocab ? otherwise : -1;
}

static int add_flags(struct tokenizer *t, const struct gguf *g, const struct pretok_flags *pf, struct err *e) {
    struct tokenizer_info *in = &t->info;
    in->add_bos = (t->spm || pf->add_bos) && in->bos >= 0;
    bool flag;
    if (gguf_get_bool(g, "tokenizer.ggml.add_bos_token", &flag)) in->add_bos = flag;
    if (gguf_get_bool(g, "tokenizer.ggml.add_eos_token", &flag)) in->add_eos = flag;
    in->add_space_prefix = t->spm;
    if (gguf_get_bool(g, "tokenizer.ggml.add_space_prefix", &flag)) in->add_space_prefix = flag && t->spm;
    if (in->add_bos && in->bos < 0)
        return err_set(e, ERR_FORMAT, "tokenizer.ggml.add_bos_token is true, but the file names no valid BOS token");
    if (in->add_eos && in->eos < 0)
        return err_set(e, ERR_FORMAT, "tokenizer.ggml.add_eos_token is true, but the file names no valid EOS token");
    return ERR_OK;
}

int special_ids(struct tokenizer *t, const struct gguf *g, const struct pretok_flags *pf, struct err *e) {
    struct tokenizer_info *in = &t->info;
    in->bos = special_id(t, g, "tokenizer.ggml.bos_token_id", t->spm ? 1 : -1);
    in->eos = special_id(t, g, "tokenizer.ggml.eos_token_id", t->spm ? 2 : -1);
    in->unk = special_id(t, g, "tokenizer.ggml.unknown_token_id", t->spm ? 0 : -1);
    in->eot = special_id(t, g, "tokenizer.ggml.eot_token_id", -1);
    in->eom = special_id(t, g, "tokenizer.ggml.eom_token_id", -1);
    in->pad = special_id(t, g, "tokenizer.ggml.padding_token_id", -1);
    return add_flags(t, g, pf, e);
}

static int32_t find_text(const struct tokenizer *t, const char *text) { return vocab_find(t, text, strlen(text)); }

/* Texts that end a turn in models whose files do not say so; all become control tokens. */
#define DEEPSEEK_EOS "<\uff5cend\u2581of\u2581sentence\uff5c>"
static const char *const eog_texts[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>",
    "[EOT]", DEEPSEEK_EOS, "<end_of_utterance>",
    /* from here on they end generation but are not an end of turn */
    "<|eom_id|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "</s>", "[EOS]", "<eos>", "<turn|>", "[e~[",
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<reponame>", "<|file_sep|>",
};
#define N_EOT_TEXTS 11

static void set_eog(struct tokenizer *t, int32_t id) {
    if (id >= 0) t->token[id].attr |= TOKEN_EOG;
}

static void mark_eog(struct tokenizer *t) {
    struct tokenizer_info *in = &t->info;
    for (size_t i = 0; i < sizeof eog_texts / sizeof *eog_texts; i++) {
        int32_t id = find_text(t, eog_texts[i]);
        if (id < 0) continue;
        t->token[id].attr = (t->token[id].attr & ~(uint32_t)TOKEN_NORMAL) | TOKEN_CONTROL | TOKEN_EOG;
        if (i < N_EOT_TEXTS && in->eot < 0) in->eot = id;
    }
    if (in->eom < 0) in->eom = find_text(t, "<|eom_id|>");
    set_eog(t, in->eos);
    set_eog(t, in->eot);
    set_eog(t, in->eom);
    /* gpt-oss: <|end|> only ends one message of several */
    int32_t end = find_text(t, "<|end|>");
    if (end >= 0 && end != in->eos && find_text(t, "<|return|>") >= 0 && find_text(t, "<|call|>") >= 0)
        t->token[end].attr &= ~(uint32_t)TOKEN_EOG;
}

/* Phi-3 swallows the white space after its special tokens; its files do not say so, only their name does. */
static void mark_rstrip(struct tokenizer *t, const struct gguf *g) {
    struct gguf_str name;
    if (!gguf_get_str(g, "general.name", &name)) return;
    bool phi3 = false;
    for (uint64_t i = 0; i + 4 <= name.len && !phi3; i++)
        phi3 = (i + 5 <= name.len && !strncasecmp(name.p + i, "phi-3", 5)) || !strncasecmp(name.p + i, "phi3", 4);
    if (!phi3) return;
    for (uint32_t id = 0; id < t->info.n_vocab; id++)
        if (t->token[id].attr & (TOKEN_CONTROL | TOKEN_USER_DEFINED)) t->token[id].attr |= TOKEN_RSTRIP;
    static const char *const keep[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (size_t i = 0; i < sizeof keep / sizeof *keep; i++) {
        int32_t id = find_text(t, keep[i]);
        if (id >= 0) t->token[id].attr &= ~(uint32_t)TOKEN_RSTRIP;
    }
}

static int special_order(const void *a, const void *b) {
    const struct special *x = a, *y = b;
    int c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    if (c) return c;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int set_load(const struct tokenizer *t, uint32_t attrs, struct special_set *set, struct err *e) {
    uint32_t n = 0;
    for (uint32_t id = 0; id < t->info.n_vocab; id++) n += (t->token[id].attr & attrs) && t->token[id].text_len;
    set->at = malloc((n + 1) * sizeof *set->at);
    if (!set->at) return err_set(e, ERR_NOMEM, "no memory for special tokens");
    for (uint32_t id = 0; id < t->info.n_vocab; id++) {
        const struct vocab_token *v = &t->token[id];
        if (!(v->attr & attrs) || !v->text_len) continue;
        if (v->text_len > SPECIAL_MAX_BYTES)
            return err_set(e, ERR_FORMAT, "tokenizer.ggml.tokens: special token %u has %u bytes; the most is %d", id,
                           v->text_len, SPECIAL_MAX_BYTES);
        set->at[set->n++] = (struct special){t->pool + v->text, v->text_len, (int32_t)id};
    }
    qsort(set->at, set->n, sizeof *set->at, special_order);
    for (uint32_t i = 0, b = 0; b < 256; b++) {
        while (i < set->n && (unsigned char)set->at[i].text[0] < b) i++;
        set->first[b] = i;
    }
    set->first[256] = set->n;
    return ERR_OK;
}

void special_mark(struct tokenizer *t, const struct gguf *g) {
    mark_eog(t);
    mark_rstrip(t, g);
}

int special_sets(struct tokenizer *t, struct err *e) {
    int rc = set_load(t, TOKEN_CONTROL | TOKEN_USER_DEFINED | TOKEN_UNKNOWN, &t->special, e);
    return rc ? rc : set_load(t, TOKEN_USER_DEFINED, &t->user_defined, e);
}

/* First special of lo..hi whose byte at `depth` is at least b; all share their first `depth` bytes. */
static uint32_t special_bound(const struct special_set *s, uint32_t lo, uint32_t hi, uint32_t depth, int b) {
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = depth < s->at[mid].len ? (unsigned char)s->at[mid].text[depth] : -1;
        if (c < b)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Narrows the sorted range byte by byte. */
const struct special *special_match(const struct special_set *s, const char *text, size_t len) {
    unsigned char b = (unsigned char)text[0];
    uint32_t lo = s->first[b], hi = s->first[b + 1];
    const struct special *best = NULL;
    for (uint32_t depth = 1; lo < hi; depth++) {
        if (s->at[lo].len == depth) best = &s->at[lo];
        if (depth >= len) break;
        b = (unsigned char)text[depth];
        lo = special_bound(s, lo, hi, depth, b);
        hi = special_bound(s, lo, hi, depth, b + 1);
    }
    return best;
}
