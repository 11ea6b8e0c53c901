#include "models/chat/lex.h"

#include <errno.h>
#include <string.h>

#include "models/chat/text.h"

void lex_place(const char *s, uint32_t pos, uint32_t *line, uint32_t *column) {
    uint32_t start = 0;
    *line = 1;
    for (uint32_t i = 0; i < pos; i++)
        if (s[i] == '\n') {
            ++*line;
            start = i + 1;
        }
    *column = (uint32_t)text_n_char(s + start, pos - start) + 1;
}

_Noreturn void lex_fail(struct lex *l, uint32_t pos, const char *fmt, ...) {
    char text[300];
    uint32_t line, column;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lex_place(l->s, pos < l->len ? pos : l->len, &line, &column);
    err_set(l->e, ERR_FORMAT, "line %u, column %u: %s", line, column, text);
    longjmp(l->fail, 1);
}

char *lex_normalize(struct arena *a, const char *source, size_t len, size_t *out_len) {
    char *out = arena_alloc(a, len + 1);
    if (!out) return NULL;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool cr = source[i] == '\r';
        out[n++] = cr ? '\n' : source[i];
        if (cr && i + 1 < len && source[i + 1] == '\n') i++;
    }
    if (n && out[n - 1] == '\n') n--;
    out[n] = 0;
    *out_len = n;
    return out;
}

static char at(const struct lex *l, uint32_t pos) { return pos < l->len ? l->s[pos] : 0; }

static bool looking_at(const struct lex *l, uint32_t pos, const char *what) {
    size_t n = strlen(what);
    return n <= l->len - pos && memcmp(l->s + pos, what, n) == 0;
}

static uint32_t skip_space(const struct lex *l, uint32_t pos) {
    return pos + (uint32_t)text_leading_space(l->s + pos, l->len - pos);
}

/* Ends a tag at pos ("%}" there): what trim_blocks or "-" takes away behind it. */
static void close_tag(struct lex *l, uint32_t pos, char sign, bool trims) {
    uint32_t end = pos + 2;
    if (sign == '-') end = skip_space(l, end);
    else if (trims && sign != '+' && at(l, end) == '\n') end++;
    l->line_start = l->s[end - 1] == '\n';
    l->pos = end;
}

/* The data before a tag, less what its sign or lstrip_blocks takes away. */
static struct token data_token(const struct lex *l, uint32_t from, uint32_t to, char sign, bool block) {
    const char *s = l->s + from;
    uint32_t n = to - from, line = n;
    if (sign == '-') {
        n -= (uint32_t)text_trailing_space(s, n);
    } else if (sign != '+' && block) {
        while (line > 0 && s[line - 1] != '\n') line--;
        if ((line > 0 || l->line_start) && text_leading_space(s + line, n - line) == n - line) n = line;
    }
    return (struct token){TOK_DATA, from, value_str(s, n)};
}

/* "{% raw %}" or "{% endraw %}" at pos: the place behind the word and its blanks, or 0. */
static uint32_t raw_word(const struct lex *l, uint32_t pos, const char *word) {
    uint32_t p = pos + 2;
    if (at(l, p) == '-' || at(l, p) == '+') p++;
    p = skip_space(l, p);
    return looking_at(l, p, word) ? skip_space(l, p + (uint32_t)strlen(word)) : 0;
}

static char sign_at(const struct lex *l, uint32_t pos) {
    char c = at(l, pos);
    return c == '-' || c == '+' ? c : 0;
}

/* Behind "{% raw %}": everything up to its end is data. */
static struct token raw_token(struct lex *l) {
    uint32_t from = l->pos;
    for (uint32_t p = from; p < l->len; p++) {
        if (!looking_at(l, p, "{%")) continue;
        uint32_t end = raw_word(l, p, "endraw");
        char sign = end ? sign_at(l, end) : 0;
        if (!end || !looking_at(l, end + (sign != 0), "%}")) continue;
        struct token t = data_token(l, from, p, sign_at(l, p + 2), true);
        close_tag(l, end + (sign != 0), sign, true);
        return t;
    }
    lex_fail(l, from, "{%% raw %%} has no {%% endraw %%}");
}

