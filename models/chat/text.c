#include "models/chat/text.h"

#include <string.h>
#include <utf8proc.h>

#include "models/chat/eval.h"

bool text_valid(const char *s, size_t len) {
    while (len) {
        utf8proc_int32_t cp;
        size_t n = 1;
        if (*s & 0x80) {
            utf8proc_ssize_t k =
                utf8proc_iterate((const utf8proc_uint8_t *)s, len > 4 ? 4 : (utf8proc_ssize_t)len, &cp);
            if (k <= 0) return false;
            n = (size_t)k;
        }
        s += n;
        len -= n;
    }
    return true;
}

static bool is_lead(char c) { return (c & 0xc0) != 0x80; }

size_t text_n_char(const char *s, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += is_lead(s[i]);
    return n;
}

size_t text_offset(const char *s, size_t len, size_t i_char) {
    size_t i = 0;
    while (i < len && i_char--) {
        i++;
        while (i < len && !is_lead(s[i])) i++;
    }
    return i;
}

uint32_t text_char(const char *s, size_t len, int32_t *cp) {
    if (!(*s & 0x80)) {
        *cp = *s;
        return 1;
    }
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, len > 4 ? 4 : (utf8proc_ssize_t)len, cp);
    CHECK(n > 0);
    return (uint32_t)n;
}

uint32_t text_encode(int32_t cp, char out[4]) { return (uint32_t)utf8proc_encode_char(cp, (utf8proc_uint8_t *)out); }

bool text_is_space(int32_t cp) {
    if (cp < 0x80) return cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x1f);
    return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 ||
           cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

bool text_is_line_break(int32_t cp) {
    return (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
}

bool text_is_alpha(int32_t cp) {
    utf8proc_category_t c = utf8proc_category(cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool text_is_digit(int32_t cp) {
    return cp < 0x80 ? cp >= '0' && cp <= '9' : utf8proc_category(cp) == UTF8PROC_CATEGORY_ND;
}

bool text_is_word(int32_t cp) {
    if (cp == '_') return true;
    utf8proc_category_t c = utf8proc_category(cp);
    return text_is_alpha(cp) || (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO);
}

int64_t text_find(const char *s, size_t len, const char *what, size_t n, size_t from) {
    if (from > len || n > len - from) return -1;
    if (n == 0) return (int64_t)from;
    for (size_t step = 256; len - from >= n; from += step, step *= 2) { /* sanitizers look at all that memmem is given */
        size_t left = len - from, span = left < step + n - 1 ? left : step + n - 1;
        const char *p = memmem(s + from, span, what, n);
        if (p) return p - s;
        if (span == left) return -1;
    }
    return -1;
}

int64_t text_rfind(const char *s, size_t len, const char *what, size_t n) {
    if (n > len) return -1;
    for (size_t i = len - n + 1; i-- > 0;)
        if (memcmp(s + i, what, n) == 0) return (int64_t)i;
    return -1;
}

static bool strips(int32_t cp, const struct value *chars) {
    if (!chars) return text_is_space(cp);
    for (uint32_t i = 0; i < chars->len;) {
        int32_t c;
        i += text_char(chars->s + i, chars->len - i, &c);
        if (c == cp) return true;
    }
    return false;
}

struct value text_strip(struct value v, enum text_sides sides, const struct value *chars) {
    int32_t cp;
    while (v.len && sides & TEXT_LEFT) {
        uint32_t n = text_char(v.s, v.len, &cp);
        if (!strips(cp, chars)) break;
        v.s += n;
        v.len -= n;
    }
    while (v.len && sides & TEXT_RIGHT) {
        uint32_t at = v.len - 1;
        while (!is_lead(v.s[at])) at--;
        text_char(v.s + at, v.len - at, &cp);
        if (!strips(cp, chars)) break;
        v.len = at;
    }
    return v;
}

size_t text_trailing_space(const char *s, size_t len) {
    return len - text_strip(value_str(s, len), TEXT_RIGHT, NULL).len;
}

size_t text_leading_space(const char *s, size_t len) {
    return len - text_strip(value_str(s, len), TEXT_LEFT, NULL).len;
}

static bool has_case(int32_t cp) {
    utf8proc_category_t c = utf8proc_category(cp);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT;
}

bool text_is_case(struct value v, bool upper) {
    bool any = false;
    for (uint32_t i = 0; i < v.len;) {
        int32_t cp;
        i += text_char(v.s + i, v.len - i, &cp);
        if (!has_case(cp)) continue;
        if ((utf8proc_category(cp) == UTF8PROC_CATEGORY_LL) == upper) return false;
        any = true;
    }
    return any;
}

/* Jinja's title filter begins words at the start and behind these, str.title behind anything without case. */
static bool begins_word(int32_t cp, enum text_case to) {
    if (to == TEXT_TITLE) return !has_case(cp);
    return cp == '-' || cp == '(' || cp == '{' || cp == '[' || cp == '<' || text_is_space(cp);
}

/* The other case of one character can be two; of these only the German and the Turkish one are met in practice. */
static uint32_t put_case(int32_t cp, bool upper, bool title, char *out) {
    if (cp == 0x130 && !upper) return (uint32_t)(memcpy(out, "i\xcc\x87", 3), 3);
    if (cp == 0xdf && upper) return (uint32_t)(memcpy(out, title ? "Ss" : "SS", 2), 2);
    if (title && upper) return text_encode(utf8proc_totitle(cp), out);
    return text_encode(upper ? utf8proc_toupper(cp) : utf8proc_tolower(cp), out);
}

struct value text_to_case(struct eval *ev, struct value v, enum text_case to) {
    eval_charge(ev, v.len / 4);
    char *out = eval_alloc(ev, (size_t)v.len * 2 + 4); /* no simple mapping grows more (U+023A: 2 bytes to 3) */
    uint32_t n = 0;
    bool start = true;
    for (uint32_t i = 0; i < v.len;) {
        int32_t cp;
        i += text_char(v.s + i, v.len - i, &cp);
        bool upper = to == TEXT_UPPER || (start && to != TEXT_LOWER);
        n += put_case(cp, upper, to == TEXT_TITLE || to == TEXT_CAPITALIZE, out + n);
        start = to >= TEXT_TITLE && begins_word(cp, to);
    }
    return value_str(out, n);
}
