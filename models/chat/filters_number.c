/* Filters on numbers, and default. */
#include <math.h>
#include <string.h>

#include "models/chat/eval.h"
#include "models/chat/ops.h"
#include "models/chat/text.h"

BUILTIN(f_default) {
    bool absent = a[0].type == VALUE_UNDEFINED || (builtin_has(a[2]) && value_true(a[2]) && !value_true(a[0]));
    return !absent ? a[0] : builtin_has(a[1]) ? a[1] : VALUE_LIT("");
}

BUILTIN(f_abs) {
    eval_need(ev, a[0]);
    if (!value_is_number(a[0])) eval_fail(ev, ERR_FORMAT, "'abs' needs a number, not '%s'", value_type_name(a[0]));
    if (a[0].type == VALUE_FLOAT) return value_float(fabs(a[0].f));
    return value_as_int(a[0]) < 0 ? ops_negate(ev, a[0]) : value_int(value_as_int(a[0]));
}

/* A number as Python's float() reads it; false when it is none. */
static bool read_float(struct value v, double *out) {
    char t[128], *end;
    uint32_t n = 0;
    v = text_strip(v, TEXT_BOTH, NULL);
    for (uint32_t i = 0; i < v.len; i++) {
        bool between =
            i > 0 && i + 1 < v.len && v.s[i - 1] >= '0' && v.s[i - 1] <= '9' && v.s[i + 1] >= '0' && v.s[i + 1] <= '9';
        if (v.s[i] == '_' && between) continue;
        if (n == sizeof t - 1 || v.s[i] == 'x' || v.s[i] == 'X' || v.s[i] == '(' || v.s[i] <= ' ') return false;
        t[n++] = v.s[i];
    }
    t[n] = 0;
    *out = strtod(t, &end);
    return n && *end == 0;
}

/* Python's int(text, base), for what fits into 64 bits. */
static bool read_int(struct value v, int64_t base, int64_t *out) {
    v = text_strip(v, TEXT_BOTH, NULL);
    uint32_t i = v.len && (v.s[0] == '-' || v.s[0] == '+');
    bool negative = i && v.s[0] == '-';
    char mark = v.len > i + 1 && v.s[i] == '0' ? (char)(v.s[i + 1] | 32) : 0;
    int64_t marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked && (base == marked || base == 0)) {
        base = marked;
        i += 2;
    }
    if (base == 0) base = 10;
    uint32_t digits = 0;
    *out = 0;
    for (; i < v.len; i++) {
        char c = v.s[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
        if (c == '_' && digits && i + 1 < v.len && v.s[i + 1] != '_') continue;
        if (d >= base || __builtin_mul_overflow(*out, base, out)) return false;
        if (negative ? __builtin_sub_overflow(*out, d, out) : __builtin_add_overflow(*out, d, out)) return false;
        digits++;
    }
    return digits > 0;
}

BUILTIN(f_int) {
    int64_t i, base = builtin_has(a[2]) && a[2].type == VALUE_INT ? a[2].i : 10;
    double f;
    eval_need(ev, a[0]);
    if (value_is_int(a[0])) return value_int(value_as_int(a[0]));
    if (a[0].type == VALUE_STR && read_int(a[0], base, &i)) return value_int(i);
    bool number = a[0].type == VALUE_FLOAT || (a[0].type == VALUE_STR && read_float(a[0], &f));
    if (a[0].type == VALUE_FLOAT) f = a[0].f;
    if (number && f > -9.2e18 && f < 9.2e18) return value_int((int64_t)f);
    return builtin_has(a[1]) ? a[1] : value_int(0);
}

BUILTIN(f_float) {
    double f;
    eval_need(ev, a[0]);
    if (value_is_number(a[0])) return value_float(value_as_float(a[0]));
    if (a[0].type == VALUE_STR && read_float(a[0], &f)) return value_float(f);
    return builtin_has(a[1]) ? a[1] : value_float(0);
}

static double round_to(double f, int64_t digits, const char *method) {
    double scale = pow(10, (double)digits);
    if (strcmp(method, "ceil") == 0) return ceil(f * scale) / scale;
    if (strcmp(method, "floor") == 0) return floor(f * scale) / scale;
    if (digits < 0) return nearbyint(f * scale) / scale;
    char t[400]; /* printf rounds the exact binary value, as Python does */
    snprintf(t, sizeof t, "%.*f", (int)digits, f);
    return strtod(t, NULL);
}

BUILTIN(f_round) {
    static const char *const methods[] = {"common", "ceil", "floor"};
    const char *method = builtin_has(a[2]) ? NULL : "common";
    eval_need(ev, a[0]);
    for (int i = 0; i < 3 && builtin_has(a[2]); i++)
        if (value_is(a[2], methods[i])) method = methods[i];
    if (!method) eval_fail(ev, ERR_FORMAT, "the method of 'round' is common, ceil or floor");
    if (!value_is_number(a[0])) eval_fail(ev, ERR_FORMAT, "'round' needs a number, not '%s'", value_type_name(a[0]));
    if (builtin_has(a[1]) && !value_is_int(a[1]))
        eval_fail(ev, ERR_FORMAT, "the precision of 'round' must be a whole number");
    int64_t digits = builtin_has(a[1]) ? value_as_int(a[1]) : 0;
    bool common = strcmp(method, "common") == 0;
    if (value_is_int(a[0]) && common && digits >= 0) return value_int(value_as_int(a[0]));
    if (value_is_int(a[0]) && common && digits > -16 && fabs(value_as_float(a[0])) < 9e15)
        return value_int((int64_t)round_to(value_as_float(a[0]), digits, method));
    if (digits > 30 || !isfinite(value_as_float(a[0]))) return value_float(value_as_float(a[0]));
    if (digits < -30) return value_float(0);
    return value_float(round_to(value_as_float(a[0]), digits, method));
}

static const struct builtin table[] = {
    {"default", "default_value boolean", 0, f_default}, {"d", "default_value boolean", 0, f_default},
    {"abs", "", 0, f_abs}, {"int", "default base", 0, f_int}, {"float", "default", 0, f_float},
    {"round", "precision method", 0, f_round},
};
const struct builtin_table filters_number = {table, sizeof table / sizeof *table};
