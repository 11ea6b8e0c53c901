#include "models/chat/format.h"

#include <inttypes.h>
#include <string.h>

#include "models/chat/print.h"
#include "models/chat/text.h"

#define MAX_WIDTH 10000

struct spec { /* how one field is written */
    char align, sign, type; /* align: '<' '>' '^' '=' or 0 */
    bool alternate, zero, comma;
    int32_t fill, width, precision; /* precision -1: none */
};

static int32_t read_number(struct eval *ev, const char *s, uint32_t end, uint32_t *i) {
    int32_t n = 0;
    for (; *i < end && s[*i] >= '0' && s[*i] <= '9'; ++*i) {
        n = n * 10 + (s[*i] - '0');
        if (n > MAX_WIDTH) eval_fail(ev, ERR_LIMIT, "a width or precision over %d", MAX_WIDTH);
    }
    return n;
}

static void put_fill(struct eval *ev, struct eval_out *o, int32_t fill, int64_t n) {
    char t[4];
    uint32_t len = text_encode(fill, t);
    for (; n > 0; n--) eval_put(ev, o, t, len);
}

/* The text with its padding; sign_len: how much of it goes before '=' padding. */
static void put_padded(struct eval *ev, struct eval_out *o, struct value v, const struct spec *f, char align,
                       uint32_t sign_len) {
    int64_t pad = f->width - (int64_t)text_n_char(v.s, v.len);
    if (pad < 0) pad = 0;
    int64_t left = align == '>' ? pad : align == '^' ? pad / 2 : 0;
    if (align == '=') {
        eval_put(ev, o, v.s, sign_len);
        put_fill(ev, o, f->fill, pad);
        eval_put(ev, o, v.s + sign_len, v.len - sign_len);
        return;
    }
    put_fill(ev, o, f->fill, left);
    eval_put(ev, o, v.s, v.len);
    put_fill(ev, o, f->fill, pad - left);
}

/* Thousands separators into the digits of t, in place. */
static int group_digits(char *t, int n, int size) {
    int first = t[0] == '-' || t[0] == '+' || t[0] == ' ', end = first;
    while (end < n && t[end] >= '0' && t[end] <= '9') end++;
    for (int at = end - 3; at > first && n + 1 < size; at -= 3) {
        memmove(t + at + 1, t + at, (size_t)(n - at) + 1);
        t[at] = ',';
        n++;
    }
    return n;
}

static int int_text(struct eval *ev, char *t, size_t size, int64_t i, const struct spec *f) {
    uint64_t u = i < 0 ? -(uint64_t)i : (uint64_t)i;
    const char *sign = i < 0 ? "-" : f->sign == '+' ? "+" : f->sign == ' ' ? " " : "";
    switch (f->type) {
    case 'x': return snprintf(t, size, "%s%s%" PRIx64, sign, f->alternate ? "0x" : "", u);
    case 'X': return snprintf(t, size, "%s%s%" PRIX64, sign, f->alternate ? "0X" : "", u);
    case 'o': return snprintf(t, size, "%s%s%" PRIo64, sign, f->alternate ? "0o" : "", u);
    case 'b': {
        char bits[65];
        int n = 0;
        for (int k = 63; k >= 0; k--)
            if (n || k == 0 || u >> k & 1) bits[n++] = (char)('0' + (u >> k & 1));
        return snprintf(t, size, "%s%s%.*s", sign, f->alternate ? "0b" : "", n, bits);
    }
    case 0: case 'd': case 'i': case 'u': case 'n': return snprintf(t, size, "%s%" PRIu64, sign, u);
    default: eval_fail(ev, ERR_FORMAT, "'%c' does not format an 'int'", f->type);
    }
}

