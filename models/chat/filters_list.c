/* Filters on lists and dicts. Those that Jinja writes as generators give ITER: they can be looped over, not indexed. */
#include <string.h>

#include "models/chat/eval.h"
#include "models/chat/ops.h"
#include "models/chat/print.h"
#include "models/chat/text.h"

static bool given(struct value v) { return builtin_has(v) && v.type != VALUE_NONE; }
static bool truthy(struct value v) { return builtin_has(v) && value_true(v); }

BUILTIN(f_length) { return value_int(value_len(ev, a[0])); }

BUILTIN(f_first) {
    const struct value_list *l = value_items(ev, a[0]);
    return l->n ? l->item[0] : VALUE_NOTHING("the first of nothing");
}

BUILTIN(f_last) {
    if (a[0].type == VALUE_ITER && !(a[0].flags & VALUE_SIZED))
        eval_fail(ev, ERR_FORMAT, "a generator has no last item; make it a list");
    const struct value_list *l = value_items(ev, a[0]);
    return l->n ? l->item[l->n - 1] : VALUE_NOTHING("the last of nothing");
}

static struct value copy_items(struct eval *ev, struct value v, enum value_type type) {
    const struct value_list *from = value_items(ev, v);
    struct value l = value_list_new(ev, type, from->n);
    if (from->n) memcpy(l.list->item, from->item, from->n * sizeof *from->item);
    l.list->n = from->n;
    return l;
}

BUILTIN(f_list) { return copy_items(ev, a[0], VALUE_LIST); }

BUILTIN(f_reverse) {
    if (a[0].type == VALUE_STR) return ops_slice(ev, a[0], (struct value){0}, (struct value){0}, value_int(-1));
    struct value l = copy_items(ev, a[0], VALUE_ITER);
    for (uint32_t i = 0, j = l.list->n; i + 1 < j; i++) {
        struct value t = l.list->item[i];
        l.list->item[i] = l.list->item[--j];
        l.list->item[j] = t;
    }
    return l;
}

BUILTIN(f_join) {
    const struct value_list *l = value_items(ev, a[0]);
    struct value between = builtin_has(a[1]) ? value_to_str(ev, a[1]) : VALUE_LIT("");
    struct eval_out o = {0};
    for (uint32_t i = 0; i < l->n; i++) {
        if (i) eval_put(ev, &o, between.s, between.len);
        print_str(ev, &o, given(a[2]) ? eval_path(ev, l->item[i], a[2]) : l->item[i]);
    }
    return eval_out_value(&o);
}

/* The arguments without the first n. */
static struct args rest(const struct args *x, uint32_t n) {
    struct args r = *x;
    r.pos += n;
    r.n_pos -= n;
    return r;
}

static const struct value *named(const struct args *x, const char *name) {
    for (uint32_t i = 0; i < x->n_kw; i++)
        if (value_is(x->kw[i].key, name)) return &x->kw[i].value;
    return NULL;
}

static struct value map_attribute(struct eval *ev, struct value over, const struct args *x, struct value path) {
    struct value l = value_list_new(ev, VALUE_ITER, 0);
    const struct value *absent = named(x, "default");
    const struct value_list *items = value_items(ev, over);
    if (x->n_pos || x->n_kw > (absent ? 2u : 1u))
        eval_fail(ev, ERR_FORMAT, "'map' takes attribute and default, or a filter");
    for (uint32_t i = 0; i < items->n; i++) {
        struct value v = eval_path(ev, items->item[i], path);
        value_push(ev, l, v.type == VALUE_UNDEFINED && absent ? *absent : v);
    }
    return l;
}

BUILTIN(f_map) {
    const struct value *path = named(x, "attribute");
    if (!value_true(a[0])) return value_list_new(ev, VALUE_ITER, 0);
    if (path) return map_attribute(ev, a[0], x, *path);
    if (!x->n_pos || x->pos[0].type != VALUE_STR) eval_fail(ev, ERR_FORMAT, "'map' needs the name of a filter");
    const struct builtin *f = builtin_filter(x->pos[0]);
    if (!f)
        eval_fail(ev, ERR_FORMAT, "there is no filter '%.*s'", (int)text_offset(x->pos[0].s, x->pos[0].len, 40),
                  x->pos[0].s);
    const struct value_list *items = value_items(ev, a[0]);
    struct value l = value_list_new(ev, VALUE_ITER, items->n);
    struct args r = rest(x, 1);
    for (uint32_t i = 0; i < items->n; i++) value_push(ev, l, eval_apply(ev, f, items->item[i], &r));
    return l;
}

