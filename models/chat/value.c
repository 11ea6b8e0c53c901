#include "models/chat/value.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "models/chat/eval.h"
#include "models/chat/print.h"
#include "models/chat/text.h"

#define FEW 8 /* pairs of a dict that are searched one by one */

struct value value_list_new(struct eval *ev, enum value_type type, uint32_t cap) {
    struct value_list *l = eval_alloc(ev, sizeof *l);
    if (cap) l->item = eval_alloc(ev, cap * sizeof *l->item);
    l->cap = cap;
    return (struct value){.type = (uint8_t)type, .list = l};
}

struct value value_dict_new(struct eval *ev, enum value_type type) {
    return (struct value){.type = (uint8_t)type, .dict = eval_alloc(ev, sizeof(struct value_dict))};
}

void value_push(struct eval *ev, struct value list, struct value v) {
    struct value_list *l = list.list;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4;
        struct value *wider = eval_alloc(ev, l->cap * sizeof *wider);
        if (l->n) memcpy(wider, l->item, l->n * sizeof *wider);
        l->item = wider;
    }
    l->item[l->n++] = v;
}

struct value value_pair_new(struct eval *ev, struct value a, struct value b) {
    struct value t = value_list_new(ev, VALUE_TUPLE, 2);
    t.list->item[0] = a;
    t.list->item[1] = b;
    t.list->n = 2;
    return t;
}

static uint64_t hash_number(struct value v) {
    double f = value_as_float(v);
    int64_t i = value_is_int(v) ? value_as_int(v) : fabs(f) < 9e18 && f == floor(f) ? (int64_t)f : 0;
    if (v.type == VALUE_FLOAT && (double)i != f) return XXH3_64bits(&f, sizeof f);
    return XXH3_64bits(&i, sizeof i);
}

static uint64_t hash(struct eval *ev, struct value v) {
    uint64_t h = v.type;
    switch (v.type) {
    case VALUE_STR:
        if (v.len >= 64) eval_charge(ev, v.len / 64);
        return XXH3_64bits(v.s, v.len);
    case VALUE_BOOL: case VALUE_INT: case VALUE_FLOAT: return hash_number(v);
    case VALUE_LIST: case VALUE_DICT: eval_fail(ev, ERR_FORMAT, "unhashable type: '%s'", value_type_name(v));
    case VALUE_TUPLE:
        eval_enter(ev);
        for (uint32_t i = 0; i < v.list->n; i++) h = h * 0x9e3779b97f4a7c15u + hash(ev, v.list->item[i]);
        ev->depth--;
        return h;
    default: return h;
    }
}

static void index_pair(struct value_dict *d, uint64_t h, uint32_t i) {
    uint32_t at = (uint32_t)h & d->mask;
    while (d->slot[at]) at = (at + 1) & d->mask;
    d->slot[at] = i + 1;
}

static void widen_dict(struct eval *ev, struct value_dict *d) {
    d->cap = d->cap ? d->cap * 2 : 4;
    struct value_pair *wider = eval_alloc(ev, d->cap * sizeof *wider);
    if (d->n) memcpy(wider, d->pair, d->n * sizeof *wider);
    d->pair = wider;
    if (d->cap <= FEW) return;
    d->mask = d->cap * 2 - 1;
    d->slot = eval_alloc(ev, (size_t)d->cap * 2 * sizeof *d->slot);
    for (uint32_t i = 0; i < d->n; i++) index_pair(d, hash(ev, d->pair[i].key), i);
}

struct value *value_get(struct eval *ev, const struct value_dict *d, struct value key) {
    uint64_t h = key.type == VALUE_STR && !d->slot ? 0 : hash(ev, key); /* also refuses what cannot be a key */
    if (!d->slot) {
        for (uint32_t i = 0; i < d->n; i++)
            if (value_equal(ev, d->pair[i].key, key)) return &d->pair[i].value;
        return NULL;
    }
    for (uint32_t at = (uint32_t)h & d->mask, tries = 0; d->slot[at]; at = (at + 1) & d->mask, tries++) {
        struct value_pair *p = &d->pair[d->slot[at] - 1];
        if (value_equal(ev, p->key, key)) return &p->value;
        if (tries % 8 == 7) eval_charge(ev, 1); /* keys made to collide cost what they take */
    }
    return NULL;
}

