/* Methods of lists, tuples and dicts; those that change them are not for templates. */
#include "models/chat/eval.h"

BUILTIN(m_index) {
    eval_charge(ev, a[0].list->n / 4);
    for (uint32_t i = 0; i < a[0].list->n; i++)
        if (value_equal(ev, a[0].list->item[i], a[1])) return value_int(i);
    eval_fail(ev, ERR_FORMAT, "index(): the value is not in the list");
}

BUILTIN(m_count) {
    int64_t n = 0;
    eval_charge(ev, a[0].list->n / 4);
    for (uint32_t i = 0; i < a[0].list->n; i++) n += value_equal(ev, a[0].list->item[i], a[1]);
    return value_int(n);
}

/* Lists never change, so that a copy is the list. */
BUILTIN(m_copy) { return a[0]; }

BUILTIN(m_get) {
    const struct value *v = value_get(ev, a[0].dict, a[1]);
    return v ? *v : builtin_has(a[2]) ? a[2] : value_none();
}

BUILTIN(m_keys) {
    struct value l = value_list_new(ev, VALUE_ITER, a[0].dict->n);
    l.flags = VALUE_SIZED;
    for (uint32_t i = 0; i < a[0].dict->n; i++) value_push(ev, l, a[0].dict->pair[i].key);
    return l;
}

BUILTIN(m_values) {
    struct value l = value_list_new(ev, VALUE_ITER, a[0].dict->n);
    l.flags = VALUE_SIZED;
    for (uint32_t i = 0; i < a[0].dict->n; i++) value_push(ev, l, a[0].dict->pair[i].value);
    return l;
}

BUILTIN(m_items) {
    struct value l = value_list_new(ev, VALUE_ITER, a[0].dict->n);
    l.flags = VALUE_SIZED;
    for (uint32_t i = 0; i < a[0].dict->n; i++)
        value_push(ev, l, value_pair_new(ev, a[0].dict->pair[i].key, a[0].dict->pair[i].value));
    return l;
}

static const struct builtin of_list[] = {
    {"index", "value", 1, m_index}, {"count", "value", 1, m_count}, {"copy", "", 0, m_copy}};
static const struct builtin of_dict[] = {
    {"get", "key default", 1, m_get}, {"keys", "", 0, m_keys}, {"values", "", 0, m_values},
    {"items", "", 0, m_items}, {"copy", "", 0, m_copy},
};
const struct builtin_table method_list = {of_list, sizeof of_list / sizeof *of_list};
const struct builtin_table method_dict = {of_dict, sizeof of_dict / sizeof *of_dict};
