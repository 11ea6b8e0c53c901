/* Filters that give text. */
#include <string.h>

#include "models/chat/eval.h"
#include "models/chat/format.h"
#include "models/chat/ops.h"
#include "models/chat/print.h"
#include "models/chat/text.h"

#define TO_CASE(name, to) BUILTIN(name) { return text_to_case(ev, value_to_str(ev, a[0]), to); }
TO_CASE(f_upper, TEXT_UPPER)
TO_CASE(f_lower, TEXT_LOWER)
TO_CASE(f_capitalize, TEXT_CAPITALIZE)
TO_CASE(f_title, TEXT_TITLE_FILTER)

BUILTIN(f_string) { return value_to_str(ev, a[0]); }
BUILTIN(f_escape) { return print_escaped(ev, a[0]); }

BUILTIN(f_forceescape) {
    struct value v = value_to_str(ev, a[0]);
    v.flags = 0;
    return print_escaped(ev, v);
}

BUILTIN(f_safe) {
    struct value v = value_to_str(ev, a[0]);
    v.flags = VALUE_SAFE;
    return v;
}

BUILTIN(f_trim) {
    struct value v = value_to_str(ev, a[0]);
    bool chars = builtin_has(a[1]) && a[1].type != VALUE_NONE;
    if (chars && a[1].type != VALUE_STR)
        eval_fail(ev, ERR_FORMAT, "'trim' takes a string, not '%s'", value_type_name(a[1]));
    eval_charge(ev, v.len / 64 * (chars ? 1 + a[1].len / 4 : 1));
    return text_strip(v, TEXT_BOTH, chars ? &a[1] : NULL);
}

BUILTIN(f_replace) {
    struct value args[4] = {value_to_str(ev, a[0]), value_to_str(ev, a[1]), value_to_str(ev, a[2]), a[3]};
    if (args[3].type == VALUE_NONE) args[3] = (struct value){0};
    return builtin_in(&method_str, VALUE_LIT("replace"))->run(ev, args, x);
}

BUILTIN(f_indent) {
    bool first = builtin_has(a[2]) && value_true(a[2]), blank = builtin_has(a[3]) && value_true(a[3]);
    struct value pad = builtin_has(a[1]) ? a[1] : value_int(4), s = a[0];
    eval_need(ev, s);
    if (s.type != VALUE_STR) eval_fail(ev, ERR_FORMAT, "'indent' needs a string, not '%s'", value_type_name(s));
    if (pad.type != VALUE_STR) pad = ops_binary(ev, OP_MUL, VALUE_LIT(" "), pad);
    struct eval_out o = {0};
    for (uint32_t from = 0, line = 0; from <= s.len; line++) {
        uint32_t end = from, n = 0;
        for (int32_t cp; end < s.len; end += n) {
            n = text_char(s.s + end, s.len - end, &cp);
            if (text_is_line_break(cp)) break;
        }
        if (line) eval_put(ev, &o, "\n", 1);
        if (line ? blank || end > from : first) eval_put(ev, &o, pad.s, pad.len);
        eval_put(ev, &o, s.s + from, end - from);
        if (end >= s.len) break;
        from = end + n + (s.s[end] == '\r' && end + 1 < s.len && s.s[end + 1] == '\n');
    }
    return eval_out_value(&o);
}

static struct value json_indent(struct eval *ev, struct value v) {
    if (!builtin_has(v) || v.type == VALUE_NONE) return (struct value){0};
    eval_need(ev, v);
    if (v.type == VALUE_STR) return v;
    if (!value_is_int(v)) eval_fail(ev, ERR_FORMAT, "the indent of 'tojson' must be a number or a string");
    return ops_binary(ev, OP_MUL, VALUE_LIT(" "), v);
}

BUILTIN(f_tojson) {
    struct print_json how = {.ascii = builtin_has(a[1]) && value_true(a[1]), .indent = json_indent(ev, a[2]),
                             .key_sep = VALUE_LIT(": "), .sort_keys = builtin_has(a[4]) && value_true(a[4])};
    how.item_sep = builtin_has(how.indent) ? VALUE_LIT(",") : VALUE_LIT(", ");
    if (builtin_has(a[3]) && a[3].type != VALUE_NONE) {
        const struct value_list *two = value_items(ev, a[3]);
        if (two->n != 2 || two->item[0].type != VALUE_STR || two->item[1].type != VALUE_STR)
            eval_fail(ev, ERR_FORMAT, "the separators of 'tojson' are two strings");
        how.item_sep = two->item[0];
        how.key_sep = two->item[1];
    }
    struct eval_out o = {0};
    print_json(ev, &o, a[0], &how, 0);
    return eval_out_value(&o);
}

