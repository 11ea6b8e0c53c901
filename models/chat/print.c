#include "models/chat/print.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <utf8proc.h>

#include "models/chat/text.h"

uint32_t print_float(double f, char buf[32]) {
    if (isnan(f)) return (uint32_t)snprintf(buf, 32, "nan");
    if (isinf(f)) return (uint32_t)snprintf(buf, 32, f < 0 ? "-inf" : "inf");
    char e[40];
    int n_digit = 1;
    do snprintf(e, sizeof e, "%.*e", n_digit - 1, f);
    while (strtod(e, NULL) != f && n_digit++ < 17);
    int exp10 = atoi(strchr(e, 'e') + 1);
    if (exp10 < -4 || exp10 >= 16) {
        *strchr(e, 'e') = 0;
        return (uint32_t)snprintf(buf, 32, "%se%c%02d", e, exp10 < 0 ? '-' : '+', abs(exp10));
    }
    int decimals = n_digit - 1 - exp10;
    return (uint32_t)snprintf(buf, 32, "%.*f", decimals < 1 ? 1 : decimals, f);
}

static void put_lit(struct eval *ev, struct eval_out *o, const char *s) { eval_put(ev, o, s, strlen(s)); }

static bool is_printable(int32_t cp) {
    if (cp < 0x7f) return cp >= ' ';
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CS: case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: case UTF8PROC_CATEGORY_ZS:
        return false;
    default: return true;
    }
}

static void put_hex(struct eval *ev, struct eval_out *o, int32_t cp) {
    char t[12];
    int n = cp < 0x100     ? snprintf(t, sizeof t, "\\x%02x", (unsigned)cp)
            : cp < 0x10000 ? snprintf(t, sizeof t, "\\u%04x", (unsigned)cp)
                           : snprintf(t, sizeof t, "\\U%08x", (unsigned)cp);
    eval_put(ev, o, t, (size_t)n);
}

static void repr_str(struct eval *ev, struct eval_out *o, struct value v) {
    char quote = memchr(v.s, '\'', v.len) && !memchr(v.s, '"', v.len) ? '"' : '\'';
    eval_put(ev, o, &quote, 1);
    for (uint32_t i = 0; i < v.len;) {
        int32_t cp;
        uint32_t n = text_char(v.s + i, v.len - i, &cp);
        if (cp == quote || cp == '\\') put_lit(ev, o, "\\");
        if (cp == '\n') put_lit(ev, o, "\\n");
        else if (cp == '\r') put_lit(ev, o, "\\r");
        else if (cp == '\t') put_lit(ev, o, "\\t");
        else if (is_printable(cp)) eval_put(ev, o, v.s + i, n);
        else put_hex(ev, o, cp);
        i += n;
    }
    eval_put(ev, o, &quote, 1);
}

static void repr_list(struct eval *ev, struct eval_out *o, struct value v) {
    eval_enter(ev);
    put_lit(ev, o, v.type == VALUE_TUPLE ? "(" : "[");
    for (uint32_t i = 0; i < v.list->n; i++) {
        if (i) put_lit(ev, o, ", ");
        print_repr(ev, o, v.list->item[i]);
    }
    put_lit(ev, o, v.type != VALUE_TUPLE ? "]" : v.list->n == 1 ? ",)" : ")");
    ev->depth--;
}

static void repr_dict(struct eval *ev, struct eval_out *o, const struct value_dict *d) {
    eval_enter(ev);
    put_lit(ev, o, "{");
    for (uint32_t i = 0; i < d->n; i++) {
        if (i) put_lit(ev, o, ", ");
        print_repr(ev, o, d->pair[i].key);
        put_lit(ev, o, ": ");
        print_repr(ev, o, d->pair[i].value);
    }
    put_lit(ev, o, "}");
    ev->depth--;
}

void print_repr(struct eval *ev, struct eval_out *o, struct value v) {
    char t[32];
    eval_charge(ev, 1);
    switch (v.type) {
    case VALUE_NONE: put_lit(ev, o, "None"); break;
    case VALUE_BOOL: put_lit(ev, o, v.b ? "True" : "False"); break;
    case VALUE_INT: eval_put(ev, o, t, (size_t)snprintf(t, sizeof t, "%" PRId64, v.i)); break;
    case VALUE_FLOAT: eval_put(ev, o, t, print_float(v.f, t)); break;
    case VALUE_STR: repr_str(ev, o, v); break;
    case VALUE_LIST: case VALUE_TUPLE: repr_list(ev, o, v); break;
    case VALUE_DICT: repr_dict(ev, o, v.dict); break;
    case VALUE_UNDEFINED: put_lit(ev, o, "Undefined"); break;
    case VALUE_NAMESPACE:
        put_lit(ev, o, "<Namespace ");
        repr_dict(ev, o, v.dict);
        put_lit(ev, o, ">");
        break;
    default:
        eval_fail(ev, ERR_FORMAT, "a %s has no text of its own; turn it into a list or call it", value_type_name(v));
    }
}

void print_str(struct eval *ev, struct eval_out *o, struct value v) {
    if (v.type == VALUE_STR) eval_put(ev, o, v.s, v.len);
    else if (v.type != VALUE_UNDEFINED) print_repr(ev, o, v);
}

static void json_escape(struct eval *ev, struct eval_out *o, int32_t cp) {
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    char t[16];
    const char *simple = cp > 0 && cp < 0x80 ? strchr(from, cp) : NULL;
    int n;
    if (simple) n = snprintf(t, sizeof t, "\\%c", to[simple - from]);
    else if (cp < 0x10000) n = snprintf(t, sizeof t, "\\u%04x", (unsigned)cp);
    else
        n = snprintf(t, sizeof t, "\\u%04x\\u%04x", 0xd800u + ((unsigned)(cp - 0x10000) >> 10),
                     0xdc00u + ((unsigned)cp & 0x3ff));
    eval_put(ev, o, t, (size_t)n);
}

