#include <stdlib.h>
#include <string.h>

#include "models/grammar/schema_impl.h"

static bool is_required(const json_t *s, const char *key) {
    const json_t *list = json_object_get(s, "required");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && !strcmp(name, key)) return true;
    }
    return false;
}

/* The declared properties, and behind them those that are only required, which additional (NULL: none) describes. */
static json_t *all_properties(struct schema *c, const json_t *s, const json_t *additional) {
    json_t *props = json_object();
    json_t *declared = json_object_get(s, "properties");
    if (declared && !json_is_object(declared)) nfa_fail(c->n, ERR_FORMAT, "the schema's properties are not an object");
    if (json_is_object(declared) && json_object_update(props, declared))
        nfa_no_memory(c->n);
    const json_t *list = json_object_get(s, "required");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name || json_object_get(props, name)) continue;
        if (json_object_set_new(props, name, additional ? json_incref((json_t *)additional) : json_false()))
            nfa_no_memory(c->n);
    }
    if (!props || json_array_append_new(c->made, props)) nfa_no_memory(c->n);
    return props;
}

/* The place behind the properties that may be left out: nothing has been written yet, or something has. */
struct place {
    uint32_t empty, some;
};

static void property(struct schema *c, const char *key, const json_t *s, uint32_t from, uint32_t to) {
    uint32_t colon = nfa_state(c->n);
    quoted_literal(&c->quoted, key, strlen(key), from, colon);
    schema_value(c, s, schema_ws(c, nfa_text(c->n, colon, ":", 1)), to);
}

static uint32_t comma(struct schema *c, uint32_t from) { return schema_ws(c, nfa_text(c->n, from, ",", 1)); }

static struct place properties(struct schema *c, const json_t *s, const json_t *props, struct place at) {
    for (void *it = json_object_iter((json_t *)props); it; it = json_object_iter_next((json_t *)props, it)) {
        const char *key = json_object_iter_key(it);
        uint32_t begin = nfa_state(c->n);
        struct place next = {nfa_state(c->n), nfa_state(c->n)};
        if (!schema_step(c)) break;
        nfa_eps(c->n, at.empty, begin);
        nfa_eps(c->n, comma(c, at.some), begin);
        property(c, key, json_object_iter_value(it), begin, next.some);
        if (!is_required(s, key)) {
            nfa_eps(c->n, at.empty, next.empty);
            nfa_eps(c->n, at.some, next.some);
        }
        at = next;
    }
    return at;
}

/* Keys that a schema for names allows; it speaks of strings only. */
static void named_key(struct schema *c, const json_t *names, uint32_t from, uint32_t to) {
    static const char *const complete[] = {"type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"};
    bool typed = false;
    for (size_t i = 0; i < sizeof complete / sizeof *complete; i++)
        typed = typed || json_object_get(names, complete[i]);
    json_t *string = typed ? (json_t *)names : merge_without(c, names, "type");
    if (!typed && json_object_set_new(string, "type", json_string("string")))
        nfa_no_memory(c->n);
    schema_value(c, string, from, to);
}

static bool any_name(const json_t *names) {
    static const char *const narrower[] = {"pattern", "enum", "const", "minLength", "maxLength",
                                           "format",  "$ref", "anyOf", "oneOf",     "allOf"};
    for (size_t i = 0; i < sizeof narrower / sizeof *narrower; i++)
        if (json_object_get(names, narrower[i])) return false;
    return !json_is_false(names);
}

/* A key that is not declared, and its value. */
static uint32_t additional_rule(struct schema *c, const json_t *props, const json_t *names, const json_t *value) {
    uint32_t rule = nfa_rule(c->n);
    if (c->n->rc) return 0;
    uint32_t colon = nfa_state(c->n), from = c->n->rule[rule].start, to = c->n->rule[rule].end;
    if (any_name(names))
        quoted_other_key(&c->quoted, props, from, colon);
    else if (json_object_size(props))
        nfa_fail(c->n, ERR_UNSUPPORTED, "propertyNames beside properties is not supported in a schema");
    else if (!json_is_false(names))
        named_key(c, names, from, colon);
    schema_value(c, value, schema_ws(c, nfa_text(c->n, colon, ":", 1)), to);
    return rule;
}

/* min to max further members; then the end. */
static void additional(struct schema *c, uint32_t rule, uint32_t min, uint32_t max, struct place at, uint32_t to) {
    uint32_t top = max == UINT32_MAX ? (min > 1 ? min : 1) : max, some = at.some;
    if (min == 0) nfa_bytes(c->n, at.empty, '}', '}', to);
    for (uint32_t i = 0;; i++) {
        if (i >= min) nfa_bytes(c->n, schema_ws(c, some), '}', '}', to);
        bool loops = i == top && max == UINT32_MAX;
        if ((i >= top && !loops) || c->n->rc) break;
        uint32_t next = loops ? some : nfa_state(c->n);
        nfa_call(c->n, comma(c, some), rule, next);
        if (i == 0) nfa_call(c->n, at.empty, rule, next);
        if (loops) break;
        some = next;
    }
}

