#include "models/grammar/schema.h"

#include <stdlib.h>
#include <string.h>

#include "models/grammar/grammar.h"
#include "models/grammar/schema_impl.h"

/* White space has bounds, so that a model cannot write it for ever. */
#define MAX_LINES 2
#define MAX_INDENT 40

bool schema_step(struct schema *c) {
    if (++c->n_step > SCHEMA_MAX_STEPS)
        nfa_fail(c->n, ERR_LIMIT, "the schema is too large, or its allOf and anyOf multiply too often");
    if (c->depth > SCHEMA_MAX_DEPTH)
        nfa_fail(c->n, ERR_LIMIT, "the schema is more than %d levels deep", SCHEMA_MAX_DEPTH);
    return !c->n->rc;
}

uint32_t schema_count(struct schema *c, const json_t *s, const char *key, uint32_t otherwise) {
    const json_t *j = json_object_get(s, key);
    if (!j) return otherwise;
    double x = json_number_value(j);
    if (!json_is_number(j) || !(x >= 0) || x != (double)(uint64_t)(x < 1e9 ? x : 1e9)) {
        if (json_is_number(j) && x > 1e9) return UINT32_MAX;
        nfa_fail(c->n, ERR_FORMAT, "the schema's %s is not a whole number from 0", key);
        return otherwise;
    }
    return (uint32_t)x;
}

static void fill_ws(struct nfa *n, uint32_t from, uint32_t to) {
    uint32_t indent = nfa_state(n);
    nfa_any_of(n, from, " ", to);
    for (int line = 0; line < MAX_LINES; line++) {
        from = nfa_text(n, from, "\n", 1);
        nfa_eps(n, from, indent);
    }
    from = indent;
    nfa_eps(n, from, to);
    for (int i = 0; i < MAX_INDENT; i++) {
        uint32_t next = nfa_state(n);
        nfa_any_of(n, from, " \t", next);
        nfa_eps(n, next, to);
        from = next;
    }
}

uint32_t schema_ws(struct schema *c, uint32_t from) {
    uint32_t to = nfa_state(c->n);
    if (c->ws == NFA_NONE) {
        c->ws = nfa_rule(c->n);
        if (!c->n->rc) fill_ws(c->n, c->n->rule[c->ws].start, c->n->rule[c->ws].end);
    }
    nfa_eps(c->n, from, to);
    nfa_call(c->n, from, c->ws, to);
    return to;
}

uint32_t schema_rule(struct schema *c, const json_t *s) {
    uint32_t rule = nfa_rule(c->n);
    if (c->n_todo == c->cap_todo) {
        uint32_t cap = c->cap_todo ? 2 * c->cap_todo : 32;
        struct todo *todo = realloc(c->todo, cap * sizeof *todo);
        if (!todo) {
            nfa_no_memory(c->n);
            return rule;
        }
        c->todo = todo;
        c->cap_todo = cap;
    }
    c->todo[c->n_todo++] = (struct todo){s, rule};
    return rule;
}

/* Any JSON value. */
static void any_value(struct schema *c, uint32_t from, uint32_t to) {
    if (c->value == NFA_NONE) {
        static const char *const words[] = {"true", "false", "null"};
        c->value = nfa_rule(c->n);
        if (c->n->rc) return;
        uint32_t start = c->n->rule[c->value].start, end = c->n->rule[c->value].end;
        for (int i = 0; i < 3; i++) nfa_eps(c->n, nfa_text(c->n, start, words[i], strlen(words[i])), end);
        json_t *any = json_object(); /* each type without a bound */
        if (!any || json_array_append_new(c->made, any)) {
            nfa_no_memory(c->n);
            return;
        }
        scalar_string(c, any, start, end);
        scalar_number(c, any, false, start, end);
        shape_array(c, any, start, end);
        shape_object(c, any, start, end);
    }
    nfa_call(c->n, from, c->value, to);
}

