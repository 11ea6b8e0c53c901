/* Methods of strings. */
#include <string.h>

#include "models/chat/eval.h"
#include "models/chat/format.h"
#include "models/chat/print.h"
#include "models/chat/text.h"

static struct value str_arg(struct eval *ev, struct value v) {
    eval_need(ev, v);
    if (v.type != VALUE_STR) eval_fail(ev, ERR_FORMAT, "a string is needed, not '%s'", value_type_name(v));
    return v;
}

static int64_t int_arg(struct eval *ev, struct value v, int64_t absent) {
    if (!builtin_has(v)) return absent;
    eval_need(ev, v);
    if (!value_is_int(v)) eval_fail(ev, ERR_FORMAT, "a whole number is needed, not '%s'", value_type_name(v));
    return value_as_int(v);
}

#define TO_CASE(name, to) BUILTIN(name) { return text_to_case(ev, a[0], to); }
TO_CASE(m_upper, TEXT_UPPER)
TO_CASE(m_lower, TEXT_LOWER)
TO_CASE(m_capitalize, TEXT_CAPITALIZE)
TO_CASE(m_title, TEXT_TITLE)

static struct value strip(struct eval *ev, const struct value *a, enum text_sides sides) {
    bool chars = builtin_has(a[1]) && a[1].type != VALUE_NONE;
    struct value set = chars ? str_arg(ev, a[1]) : a[1];
    eval_charge(ev, a[0].len / 64 * (chars ? 1 + set.len / 4 : 1));
    return text_strip(a[0], sides, chars ? &set : NULL);
}
BUILTIN(m_strip) { return strip(ev, a, TEXT_BOTH); }
BUILTIN(m_lstrip) { return strip(ev, a, TEXT_LEFT); }
BUILTIN(m_rstrip) { return strip(ev, a, TEXT_RIGHT); }

/* [start, end) of a string in characters, as find and startswith take it; false when it is empty by order. */
static bool window(struct eval *ev, struct value *s, const struct value *a, size_t *skipped) {
    *skipped = 0;
    if (!builtin_has(a[0])) return true;
    int64_t n = value_len(ev, *s), from = int_arg(ev, a[0].type == VALUE_NONE ? value_int(0) : a[0], 0);
    int64_t to = int_arg(ev, a[1].type == VALUE_NONE ? value_int(n) : a[1], n);
    if (from < 0) from = from + n < 0 ? 0 : from + n;
    if (to < 0) to = to + n < 0 ? 0 : to + n;
    if (from > n || to < from) return false;
    if (to > n) to = n;
    *skipped = text_offset(s->s, s->len, (size_t)from);
    size_t end = text_offset(s->s, s->len, (size_t)to);
    s->s += *skipped;
    s->len = (uint32_t)(end - *skipped);
    return true;
}

static bool ends_with(struct value s, struct value part, bool start) {
    return part.len <= s.len && memcmp(start ? s.s : s.s + s.len - part.len, part.s, part.len) == 0;
}

static struct value has_end(struct eval *ev, const struct value *a, bool start) {
    struct value s = a[0];
    size_t skipped;
    bool any = false;
    eval_need(ev, a[1]);
    if (!window(ev, &s, a + 2, &skipped)) return value_bool(false);
    eval_charge(ev, a[1].type == VALUE_STR ? a[1].len / 64 : 0);
    if (a[1].type != VALUE_TUPLE) return value_bool(ends_with(s, str_arg(ev, a[1]), start));
    for (uint32_t i = 0; i < a[1].list->n; i++) any = any || ends_with(s, str_arg(ev, a[1].list->item[i]), start);
    return value_bool(any);
}
BUILTIN(m_startswith) { return has_end(ev, a, true); }
BUILTIN(m_endswith) { return has_end(ev, a, false); }

static int64_t find(struct eval *ev, const struct value *a, bool last) {
    struct value s = a[0], what = str_arg(ev, a[1]);
    size_t skipped;
    eval_charge(ev, last ? (uint64_t)s.len * (what.len + 1) / 256 : text_find_steps(s.len, what.len));
    if (!window(ev, &s, a + 2, &skipped)) return -1;
    int64_t at = last ? text_rfind(s.s, s.len, what.s, what.len) : text_find(s.s, s.len, what.s, what.len, 0);
    return at < 0 ? -1 : (int64_t)text_n_char(a[0].s, (size_t)at + skipped);
}