static void skip_comment(struct lex *l, uint32_t open) {
    uint32_t from = open + 2 + (sign_at(l, open + 2) != 0);
    int64_t end = text_find(l->s, l->len, "#}", 2, from);
    if (end < 0) lex_fail(l, open, "the comment that begins here has no #}");
    char sign = (uint32_t)end > from ? sign_at(l, (uint32_t)end - 1) : 0;
    close_tag(l, (uint32_t)end, sign, true);
}

/* Outside of tags: the data up to the next tag (maybe empty), and the tag opened. */
static struct token root_token(struct lex *l) {
    uint32_t from = l->pos, p = from;
    while (p < l->len && !(l->s[p] == '{' && strchr("{%#", at(l, p + 1)) && at(l, p + 1))) p++;
    if (p == l->len) {
        l->pos = p;
        return (struct token){from < p ? TOK_DATA : TOK_END, from, value_str(l->s + from, p - from)};
    }
    char kind = l->s[p + 1], sign = sign_at(l, p + 2);
    struct token t = data_token(l, from, p, sign, kind != '{');
    l->line_start = false;
    if (kind == '#') {
        skip_comment(l, p);
        return t;
    }
    uint32_t raw = kind == '%' ? raw_word(l, p, "raw") : 0;
    bool minus = raw && at(l, raw) == '-';
    if (raw && looking_at(l, raw + minus, "%}")) {
        close_tag(l, raw + minus, minus ? '-' : 0, false);
        if (t.value.len) l->tag = TOK_DATA; /* the raw text comes with the next call */
        else t = raw_token(l);
        return t;
    }
    l->pos = p + 2 + (sign != 0);
    l->tag = kind == '{' ? TOK_PRINT_END : TOK_BLOCK_END;
    l->opened = p;
    return t;
}

static bool end_of_tag(struct lex *l, struct token *t) {
    if (l->n_closer) return false;
    bool block = l->tag == TOK_BLOCK_END;
    char sign = at(l, l->pos) == '-' || (block && at(l, l->pos) == '+') ? at(l, l->pos) : 0;
    uint32_t p = l->pos + (sign != 0);
    if (!looking_at(l, p, block ? "%}" : "}}")) return false;
    *t = (struct token){l->tag, l->pos, {0}};
    l->tag = TOK_END;
    close_tag(l, p, sign, block);
    return true;
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f') return (c | 32) - 'a' + 10;
    return 99;
}

/* Digits with single underscores between them. */
static uint32_t skip_digits(const struct lex *l, uint32_t p) {
    while (digit_value(at(l, p)) < 10 || (at(l, p) == '_' && digit_value(at(l, p + 1)) < 10)) p++;
    return p;
}

static bool float_token(struct lex *l, struct token *t) {
    uint32_t p = skip_digits(l, l->pos);
    bool real = false;
    if (l->pos && l->s[l->pos - 1] == '.') return false;
    if (at(l, p) == '.' && digit_value(at(l, p + 1)) < 10) {
        p = skip_digits(l, p + 1);
        real = true;
    }
    if ((at(l, p) | 32) == 'e') {
        uint32_t q = p + 1 + (at(l, p + 1) == '+' || at(l, p + 1) == '-');
        if (digit_value(at(l, q)) < 10) {
            p = skip_digits(l, q);
            real = true;
        }
    }
    if (!real) return false;
    char text[64];
    uint32_t n = 0;
    for (uint32_t i = l->pos; i < p; i++)
        if (l->s[i] != '_' && n < sizeof text - 1) text[n++] = l->s[i];
    text[n] = 0;
    if (p - l->pos >= sizeof text) lex_fail(l, l->pos, "this number has too many digits");
    *t = (struct token){TOK_FLOAT, l->pos, value_float(strtod(text, NULL))};
    l->pos = p;
    return true;
}