/* select, reject (n_path 0), selectattr, rejectattr (n_path 1): the test is named behind the path, or truth. */
static struct value choose(struct eval *ev, struct value over, const struct args *x, uint32_t n_path, bool keep) {
    struct value l = value_list_new(ev, VALUE_ITER, 0);
    const struct builtin *test = NULL;
    struct args r = {0};
    if (!value_true(over)) return l;
    if (x->n_pos < n_path) eval_fail(ev, ERR_FORMAT, "the attribute to select by is missing");
    if (x->n_pos > n_path) {
        struct value name = x->pos[n_path];
        test = name.type == VALUE_STR ? builtin_test(name) : NULL;
        if (!test) eval_fail(ev, ERR_FORMAT, "the test to select by does not exist");
        r = rest(x, n_path + 1);
    }
    const struct value_list *items = value_items(ev, over);
    for (uint32_t i = 0; i < items->n; i++) {
        struct value v = n_path ? eval_path(ev, items->item[i], x->pos[0]) : items->item[i];
        eval_charge(ev, 1);
        if (value_true(test ? eval_apply(ev, test, v, &r) : v) == keep) value_push(ev, l, items->item[i]);
    }
    return l;
}

BUILTIN(f_select) { return choose(ev, a[0], x, 0, true); }
BUILTIN(f_reject) { return choose(ev, a[0], x, 0, false); }
BUILTIN(f_selectattr) { return choose(ev, a[0], x, 1, true); }
BUILTIN(f_rejectattr) { return choose(ev, a[0], x, 1, false); }

static struct value fold_case(struct eval *ev, struct value v, bool sensitive) {
    return v.type == VALUE_STR && !sensitive ? text_to_case(ev, v, TEXT_LOWER) : v;
}

/* What to sort or group by: the item, or its attributes ("a.b,c") as a tuple. */
static struct value key_of(struct eval *ev, struct value item, struct value path, bool sensitive) {
    if (!given(path)) return fold_case(ev, item, sensitive);
    if (path.type != VALUE_STR || !memchr(path.s, ',', path.len))
        return fold_case(ev, eval_path(ev, item, path), sensitive);
    struct value key = value_list_new(ev, VALUE_TUPLE, 2);
    for (;;) {
        const char *comma = memchr(path.s, ',', path.len);
        struct value one = value_str(path.s, comma ? (size_t)(comma - path.s) : path.len);
        value_push(ev, key, fold_case(ev, eval_path(ev, item, one), sensitive));
        if (!comma) return key;
        path.len -= one.len + 1;
        path.s = comma + 1;
    }
}

struct sort {
    struct eval *ev;
    struct value_pair *at, *spare; /* key, item */
    bool reverse;
};

static bool goes_before(const struct sort *s, const struct value_pair *a, const struct value_pair *b) {
    eval_charge(s->ev, 1);
    int c = s->reverse ? value_compare(s->ev, b->key, a->key, "<") : value_compare(s->ev, a->key, b->key, "<");
    return c < 0;
}

/* Merge sort, stable also when reversed. */
static void sort_range(const struct sort *s, uint32_t from, uint32_t to) {
    uint32_t mid = from + (to - from) / 2, i = from, j = mid;
    if (to - from < 2) return;
    sort_range(s, from, mid);
    sort_range(s, mid, to);
    for (uint32_t k = from; k < to; k++) {
        bool right = i == mid || (j < to && goes_before(s, &s->at[j], &s->at[i]));
        s->spare[k] = right ? s->at[j++] : s->at[i++];
    }
    memcpy(s->at + from, s->spare + from, (to - from) * sizeof *s->at);
}

static struct value_pair *sort_pairs(struct eval *ev, struct value_pair *at, uint32_t n, bool reverse) {
    struct sort s = {ev, at, eval_alloc(ev, (n + 1) * sizeof *at), reverse};
    sort_range(&s, 0, n);
    return at;
}