BUILTIN(m_find) { return value_int(find(ev, a, false)); }
BUILTIN(m_rfind) { return value_int(find(ev, a, true)); }

static struct value found(struct eval *ev, int64_t at) {
    if (at < 0) eval_fail(ev, ERR_FORMAT, "index(): the substring is not there");
    return value_int(at);
}
BUILTIN(m_index) { return found(ev, find(ev, a, false)); }
BUILTIN(m_rindex) { return found(ev, find(ev, a, true)); }

BUILTIN(m_count) {
    struct value s = a[0], what = str_arg(ev, a[1]);
    size_t skipped;
    int64_t n = 0, at = 0;
    eval_charge(ev, s.len / 16 + text_find_steps(s.len, what.len));
    if (!window(ev, &s, a + 2, &skipped)) return value_int(0);
    if (!what.len) return value_int((int64_t)text_n_char(s.s, s.len) + 1);
    while ((at = text_find(s.s, s.len, what.s, what.len, (size_t)at)) >= 0) {
        at += what.len;
        n++;
    }
    return value_int(n);
}

BUILTIN(m_replace) {
    struct value s = a[0], old = str_arg(ev, a[1]), new = str_arg(ev, a[2]);
    int64_t left = int_arg(ev, a[3], -1), at;
    struct eval_out o = {0};
    uint32_t from = 0;
    eval_charge(ev, s.len / 16 + text_find_steps(s.len, old.len));
    while (left != 0 && (at = text_find(s.s, s.len, old.s, old.len, from)) >= 0) {
        eval_put(ev, &o, s.s + from, (size_t)at - from);
        eval_put(ev, &o, new.s, new.len);
        left--;
        from = (uint32_t)at + old.len;
        if (old.len) continue;
        if (from >= s.len) return eval_out_value(&o);
        size_t n = text_offset(s.s + from, s.len - from, 1); /* nothing is found before every character */
        eval_put(ev, &o, s.s + from, n);
        from += (uint32_t)n;
    }
    if (!from) return s;
    eval_put(ev, &o, s.s + from, s.len - from);
    return eval_out_value(&o);
}

/* The first or last run of non-blanks, which is taken from s; false when there is none. */
static bool next_word(struct value *s, struct value *word, bool last) {
    *s = text_strip(*s, last ? TEXT_RIGHT : TEXT_LEFT, NULL);
    uint32_t n = 0; /* bytes of the word */
    while (n < s->len) {
        uint32_t at = last ? s->len - n - 1 : n;
        int32_t cp;
        while (last && (s->s[at] & 0xc0) == 0x80) at--;
        uint32_t step = text_char(s->s + at, s->len - at, &cp);
        if (text_is_space(cp)) break;
        n += step;
    }
    *word = value_str(last ? s->s + s->len - n : s->s, n);
    if (!last) s->s += n;
    s->len -= n;
    return n > 0;
}

static bool next_part(struct value *s, struct value sep, struct value *part, bool last) {
    int64_t at = last ? text_rfind(s->s, s->len, sep.s, sep.len) : text_find(s->s, s->len, sep.s, sep.len, 0);
    if (at < 0) return false;
    uint32_t behind = (uint32_t)at + sep.len;
    *part = last ? value_str(s->s + behind, s->len - behind) : value_str(s->s, (size_t)at);
    *s = last ? value_str(s->s, (size_t)at) : value_str(s->s + behind, s->len - behind);
    return true;
}

static struct value reversed(struct value l) {
    for (uint32_t i = 0, j = l.list->n; i + 1 < j; i++) {
        struct value t = l.list->item[i];
        l.list->item[i] = l.list->item[--j];
        l.list->item[j] = t;
    }
    return l;
}