static struct token int_token(struct lex *l) {
    uint32_t p = l->pos;
    int base = 10;
    if (l->s[p] == '0') {
        char x = at(l, p + 1) | 32;
        base = x == 'x' ? 16 : x == 'o' ? 8 : x == 'b' ? 2 : 0;
        uint32_t first = p + 2 + (at(l, p + 2) == '_');
        if (base && digit_value(at(l, first)) < base) p = first;
        else base = 1; /* only further zeros */
    }
    int64_t v = 0;
    while (digit_value(at(l, p)) < base || (at(l, p) == '_' && digit_value(at(l, p + 1)) < base)) {
        if (l->s[p] != '_' && (__builtin_mul_overflow(v, base, &v) ||
                               __builtin_add_overflow(v, digit_value(l->s[p]), &v)))
            lex_fail(l, l->pos, "this number does not fit into 64 bits");
        p++;
    }
    struct token t = {TOK_INT, l->pos, value_int(v)};
    l->pos = p;
    return t;
}

static struct token name_token(struct lex *l) {
    uint32_t from = l->pos;
    while (l->pos < l->len) {
        int32_t cp;
        uint32_t n = text_char(l->s + l->pos, l->len - l->pos, &cp);
        if (!text_is_word(cp)) break;
        l->pos += n;
    }
    return (struct token){TOK_NAME, from, value_str(l->s + from, l->pos - from)};
}

static int32_t hex_escape(struct lex *l, uint32_t p, uint32_t end, uint32_t n) {
    int32_t cp = 0;
    for (uint32_t i = 0; i < n; i++) {
        int d = p + i < end ? digit_value(l->s[p + i]) : 99;
        if (d > 15) lex_fail(l, p, "this escape needs %u hexadecimal digits", n);
        cp = (int32_t)((uint32_t)cp << 4 | (uint32_t)d);
    }
    return cp;
}

/* One escape at p (behind the backslash) to out; moves both. */
static void unescape(struct lex *l, uint32_t *p, uint32_t end, char **out) {
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = l->s[(*p)++];
    const char *simple = c ? strchr(from, c) : NULL;
    int32_t cp = -1;
    if (simple) {
        *(*out)++ = to[simple - from];
    } else if (c == 'x' || c == 'u' || c == 'U') {
        uint32_t n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        cp = hex_escape(l, *p, end, n);
        *p += n;
        if (cp >= 0xd800 && cp < 0xdc00 && *p + 6 <= end && l->s[*p] == '\\' && l->s[*p + 1] == 'u') {
            int32_t low = hex_escape(l, *p + 2, end, 4);
            if (low >= 0xdc00 && low < 0xe000) cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
            *p += 6;
        }
    } else if (c >= '0' && c <= '7') {
        cp = c - '0';
        for (int i = 0; i < 2 && *p < end && l->s[*p] >= '0' && l->s[*p] <= '7'; i++)
            cp = cp * 8 + (l->s[(*p)++] - '0');
    } else if (c != '\n') { /* unknown: the backslash stays; before a newline both go */
        *(*out)++ = '\\';
        --*p;
        return;
    }
    if (cp < 0) return;
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) lex_fail(l, *p, "this escape is not a character");
    *out += text_encode(cp, *out);
}

static struct token str_token(struct lex *l) {
    uint32_t open = l->pos, p = open + 1;
    char quote = l->s[open];
    bool plain = true;
    while (p < l->len && l->s[p] != quote) {
        if (l->s[p] == '\\') {
            plain = false;
            p++;
        }
        p++;
    }
    if (p >= l->len) lex_fail(l, open, "the string that begins here has no end");
    l->pos = p + 1;
    struct token t = {TOK_STR, open, value_str(l->s + open + 1, p - open - 1)};
    if (plain) return t;
    char *buf = arena_alloc(l->arena, p - open), *out = buf; /* no escape grows */
    if (!buf) lex_fail(l, open, "no memory for the template");
    for (uint32_t i = open + 1; i < p;) {
        if (l->s[i] != '\\') {
            *out++ = l->s[i++];
            continue;
        }
        i++;
        unescape(l, &i, p, &out);
    }
    t.value = value_str(buf, (size_t)(out - buf));
    return t;
}