static int float_text(struct eval *ev, char *t, size_t size, double d, const struct spec *f) {
    char c[12] = "%";
    int n = 1, precision = f->precision < 0 ? 6 : f->precision;
    if (f->sign) c[n++] = f->sign;
    if (f->type == 0 && f->precision < 0) {
        t[0] = f->sign;
        n = f->sign && d >= 0;
        return n + (int)print_float(d, t + n);
    }
    if (f->type && !strchr("eEfFgG%", f->type)) eval_fail(ev, ERR_FORMAT, "'%c' does not format a 'float'", f->type);
    bool percent = f->type == '%';
    c[n++] = '.';
    c[n++] = '*';
    c[n++] = percent ? 'f' : f->type ? f->type : 'g';
    n = snprintf(t, size, c, precision, percent ? d * 100 : d);
    if (percent && (size_t)n + 1 < size) memcpy(t + n++, "%", 2);
    return n;
}

static void put_number(struct eval *ev, struct eval_out *o, struct value v, const struct spec *f) {
    enum { SIZE = MAX_WIDTH + 400 }; /* the longest double has 309 digits before its point */
    char *t = eval_alloc(ev, SIZE);
    bool real = v.type == VALUE_FLOAT || (f->type && strchr("eEfFgG%", f->type));
    int n = real ? float_text(ev, t, SIZE, value_as_float(v), f) : int_text(ev, t, SIZE, value_as_int(v), f);
    if (f->comma) n = group_digits(t, n, SIZE);
    uint32_t sign = t[0] == '-' || t[0] == '+' || t[0] == ' ';
    if (f->alternate && !real && f->type && strchr("xXob", f->type)) sign += 2;
    put_padded(ev, o, value_str(t, (size_t)n), f, f->align ? f->align : f->zero ? '=' : '>', sign);
}

static void put_text(struct eval *ev, struct eval_out *o, struct value v, const struct spec *f) {
    if (f->precision >= 0) v.len = (uint32_t)text_offset(v.s, v.len, (size_t)f->precision);
    put_padded(ev, o, v, f, f->align ? f->align : '<', 0);
}

/* %-formatting: one conversion of v. */
static void put_conversion(struct eval *ev, struct eval_out *o, struct value v, struct spec *f) {
    char type = f->type;
    struct eval_out t = {0};
    if (type == 's' || type == 'r' || type == 'a') {
        if (type == 's') v = value_to_str(ev, v);
        else print_repr(ev, &t, v);
        if (!f->align) f->align = '>';
        f->fill = ' ';
        put_text(ev, o, type == 's' ? v : eval_out_value(&t), f);
        return;
    }
    if (type == 'c' && v.type == VALUE_STR && text_n_char(v.s, v.len) == 1) {
        put_padded(ev, o, v, f, f->align ? f->align : '>', 0);
        return;
    }
    if (!strchr("diuxXoeEfFgG", type)) eval_fail(ev, ERR_FORMAT, "'%%%c' is not a format", type);
    eval_need(ev, v);
    if (!value_is_number(v)) eval_fail(ev, ERR_FORMAT, "'%%%c' needs a number, not '%s'", type, value_type_name(v));
    if (v.type == VALUE_FLOAT && strchr("diu", type)) {
        if (!(v.f > -9e18 && v.f < 9e18)) eval_fail(ev, ERR_LIMIT, "'%%%c' of a number over 64 bits", type);
        v = value_int((int64_t)v.f);
    }
    put_number(ev, o, v, f);
}

struct percent { /* where the next value comes from */
    struct value args;
    uint32_t next;
};

static struct value next_value(struct eval *ev, struct percent *p) {
    uint32_t i = p->next++;
    if (p->args.type == VALUE_TUPLE ? i >= p->args.list->n : i > 0)
        eval_fail(ev, ERR_FORMAT, "not enough values for the format string");
    return p->args.type == VALUE_TUPLE ? p->args.list->item[i] : p->args;
}

static struct value named_value(struct eval *ev, struct percent *p, struct value fmt, uint32_t *i) {
    int64_t close = text_find(fmt.s, fmt.len, ")", 1, *i);
    if (close < 0 || p->args.type != VALUE_DICT) eval_fail(ev, ERR_FORMAT, "'%%(name)s' needs a dict and a ')'");
    struct value name = value_str(fmt.s + *i + 1, (size_t)close - *i - 1);
    const struct value *v = value_get(ev, p->args.dict, name);
    if (!v) eval_fail(ev, ERR_FORMAT, "the format string names a key that is not there");
    *i = (uint32_t)close + 1;
    return *v;
}