static struct value split(struct eval *ev, const struct value *a, bool last) {
    bool blanks = !builtin_has(a[1]) || a[1].type == VALUE_NONE;
    struct value s = a[0], sep = blanks ? a[1] : str_arg(ev, a[1]), part, l = value_list_new(ev, VALUE_LIST, 0);
    int64_t left = int_arg(ev, a[2], -1);
    if (!blanks && !sep.len) eval_fail(ev, ERR_FORMAT, "split() needs a separator that is not empty");
    uint64_t search = blanks ? 0 : last ? (uint64_t)s.len * sep.len / 256 : text_find_steps(s.len, sep.len);
    eval_charge(ev, s.len / 8 + search);
    while (left != 0 && (blanks ? next_word(&s, &part, last) : next_part(&s, sep, &part, last))) {
        value_push(ev, l, part);
        left--;
    }
    if (blanks) s = text_strip(s, last ? TEXT_RIGHT : TEXT_LEFT, NULL);
    if (!blanks || s.len) value_push(ev, l, s);
    return last ? reversed(l) : l;
}
BUILTIN(m_split) { return split(ev, a, false); }
BUILTIN(m_rsplit) { return split(ev, a, true); }

static struct value partition(struct eval *ev, const struct value *a, bool last) {
    struct value s = a[0], sep = str_arg(ev, a[1]), part, t = value_list_new(ev, VALUE_TUPLE, 3);
    if (!sep.len) eval_fail(ev, ERR_FORMAT, "partition() needs a separator that is not empty");
    eval_charge(ev, (uint64_t)s.len * (last ? sep.len : 1) / 256);
    bool cut = next_part(&s, sep, &part, last);
    struct value left = cut ? last ? s : part : last ? VALUE_LIT("") : s;
    struct value right = cut ? last ? part : s : last ? s : VALUE_LIT("");
    value_push(ev, t, left);
    value_push(ev, t, cut ? sep : VALUE_LIT(""));
    value_push(ev, t, right);
    return t;
}
BUILTIN(m_partition) { return partition(ev, a, false); }
BUILTIN(m_rpartition) { return partition(ev, a, true); }

BUILTIN(m_splitlines) {
    struct value s = a[0], l = value_list_new(ev, VALUE_LIST, 0);
    bool keep = builtin_has(a[1]) && value_true(a[1]);
    eval_charge(ev, s.len / 8);
    for (uint32_t from = 0, i = 0; i < s.len;) {
        int32_t cp;
        uint32_t n = text_char(s.s + i, s.len - i, &cp);
        bool at_break = text_is_line_break(cp);
        uint32_t end = i;
        i += n;
        if (cp == '\r' && i < s.len && s.s[i] == '\n') i++;
        if (!at_break && i < s.len) continue;
        value_push(ev, l, value_str(s.s + from, (keep || !at_break ? i : end) - from));
        from = i;
    }
    return l;
}

BUILTIN(m_join) {
    const struct value_list *l = value_items(ev, a[1]);
    struct eval_out o = {0};
    for (uint32_t i = 0; i < l->n; i++) {
        struct value v = str_arg(ev, l->item[i]);
        if (i) eval_put(ev, &o, a[0].s, a[0].len);
        eval_put(ev, &o, v.s, v.len);
    }
    return eval_out_value(&o);
}

BUILTIN(m_format) { return format_braces(ev, a[0], x); }

static struct value without(struct eval *ev, const struct value *a, bool start) {
    struct value part = str_arg(ev, a[1]), s = a[0];
    if (!ends_with(s, part, start)) return s;
    return value_str(start ? s.s + part.len : s.s, s.len - part.len);
}
BUILTIN(m_removeprefix) { return without(ev, a, true); }
BUILTIN(m_removesuffix) { return without(ev, a, false); }