static const struct {
    char text[3];
    enum token_type type;
} operators[] = { /* the longer ones first */
    {"//", TOK_FLOORDIV}, {"**", TOK_POW}, {"==", TOK_EQ}, {"!=", TOK_NE}, {"<=", TOK_LE}, {">=", TOK_GE},
    {"+", TOK_ADD}, {"-", TOK_SUB}, {"*", TOK_MUL}, {"/", TOK_DIV}, {"%", TOK_MOD}, {"~", TOK_TILDE},
    {"<", TOK_LT}, {">", TOK_GT}, {"=", TOK_ASSIGN}, {".", TOK_DOT}, {",", TOK_COMMA}, {":", TOK_COLON},
    {"|", TOK_PIPE}, {"(", TOK_LPAREN}, {")", TOK_RPAREN}, {"[", TOK_LBRACKET}, {"]", TOK_RBRACKET},
    {"{", TOK_LBRACE}, {"}", TOK_RBRACE},
};
#define N_OPERATOR (sizeof operators / sizeof operators[0])

const char *lex_token_name(enum token_type type) {
    switch (type) {
    case TOK_END: return "the end of the template";
    case TOK_DATA: return "text";
    case TOK_BLOCK_BEGIN: return "'{%'";
    case TOK_BLOCK_END: return "'%}'";
    case TOK_PRINT_BEGIN: return "'{{'";
    case TOK_PRINT_END: return "'}}'";
    case TOK_NAME: return "a name";
    case TOK_STR: return "a string";
    case TOK_INT: case TOK_FLOAT: return "a number";
    default: break;
    }
    for (size_t i = 0; i < N_OPERATOR; i++)
        if (operators[i].type == type) return operators[i].text;
    return "?";
}

static void push_closer(struct lex *l, char c) {
    if (l->n_closer == sizeof l->closers) lex_fail(l, l->pos, "more than %zu open brackets", sizeof l->closers);
    l->closers[l->n_closer++] = c;
}

static void balance(struct lex *l, enum token_type type) {
    if (type == TOK_LPAREN) push_closer(l, ')');
    if (type == TOK_LBRACKET) push_closer(l, ']');
    if (type == TOK_LBRACE) push_closer(l, '}');
    if (type != TOK_RPAREN && type != TOK_RBRACKET && type != TOK_RBRACE) return;
    if (!l->n_closer) lex_fail(l, l->pos, "'%c' closes nothing", l->s[l->pos]);
    char want = l->closers[--l->n_closer];
    if (want != l->s[l->pos]) lex_fail(l, l->pos, "'%c' where '%c' is expected", l->s[l->pos], want);
}

static struct token operator_token(struct lex *l) {
    for (size_t i = 0; i < N_OPERATOR; i++) {
        if (!looking_at(l, l->pos, operators[i].text)) continue;
        balance(l, operators[i].type);
        struct token t = {operators[i].type, l->pos, {0}};
        l->pos += (uint32_t)strlen(operators[i].text);
        return t;
    }
    lex_fail(l, l->pos, "unexpected character '%.*s'", (int)text_offset(l->s + l->pos, l->len - l->pos, 1),
             l->s + l->pos);
}

static struct token tag_token(struct lex *l) {
    struct token t;
    if (end_of_tag(l, &t)) return t;
    l->pos = skip_space(l, l->pos);
    if (end_of_tag(l, &t)) return t;
    if (l->pos >= l->len) lex_fail(l, l->opened, "the tag that begins here has no end");
    int32_t cp;
    text_char(l->s + l->pos, l->len - l->pos, &cp);
    if (cp >= '0' && cp <= '9') return float_token(l, &t) ? t : int_token(l);
    if (text_is_word(cp)) return name_token(l);
    if (cp == '\'' || cp == '"') return str_token(l);
    return operator_token(l);
}

struct token lex_next(struct lex *l) {
    for (;;) {
        if (l->tag == TOK_DATA) {
            l->tag = TOK_END;
            struct token t = raw_token(l);
            if (t.value.len) return t;
        }
        if (l->tag != TOK_END && !l->begun) {
            l->begun = true;
            return (struct token){l->tag == TOK_BLOCK_END ? TOK_BLOCK_BEGIN : TOK_PRINT_BEGIN, l->opened, {0}};
        }
        if (l->tag != TOK_END) return tag_token(l);
        l->begun = false;
        struct token t = root_token(l);
        if (t.type == TOK_END || t.value.len) return t;
    }
}
