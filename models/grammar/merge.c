/* allOf: two schemas become one. What both constrain is narrowed where one keyword can say it, else put under a further
 * allOf of the subschemas; what cannot be said is refused. */
#include <string.h>

#include "models/grammar/schema_impl.h"

static json_t *keep(struct schema *c, json_t *j) {
    if (j && !json_array_append_new(c->made, j)) return j;
    nfa_no_memory(c->n);
    return NULL;
}

static void set(struct schema *c, json_t *to, const char *key, const json_t *value) {
    if (json_object_set(to, key, (json_t *)value)) nfa_no_memory(c->n);
}

static void set_new(struct schema *c, json_t *to, const char *key, json_t *value) {
    if (json_object_set_new(to, key, value)) nfa_no_memory(c->n);
}

static void append_new(struct schema *c, json_t *list, json_t *value) {
    if (json_array_append_new(list, value)) nfa_no_memory(c->n);
}

json_t *merge_without(struct schema *c, const json_t *s, const char *key) {
    json_t *copy = keep(c, json_copy((json_t *)s));
    if (copy && json_object_get(copy, key)) json_object_del(copy, key);
    return copy;
}

static bool is_any(const json_t *s) { return json_is_true(s) || (json_is_object(s) && !json_object_size(s)); }

/* {"allOf": [a, b]}, or one of them when the other allows everything or is equal. */
static json_t *both(const json_t *a, const json_t *b) {
    if (!b || is_any(b) || (a && json_equal(a, b))) return json_incref((json_t *)a);
    if (!a || is_any(a)) return json_incref((json_t *)b);
    return json_pack("{s:[O,O]}", "allOf", a, b);
}

static bool has_type(const json_t *types, const char *name) {
    if (json_is_string(types)) return !strcmp(json_string_value(types), name);
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *t = json_string_value(json_array_get(types, i));
        if (t && !strcmp(t, name)) return true;
    }
    return false;
}

static json_t *common_types(struct schema *c, const json_t *a, const json_t *b) {
    static const char *const all[] = {"null", "boolean", "object", "array", "string", "integer", "number"};
    json_t *out = json_array();
    bool number = has_type(a, "number") && has_type(b, "number");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bool in_a = has_type(a, all[i]), in_b = has_type(b, all[i]);
        if (!strcmp(all[i], "integer")) {
            in_a = !number && (in_a || has_type(a, "number"));
            in_b = !number && (in_b || has_type(b, "number"));
        }
        if (in_a && in_b) append_new(c, out, json_string(all[i]));
    }
    return out;
}

static bool contains(const json_t *list, const json_t *x) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), x)) return true;
    return false;
}

static json_t *common_values(struct schema *c, const json_t *a, const json_t *b) {
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(a); i++)
        if (contains(b, json_array_get(a, i))) append_new(c, out, json_incref(json_array_get(a, i)));
    return out;
}

static json_t *union_of(struct schema *c, const json_t *a, const json_t *b) {
    json_t *out = json_copy((json_t *)a);
    for (size_t i = 0; i < json_array_size(b); i++)
        if (!contains(out, json_array_get(b, i))) append_new(c, out, json_incref(json_array_get(b, i)));
    return out;
}

/* Properties that only one side declares are additional ones of the other side. */
static void add_properties(struct schema *c, json_t *out, const json_t *own, const json_t *other,
                           const json_t *other_additional) {
    for (void *it = json_object_iter((json_t *)own); it; it = json_object_iter_next((json_t *)own, it)) {
        const char *key = json_object_iter_key(it);
        const json_t *mine = json_object_iter_value(it), *theirs = json_object_get(other, key);
        if (json_object_get(out, key)) continue;
        if (!theirs) theirs = other_additional;
        set_new(c, out, key, json_is_false(theirs) ? json_false() : both(mine, theirs));
    }
}

static void merge_properties(struct schema *c, json_t *out, const json_t *a, const json_t *b) {
    const json_t *pa = json_object_get(a, "properties"), *pb = json_object_get(b, "properties");
    const json_t *xa = json_object_get(a, "additionalProperties"), *xb = json_object_get(b, "additionalProperties");
    if (pa || pb) {
        json_t *props = json_object();
        add_properties(c, props, pa, pb, xb);
        add_properties(c, props, pb, pa, xa);
        set_new(c, out, "properties", props);
    }
    bool closed = json_is_false(xa) || json_is_false(xb);
    if (xa && xb) set_new(c, out, "additionalProperties", closed ? json_false() : both(xa, xb));
}