static struct value pad(struct eval *ev, const struct value *a, int left_share, bool zeros) {
    int64_t width = int_arg(ev, a[1], 0), n = value_len(ev, a[0]), missing = width > n ? width - n : 0;
    struct value fill = zeros ? VALUE_LIT("0") : builtin_has(a[2]) ? str_arg(ev, a[2]) : VALUE_LIT(" "), s = a[0];
    if (text_n_char(fill.s, fill.len) != 1) eval_fail(ev, ERR_FORMAT, "the fill must be one character");
    int64_t left = left_share == 2 ? missing : left_share == 1 ? missing / 2 + (missing & width & 1) : 0;
    struct eval_out o = {0};
    eval_charge(ev, (uint64_t)missing / 4);
    bool sign = zeros && s.len && (s.s[0] == '-' || s.s[0] == '+');
    eval_put(ev, &o, s.s, sign);
    for (int64_t i = 0; i < left; i++) eval_put(ev, &o, fill.s, fill.len);
    eval_put(ev, &o, s.s + sign, s.len - sign);
    for (int64_t i = left; i < missing; i++) eval_put(ev, &o, fill.s, fill.len);
    return eval_out_value(&o);
}
BUILTIN(m_center) { return pad(ev, a, 1, false); }
BUILTIN(m_ljust) { return pad(ev, a, 0, false); }
BUILTIN(m_rjust) { return pad(ev, a, 2, false); }
BUILTIN(m_zfill) { return pad(ev, a, 2, true); }

static bool is_alnum(int32_t cp) { return text_is_word(cp) && cp != '_'; }

static struct value all_are(struct eval *ev, struct value s, bool (*is)(int32_t)) {
    eval_charge(ev, s.len / 8);
    for (uint32_t i = 0; i < s.len;) {
        int32_t cp;
        i += text_char(s.s + i, s.len - i, &cp);
        if (!is(cp)) return value_bool(false);
    }
    return value_bool(s.len > 0);
}
static struct value is_case(struct eval *ev, struct value s, bool upper) {
    eval_charge(ev, s.len / 8);
    return value_bool(text_is_case(s, upper));
}
BUILTIN(m_isdigit) { return all_are(ev, a[0], text_is_digit); }
BUILTIN(m_isalpha) { return all_are(ev, a[0], text_is_alpha); }
BUILTIN(m_isalnum) { return all_are(ev, a[0], is_alnum); }
BUILTIN(m_isspace) { return all_are(ev, a[0], text_is_space); }
BUILTIN(m_isupper) { return is_case(ev, a[0], true); }
BUILTIN(m_islower) { return is_case(ev, a[0], false); }

static const struct builtin table[] = {
    {"upper", "", 0, m_upper}, {"lower", "", 0, m_lower}, {"casefold", "", 0, m_lower},
    {"capitalize", "", 0, m_capitalize}, {"title", "", 0, m_title},
    {"strip", "chars", 0, m_strip}, {"lstrip", "chars", 0, m_lstrip}, {"rstrip", "chars", 0, m_rstrip},
    {"startswith", "prefix start end", 1, m_startswith}, {"endswith", "suffix start end", 1, m_endswith},
    {"find", "sub start end", 1, m_find}, {"rfind", "sub start end", 1, m_rfind},
    {"index", "sub start end", 1, m_index}, {"rindex", "sub start end", 1, m_rindex},
    {"count", "sub start end", 1, m_count}, {"replace", "old new count", 2, m_replace},
    {"split", "sep maxsplit", 0, m_split}, {"rsplit", "sep maxsplit", 0, m_rsplit},
    {"partition", "sep", 1, m_partition}, {"rpartition", "sep", 1, m_rpartition},
    {"splitlines", "keepends", 0, m_splitlines}, {"join", "iterable", 1, m_join}, {"format", "*", 0, m_format},
    {"removeprefix", "prefix", 1, m_removeprefix}, {"removesuffix", "suffix", 1, m_removesuffix},
    {"center", "width fillchar", 1, m_center}, {"ljust", "width fillchar", 1, m_ljust},
    {"rjust", "width fillchar", 1, m_rjust}, {"zfill", "width", 1, m_zfill},
    {"isdigit", "", 0, m_isdigit}, {"isdecimal", "", 0, m_isdigit}, {"isnumeric", "", 0, m_isdigit},
    {"isalpha", "", 0, m_isalpha}, {"isalnum", "", 0, m_isalnum}, {"isspace", "", 0, m_isspace},
    {"isupper", "", 0, m_isupper}, {"islower", "", 0, m_islower},
};
const struct builtin_table method_str = {table, sizeof table / sizeof *table};