/* ~1 is /, ~0 is ~, and %XX a byte, as a reference is part of a URI. */
static void unescape(char *part) {
    char *out = part;
    for (const char *p = part; *p; p++) {
        char hex[3] = {p[0] == '%' ? p[1] : 0, p[0] == '%' && p[1] ? p[2] : 0, 0};
        char *end;
        long byte = strtol(hex, &end, 16);
        if (*p == '~' && (p[1] == '0' || p[1] == '1')) {
            *out++ = *++p == '1' ? '/' : '~';
        } else if (hex[0] && hex[1] && !*end && byte) {
            *out++ = (char)byte;
            p += 2;
        } else {
            *out++ = *p;
        }
    }
    *out = 0;
}

/* What a $ref leads to, or NULL and an error. */
static const json_t *target_of(struct schema *c, const char *ref) {
    const char *id = json_string_value(json_object_get(c->root, "$id"));
    size_t n_id = id ? strlen(id) : 0;
    const char *p = id && !strncmp(ref, id, n_id) && (ref[n_id] == '#' || !ref[n_id]) ? ref + n_id : ref;
    const json_t *at = *p == '#' || p != ref ? c->root : NULL;
    char part[256];
    p += *p == '#';
    while (at && *p) {
        size_t len = strcspn(p + 1, "/");
        if (*p != '/' || len >= sizeof part) at = NULL;
        if (!at) break;
        snprintf(part, sizeof part, "%.*s", (int)len, p + 1);
        unescape(part);
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(part, NULL, 10)) : json_object_get(at, part);
        p += 1 + len;
    }
    if (!at) nfa_fail(c->n, ERR_FORMAT, "the schema's $ref '%.100s' leads to nothing inside the schema", ref);
    return at;
}

static void reference(struct schema *c, const char *ref, uint32_t from, uint32_t to) {
    const json_t *known = json_object_get(c->rules, ref);
    uint32_t rule = (uint32_t)json_integer_value(known);
    if (!known) {
        const json_t *target = target_of(c, ref);
        if (!target) return;
        rule = schema_rule(c, target);
        if (json_object_set_new(c->rules, ref, json_integer(rule))) nfa_no_memory(c->n);
    }
    nfa_call(c->n, from, rule, to);
}

/* Whether s, but for one keyword, leaves everything open. */
static bool only(const json_t *s, const char *key) {
    static const char *const silent[] = {"title",      "description", "default",     "examples",      "example",
                                         "deprecated", "readOnly",    "writeOnly",   "$comment",      "$schema",
                                         "$id",        "$defs",       "definitions", "discriminator", "$anchor"};
    for (void *it = json_object_iter((json_t *)s); it; it = json_object_iter_next((json_t *)s, it)) {
        const char *k = json_object_iter_key(it);
        bool quiet = !strcmp(k, key);
        for (size_t i = 0; i < sizeof silent / sizeof *silent && !quiet; i++) quiet = !strcmp(k, silent[i]);
        if (!quiet) return false;
    }
    return true;
}

static void refuse_unknown(struct schema *c, const json_t *s) {
    static const char *const refused[] = {"not", "contains", "dependentRequired", "dependentSchemas", "dependencies",
        "$dynamicRef", "$recursiveRef"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (json_object_get(s, refused[i]))
            nfa_fail(c->n, ERR_UNSUPPORTED, "%s is not supported in a schema", refused[i]);
    if (json_object_get(s, "if") && (json_object_get(s, "then") || json_object_get(s, "else")))
        nfa_fail(c->n, ERR_UNSUPPORTED, "if is not supported in a schema");
}

static void alternatives(struct schema *c, const json_t *s, const char *key, uint32_t from, uint32_t to) {
    const json_t *list = json_object_get(s, key);
    if (!json_is_array(list)) nfa_fail(c->n, ERR_FORMAT, "the schema's %s is not an array", key);
    const json_t *base = only(s, key) ? NULL : merge_without(c, s, key);
    for (size_t i = 0; i < json_array_size(list) && !c->n->rc; i++) {
        const json_t *one = json_array_get(list, i);
        schema_value(c, base ? merge_schemas(c, base, one) : one, from, to);
    }
}

static void all_of(struct schema *c, const json_t *s, uint32_t from, uint32_t to) {
    const json_t *list = json_object_get(s, "allOf");
    if (!json_is_array(list)) nfa_fail(c->n, ERR_FORMAT, "the schema's allOf is not an array");
    const json_t *merged = only(s, "allOf") ? json_true() : merge_without(c, s, "allOf");
    for (size_t i = 0; i < json_array_size(list) && !c->n->rc; i++)
        merged = merge_schemas(c, merged, json_array_get(list, i));
    schema_value(c, merged, from, to);
}

static const char *type_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "object";
    case JSON_ARRAY: return "array";
    case JSON_STRING: return "string";
    case JSON_INTEGER: return "integer";
    case JSON_REAL: return "number";
    case JSON_NULL: return "null";
    default: return "boolean";
    }
}