/* A single pattern and nothing else is the names of all properties. */
static const json_t *pattern_names(struct schema *c, const json_t *s, const json_t **value) {
    const json_t *patterns = json_object_get(s, "patternProperties");
    if (!json_object_size(patterns)) return NULL;
    if (json_object_size(patterns) > 1 || json_object_size(json_object_get(s, "properties")) ||
        json_object_get(s, "propertyNames")) {
        nfa_fail(c->n, ERR_UNSUPPORTED,
                 "patternProperties with several patterns or beside other properties is not supported");
        return NULL;
    }
    void *it = json_object_iter((json_t *)patterns);
    json_t *names = json_pack("{s:s, s:s}", "type", "string", "pattern", json_object_iter_key(it));
    if (!names || json_array_append_new(c->made, names)) nfa_no_memory(c->n);
    *value = json_object_iter_value(it);
    return names;
}

static uint32_t less(uint32_t a, uint32_t b) { return a > b ? a - b : 0; }

static uint32_t count_required(const json_t *s, const json_t *props) {
    uint32_t n = 0;
    for (void *it = json_object_iter((json_t *)props); it; it = json_object_iter_next((json_t *)props, it))
        n += is_required(s, json_object_iter_key(it));
    return n;
}

void shape_object(struct schema *c, const json_t *s, uint32_t from, uint32_t to) {
    const json_t *value = json_object_get(s, "additionalProperties"), *names = json_object_get(s, "propertyNames");
    bool open = !value && !json_object_size(json_object_get(s, "properties"));
    const json_t *required_value = json_is_false(value) ? NULL : value ? value : json_true();
    if (open) value = json_true();
    const json_t *pattern = pattern_names(c, s, &value);
    if (pattern) names = pattern;
    json_t *props = all_properties(c, s, required_value);
    uint32_t min = schema_count(c, s, "minProperties", 0), max = schema_count(c, s, "maxProperties", UINT32_MAX);
    if (c->n->rc || min > max) return;
    bool closed = !value || json_is_false(value) || (open && json_object_size(props) && !pattern);
    uint32_t n_prop = (uint32_t)json_object_size(props), n_required = count_required(s, props);
    if (max < n_prop || (closed && min > n_required)) {
        if (max >= n_required && min <= n_prop)
            nfa_fail(c->n, ERR_UNSUPPORTED,
                     "minProperties or maxProperties that depend on optional properties are not supported");
        return;
    }
    if (max != UINT32_MAX) max -= n_prop;
    if (max > QUOTED_MAX_COUNT) max = UINT32_MAX;
    uint32_t open_state = schema_ws(c, nfa_text(c->n, from, "{", 1));
    struct place at = properties(c, s, props, (struct place){open_state, nfa_state(c->n)});
    uint32_t rule = closed || !max ? NFA_NONE : additional_rule(c, props, names, value);
    additional(c, rule, rule == NFA_NONE ? 0 : less(min, n_required), rule == NFA_NONE ? 0 : max, at, to);
}

struct items {
    const json_t *prefix, *rest; /* an array or NULL; a schema, or NULL: none */
    uint32_t n_prefix, min, max;
};

static struct items items_of(struct schema *c, const json_t *s) {
    struct items x = {.prefix = json_object_get(s, "prefixItems"), .rest = json_object_get(s, "items")};
    if (json_is_array(x.rest)) {
        x.prefix = x.rest;
        x.rest = json_object_get(s, "additionalItems");
    }
    if (!x.rest) x.rest = json_object_get(s, "unevaluatedItems");
    x.n_prefix = (uint32_t)json_array_size(x.prefix);
    x.min = schema_count(c, s, "minItems", 0);
    x.max = schema_count(c, s, "maxItems", UINT32_MAX);
    if (x.max > QUOTED_MAX_COUNT) x.max = UINT32_MAX;
    if (x.min > QUOTED_MAX_COUNT)
        nfa_fail(c->n, ERR_LIMIT, "the schema asks for arrays of more than %u items", QUOTED_MAX_COUNT);
    uint32_t at_least = x.min > x.n_prefix ? x.min : x.n_prefix;
    bool tuple = x.n_prefix && !x.rest;
    if (!x.rest) x.rest = json_true();
    if (tuple && x.max > at_least) x.max = at_least; /* as with properties: none are added that nobody described */
    if (json_is_false(x.rest) && x.max > x.n_prefix) x.max = x.n_prefix;
    return x;
}

/* Where many items follow one schema, that becomes a rule. */
static void item(struct schema *c, const struct items *x, uint32_t i, uint32_t *rule, uint32_t from, uint32_t to) {
    if (i < x->n_prefix) {
        schema_value(c, json_array_get(x->prefix, i), from, to);
        return;
    }
    if (*rule == NFA_NONE) *rule = schema_rule(c, x->rest);
    nfa_call(c->n, from, *rule, to);
}

void shape_array(struct schema *c, const json_t *s, uint32_t from, uint32_t to) {
    struct items x = items_of(c, s);
    uint32_t rule = NFA_NONE, at = schema_ws(c, nfa_text(c->n, from, "[", 1));
    uint32_t top = x.max != UINT32_MAX ? x.max : x.n_prefix > x.min ? x.n_prefix : x.min;
    if (c->n->rc || x.min > x.max) return;
    if (!top && x.max) top = 1;
    for (uint32_t i = 0;; i++) {
        if (i >= x.min) nfa_bytes(c->n, i ? schema_ws(c, at) : at, ']', ']', to);
        bool loops = i == top && x.max == UINT32_MAX;
        if ((i >= top && !loops) || c->n->rc) break;
        uint32_t begin = i ? comma(c, at) : at, next = loops ? at : nfa_state(c->n);
        item(c, &x, i, &rule, begin, next);
        if (loops) break;
        at = next;
    }
}
