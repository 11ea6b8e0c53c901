/* A second opinion: whether a JSON value satisfies a schema, written straight from the standard's sentences. Knows
 * what models/grammar knows; oneOf counts as anyOf. Static, for tests. */
#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <jansson.h>
#include <math.h>
#include <pcre2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool check_schema(const json_t *root, const json_t *s, const json_t *v);

static bool check_regex(const char *pattern, const char *text) {
    int code;
    PCRE2_SIZE at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                   PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS,
                                   &code, &at, NULL);
    if (!re) return false;
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(re, NULL);
    int rc = pcre2_match(re, (PCRE2_SPTR)text, strlen(text), 0, 0, m, NULL);
    pcre2_match_data_free(m);
    pcre2_code_free(re);
    return rc >= 0;
}

static size_t check_chars(const char *s) {
    size_t n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static bool check_type(const char *t, const json_t *v) {
    if (!strcmp(t, "object")) return json_is_object(v);
    if (!strcmp(t, "array")) return json_is_array(v);
    if (!strcmp(t, "string")) return json_is_string(v);
    if (!strcmp(t, "number")) return json_is_number(v);
    if (!strcmp(t, "boolean")) return json_is_boolean(v);
    if (!strcmp(t, "null")) return json_is_null(v);
    return json_is_integer(v) || (json_is_real(v) && floor(json_real_value(v)) == json_real_value(v));
}

static bool check_equal(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static bool check_types(const json_t *types, const json_t *v) {
    if (json_is_string(types)) return check_type(json_string_value(types), v);
    for (size_t i = 0; i < json_array_size(types); i++)
        if (check_type(json_string_value(json_array_get(types, i)), v)) return true;
    return !types;
}

static bool check_count(const json_t *s, const char *min, const char *max, size_t n) {
    const json_t *lo = json_object_get(s, min), *hi = json_object_get(s, max);
    return (!lo || (double)n >= json_number_value(lo)) && (!hi || (double)n <= json_number_value(hi));
}

static bool check_object(const json_t *root, const json_t *s, const json_t *v) {
    const json_t *required = json_object_get(s, "required"), *props = json_object_get(s, "properties");
    const json_t *other = json_object_get(s, "additionalProperties"), *names = json_object_get(s, "propertyNames");
    const json_t *patterns = json_object_get(s, "patternProperties");
    if (!check_count(s, "minProperties", "maxProperties", json_object_size(v))) return false;
    for (size_t i = 0; i < json_array_size(required); i++)
        if (!json_object_get(v, json_string_value(json_array_get(required, i)))) return false;
    const char *key, *pattern;
    json_t *value, *sub;
    json_object_foreach((json_t *)v, key, value) {
        const json_t *own = json_object_get(props, key);
        json_t *name = json_string(key);
        bool ok = !names || check_schema(root, names, name);
        json_decref(name);
        if (!ok || (own && !check_schema(root, own, value))) return false;
        bool matched = own;
        json_object_foreach((json_t *)patterns, pattern, sub) {
            if (!check_regex(pattern, key)) continue;
            matched = true;
            if (!check_schema(root, sub, value)) return false;
        }
        if (!matched && other && !check_schema(root, other, value)) return false;
    }
    return true;
}

static bool check_array(const json_t *root, const json_t *s, const json_t *v) {
    const json_t *prefix = json_object_get(s, "prefixItems"), *rest = json_object_get(s, "items");
    if (json_is_array(rest)) {
        prefix = rest;
        rest = json_object_get(s, "additionalItems");
    }
    if (!check_count(s, "minItems", "maxItems", json_array_size(v))) return false;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *sub = i < json_array_size(prefix) ? json_array_get(prefix, i) : rest;
        if (sub && !check_schema(root, sub, json_array_get(v, i))) return false;
    }
    return true;
}

static bool check_number(const json_t *s, double v) {
    const json_t *lo = json_object_get(s, "minimum"), *hi = json_object_get(s, "maximum");
    const json_t *above = json_object_get(s, "exclusiveMinimum"), *below = json_object_get(s, "exclusiveMaximum");
    if ((lo && v < json_number_value(lo)) || (hi && v > json_number_value(hi))) return false;
    return !(above && v <= json_number_value(above)) && !(below && v >= json_number_value(below));
}

static const json_t *check_target(const json_t *root, const char *ref) {
    char part[200];
    for (ref++; *ref == '/' && root;) {
        size_t n = strcspn(ref + 1, "/");
        snprintf(part, sizeof part, "%.*s", (int)n, ref + 1);
        root = json_object_get(root, part);
        ref += 1 + n;
    }
    return root;
}

static bool check_any(const json_t *root, const json_t *list, const json_t *v) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (check_schema(root, json_array_get(list, i), v)) return true;
    return !list;
}

static bool check_schema(const json_t *root, const json_t *s, const json_t *v) {
    if (json_is_boolean(s)) return json_is_true(s);
    const json_t *x;
    if (json_is_true(json_object_get(s, "nullable")) && json_is_null(v)) return true;
    if ((x = json_object_get(s, "$ref")) && !check_schema(root, check_target(root, json_string_value(x)), v))
        return false;
    if (!check_any(root, json_object_get(s, "anyOf"), v) || !check_any(root, json_object_get(s, "oneOf"), v))
        return false;
    x = json_object_get(s, "allOf");
    for (size_t i = 0; i < json_array_size(x); i++)
        if (!check_schema(root, json_array_get(x, i), v)) return false;
    if (!check_types(json_object_get(s, "type"), v)) return false;
    if ((x = json_object_get(s, "const")) && !check_equal(x, v)) return false;
    if ((x = json_object_get(s, "enum"))) {
        bool found = false;
        for (size_t i = 0; i < json_array_size(x); i++) found |= check_equal(json_array_get(x, i), v);
        if (!found) return false;
    }
    if (json_is_object(v)) return check_object(root, s, v);
    if (json_is_array(v)) return check_array(root, s, v);
    if (json_is_number(v)) return check_number(s, json_number_value(v));
    if (!json_is_string(v)) return true;
    x = json_object_get(s, "pattern");
    return check_count(s, "minLength", "maxLength", check_chars(json_string_value(v))) &&
           (!x || check_regex(json_string_value(x), json_string_value(v)));
}