void value_put(struct eval *ev, struct value_dict *d, struct value key, struct value v) {
    struct value *old = value_get(ev, d, key);
    if (old) {
        *old = v;
        return;
    }
    if (d->n == d->cap) widen_dict(ev, d);
    d->pair[d->n] = (struct value_pair){key, v};
    if (d->slot) index_pair(d, hash(ev, key), d->n);
    d->n++;
}

bool value_true(struct value v) {
    switch (v.type) {
    case VALUE_MISSING: case VALUE_UNDEFINED: case VALUE_NONE: return false;
    case VALUE_BOOL: return v.b;
    case VALUE_INT: return v.i != 0;
    case VALUE_FLOAT: return v.f != 0;
    case VALUE_STR: return v.len > 0;
    case VALUE_LIST: case VALUE_TUPLE: return v.list->n > 0;
    case VALUE_ITER: return !(v.flags & VALUE_SIZED) || v.list->n > 0; /* a generator is true even when empty */
    case VALUE_DICT: return v.dict->n > 0;
    default: return true;
    }
}

static bool equal_lists(struct eval *ev, const struct value_list *a, const struct value_list *b) {
    if (a->n != b->n) return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!value_equal(ev, a->item[i], b->item[i])) return false;
    return true;
}

static bool equal_dicts(struct eval *ev, const struct value_dict *a, const struct value_dict *b) {
    if (a->n != b->n) return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const struct value *other = value_get(ev, b, a->pair[i].key);
        if (!other || !value_equal(ev, a->pair[i].value, *other)) return false;
    }
    return true;
}

static bool equal_numbers(struct value a, struct value b) {
    if (value_is_int(a) && value_is_int(b)) return value_as_int(a) == value_as_int(b);
    return value_as_float(a) == value_as_float(b);
}

static bool equal_inside(struct eval *ev, struct value a, struct value b) {
    eval_enter(ev);
    eval_charge(ev, a.type == VALUE_DICT ? a.dict->n : a.list->n);
    bool same = a.type == VALUE_DICT ? equal_dicts(ev, a.dict, b.dict) : equal_lists(ev, a.list, b.list);
    ev->depth--;
    return same;
}

bool value_equal(struct eval *ev, struct value a, struct value b) {
    if (value_is_number(a) && value_is_number(b)) return equal_numbers(a, b);
    if (a.type != b.type) return false;
    switch (a.type) {
    case VALUE_UNDEFINED: case VALUE_NONE: return true;
    case VALUE_STR:
        if (a.len != b.len) return false;
        if (a.len >= 64) eval_charge(ev, a.len / 64);
        return a.s == b.s || memcmp(a.s, b.s, a.len) == 0;
    case VALUE_LIST: case VALUE_TUPLE: case VALUE_DICT: return a.list == b.list || equal_inside(ev, a, b);
    case VALUE_METHOD: return a.bound->func == b.bound->func;
    default: return a.list == b.list; /* the same object */
    }
}

static int compare_strings(struct value a, struct value b) {
    int c = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len); /* UTF-8 keeps the order of characters */
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int compare_lists(struct eval *ev, const struct value_list *a, const struct value_list *b, const char *op) {
    eval_enter(ev);
    uint32_t i = 0;
    while (i < a->n && i < b->n && value_equal(ev, a->item[i], b->item[i])) i++;
    int c = i < a->n && i < b->n ? value_compare(ev, a->item[i], b->item[i], op) : (a->n > b->n) - (a->n < b->n);
    ev->depth--;
    return c;
}

int value_compare(struct eval *ev, struct value a, struct value b, const char *op) {
    eval_need(ev, a);
    eval_need(ev, b);
    if (value_is_int(a) && value_is_int(b)) {
        int64_t x = value_as_int(a), y = value_as_int(b);
        return (x > y) - (x < y);
    }
    if (value_is_number(a) && value_is_number(b)) {
        double x = value_as_float(a), y = value_as_float(b);
        return x != x || y != y ? 2 : (x > y) - (x < y); /* NaN: 2, neither less nor equal */
    }
    if (a.type == VALUE_STR && b.type == VALUE_STR) {
        eval_charge(ev, a.len / 64);
        return compare_strings(a, b);
    }
    if (a.type == b.type && value_is_list(a)) return compare_lists(ev, a.list, b.list, op);
    eval_fail(ev, ERR_FORMAT, "'%s' is not supported between '%s' and '%s'", op, value_type_name(a),
              value_type_name(b));
}