/* Behind '%', up to and with the conversion's letter. */
static void percent_field(struct eval *ev, struct eval_out *o, struct value fmt, uint32_t *i, struct percent *p) {
    struct spec f = {.fill = ' ', .precision = -1};
    struct value v = {0};
    if (*i < fmt.len && fmt.s[*i] == '(') v = named_value(ev, p, fmt, i);
    for (; *i < fmt.len && strchr("-+ #0", fmt.s[*i]) && fmt.s[*i]; ++*i) {
        if (fmt.s[*i] == '-') f.align = '<';
        else if (fmt.s[*i] == '0') f.zero = true;
        else if (fmt.s[*i] == '#') f.alternate = true;
        else if (f.sign != '+') f.sign = fmt.s[*i];
    }
    f.width = read_number(ev, fmt.s, fmt.len, i);
    if (*i < fmt.len && fmt.s[*i] == '.') {
        ++*i;
        f.precision = read_number(ev, fmt.s, fmt.len, i);
    }
    if (*i >= fmt.len) eval_fail(ev, ERR_FORMAT, "the format string ends inside a field");
    f.type = fmt.s[(*i)++];
    if (f.type == '%') {
        eval_put(ev, o, "%", 1);
        return;
    }
    if (f.zero && !f.align && !strchr("sra", f.type)) f.fill = '0';
    put_conversion(ev, o, v.type == VALUE_MISSING ? next_value(ev, p) : v, &f);
}

struct value format_percent(struct eval *ev, struct value fmt, struct value args) {
    struct eval_out o = {0};
    struct percent p = {.args = args};
    for (uint32_t i = 0; i < fmt.len;) {
        const char *at = memchr(fmt.s + i, '%', fmt.len - i);
        uint32_t n = at ? (uint32_t)(at - fmt.s) - i : fmt.len - i;
        eval_put(ev, &o, fmt.s + i, n);
        i += n;
        if (!at) break;
        i++;
        percent_field(ev, &o, fmt, &i, &p);
    }
    uint32_t given = args.type == VALUE_TUPLE                         ? args.list->n
                     : args.type == VALUE_DICT || value_is_list(args) ? p.next
                                                                      : 1;
    if (p.next < given) eval_fail(ev, ERR_FORMAT, "more values than the format string has fields");
    return eval_out_value(&o);
}

/* "[[fill]align][sign][#][0][width][,][.precision][type]" */
static struct spec read_spec(struct eval *ev, struct value s) {
    struct spec f = {.fill = ' ', .precision = -1};
    uint32_t i = 0, n = 0;
    int32_t cp = 0;
    if (s.len) n = text_char(s.s, s.len, &cp);
    if (n && n < s.len && strchr("<>^=", s.s[n])) {
        f.fill = cp;
        f.align = s.s[n];
        i = n + 1;
    } else if (s.len && strchr("<>^=", s.s[0])) {
        f.align = s.s[i++];
    }
    if (i < s.len && strchr("+- ", s.s[i])) f.sign = s.s[i] == '-' ? 0 : s.s[i], i++;
    if (i < s.len && s.s[i] == '#') f.alternate = true, i++;
    if (i < s.len && s.s[i] == '0') {
        f.zero = true;
        if (!f.align) f.fill = '0';
        i++;
    }
    f.width = read_number(ev, s.s, s.len, &i);
    if (i < s.len && (s.s[i] == ',' || s.s[i] == '_')) f.comma = s.s[i++] == ',';
    if (i < s.len && s.s[i] == '.') {
        i++;
        f.precision = read_number(ev, s.s, s.len, &i);
    }
    if (i < s.len) f.type = s.s[i++];
    if (i < s.len) eval_fail(ev, ERR_FORMAT, "invalid format specifier '%.*s'", (int)text_offset(s.s, s.len, 40), s.s);
    return f;
}