static struct value_pair *sorted(struct eval *ev, const struct value_list *l, struct value path, bool sensitive,
                                 bool reverse) {
    struct value_pair *at = eval_alloc(ev, ((size_t)l->n + 1) * sizeof *at);
    for (uint32_t i = 0; i < l->n; i++)
        at[i] = (struct value_pair){key_of(ev, l->item[i], path, sensitive), l->item[i]};
    return sort_pairs(ev, at, l->n, reverse);
}

BUILTIN(f_sort) {
    const struct value_list *l = value_items(ev, a[0]);
    const struct value_pair *at = sorted(ev, l, a[3], truthy(a[2]), truthy(a[1]));
    struct value out = value_list_new(ev, VALUE_LIST, l->n);
    for (uint32_t i = 0; i < l->n; i++) value_push(ev, out, at[i].value);
    return out;
}

BUILTIN(f_dictsort) {
    eval_need(ev, a[0]);
    if (a[0].type != VALUE_DICT) eval_fail(ev, ERR_FORMAT, "'dictsort' needs a dict, not '%s'", value_type_name(a[0]));
    bool by_value = builtin_has(a[2]) && value_is(a[2], "value"), sensitive = truthy(a[1]);
    if (builtin_has(a[2]) && !by_value && !value_is(a[2], "key"))
        eval_fail(ev, ERR_FORMAT, "'dictsort' sorts by key or value");
    const struct value_dict *d = a[0].dict;
    struct value_pair *at = eval_alloc(ev, ((size_t)d->n + 1) * sizeof *at);
    for (uint32_t i = 0; i < d->n; i++)
        at[i] = (struct value_pair){fold_case(ev, by_value ? d->pair[i].value : d->pair[i].key, sensitive),
                                    value_pair_new(ev, d->pair[i].key, d->pair[i].value)};
    sort_pairs(ev, at, d->n, truthy(a[3]));
    struct value out = value_list_new(ev, VALUE_LIST, d->n);
    for (uint32_t i = 0; i < d->n; i++) value_push(ev, out, at[i].value);
    return out;
}

BUILTIN(f_groupby) {
    const struct value_list *l = value_items(ev, a[0]);
    bool sensitive = truthy(a[3]);
    struct value_pair *at = eval_alloc(ev, ((size_t)l->n + 1) * sizeof *at);
    for (uint32_t i = 0; i < l->n; i++) {
        struct value key = key_of(ev, l->item[i], a[1], sensitive);
        if (key.type == VALUE_UNDEFINED && given(a[2])) key = fold_case(ev, a[2], sensitive);
        at[i] = (struct value_pair){key, l->item[i]};
    }
    sort_pairs(ev, at, l->n, false);
    struct value out = value_list_new(ev, VALUE_LIST, 0);
    for (uint32_t i = 0; i < l->n;) {
        struct value grouper = key_of(ev, at[i].value, a[1], true), group = value_list_new(ev, VALUE_LIST, 0), pair;
        if (grouper.type == VALUE_UNDEFINED && given(a[2])) grouper = a[2];
        uint32_t from = i;
        while (i < l->n && value_equal(ev, at[i].key, at[from].key)) value_push(ev, group, at[i++].value);
        pair = value_pair_new(ev, grouper, group);
        pair.flags = VALUE_GROUP;
        value_push(ev, out, pair);
        if (i == from) i++; /* a key that does not equal itself (NaN) */
    }
    return out;
}

BUILTIN(f_unique) {
    const struct value_list *l = value_items(ev, a[0]);
    struct value seen = value_dict_new(ev, VALUE_DICT), out = value_list_new(ev, VALUE_ITER, 0);
    for (uint32_t i = 0; i < l->n; i++) {
        struct value key = key_of(ev, l->item[i], a[2], truthy(a[1]));
        if (value_get(ev, seen.dict, key)) continue;
        value_put(ev, seen.dict, key, value_none());
        value_push(ev, out, l->item[i]);
    }
    return out;
}

static struct value extreme(struct eval *ev, const struct value *a, bool max) {
    const struct value_list *l = value_items(ev, a[0]);
    if (!l->n) return VALUE_NOTHING("the smallest or largest of nothing");
    uint32_t best = 0;
    struct value best_key = key_of(ev, l->item[0], a[2], truthy(a[1]));
    for (uint32_t i = 1; i < l->n; i++) {
        struct value key = key_of(ev, l->item[i], a[2], truthy(a[1]));
        int c = max ? value_compare(ev, best_key, key, "<") : value_compare(ev, key, best_key, "<");
        if (c >= 0) continue;
        best = i;
        best_key = key;
    }
    return l->item[best];
}
BUILTIN(f_min) { return extreme(ev, a, false); }
BUILTIN(f_max) { return extreme(ev, a, true); }

