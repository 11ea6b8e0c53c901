#include "models/tokenizer/detok.h"

#include "models/tokenizer/impl.h"

#define TAIL_MAX 3 /* an unfinished character is at most this long */

struct detok {
    const struct tokenizer *t;
    struct detok_options opt;
    bool started;
    uint32_t n_tail;
    char *in;  /* the tail, then a piece */
    char *out; /* each byte may become the three of U+FFFD */
};

int detok_new(const struct tokenizer *t, struct detok_options opt, struct detok **out, struct err *e) {
    *out = NULL;
    struct detok *d = calloc(1, sizeof *d);
    size_t in_bytes = (size_t)t->max_piece_len + TAIL_MAX;
    if (d) d->in = malloc(in_bytes);
    if (d) d->out = malloc(3 * in_bytes);
    if (!d || !d->in || !d->out) {
        detok_free(d);
        return err_set(e, ERR_NOMEM, "no memory for the detokenizer");
    }
    d->t = t;
    d->opt = opt;
    *out = d;
    return ERR_OK;
}

void detok_free(struct detok *d) {
    if (!d) return;
    free(d->in);
    free(d->out);
    free(d);
}

static bool is_cont(unsigned char c) { return (c & 0xc0) == 0x80; }

/* Of the character that begins with c; 0: none does. */
static uint32_t utf8_len(unsigned char c) {
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return 0;
    return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Length of the longest start of a character at s (0: no character begins like this); *need is the
 * length that the whole character would have. Table 3-7 of the Unicode standard. */
static uint32_t utf8_start(const unsigned char *s, size_t len, uint32_t *need) {
    *need = utf8_len(s[0]);
    if (*need < 2 || len < 2) return *need ? 1 : 0;
    unsigned char lo = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char hi = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < lo || s[1] > hi) return 1;
    uint32_t n = 2;
    while (n < *need && n < len && is_cont(s[n])) n++;
    return n;
}

static size_t put_replacement(char *out) {
    memcpy(out, "\xef\xbf\xbd", 3);
    return 3;
}

/* Turns the first len bytes of d->in into valid text; an unfinished end stays as the tail. */
static struct token_bytes emit(struct detok *d, size_t len) {
    size_t n_out = 0, at = 0;
    d->n_tail = 0;
    while (at < len) {
        uint32_t need, n = utf8_start((const unsigned char *)d->in + at, len - at, &need);
        if (n && n == need) {
            memcpy(d->out + n_out, d->in + at, n);
            n_out += n;
        } else if (n && at + n == len) {
            d->n_tail = n;
            break;
        } else {
            n_out += put_replacement(d->out + n_out);
        }
        at += n ? n : 1;
    }
    memmove(d->in, d->in + at, d->n_tail);
    return (struct token_bytes){d->out, n_out};
}

struct token_bytes detok_push(struct detok *d, int32_t id) {
    struct token_bytes piece = tokenizer_piece(d->t, id);
    bool special = tokenizer_attr(d->t, id) & (TOKEN_CONTROL | TOKEN_UNKNOWN);
    if (!piece.len || (special && !d->opt.special)) return (struct token_bytes){"", 0};
    bool first = !d->started && !special;
    if (first && d->opt.at_start && d->t->info.add_space_prefix && piece.p[0] == ' ') piece.p++, piece.len--;
    d->started = d->started || first;
    if (d->opt.raw) return piece;
    memcpy(d->in + d->n_tail, piece.p, piece.len);
    return emit(d, d->n_tail + piece.len);
}

struct token_bytes detok_flush(struct detok *d) {
    size_t n = d->n_tail ? put_replacement(d->out) : 0;
    d->n_tail = 0;
    return (struct token_bytes){d->out, n};
}