BUILTIN(f_format) {
    struct value args = value_list_new(ev, VALUE_TUPLE, x->n_pos);
    for (uint32_t i = 0; i < x->n_pos; i++) value_push(ev, args, x->pos[i]);
    if (x->n_kw) args = value_dict_new(ev, VALUE_DICT);
    for (uint32_t i = 0; i < x->n_kw; i++) value_put(ev, args.dict, x->kw[i].key, x->kw[i].value);
    if (x->n_kw && x->n_pos) eval_fail(ev, ERR_FORMAT, "'format' takes values by position or by name, not both");
    return format_percent(ev, value_to_str(ev, a[0]), args);
}

static int64_t int_or(struct value v, int64_t absent) { return value_is_int(v) ? value_as_int(v) : absent; }

BUILTIN(f_truncate) {
    struct value s = value_to_str(ev, a[0]), end = builtin_has(a[3]) ? value_to_str(ev, a[3]) : VALUE_LIT("...");
    int64_t length = int_or(a[1], 255), leeway = int_or(a[4], 5), n_end = value_len(ev, end);
    if (length < n_end || leeway < 0) eval_fail(ev, ERR_FORMAT, "'truncate' to less than its own ending");
    if (value_len(ev, s) <= length + leeway) return s;
    s = ops_slice(ev, s, value_int(0), value_int(length - n_end), (struct value){0});
    int64_t space = builtin_has(a[2]) && value_true(a[2]) ? -1 : text_rfind(s.s, s.len, " ", 1);
    if (space >= 0) s.len = (uint32_t)space;
    return ops_concat(ev, s, end);
}

BUILTIN(f_center) {
    struct value args[3] = {value_to_str(ev, a[0]), builtin_has(a[1]) ? a[1] : value_int(80)};
    return builtin_in(&method_str, VALUE_LIT("center"))->run(ev, args, x);
}

BUILTIN(f_wordcount) {
    struct value s = value_to_str(ev, a[0]);
    int64_t n = 0;
    bool inside = false;
    eval_charge(ev, s.len / 16);
    for (uint32_t i = 0; i < s.len;) {
        int32_t cp;
        i += text_char(s.s + i, s.len - i, &cp);
        n += text_is_word(cp) && !inside;
        inside = text_is_word(cp);
    }
    return value_int(n);
}

static void put_quoted(struct eval *ev, struct eval_out *o, struct value v, bool query) {
    v = value_to_str(ev, v);
    for (uint32_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.s[i];
        bool plain = c < 0x80 && (text_is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') || strchr("_.-~", c)) && c;
        char t[4];
        if (plain || (c == '/' && !query)) eval_put(ev, o, v.s + i, 1);
        else if (c == ' ' && query) eval_put(ev, o, "+", 1);
        else eval_put(ev, o, t, (size_t)snprintf(t, sizeof t, "%%%02X", c));
    }
}

BUILTIN(f_urlencode) {
    struct eval_out o = {0};
    if (a[0].type != VALUE_DICT) put_quoted(ev, &o, a[0], false);
    for (uint32_t i = 0; a[0].type == VALUE_DICT && i < a[0].dict->n; i++) {
        if (i) eval_put(ev, &o, "&", 1);
        put_quoted(ev, &o, a[0].dict->pair[i].key, true);
        eval_put(ev, &o, "=", 1);
        put_quoted(ev, &o, a[0].dict->pair[i].value, true);
    }
    return eval_out_value(&o);
}

static const struct builtin table[] = {
    {"upper", "", 0, f_upper},
    {"lower", "", 0, f_lower},
    {"capitalize", "", 0, f_capitalize},
    {"title", "", 0, f_title},
    {"string", "", 0, f_string},
    {"safe", "", 0, f_safe},
    {"escape", "", 0, f_escape},
    {"e", "", 0, f_escape},
    {"forceescape", "", 0, f_forceescape},
    {"trim", "chars", 0, f_trim},
    {"replace", "old new count", 2, f_replace},
    {"indent", "width first blank", 0, f_indent},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, f_tojson},
    {"format", "*", 0, f_format},
    {"truncate", "length killwords end leeway", 0, f_truncate},
    {"center", "width", 0, f_center},
    {"wordcount", "", 0, f_wordcount},
    {"urlencode", "", 0, f_urlencode},
};
const struct builtin_table filters_text = {table, sizeof table / sizeof *table};