static bool list_contains(struct eval *ev, const struct value_list *l, struct value one) {
    eval_charge(ev, l->n / 4);
    for (uint32_t i = 0; i < l->n; i++)
        if (value_equal(ev, l->item[i], one)) return true;
    return false;
}

bool value_contains(struct eval *ev, struct value all, struct value one) {
    switch (all.type) {
    case VALUE_STR:
        eval_need(ev, one);
        if (one.type != VALUE_STR)
            eval_fail(ev, ERR_FORMAT, "'in' a string requires a string on its left, not '%s'", value_type_name(one));
        eval_charge(ev, text_find_steps(all.len, one.len));
        return text_find(all.s, all.len, one.s, one.len, 0) >= 0;
    case VALUE_LIST: case VALUE_TUPLE: case VALUE_ITER: return list_contains(ev, all.list, one);
    case VALUE_DICT: return value_get(ev, all.dict, one) != NULL;
    case VALUE_UNDEFINED: return false;
    default:
        eval_fail(ev, ERR_FORMAT, "'in' needs a string, list or dict on its right, not '%s'", value_type_name(all));
    }
}

const char *value_type_name(struct value v) {
    static const char *const names[] = {
        "missing", "Undefined", "NoneType", "bool", "int", "float", "str", "list", "tuple", "generator",
        "dict", "Namespace", "LoopContext", "function", "builtin_function_or_method", "Macro",
    };
    return names[v.type];
}

bool value_can_iterate(struct value v) {
    switch (v.type) {
    case VALUE_UNDEFINED:
    case VALUE_STR:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_ITER:
    case VALUE_DICT:
        return true;
    default: return false;
    }
}

static struct value characters(struct eval *ev, struct value v) {
    struct value l = value_list_new(ev, VALUE_LIST, (uint32_t)text_n_char(v.s, v.len));
    for (uint32_t i = 0; i < v.len;) {
        int32_t cp;
        uint32_t n = text_char(v.s + i, v.len - i, &cp);
        value_push(ev, l, value_str(v.s + i, n));
        i += n;
    }
    return l;
}

const struct value_list *value_items(struct eval *ev, struct value v) {
    static const struct value_list empty;
    switch (v.type) {
    case VALUE_LIST: case VALUE_TUPLE: case VALUE_ITER: return v.list;
    case VALUE_STR: return characters(ev, v).list;
    case VALUE_UNDEFINED: return &empty;
    case VALUE_DICT: {
        struct value keys = value_list_new(ev, VALUE_LIST, v.dict->n);
        for (uint32_t i = 0; i < v.dict->n; i++) value_push(ev, keys, v.dict->pair[i].key);
        return keys.list;
    }
    default: eval_fail(ev, ERR_FORMAT, "'%s' object is not iterable", value_type_name(v));
    }
}

int64_t value_len(struct eval *ev, struct value v) {
    switch (v.type) {
    case VALUE_UNDEFINED: return 0;
    case VALUE_STR: eval_charge(ev, v.len / 64); return (int64_t)text_n_char(v.s, v.len);
    case VALUE_LIST: case VALUE_TUPLE: return v.list->n;
    case VALUE_DICT: return v.dict->n;
    case VALUE_LOOP: return v.loop->items->n;
    default: break;
    }
    if (v.type == VALUE_ITER && v.flags & VALUE_SIZED) return v.list->n;
    eval_fail(ev, ERR_FORMAT, "object of type '%s' has no length", value_type_name(v));
}

struct value value_to_str(struct eval *ev, struct value v) {
    if (v.type == VALUE_STR) return v;
    struct eval_out o = {0};
    print_str(ev, &o, v);
    return eval_out_value(&o);
}