static bool allows_type(const json_t *types, const json_t *value) {
    if (!types) return true;
    const char *t = type_of(value);
    bool whole = json_is_real(value) && json_real_value(value) == (double)(int64_t)json_real_value(value);
    for (size_t i = 0; i < (json_is_array(types) ? json_array_size(types) : 1); i++) {
        const char *name = json_string_value(json_is_array(types) ? json_array_get(types, i) : types);
        if (!name) continue;
        if (!strcmp(name, t) || (!strcmp(name, "number") && json_is_integer(value))) return true;
        if (whole && !strcmp(name, "integer")) return true;
    }
    return false;
}

/* const, or each value of enum that const and type leave. */
static void constants(struct schema *c, const json_t *s, uint32_t from, uint32_t to) {
    const json_t *one = json_object_get(s, "const"), *list = json_object_get(s, "enum"),
                 *types = json_object_get(s, "type");
    if (list && !json_is_array(list)) nfa_fail(c->n, ERR_FORMAT, "the schema's enum is not an array");
    if (!list && one && allows_type(types, one)) scalar_const(c, one, from, to);
    for (size_t i = 0; i < json_array_size(list) && !c->n->rc; i++) {
        const json_t *value = json_array_get(list, i);
        if ((!one || json_equal(one, value)) && allows_type(types, value)) scalar_const(c, value, from, to);
    }
}

static void one_type(struct schema *c, const json_t *s, const char *type, uint32_t from, uint32_t to) {
    if (!strcmp(type, "object")) {
        shape_object(c, s, from, to);
    } else if (!strcmp(type, "array")) {
        shape_array(c, s, from, to);
    } else if (!strcmp(type, "string")) {
        scalar_string(c, s, from, to);
    } else if (!strcmp(type, "number") || !strcmp(type, "integer")) {
        scalar_number(c, s, *type == 'i', from, to);
    } else if (!strcmp(type, "boolean")) {
        scalar_const(c, json_true(), from, to);
        scalar_const(c, json_false(), from, to);
    } else if (!strcmp(type, "null")) {
        scalar_const(c, json_null(), from, to);
    } else {
        nfa_fail(c->n, ERR_FORMAT, "the schema has the unknown type '%.40s'", type);
    }
}

/* The type that a schema without one speaks of. */
static const char *implied_type(const json_t *s) {
    static const char *const hint[][2] = {{"properties", "object"},
                                          {"required", "object"},
                                          {"additionalProperties", "object"},
                                          {"patternProperties", "object"},
                                          {"propertyNames", "object"},
                                          {"minProperties", "object"},
                                          {"maxProperties", "object"},
                                          {"items", "array"},
                                          {"prefixItems", "array"},
                                          {"minItems", "array"},
                                          {"maxItems", "array"},
                                          {"pattern", "string"},
                                          {"minLength", "string"},
                                          {"maxLength", "string"},
                                          {"minimum", "number"},
                                          {"maximum", "number"},
                                          {"exclusiveMinimum", "number"},
                                          {"exclusiveMaximum", "number"},
                                          {"multipleOf", "number"}};
    for (size_t i = 0; i < sizeof hint / sizeof *hint; i++)
        if (json_object_get(s, hint[i][0])) return hint[i][1];
    return scalar_format(s) ? "string" : NULL;
}

