#include <string.h>

#include "models/grammar/number.h"
#include "models/grammar/schema_impl.h"

#define DATE                                                                                                           \
    "(\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))|"        \
    "(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
#define TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define NAME "[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?"
#define BYTE_NUMBER "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"

/* Regular expressions (pattern.h), narrower than the standards where these are wide: what is written is always valid. */
static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration", "^P(\\d{1,4}W|(\\d{1,4}Y(\\d{1,4}M)?(\\d{1,4}D)?|\\d{1,4}M(\\d{1,4}D)?|\\d{1,4}D)(T(\\d{1,4}H(\\d{1,4}M)?"
                 "(\\d{1,4}S)?|\\d{1,4}M(\\d{1,4}S)?|\\d{1,4}S))?|T(\\d{1,4}H(\\d{1,4}M)?(\\d{1,4}S)?|\\d{1,4}M(\\d{1,4}S)?|"
                 "\\d{1,4}S))$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"},
    {"ipv4", "^" BYTE_NUMBER "(\\." BYTE_NUMBER "){3}$"},
    {"hostname", "^" NAME "(\\." NAME "){0,7}$"},
    {"email", "^[A-Za-z0-9_%+-]+(\\.[A-Za-z0-9_%+-]+)*@" NAME "(\\." NAME "){0,5}\\.[A-Za-z]{2,12}$"},
    {"uri", "^[a-z][a-z0-9+-]{0,15}://" NAME "(\\." NAME "){0,7}(:[1-9]\\d{0,3})?(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})*)*"
            "(\\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*)?(#([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*)?$"},
};

static const char *format_pattern(const json_t *s) {
    const char *name = json_string_value(json_object_get(s, "format"));
    for (size_t i = 0; name && i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(formats[i].name, name)) return formats[i].pattern;
    return NULL;
}

bool scalar_format(const json_t *s) { return format_pattern(s) != NULL; }

/* The automaton of pattern, or of format. Where there are both, pattern, unless it is written in a way that hy does not
 * know: libraries write a format's pattern beside it. */
static int string_pattern(struct schema *c, const json_t *s, struct pattern *p, bool *any) {
    const json_t *text = json_object_get(s, "pattern");
    const char *format = format_pattern(s);
    *p = (struct pattern){0};
    *any = false;
    if (text && !json_is_string(text)) return err_set(c->n->err, ERR_FORMAT, "the schema's pattern is not a string");
    if (text) {
        int rc = pattern_parse(p, json_string_value(text), json_string_length(text), c->n->err);
        if (rc != ERR_UNSUPPORTED || !format) return rc;
        pattern_deinit(p);
    }
    *any = !format;
    return format ? pattern_parse(p, format, strlen(format), c->n->err) : ERR_OK;
}

void scalar_string(struct schema *c, const json_t *s, uint32_t from, uint32_t to) {
    struct pattern p;
    bool any;
    uint32_t min = schema_count(c, s, "minLength", 0), max = schema_count(c, s, "maxLength", QUOTED_NO_MAX);
    if (c->n->rc) return;
    int rc = string_pattern(c, s, &p, &any);
    if (rc && !c->n->rc) c->n->rc = rc; /* the text is there */
    if (!rc) quoted_string(&c->quoted, any ? NULL : &p, min, max, from, to);
    pattern_deinit(&p);
}

/* One bound out of "minimum" and "exclusiveMinimum", which was a boolean once; the stricter counts. */
static void bound(struct schema *c, const json_t *s, const char *key, const char *exclusive, bool lower,
                  struct number *out, bool *has, bool *strict) {
    const json_t *plain = json_object_get(s, key), *ex = json_object_get(s, exclusive);
    *strict = json_is_true(ex);
    if (json_is_number(ex)) {
        double a = json_number_value(plain), b = json_number_value(ex);
        *strict = !json_is_number(plain) || (lower ? b >= a : b <= a);
        if (*strict) plain = ex;
    }
    *has = json_is_number(plain);
    if (plain && !*has) nfa_fail(c->n, ERR_FORMAT, "the schema's %s is not a number", key);
    if (*has && !number_from_json(plain, out))
        nfa_fail(c->n, ERR_UNSUPPORTED, "the schema's %s has more than %d digits behind the point", key,
                 NUMBER_MAX_FRACTION);
}

/* The nearest integer inside a bound. */
static void to_integer(struct number *x, bool *strict, bool lower) {
    bool inwards_grows = lower != x->neg; /* the absolute value */
    bool whole = !x->n_frac;
    x->n_frac = 0;
    if (whole ? *strict : inwards_grows) {
        if (inwards_grows) {
            x->whole++;
        } else if (x->whole) {
            x->whole--;
        } else { /* -0 and 0: the next one has the other sign */
            x->neg = !x->neg;
            x->whole = 1;
        }
    }
    if (!x->whole) x->neg = false;
    *strict = false;
}

/* How many digits a multipleOf of 1, 0.1, 0.01 ... leaves behind the point; -1: it is something else. */
static int step_digits(const json_t *step) {
    struct number x;
    if (!number_from_json(step, &x) || x.neg) return -1;
    if (x.whole == 1 && !x.n_frac) return 0;
    for (int i = 0; i < x.n_frac; i++)
        if (x.frac[i] != (i == x.n_frac - 1)) return -1;
    return x.whole || !x.n_frac ? -1 : x.n_frac;
}

void scalar_number(struct schema *c, const json_t *s, bool integer, uint32_t from, uint32_t to) {
    struct number_bounds b = {.max_frac = 17};
    bound(c, s, "minimum", "exclusiveMinimum", true, &b.lo, &b.has_lo, &b.lo_strict);
    bound(c, s, "maximum", "exclusiveMaximum", false, &b.hi, &b.has_hi, &b.hi_strict);
    const json_t *step = json_object_get(s, "multipleOf");
    int digits = json_is_number(step) ? step_digits(step) : 17;
    if (digits < 0) nfa_fail(c->n, ERR_UNSUPPORTED, "multipleOf is supported for 1, 0.1, 0.01 and so on only");
    if (c->n->rc) return;
    if (integer || !digits) {
        b.max_frac = 0;
        to_integer(&b.lo, &b.lo_strict, true);
        to_integer(&b.hi, &b.hi_strict, false);
    } else if (json_is_number(step)) {
        b.max_frac = (uint8_t)digits;
    } else if (!b.has_lo && !b.has_hi) {
        if (c->number == NFA_NONE) {
            c->number = nfa_rule(c->n);
            if (!c->n->rc) number_any(c->n, c->n->rule[c->number].start, c->n->rule[c->number].end);
        }
        nfa_call(c->n, from, c->number, to);
        return;
    }
    if (b.max_frac && b.lo.n_frac + 2 > b.max_frac && !json_is_number(step)) b.max_frac = (uint8_t)(b.lo.n_frac + 2);
    if (b.max_frac && b.hi.n_frac + 2 > b.max_frac && !json_is_number(step)) b.max_frac = (uint8_t)(b.hi.n_frac + 2);
    number_between(c->n, &b, from, to);
}

static void const_number(struct schema *c, const json_t *value, uint32_t from, uint32_t to) {
    char text[32];
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        number_text(json_real_value(value), text);
    nfa_eps(c->n, nfa_text(c->n, from, text, strlen(text)), to);
}

static uint32_t const_members(struct schema *c, const json_t *value, uint32_t at) {
    bool first = true;
    for (void *it = json_object_iter((json_t *)value); it; it = json_object_iter_next((json_t *)value, it)) {
        const char *key = json_object_iter_key(it);
        uint32_t colon = nfa_state(c->n), next = nfa_state(c->n);
        if (!first) at = schema_ws(c, nfa_text(c->n, at, ",", 1));
        quoted_literal(&c->quoted, key, strlen(key), at, colon);
        scalar_const(c, json_object_iter_value(it), schema_ws(c, nfa_text(c->n, colon, ":", 1)), next);
        at = next;
        first = false;
    }
    return at;
}

static uint32_t const_items(struct schema *c, const json_t *value, uint32_t at) {
    for (size_t i = 0; i < json_array_size(value); i++) {
        uint32_t next = nfa_state(c->n);
        if (i) at = schema_ws(c, nfa_text(c->n, at, ",", 1));
        scalar_const(c, json_array_get(value, i), at, next);
        at = next;
    }
    return at;
}

static void const_container(struct schema *c, const json_t *value, uint32_t from, uint32_t to) {
    bool object = json_is_object(value);
    uint32_t open = schema_ws(c, nfa_text(c->n, from, object ? "{" : "[", 1));
    uint32_t at = object ? const_members(c, value, open) : const_items(c, value, open);
    nfa_any_of(c->n, at == open ? at : schema_ws(c, at), object ? "}" : "]", to);
}

void scalar_const(struct schema *c, const json_t *value, uint32_t from, uint32_t to) {
    static const char *const words[] = {"true", "false", "null"};
    if (!schema_step(c)) return;
    c->depth++;
    if (json_is_string(value))
        quoted_literal(&c->quoted, json_string_value(value), json_string_length(value), from, to);
    else if (json_is_number(value))
        const_number(c, value, from, to);
    else if (json_is_object(value) || json_is_array(value))
        const_container(c, value, from, to);
    else {
        const char *word = words[json_is_true(value) ? 0 : json_is_false(value) ? 1 : 2];
        nfa_eps(c->n, nfa_text(c->n, from, word, strlen(word)), to);
    }
    c->depth--;
}
