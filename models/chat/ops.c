#include "models/chat/ops.h"

#include <math.h>
#include <string.h>

#include "models/chat/eval.h"
#include "models/chat/format.h"
#include "models/chat/print.h"
#include "models/chat/text.h"

static const char *const symbols[] = {
    "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};

static _Noreturn void fail_operands(struct eval *ev, enum node_op op, struct value a, struct value b) {
    if (op == OP_ADD && a.type == VALUE_STR)
        eval_fail(ev, ERR_FORMAT, "can only add a string to a string, not '%s'", value_type_name(b));
    eval_fail(ev, ERR_FORMAT, "'%s' is not supported between '%s' and '%s'", symbols[op], value_type_name(a),
              value_type_name(b));
}

static _Noreturn void fail_overflow(struct eval *ev, enum node_op op) {
    eval_fail(ev, ERR_LIMIT, "the result of '%s' does not fit into 64 bits", symbols[op]);
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static struct value int_pow(struct eval *ev, int64_t base, int64_t n) {
    int64_t r = 1;
    if (n < 0) return value_float(pow((double)base, (double)n));
    if (base == 0 || base == 1) return value_int(n ? base : 1);
    if (base == -1) return value_int(n % 2 ? -1 : 1);
    for (; n > 0; n--)
        if (__builtin_mul_overflow(r, base, &r)) fail_overflow(ev, OP_POW);
    return value_int(r);
}

static struct value int_op(struct eval *ev, enum node_op op, int64_t a, int64_t b) {
    int64_t r = 0;
    bool bad = false;
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD || (op == OP_POW && a == 0 && b < 0)) &&
        (b == 0 || op == OP_POW))
        eval_fail(ev, ERR_FORMAT, "division by zero");
    if (b == -1 && (op == OP_FLOORDIV || op == OP_MOD)) { /* the one division that overflows */
        if (op == OP_FLOORDIV) bad = __builtin_sub_overflow(0, a, &r);
        if (bad) fail_overflow(ev, op);
        return value_int(r);
    }
    switch (op) {
    case OP_ADD: bad = __builtin_add_overflow(a, b, &r); break;
    case OP_SUB: bad = __builtin_sub_overflow(a, b, &r); break;
    case OP_MUL: bad = __builtin_mul_overflow(a, b, &r); break;
    case OP_DIV: return value_float((double)a / (double)b);
    case OP_FLOORDIV: r = floor_div(a, b); break;
    case OP_MOD: r = a - floor_div(a, b) * b; break;
    default: return int_pow(ev, a, b);
    }
    if (bad) fail_overflow(ev, op);
    return value_int(r);
}

/* Python's remainder has the sign of the divisor. */
static double float_mod(double a, double b) {
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static struct value float_op(struct eval *ev, enum node_op op, double a, double b) {
    if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD)) eval_fail(ev, ERR_FORMAT, "division by zero");
    switch (op) {
    case OP_ADD: return value_float(a + b);
    case OP_SUB: return value_float(a - b);
    case OP_MUL: return value_float(a * b);
    case OP_DIV: return value_float(a / b);
    case OP_FLOORDIV: return value_float(floor((a - float_mod(a, b)) / b + 0.5));
    case OP_MOD: return value_float(float_mod(a, b));
    default: break;
    }
    if (a == 0 && b < 0) eval_fail(ev, ERR_FORMAT, "zero cannot be raised to a negative power");
    if (a < 0 && b != floor(b)) eval_fail(ev, ERR_FORMAT, "a root of a negative number is not a real number");
    double r = pow(a, b);
    if (isinf(r) && isfinite(a) && isfinite(b)) eval_fail(ev, ERR_FORMAT, "the result of '**' is too large");
    return value_float(r);
}

struct value ops_concat(struct eval *ev, struct value a, struct value b) {
    if ((a.flags | b.flags) & VALUE_SAFE) {
        a = print_escaped(ev, a);
        b = print_escaped(ev, b);
    }
    size_t n = (size_t)a.len + b.len;
    uint8_t flags = a.flags & VALUE_SAFE;
    if (!b.len) return a;
    if (!a.len) return b;
    bool last = a.s + a.len == ev->tip;
    if (!last || (size_t)(ev->tip_end - ev->tip) < b.len) {
        size_t room = n + n / 2 + 32;
        if (room > UINT32_MAX) eval_fail(ev, ERR_LIMIT, "a string would have %zu bytes", n);
        char *p = eval_alloc(ev, room);
        memcpy(p, a.s, a.len);
        ev->tip = p + a.len;
        ev->tip_end = p + room;
    }
    eval_charge(ev, b.len / 64);
    memcpy(ev->tip, b.s, b.len);
    ev->tip += b.len;
    struct value v = value_str(ev->tip - n, n);
    v.flags = flags;
    return v;
}

static struct value add_lists(struct eval *ev, struct value a, struct value b) {
    struct value l = value_list_new(ev, a.type, a.list->n + b.list->n);
    for (uint32_t i = 0; i < a.list->n; i++) value_push(ev, l, a.list->item[i]);
    for (uint32_t i = 0; i < b.list->n; i++) value_push(ev, l, b.list->item[i]);
    return l;
}