static void json_str(struct eval *ev, struct eval_out *o, struct value v, bool ascii) {
    put_lit(ev, o, "\"");
    uint32_t plain = 0; /* begin of what needs no escape */
    for (uint32_t i = 0; i < v.len;) {
        int32_t cp;
        uint32_t n = text_char(v.s + i, v.len - i, &cp);
        if (cp < ' ' || cp == '"' || cp == '\\' || (ascii && cp > '~')) {
            eval_put(ev, o, v.s + plain, i - plain);
            json_escape(ev, o, cp);
            plain = i + n;
        }
        i += n;
    }
    eval_put(ev, o, v.s + plain, v.len - plain);
    put_lit(ev, o, "\"");
}

static void json_float(struct eval *ev, struct eval_out *o, double f) {
    char t[32];
    if (isfinite(f)) eval_put(ev, o, t, print_float(f, t));
    else put_lit(ev, o, isnan(f) ? "NaN" : f < 0 ? "-Infinity" : "Infinity");
}

static void json_line(struct eval *ev, struct eval_out *o, const struct print_json *how, uint32_t level) {
    if (how->indent.type == VALUE_MISSING) return;
    put_lit(ev, o, "\n");
    while (level--) eval_put(ev, o, how->indent.s, how->indent.len);
}

static void json_key(struct eval *ev, struct eval_out *o, struct value key, const struct print_json *how) {
    struct eval_out t = {0};
    if (key.type == VALUE_STR) {
        json_str(ev, o, key, how->ascii);
        return;
    }
    if (key.type != VALUE_NONE && !value_is_number(key))
        eval_fail(ev, ERR_FORMAT, "a key of a JSON object must be a string, not '%s'", value_type_name(key));
    print_json(ev, &t, key, how, 0);
    json_str(ev, o, eval_out_value(&t), how->ascii);
}

/* The pairs in the order of their keys. */
static const struct value_dict *sorted(struct eval *ev, const struct value_dict *d) {
    struct value_dict *s = eval_alloc(ev, sizeof *s);
    s->pair = eval_alloc(ev, d->n * sizeof *s->pair);
    s->n = d->n;
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t at = i;
        eval_charge(ev, i / 8);
        for (; at > 0 && value_compare(ev, d->pair[i].key, s->pair[at - 1].key, "<") < 0; at--)
            s->pair[at] = s->pair[at - 1];
        s->pair[at] = d->pair[i];
    }
    return s;
}

static void json_dict(struct eval *ev, struct eval_out *o, const struct value_dict *d, const struct print_json *how,
                      uint32_t level) {
    if (how->sort_keys) d = sorted(ev, d);
    put_lit(ev, o, "{");
    for (uint32_t i = 0; i < d->n; i++) {
        if (i) eval_put(ev, o, how->item_sep.s, how->item_sep.len);
        json_line(ev, o, how, level + 1);
        json_key(ev, o, d->pair[i].key, how);
        eval_put(ev, o, how->key_sep.s, how->key_sep.len);
        print_json(ev, o, d->pair[i].value, how, level + 1);
    }
    if (d->n) json_line(ev, o, how, level);
    put_lit(ev, o, "}");
}

static void json_list(struct eval *ev, struct eval_out *o, const struct value_list *l, const struct print_json *how,
                      uint32_t level) {
    put_lit(ev, o, "[");
    for (uint32_t i = 0; i < l->n; i++) {
        if (i) eval_put(ev, o, how->item_sep.s, how->item_sep.len);
        json_line(ev, o, how, level + 1);
        print_json(ev, o, l->item[i], how, level + 1);
    }
    if (l->n) json_line(ev, o, how, level);
    put_lit(ev, o, "]");
}

void print_json(struct eval *ev, struct eval_out *o, struct value v, const struct print_json *how, uint32_t level) {
    eval_enter(ev);
    eval_charge(ev, 1);
    switch (v.type) {
    case VALUE_NONE: put_lit(ev, o, "null"); break;
    case VALUE_BOOL: put_lit(ev, o, v.b ? "true" : "false"); break;
    case VALUE_INT: print_repr(ev, o, v); break;
    case VALUE_FLOAT: json_float(ev, o, v.f); break;
    case VALUE_STR: json_str(ev, o, v, how->ascii); break;
    case VALUE_LIST: case VALUE_TUPLE: json_list(ev, o, v.list, how, level); break;
    case VALUE_DICT: json_dict(ev, o, v.dict, how, level); break;
    default: eval_fail(ev, ERR_FORMAT, "an object of type '%s' has no JSON form", value_type_name(v));
    }
    ev->depth--;
}

struct value print_escaped(struct eval *ev, struct value v) {
    v = value_to_str(ev, v);
    if (v.flags & VALUE_SAFE) return v;
    struct eval_out o = {0};
    for (uint32_t i = 0; i < v.len; i++) {
        switch (v.s[i]) {
        case '&': put_lit(ev, &o, "&amp;"); break;
        case '<': put_lit(ev, &o, "&lt;"); break;
        case '>': put_lit(ev, &o, "&gt;"); break;
        case '"': put_lit(ev, &o, "&#34;"); break;
        case '\'': put_lit(ev, &o, "&#39;"); break;
        default: eval_put(ev, &o, v.s + i, 1);
        }
    }
    v = eval_out_value(&o);
    v.flags = VALUE_SAFE;
    return v;
}
