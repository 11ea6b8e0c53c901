/* Finding what is ready-made; tests and functions. */
#include "models/chat/builtin.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "models/chat/eval.h"
#include "models/chat/ops.h"
#include "models/chat/text.h"

#define MAX_RANGE 100000 /* as Jinja's sandbox has it */

BUILTIN(is_defined) { return value_bool(a[0].type != VALUE_UNDEFINED); }
BUILTIN(is_undefined) { return value_bool(a[0].type == VALUE_UNDEFINED); }
BUILTIN(is_none) { return value_bool(a[0].type == VALUE_NONE); }
BUILTIN(is_string) { return value_bool(a[0].type == VALUE_STR); }
BUILTIN(is_mapping) { return value_bool(a[0].type == VALUE_DICT); }
BUILTIN(is_boolean) { return value_bool(a[0].type == VALUE_BOOL); }
BUILTIN(is_true) { return value_bool(a[0].type == VALUE_BOOL && a[0].b); }
BUILTIN(is_false) { return value_bool(a[0].type == VALUE_BOOL && !a[0].b); }
BUILTIN(is_integer) { return value_bool(a[0].type == VALUE_INT); }
BUILTIN(is_float) { return value_bool(a[0].type == VALUE_FLOAT); }
BUILTIN(is_number) { return value_bool(value_is_number(a[0])); }
BUILTIN(is_iterable) { return value_bool(value_can_iterate(a[0])); }
BUILTIN(is_escaped) { return value_bool(a[0].type == VALUE_STR && a[0].flags & VALUE_SAFE); }
BUILTIN(is_filter) { return value_bool(a[0].type == VALUE_STR && builtin_filter(a[0])); }
BUILTIN(is_test) { return value_bool(a[0].type == VALUE_STR && builtin_test(a[0])); }
BUILTIN(is_in) { return value_bool(value_contains(ev, a[1], a[0])); }
BUILTIN(is_eq) { return value_bool(value_equal(ev, a[0], a[1])); }
BUILTIN(is_ne) { return value_bool(!value_equal(ev, a[0], a[1])); }
BUILTIN(is_lt) { return value_bool(ops_compare(ev, OP_LT, a[0], a[1])); }
BUILTIN(is_le) { return value_bool(ops_compare(ev, OP_LE, a[0], a[1])); }
BUILTIN(is_gt) { return value_bool(ops_compare(ev, OP_GT, a[0], a[1])); }
BUILTIN(is_ge) { return value_bool(ops_compare(ev, OP_GE, a[0], a[1])); }

static struct value is_case(struct eval *ev, struct value v, bool upper) {
    v = value_to_str(ev, v);
    eval_charge(ev, v.len / 8);
    return value_bool(text_is_case(v, upper));
}
BUILTIN(is_lower) { return is_case(ev, a[0], false); }
BUILTIN(is_upper) { return is_case(ev, a[0], true); }

BUILTIN(is_sequence) {
    bool view = a[0].type == VALUE_ITER && a[0].flags & VALUE_RANGE;
    return value_bool(view || (value_can_iterate(a[0]) && a[0].type != VALUE_ITER));
}

BUILTIN(is_callable) {
    return value_bool(a[0].type == VALUE_UNDEFINED || a[0].type >= VALUE_LOOP); /* undefined has a __call__, too */
}

/* The same object: for what has no identity here (numbers, strings), the same type and value. */
BUILTIN(is_sameas) {
    if (a[0].type != a[1].type) return value_bool(false);
    bool by_value = a[0].type <= VALUE_STR;
    return value_bool(by_value ? value_equal(ev, a[0], a[1]) : a[0].list == a[1].list);
}

BUILTIN(is_divisible) {
    return value_bool(value_equal(ev, ops_binary(ev, OP_MOD, a[0], a[1]), value_int(0)));
}
BUILTIN(is_even) {
    return value_bool(value_equal(ev, ops_binary(ev, OP_MOD, a[0], value_int(2)), value_int(0)));
}
BUILTIN(is_odd) {
    return value_bool(value_equal(ev, ops_binary(ev, OP_MOD, a[0], value_int(2)), value_int(1)));
}