static void put_braced(struct eval *ev, struct eval_out *o, struct value v, struct value spec, char conversion) {
    struct spec f = read_spec(ev, spec);
    struct eval_out t = {0};
    if (conversion == 'r' || conversion == 'a') {
        print_repr(ev, &t, v);
        v = eval_out_value(&t);
    } else if (conversion == 's' || (!value_is_number(v) && v.type != VALUE_STR) || (v.type == VALUE_BOOL && !f.type)) {
        v = value_to_str(ev, v);
    }
    if (value_is_number(v)) put_number(ev, o, v, &f);
    else put_text(ev, o, v, &f);
}

/* "0.name[key]" from the arguments. */
static struct value field_value(struct eval *ev, struct value name, const struct args *args, uint32_t *next) {
    uint32_t n = 0;
    while (n < name.len && name.s[n] != '.' && name.s[n] != '[') n++;
    struct value first = value_str(name.s, n), v = {0};
    uint32_t i = 0;
    uint32_t at = n ? (uint32_t)read_number(ev, name.s, n, &i) : (*next)++;
    if (i == n) {
        if (at >= args->n_pos) eval_fail(ev, ERR_FORMAT, "format() has no argument %u", at);
        v = args->pos[at];
    }
    for (uint32_t k = 0; i < n && k < args->n_kw; k++)
        if (value_equal(ev, args->kw[k].key, first)) v = args->kw[k].value;
    if (v.type == VALUE_MISSING) eval_fail(ev, ERR_FORMAT, "format() has no such argument");
    while (n < name.len) {
        bool item = name.s[n++] == '[';
        uint32_t from = n;
        while (n < name.len && (item ? name.s[n] != ']' : name.s[n] != '.' && name.s[n] != '[')) n++;
        struct value part = value_str(name.s + from, n - from);
        v = item ? eval_path(ev, v, part) : eval_attr(ev, v, part);
        if (item) n++;
    }
    return v;
}

/* A field at fmt[i] (behind the brace) up to its closing brace; the specifier may hold fields itself. */
static void brace_field(struct eval *ev, struct eval_out *o, struct value fmt, uint32_t *i, const struct args *args,
                        uint32_t *next) {
    uint32_t from = *i, depth = 1, end = from;
    for (; end < fmt.len; end++) {
        depth += fmt.s[end] == '{';
        if (fmt.s[end] == '}' && --depth == 0) break;
    }
    if (end >= fmt.len) eval_fail(ev, ERR_FORMAT, "'{' without '}' in a format string");
    *i = end + 1;
    struct value name = value_str(fmt.s + from, end - from), spec = VALUE_LIT("");
    const char *colon = memchr(name.s, ':', name.len);
    if (colon) {
        spec = value_str(colon + 1, (size_t)(name.s + name.len - colon - 1));
        name.len = (uint32_t)(colon - name.s);
    }
    const char *bang = memchr(name.s, '!', name.len);
    char conversion = bang && bang + 1 < name.s + name.len ? bang[1] : 0;
    if (bang) name.len = (uint32_t)(bang - name.s);
    struct value v = field_value(ev, name, args, next);
    if (memchr(spec.s, '{', spec.len)) {
        struct args rest = *args;
        uint32_t used = *next < args->n_pos ? *next : args->n_pos;
        if (used) rest.pos += used;
        rest.n_pos -= used;
        eval_enter(ev);
        spec = format_braces(ev, spec, &rest);
        ev->depth--;
    }
    put_braced(ev, o, v, spec, conversion);
}

struct value format_braces(struct eval *ev, struct value fmt, const struct args *args) {
    struct eval_out o = {0};
    uint32_t next = 0;
    for (uint32_t i = 0; i < fmt.len;) {
        char c = fmt.s[i++];
        bool twice = i < fmt.len && fmt.s[i] == c;
        if ((c == '{' || c == '}') && twice) i++;
        if (c == '{' && !twice) brace_field(ev, &o, fmt, &i, args, &next);
        else if (c == '}' && !twice) eval_fail(ev, ERR_FORMAT, "'}' without '{' in a format string");
        else eval_put(ev, &o, &c, 1);
    }
    return eval_out_value(&o);
}