BUILTIN(f_sum) {
    const struct value_list *l = value_items(ev, a[0]);
    struct value sum = builtin_has(a[2]) ? a[2] : value_int(0);
    if (sum.type == VALUE_STR) eval_fail(ev, ERR_FORMAT, "'sum' cannot add strings; use join");
    for (uint32_t i = 0; i < l->n; i++)
        sum = ops_binary(ev, OP_ADD, sum, given(a[1]) ? eval_path(ev, l->item[i], a[1]) : l->item[i]);
    return sum;
}

static int64_t count_of(struct eval *ev, struct value v, const char *what) {
    eval_need(ev, v);
    if (!value_is_int(v) || value_as_int(v) < 1) eval_fail(ev, ERR_FORMAT, "'%s' needs a number of at least 1", what);
    return value_as_int(v);
}

BUILTIN(f_batch) {
    const struct value_list *l = value_items(ev, a[0]);
    int64_t n = count_of(ev, a[1], "batch");
    struct value out = value_list_new(ev, VALUE_ITER, 0);
    for (uint32_t i = 0; i < l->n;) {
        struct value row = value_list_new(ev, VALUE_LIST, 0);
        for (int64_t k = 0; k < n && i < l->n; k++) value_push(ev, row, l->item[i++]);
        while (given(a[2]) && row.list->n < n) value_push(ev, row, a[2]);
        value_push(ev, out, row);
    }
    return out;
}

BUILTIN(f_slice) {
    const struct value_list *l = value_items(ev, a[0]);
    int64_t n = count_of(ev, a[1], "slice");
    struct value out = value_list_new(ev, VALUE_ITER, 0);
    uint32_t at = 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t longer = l->n % n, size = l->n / n + (k < longer);
        struct value row = value_list_new(ev, VALUE_LIST, 0);
        eval_charge(ev, 1);
        for (int64_t i = 0; i < size; i++) value_push(ev, row, l->item[at++]);
        if (given(a[2]) && k >= longer) value_push(ev, row, a[2]);
        value_push(ev, out, row);
    }
    return out;
}

BUILTIN(f_items) {
    struct value out = value_list_new(ev, VALUE_ITER, 0);
    if (a[0].type == VALUE_UNDEFINED) return out;
    if (a[0].type != VALUE_DICT) eval_fail(ev, ERR_FORMAT, "'items' needs a dict, not '%s'", value_type_name(a[0]));
    for (uint32_t i = 0; i < a[0].dict->n; i++)
        value_push(ev, out, value_pair_new(ev, a[0].dict->pair[i].key, a[0].dict->pair[i].value));
    return out;
}

BUILTIN(f_attr) {
    struct value name = value_to_str(ev, a[1]);
    return a[0].type == VALUE_DICT ? value_undefined(VALUE_DICT, name.s, name.len) : eval_attr(ev, a[0], name);
}

static const struct builtin table[] = {
    {"length", "", 0, f_length},
    {"count", "", 0, f_length},
    {"first", "", 0, f_first},
    {"last", "", 0, f_last},
    {"list", "", 0, f_list},
    {"reverse", "", 0, f_reverse},
    {"join", "d attribute", 0, f_join},
    {"map", "*", 0, f_map},
    {"select", "*", 0, f_select},
    {"reject", "*", 0, f_reject},
    {"selectattr", "*", 0, f_selectattr},
    {"rejectattr", "*", 0, f_rejectattr},
    {"sort", "reverse case_sensitive attribute", 0, f_sort},
    {"dictsort", "case_sensitive by reverse", 0, f_dictsort},
    {"groupby", "attribute default case_sensitive", 1, f_groupby},
    {"unique", "case_sensitive attribute", 0, f_unique},
    {"min", "case_sensitive attribute", 0, f_min},
    {"max", "case_sensitive attribute", 0, f_max},
    {"sum", "attribute start", 0, f_sum},
    {"batch", "linecount fill_with", 1, f_batch},
    {"slice", "slices fill_with", 1, f_slice},
    {"items", "", 0, f_items},
    {"attr", "name", 1, f_attr},
};
const struct builtin_table filters_list = {table, sizeof table / sizeof *table};