static const struct builtin tests[] = {
    {"defined", "", 0, is_defined}, {"undefined", "", 0, is_undefined}, {"none", "", 0, is_none},
    {"string", "", 0, is_string}, {"mapping", "", 0, is_mapping}, {"sequence", "", 0, is_sequence},
    {"iterable", "", 0, is_iterable}, {"number", "", 0, is_number}, {"integer", "", 0, is_integer},
    {"float", "", 0, is_float}, {"boolean", "", 0, is_boolean}, {"true", "", 0, is_true}, {"false", "", 0, is_false},
    {"callable", "", 0, is_callable}, {"escaped", "", 0, is_escaped}, {"filter", "", 0, is_filter},
    {"test", "", 0, is_test}, {"lower", "", 0, is_lower}, {"upper", "", 0, is_upper}, {"odd", "", 0, is_odd},
    {"even", "", 0, is_even}, {"divisibleby", "num", 1, is_divisible}, {"sameas", "other", 1, is_sameas},
    {"in", "seq", 1, is_in}, {"==", "b", 1, is_eq}, {"eq", "b", 1, is_eq}, {"equalto", "b", 1, is_eq},
    {"!=", "b", 1, is_ne}, {"ne", "b", 1, is_ne}, {"<", "b", 1, is_lt}, {"lt", "b", 1, is_lt},
    {"lessthan", "b", 1, is_lt}, {"<=", "b", 1, is_le}, {"le", "b", 1, is_le}, {">", "b", 1, is_gt},
    {"gt", "b", 1, is_gt}, {"greaterthan", "b", 1, is_gt}, {">=", "b", 1, is_ge}, {"ge", "b", 1, is_ge},
};

static int64_t whole(struct eval *ev, struct value v) {
    eval_need(ev, v);
    if (!value_is_int(v)) eval_fail(ev, ERR_FORMAT, "range() needs whole numbers, not '%s'", value_type_name(v));
    return value_as_int(v);
}

BUILTIN(fn_range) {
    int64_t from = builtin_has(a[2]) ? whole(ev, a[1]) : 0, to = whole(ev, builtin_has(a[2]) ? a[2] : a[1]);
    int64_t step = builtin_has(a[3]) ? whole(ev, a[3]) : 1;
    if (step == 0) eval_fail(ev, ERR_FORMAT, "the step of range() is zero");
    bool empty = step > 0 ? from >= to : from <= to;
    uint64_t span = empty ? 0 : step > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to;
    uint64_t size = step > 0 ? (uint64_t)step : -(uint64_t)step, n = empty ? 0 : (span - 1) / size + 1;
    if (n > MAX_RANGE) eval_fail(ev, ERR_LIMIT, "a range of more than %d numbers", MAX_RANGE);
    struct value l = value_list_new(ev, VALUE_ITER, (uint32_t)n);
    l.flags = VALUE_SIZED | VALUE_RANGE;
    for (uint64_t i = 0; i < n; i++) value_push(ev, l, value_int(from + (int64_t)i * step));
    return l;
}

/* Named arguments and mappings (or pairs) into one. */
static struct value new_dict(struct eval *ev, enum value_type type, const struct args *x) {
    struct value d = value_dict_new(ev, type);
    for (uint32_t i = 0; i < x->n_pos; i++) {
        struct value from = x->pos[i];
        eval_need(ev, from);
        if (from.type == VALUE_DICT) {
            for (uint32_t k = 0; k < from.dict->n; k++)
                value_put(ev, d.dict, from.dict->pair[k].key, from.dict->pair[k].value);
            continue;
        }
        const struct value_list *pairs = value_items(ev, from);
        for (uint32_t k = 0; k < pairs->n; k++) {
            const struct value_list *two = value_items(ev, pairs->item[k]);
            if (two->n != 2) eval_fail(ev, ERR_FORMAT, "a dict is made of pairs, not of %u values", two->n);
            value_put(ev, d.dict, two->item[0], two->item[1]);
        }
    }
    for (uint32_t i = 0; i < x->n_kw; i++) value_put(ev, d.dict, x->kw[i].key, x->kw[i].value);
    return d;
}