static struct value repeat(struct eval *ev, struct value v, int64_t times) {
    uint64_t size = v.type == VALUE_STR ? v.len : v.list->n, total;
    if (times < 0) times = 0;
    if (__builtin_mul_overflow(size, (uint64_t)times, &total) || total > UINT32_MAX / sizeof(struct value))
        eval_fail(ev, ERR_LIMIT, "'*' would make %s of more than %u", v.type == VALUE_STR ? "a string" : "a list",
                  (unsigned)(UINT32_MAX / sizeof(struct value)));
    if (v.type == VALUE_STR) {
        char *p = eval_alloc(ev, total + 1);
        for (uint64_t at = 0; size && at < total; at += size) memcpy(p + at, v.s, size);
        return value_str(p, total);
    }
    eval_charge(ev, total / 4);
    struct value l = value_list_new(ev, v.type, (uint32_t)total);
    for (uint64_t i = 0; i < total; i++) value_push(ev, l, v.list->item[i % size]);
    return l;
}

struct value ops_binary(struct eval *ev, enum node_op op, struct value a, struct value b) {
    eval_need(ev, a);
    if (op == OP_MOD && a.type == VALUE_STR) return format_percent(ev, a, b);
    eval_need(ev, b);
    if (op == OP_ADD && a.type == VALUE_STR && b.type == VALUE_STR) return ops_concat(ev, a, b);
    if (value_is_int(a) && value_is_int(b)) return int_op(ev, op, value_as_int(a), value_as_int(b));
    if (value_is_number(a) && value_is_number(b)) return float_op(ev, op, value_as_float(a), value_as_float(b));
    if (op == OP_ADD && a.type == b.type && value_is_list(a)) return add_lists(ev, a, b);
    if (op == OP_MUL && (a.type == VALUE_STR || value_is_list(a)) && value_is_int(b))
        return repeat(ev, a, value_as_int(b));
    if (op == OP_MUL && (b.type == VALUE_STR || value_is_list(b)) && value_is_int(a))
        return repeat(ev, b, value_as_int(a));
    fail_operands(ev, op, a, b);
}

bool ops_compare(struct eval *ev, enum node_op op, struct value a, struct value b) {
    switch (op) {
    case OP_EQ: return value_equal(ev, a, b);
    case OP_NE: return !value_equal(ev, a, b);
    case OP_IN: return value_contains(ev, b, a);
    case OP_NOT_IN: return !value_contains(ev, b, a);
    default: break;
    }
    int c = value_compare(ev, a, b, symbols[op]);
    if (c == 2) return false; /* NaN */
    return op == OP_LT ? c < 0 : op == OP_LE ? c <= 0 : op == OP_GT ? c > 0 : c >= 0;
}

struct value ops_negate(struct eval *ev, struct value v) {
    eval_need(ev, v);
    if (v.type == VALUE_FLOAT) return value_float(-v.f);
    if (!value_is_int(v)) eval_fail(ev, ERR_FORMAT, "'-' needs a number, not '%s'", value_type_name(v));
    return int_op(ev, OP_SUB, 0, value_as_int(v));
}

/* A bound of a slice: from the end when negative, held within [low, high]. */
static int64_t bound(struct eval *ev, struct value v, int64_t n, int64_t low, int64_t high, int64_t absent) {
    if (v.type == VALUE_MISSING || v.type == VALUE_NONE) return absent;
    eval_need(ev, v);
    if (!value_is_int(v)) eval_fail(ev, ERR_FORMAT, "a slice needs whole numbers, not '%s'", value_type_name(v));
    int64_t i = value_as_int(v);
    if (i < 0 && __builtin_add_overflow(i, n, &i)) i = low;
    return i < low ? low : i > high ? high : i;
}

static struct value slice_str(struct eval *ev, struct value v, int64_t from, int64_t step, int64_t count) {
    eval_charge(ev, v.len / 32);
    if (step == 1) {
        size_t a = text_offset(v.s, v.len, (size_t)from);
        size_t n = text_offset(v.s + a, v.len - a, (size_t)count);
        v.s += a;
        v.len = (uint32_t)n;
        return v;
    }
    const struct value_list *all = value_items(ev, v);
    struct eval_out o = {0};
    for (int64_t i = 0; i < count; i++) eval_put(ev, &o, all->item[from + i * step].s, all->item[from + i * step].len);
    return eval_out_value(&o);
}

struct value ops_slice(struct eval *ev, struct value v, struct value start, struct value stop, struct value step_v) {
    bool str = v.type == VALUE_STR;
    if (!str && !value_is_list(v) && !(v.type == VALUE_ITER && v.flags & VALUE_RANGE))
        return VALUE_NOTHING("this cannot be sliced");
    int64_t n = value_len(ev, v), step = 1;
    if (step_v.type != VALUE_MISSING && step_v.type != VALUE_NONE) {
        eval_need(ev, step_v);
        if (!value_is_int(step_v))
            eval_fail(ev, ERR_FORMAT, "a slice needs whole numbers, not '%s'", value_type_name(step_v));
        step = value_as_int(step_v);
    }
    if (step == 0) eval_fail(ev, ERR_FORMAT, "the step of a slice is zero");
    if (step > n) step = n + 1; /* the same items, and no overflow */
    if (step < -n) step = -n - 1;
    bool back = step < 0;
    int64_t low = back ? -1 : 0, high = back ? n - 1 : n;
    int64_t from = bound(ev, start, n, low, high, back ? n - 1 : 0), to = bound(ev, stop, n, low, high, back ? -1 : n);
    int64_t span = back ? from - to : to - from, count = span <= 0 ? 0 : (span - 1) / (back ? -step : step) + 1;
    if (str) return slice_str(ev, v, from, step, count);
    struct value l = value_list_new(ev, v.type, (uint32_t)count);
    l.flags = v.flags;
    eval_charge(ev, (uint64_t)count / 4);
    for (int64_t i = 0; i < count; i++) value_push(ev, l, v.list->item[from + i * step]);
    return l;
}