static void typed(struct schema *c, const json_t *s, uint32_t from, uint32_t to) {
    const json_t *types = json_object_get(s, "type");
    const char *implied = types ? NULL : implied_type(s);
    if (!types && !implied) any_value(c, from, to);
    if (implied) one_type(c, s, implied, from, to);
    if (json_is_string(types)) one_type(c, s, json_string_value(types), from, to);
    if (types && !json_is_string(types) && !json_is_array(types))
        nfa_fail(c->n, ERR_FORMAT, "the schema's type is neither a string nor an array");
    for (size_t i = 0; json_is_array(types) && i < json_array_size(types); i++) {
        const char *name = json_string_value(json_array_get(types, i));
        if (!name) nfa_fail(c->n, ERR_FORMAT, "the schema's type holds something else than strings");
        if (name) one_type(c, s, name, from, to);
    }
}

static void object_schema(struct schema *c, const json_t *s, uint32_t from, uint32_t to) {
    const json_t *ref = json_object_get(s, "$ref");
    refuse_unknown(c, s);
    if (ref && !json_is_string(ref)) {
        nfa_fail(c->n, ERR_FORMAT, "the schema's $ref is not a string");
        return;
    }
    if (json_is_true(json_object_get(s, "nullable"))) scalar_const(c, json_null(), from, to);
    if (json_object_get(s, "anyOf")) {
        alternatives(c, s, "anyOf", from, to);
    } else if (json_object_get(s, "oneOf")) {
        alternatives(c, s, "oneOf", from, to);
    } else if (ref && only(s, "$ref")) {
        reference(c, json_string_value(ref), from, to);
    } else if (ref) {
        const json_t *target = c->n->rc ? NULL : target_of(c, json_string_value(ref));
        if (target) schema_value(c, merge_schemas(c, merge_without(c, s, "$ref"), target), from, to);
    } else if (json_object_get(s, "allOf")) {
        all_of(c, s, from, to);
    } else if (json_object_get(s, "const") || json_object_get(s, "enum")) {
        constants(c, s, from, to);
    } else {
        typed(c, s, from, to);
    }
}

void schema_value(struct schema *c, const json_t *s, uint32_t from, uint32_t to) {
    if (!schema_step(c) || json_is_false(s)) return;
    c->depth++;
    if (json_is_true(s))
        any_value(c, from, to);
    else if (json_is_object(s))
        object_schema(c, s, from, to);
    else
        nfa_fail(c->n, ERR_FORMAT, "a schema is neither an object nor true or false");
    c->depth--;
}

static void compile_rules(struct schema *c) {
    uint32_t root = nfa_rule(c->n);
    if (c->n->rc) return;
    CHECK(root == 0);
    uint32_t begin = schema_ws(c, c->n->rule[0].start);
    schema_value(c, c->root, begin, c->n->rule[0].end);
    while (c->n_todo && !c->n->rc) {
        struct todo t = c->todo[--c->n_todo];
        schema_value(c, t.schema, c->n->rule[t.rule].start, c->n->rule[t.rule].end);
    }
}

static json_t *load(struct nfa *n, const char *json, size_t len) {
    json_error_t je;
    if (len > SCHEMA_MAX_BYTES) {
        nfa_fail(n, ERR_LIMIT, "the schema has %zu bytes; at most %u are taken", len, SCHEMA_MAX_BYTES);
        return NULL;
    }
    json_t *root = json_loadb(json, len, JSON_DECODE_ANY, &je);
    if (!root && json_error_code(&je) == json_error_numeric_overflow)
        root = json_loadb(json, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &je);
    if (!root) nfa_fail(n, ERR_FORMAT, "the schema is not JSON: %.150s", je.text);
    return root;
}

void schema_compile(struct nfa *n, const char *json, size_t len) {
    struct schema c = {.n = n, .ws = NFA_NONE, .value = NFA_NONE, .number = NFA_NONE};
    c.root = load(n, json, len);
    c.made = json_array();
    c.rules = json_object();
    quoted_init(&c.quoted, n);
    if (!c.made || !c.rules) nfa_no_memory(n);
    if (!n->rc) compile_rules(&c);
    free(c.todo);
    json_decref(c.rules);
    json_decref(c.made);
    json_decref(c.root);
}