BUILTIN(fn_dict) { return new_dict(ev, VALUE_DICT, x); }
BUILTIN(fn_namespace) { return new_dict(ev, VALUE_NAMESPACE, x); }

BUILTIN(fn_raise) {
    struct value s = value_to_str(ev, a[1]);
    eval_fail(ev, ERR_UNSUPPORTED, "%.*s", (int)text_offset(s.s, s.len, 300), s.s);
}

BUILTIN(fn_strftime_now) {
    time_t now = (time_t)ev->now_s;
    struct tm tm;
    eval_need(ev, a[1]);
    if (a[1].type != VALUE_STR || a[1].len > 256) eval_fail(ev, ERR_FORMAT, "strftime_now() needs a short string");
    char fmt[260], text[1024];
    memcpy(fmt, a[1].s, a[1].len);
    fmt[a[1].len] = 0;
    if (!localtime_r(&now, &tm)) eval_fail(ev, ERR_FORMAT, "the time cannot be told");
    size_t n = strftime(text, sizeof text, fmt, &tm);
    char *copy = eval_alloc(ev, n + 1);
    memcpy(copy, text, n);
    return value_str(copy, n);
}

static const struct builtin globals[] = {
    {"range", "start stop step", 1, fn_range}, {"dict", "*", 0, fn_dict}, {"namespace", "*", 0, fn_namespace},
    {"raise_exception", "message", 1, fn_raise}, {"strftime_now", "format", 1, fn_strftime_now},
};

const struct builtin *builtin_in(const struct builtin_table *t, struct value name) {
    for (uint32_t i = 0; i < t->n; i++)
        if (value_is(name, t->at[i].name)) return &t->at[i];
    return NULL;
}

#define IN(table, name) builtin_in(&(struct builtin_table){(table), sizeof(table) / sizeof *(table)}, (name))

const struct builtin *builtin_test(struct value name) { return IN(tests, name); }
const struct builtin *builtin_global(struct value name) { return IN(globals, name); }

const struct builtin *builtin_filter(struct value name) {
    const struct builtin *f = builtin_in(&filters_text, name);
    if (!f) f = builtin_in(&filters_list, name);
    return f ? f : builtin_in(&filters_number, name);
}

/* loop.cycle and loop.changed */
BUILTIN(loop_cycle) {
    if (!x->n_pos) eval_fail(ev, ERR_FORMAT, "loop.cycle() needs values");
    return x->pos[a[0].loop->i % x->n_pos];
}

BUILTIN(loop_changed) {
    struct value now = value_list_new(ev, VALUE_TUPLE, x->n_pos);
    for (uint32_t i = 0; i < x->n_pos; i++) value_push(ev, now, x->pos[i]);
    bool same = a[0].loop->changed.type == VALUE_TUPLE && value_equal(ev, a[0].loop->changed, now);
    a[0].loop->changed = now;
    return value_bool(!same);
}

static const struct builtin loop_methods[] = {{"cycle", "*", 0, loop_cycle}, {"changed", "*", 0, loop_changed}};

const struct builtin *builtin_method(struct value of, struct value name) {
    switch (of.type) {
    case VALUE_STR: return builtin_in(&method_str, name);
    case VALUE_LIST: case VALUE_TUPLE: return builtin_in(&method_list, name);
    case VALUE_DICT: return builtin_in(&method_dict, name);
    case VALUE_LOOP: return IN(loop_methods, name);
    default: return NULL;
    }
}

bool builtin_is_forbidden(struct value of, struct value name) {
    static const char *const lists[] = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
    static const char *const dicts[] = {"clear", "pop", "popitem", "setdefault", "update"};
    const char *const *names = of.type == VALUE_LIST ? lists : of.type == VALUE_DICT ? dicts : NULL;
    uint32_t n = of.type == VALUE_LIST ? sizeof lists / sizeof *lists : sizeof dicts / sizeof *dicts;
    for (uint32_t i = 0; names && i < n; i++)
        if (value_is(name, names[i])) return true;
    return false;
}