static json_t *larger(const json_t *a, const json_t *b, bool want_larger) {
    bool a_larger = json_number_value(a) >= json_number_value(b);
    return json_incref((json_t *)(a_larger == want_larger ? a : b));
}

static bool one_of(const char *key, const char *list) {
    const char *p = strstr(list, key);
    return p && p[-1] == ' ' && p[strlen(key)] == ' ';
}

/* A keyword that both have; NULL: it cannot be merged here. */
static json_t *merge_keyword(struct schema *c, const char *key, const json_t *a, const json_t *b) {
    if (json_equal(a, b)) return json_incref((json_t *)a);
    if (!strcmp(key, "type")) return common_types(c, a, b);
    if (!strcmp(key, "enum")) return common_values(c, a, b);
    if (!strcmp(key, "required") && json_is_array(a)) return union_of(c, a, b);
    if (json_is_number(a) && json_is_number(b)) {
        if (one_of(key, " minimum exclusiveMinimum minLength minItems minProperties ")) return larger(a, b, true);
        if (one_of(key, " maximum exclusiveMaximum maxLength maxItems maxProperties ")) return larger(a, b, false);
    }
    if (one_of(key, " items additionalItems propertyNames ") && !json_is_array(a) && !json_is_array(b))
        return both(a, b);
    if (!strcmp(key, "nullable")) return json_boolean(json_is_true(a) && json_is_true(b));
    if (one_of(
            key,
            " pattern format const prefixItems items multipleOf patternProperties exclusiveMinimum exclusiveMaximum "))
        return NULL;
    return json_incref((json_t *)a); /* annotations, definitions */
}

/* Keywords that may stand several times: under a further allOf each. */
static bool put_aside(struct schema *c, json_t *out, const char *key, const json_t *value) {
    if (!one_of(key, " anyOf oneOf $ref allOf ")) return false;
    json_t *list = json_copy(json_object_get(out, "allOf"));
    if (!list) list = json_array();
    if (strcmp(key, "allOf"))
        append_new(c, list, json_pack("{s:O}", key, value));
    else if (json_array_extend(list, (json_t *)value))
        nfa_no_memory(c->n);
    set_new(c, out, "allOf", list);
    return true;
}

static void merge_one(struct schema *c, json_t *out, const char *key, const json_t *value) {
    const json_t *old = json_object_get(out, key);
    if (!old) {
        set(c, out, key, value);
        return;
    }
    if (put_aside(c, out, key, value)) return;
    json_t *merged = merge_keyword(c, key, old, value);
    if (merged)
        set_new(c, out, key, merged);
    else
        nfa_fail(c->n, ERR_UNSUPPORTED, "the schema has two different %s for one value (allOf); hy cannot join them",
                 key);
}

const json_t *merge_schemas(struct schema *c, const json_t *a, const json_t *b) {
    if (!schema_step(c)) return json_false();
    if (is_any(b) || json_is_false(a)) return a;
    if (is_any(a) || json_is_false(b)) return b;
    if (!json_is_object(a) || !json_is_object(b)) {
        nfa_fail(c->n, ERR_FORMAT, "a schema is neither an object nor true or false");
        return json_false();
    }
    json_t *out = keep(c, json_copy((json_t *)a));
    if (!out) return json_false();
    for (void *it = json_object_iter((json_t *)b); it && !c->n->rc; it = json_object_iter_next((json_t *)b, it)) {
        const char *key = json_object_iter_key(it);
        bool later = !strcmp(key, "properties") || (!strcmp(key, "additionalProperties") && json_object_get(a, key));
        if (!later) merge_one(c, out, key, json_object_iter_value(it));
        c->n_step +=
            (uint32_t)(json_object_size(json_object_iter_value(it)) + json_array_size(json_object_iter_value(it))) / 8;
    }
    merge_properties(c, out, a, b);
    return c->n->rc ? json_false() : out;
}
