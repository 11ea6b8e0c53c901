#include "tools/serve/fields.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/serve/json_out.h"

#define REPLACEMENT "\\ufffd"
#define LARGEST "1.7976931348623157e308"

/* The four hex digits of "\uXXXX" at p, or -1. */
static int escape_at(const char *p, size_t n) {
    int v = 0;
    if (n < 6 || p[0] != '\\' || p[1] != 'u') return -1;
    for (int i = 2; i < 6; i++) {
        if (!isxdigit((unsigned char)p[i])) return -1;
        v = v * 16 + (isdigit((unsigned char)p[i]) ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    }
    return v;
}

static bool is_high(int v) { return v >= 0xd800 && v < 0xdc00; }
static bool is_low(int v) { return v >= 0xdc00 && v < 0xe000; }

/* A whole number beyond 64 bits as a real one, a real one beyond double as the largest: schemas bound with such. */
static size_t add_number(const char *p, struct strbuf *out) {
    size_t len = strspn(p, "+-.eE0123456789");
    double d = strtod(p, NULL);
    errno = 0;
    strtoll(p, NULL, 10);
    bool large = errno == ERANGE && strcspn(p, ".eE") >= len;
    if (isinf(d)) strbuf_str(out, d < 0 ? "-" LARGEST : LARGEST);
    else strbuf_add(out, p, len);
    if (large && !isinf(d)) strbuf_str(out, ".0");
    return len;
}

/* Text that was cut in the middle of a character is common in what programs send. */
static void mend(const struct strbuf *body, struct strbuf *out) {
    const char *p = body->p, *end = p + body->n;
    bool quoted = false;
    while (p < end) {
        int v = escape_at(p, (size_t)(end - p));
        quoted ^= *p == '"';
        if (!quoted && (*p == '-' || isdigit((unsigned char)*p))) {
            p += add_number(p, out);
        } else if (is_high(v) && is_low(escape_at(p + 6, (size_t)(end - p - 6)))) {
            strbuf_add(out, p, 12);
            p += 12;
        } else if (is_high(v) || is_low(v)) {
            strbuf_str(out, REPLACEMENT);
            p += 6;
        } else {
            size_t n = *p == '\\' && end - p > 1 ? 2 : 1;
            strbuf_add(out, p, n);
            p += n;
        }
    }
}

static json_t *load(const struct strbuf *t, json_error_t *je) { return json_loadb(strbuf_of(t), t->n, JSON_ALLOW_NUL, je); }

static json_t *load_mended(const struct strbuf *body, json_error_t *je) {
    struct strbuf valid = {0}, mended = {0};
    json_t *s = json_out_str(strbuf_of(body), body->n), *v = NULL;
    if (s) strbuf_add(&valid, json_string_value(s), json_string_length(s));
    json_decref(s);
    mend(&valid, &mended);
    if (strbuf_ok(&valid) && strbuf_ok(&mended)) v = load(&mended, je);
    strbuf_deinit(&valid);
    strbuf_deinit(&mended);
    return v;
}

int fields_parse(const struct strbuf *body, json_t **out, struct err *e) {
    json_error_t je;
    size_t i = 0;
    while (i < body->n && isspace((unsigned char)body->p[i])) i++;
    if (i == body->n) return err_set(e, ERR_ARG, "missing request body");
    json_t *v = load(body, &je);
    enum json_error_code code = v ? 0 : json_error_code(&je);
    if (code == json_error_invalid_utf8 || code == json_error_invalid_syntax || code == json_error_numeric_overflow) v = load_mended(body, &je);
    if (!v) return err_set(e, ERR_ARG, "invalid JSON at byte %d: %s", je.position, je.text);
    if (!json_is_object(v)) {
        json_decref(v);
        return err_set(e, ERR_ARG, "the request must be a JSON object");
    }
    *out = v;
    return ERR_OK;
}

json_t *fields_get(const struct fields *f, const char *key) {
    json_t *v = json_object_get(f->obj, key);
    return json_is_null(v) ? NULL : v;
}

static const char *type_name(const json_t *v) {
    static const char *const names[] = {"object", "array", "string", "number", "number", "bool", "bool", "null"};
    return names[json_typeof(v)];
}

static int wrong(struct fields *f, const char *key, const json_t *v, const char *want) {
    return f->err->code
               ? f->err->code
               : err_set(f->err, ERR_ARG, "json: cannot unmarshal %s into field %s of type %s", type_name(v), key, want);
}

/* The value, when no error came before. */
static json_t *get(struct fields *f, const char *key) { return f->err->code ? NULL : fields_get(f, key); }

const json_t *fields_text(struct fields *f, const char *key) {
    json_t *v = get(f, key);
    if (v && !json_is_string(v)) wrong(f, key, v, "string");
    return json_is_string(v) ? v : NULL;
}

const char *fields_str(struct fields *f, const char *key) {
    const json_t *v = fields_text(f, key);
    if (!v) return NULL;
    if (strlen(json_string_value(v)) == json_string_length(v)) return json_string_value(v);
    wrong(f, key, v, "string without NUL");
    return NULL;
}

bool fields_bool(struct fields *f, const char *key, bool otherwise) {
    json_t *v = get(f, key);
    if (v && !json_is_boolean(v)) wrong(f, key, v, "bool");
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

bool fields_whole(const json_t *v, int64_t *out) {
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return true;
    }
    double d = json_is_real(v) ? json_real_value(v) : NAN;
    if (!(d == floor(d) && fabs(d) < 9e15)) return false;
    *out = (int64_t)d;
    return true;
}

int64_t fields_int(struct fields *f, const char *key, int64_t otherwise) {
    json_t *v = get(f, key);
    int64_t n = otherwise;
    if (v && !fields_whole(v, &n)) wrong(f, key, v, "int");
    return n;
}

double fields_num(struct fields *f, const char *key, double otherwise) {
    json_t *v = get(f, key);
    if (v && !json_is_number(v)) wrong(f, key, v, "float64");
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

json_t *fields_arr(struct fields *f, const char *key) {
    json_t *v = get(f, key);
    if (v && !json_is_array(v)) wrong(f, key, v, "array");
    return json_is_array(v) ? v : NULL;
}

json_t *fields_obj(struct fields *f, const char *key) {
    json_t *v = get(f, key);
    if (v && !json_is_object(v)) wrong(f, key, v, "object");
    return json_is_object(v) ? v : NULL;
}
