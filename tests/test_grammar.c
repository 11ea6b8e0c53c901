/* Grammars: what is written under the mask satisfies the schema (random walks over real vocabularies and a small one),
 * what satisfies it can be written (known documents), and hostile schemas end. */
#include <time.h>

#include "models/grammar/grammar.h"
#include "models/grammar/pattern.h"
#include "tests/grammar_examples.h"
#include "tests/grammar_vocab.h"
#include "tests/schema_check.h"
#include "tests/support.h"

static bool real_vocab(struct vocab *x, const char *name) {
    char path[400];
    const char *dir = getenv("HY_DATA");
    snprintf(path, sizeof path, "%s/vocab/%s.gguf", dir ? dir : "../shared/data", name);
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(n);
    assert_int_equal(fread(p, 1, n, f), n);
    fclose(f);
    struct arena a;
    struct gguf g;
    arena_init(&a, 0);
    OK(gguf_parse(p, n, n, name, &a, &g, NULL, &support_err));
    vocab_open(x, name, &g);
    arena_deinit(&a);
    free(p);
    return true;
}

static const char *const real_names[] = {"llama-spm", "phi-3", "gpt-2", "llama-bpe", "qwen2", "deepseek-llm"};

static struct grammar *compiled(const char *schema) {
    struct grammar *g;
    if (grammar_compile_schema(schema, strlen(schema), &g, &support_err)) fail_msg("%s: %s", schema, support_err.text);
    return g;
}

static bool bit(const uint32_t *mask, int32_t id) { return mask[id / 32] >> (id % 32) & 1; }

/* Whether the tokens can be written under the mask, and the text can end there. */
static bool writable(const struct grammar *g, const struct vocab *x, const int32_t *id, size_t n) {
    struct grammar_state *s;
    const uint32_t *mask;
    bool ok = true;
    OK(grammar_state_new(g, x->v, &s, &support_err));
    grammar_start(s, -1);
    for (size_t i = 0; i < n && ok; i++) {
        if (grammar_mask(s, &mask, &support_err)) fail_msg("%s", support_err.text);
        ok = bit(mask, id[i]);
        bool accepted = !grammar_accept(s, id[i], NULL);
        assert_int_equal(ok, accepted);
    }
    ok = ok && grammar_complete(s);
    if (ok) {
        OK(grammar_mask(s, &mask, &support_err));
        assert_true(bit(mask, x->eog));
        OK(grammar_accept(s, x->eog, &support_err));
    }
    grammar_state_free(s);
    return ok;
}

/* Whether the tokens' bytes are the text, but for the blank that SPM puts before it. */
static bool spells(const struct vocab *x, const struct tokens *ids, const char *text) {
    char got[512] = "";
    size_t n = 0;
    for (size_t i = 0; i < ids->n; i++) {
        struct token_bytes b = tokenizer_piece(x->t, ids->id[i]);
        if (n + b.len >= sizeof got) return false;
        memcpy(got + n, b.p, b.len);
        n += b.len;
    }
    return !memcmp(got + (n > strlen(text)), text, strlen(text)) && n <= strlen(text) + 1;
}

static bool writable_text(const struct grammar *g, const struct vocab *x, const char *text, bool bytes) {
    struct tokens ids = {0};
    if (bytes)
        for (const char *p = text; *p; p++) tokens_push(&ids, x->byte[(uint8_t)*p]);
    else
        OK(tokenizer_encode(x->t, text, strlen(text), false, false, &ids, &support_err));
    if (!spells(x, &ids, text)) ids.n = 0; /* some vocabularies lack tokens for bytes that are not UTF-8 */
    bool ok = writable(g, x, ids.id, ids.n);
    tokens_deinit(&ids);
    return ok;
}

static void expect_documents(const struct vocab *x) {
    for (size_t i = 0; i < LEN(examples); i++) {
        const struct example *ex = &examples[i];
        struct grammar *g = compiled(ex->schema);
        for (size_t k = 0; k < LEN(ex->good) && ex->good[k]; k++)
            for (int bytes = 0; bytes < 2; bytes++)
                if (!writable_text(g, x, ex->good[k], bytes))
                    fail_msg("%s, %s: refuses %s", x->name, ex->schema, ex->good[k]);
        for (size_t k = 0; k < LEN(ex->bad) && ex->bad[k]; k++)
            for (int bytes = 0; bytes < 2; bytes++)
                if (writable_text(g, x, ex->bad[k], bytes))
                    fail_msg("%s, %s: allows %s", x->name, ex->schema, ex->bad[k]);
        grammar_free(g);
    }
}

static void documents(void **state) {
    struct vocab x;
    small_vocab(&x);
    expect_documents(&x);
    vocab_close(&x);
}

struct text {
    char p[1 << 16];
    size_t n;
};

static bool in_string(const struct text *t) {
    bool in = false;
    for (size_t i = 0; i < t->n; i++) {
        if (in && t->p[i] == '\\') i++;
        else if (t->p[i] == '"') in = !in;
    }
    return in;
}

/* An allowed token: any at first, later what leads to an end. */
static int32_t choose(const struct vocab *x, const uint32_t *mask, const struct text *t, uint32_t step) {
    if (step > 30) {
        const char *order = in_string(t) ? "\"" : "}]0123456789tfn\":,-";
        if (bit(mask, x->eog)) return x->eog;
        for (const char *p = order; *p; p++)
            if (x->byte[(uint8_t)*p] >= 0 && bit(mask, x->byte[(uint8_t)*p])) return x->byte[(uint8_t)*p];
    }
    uint32_t n = 0;
    for (uint32_t id = 0; id < x->n_vocab; id++) n += bit(mask, (int32_t)id);
    uint32_t k = support_random(n);
    if (step % 3 == 1 && n > 50) /* one byte more often, else large vocabularies never close a string */
        for (int i = 0; i < 20; i++) {
            int32_t id = x->byte[support_random(96) + 32];
            if (id >= 0 && bit(mask, id)) return id;
        }
    for (uint32_t id = 0;; id++)
        if (bit(mask, (int32_t)id) && !k--) return (int32_t)id;
}

static void walk(const struct grammar *g, const struct vocab *x, const char *schema, struct text *t) {
    struct grammar_state *s;
    const uint32_t *mask;
    OK(grammar_state_new(g, x->v, &s, &support_err));
    grammar_start(s, -1);
    t->n = 0;
    for (uint32_t step = 0;; step++) {
        if (grammar_mask(s, &mask, &support_err))
            fail_msg("%s: %s after %.*s", schema, support_err.text, (int)t->n, t->p);
        for (uint32_t id = x->n_vocab; id < x->n_vocab + VOCAB_PADDING; id++) assert_false(bit(mask, (int32_t)id));
        assert_int_equal(bit(mask, x->eog), grammar_complete(s));
        int32_t id = choose(x, mask, t, step);
        OK(grammar_accept(s, id, &support_err));
        if (tokenizer_is_eog(x->t, id)) break;
        struct token_bytes b = tokenizer_piece(x->t, id);
        if (t->n + b.len >= sizeof t->p || step > 5000) fail_msg("%s: does not end: %.300s", schema, t->p);
        memcpy(t->p + t->n, b.p, b.len);
        t->n += b.len;
    }
    t->p[t->n] = 0;
    grammar_state_free(s);
}

static void expect_valid(const char *schema, const json_t *root, const struct text *t, const char *vocab) {
    json_error_t je;
    json_t *v = json_loadb(t->p, t->n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    if (!v) fail_msg("%s, %s: %s is not JSON: %s", vocab, schema, t->p, je.text);
    if (!check_schema(root, root, v)) fail_msg("%s, %s: does not hold for %s", vocab, schema, t->p);
    json_decref(v);
}

static void expect_walks(const struct vocab *x, uint32_t n_walk, size_t stride) {
    static struct text t;
    for (size_t i = 0; i < LEN(examples); i += stride) {
        json_t *root = json_loads(examples[i].schema, JSON_DECODE_ANY, NULL);
        struct grammar *g = compiled(examples[i].schema);
        for (uint32_t k = 0; k < n_walk; k++) {
            walk(g, x, examples[i].schema, &t);
            expect_valid(examples[i].schema, root, &t, x->name);
        }
        grammar_free(g);
        json_decref(root);
    }
}

static void random_walks(void **state) {
    struct vocab x;
    small_vocab(&x);
    expect_walks(&x, 20, 1);
    vocab_close(&x);
}

static void real_vocabularies(void **state) {
    for (size_t i = 0; i < LEN(real_names); i++) {
        struct vocab x;
        if (!real_vocab(&x, real_names[i])) skip();
        expect_documents(&x);
        expect_walks(&x, 1, 1);
        vocab_close(&x);
    }
}

/* The mask says of tokens what accepting them says, at every step of a walk. At most n_try tokens are tried in a step.
 */
static void expect_exact(const struct vocab *x, const char *schema, uint32_t n_try) {
    static struct text t;
    const uint32_t *mask;
    struct grammar *g = compiled(schema);
    struct grammar_state *s, *copy;
    OK(grammar_state_new(g, x->v, &s, &support_err));
    grammar_start(s, -1);
    t.n = 0;
    for (uint32_t step = 0; step < 25; step++) {
        OK(grammar_mask(s, &mask, &support_err));
        copy = NULL;
        for (uint32_t i = 0; i < n_try; i++) {
            int32_t id = (int32_t)(n_try < x->n_vocab ? support_random(x->n_vocab) : i);
            if (!copy) OK(grammar_state_clone(s, &copy, &support_err));
            bool accepted = !grammar_accept(copy, id, NULL);
            if (bit(mask, id) != accepted) fail_msg("%s, %s: token %d", x->name, schema, id);
            if (!accepted) continue; /* a refusal changes nothing */
            grammar_state_free(copy);
            copy = NULL;
        }
        grammar_state_free(copy);
        int32_t id = choose(x, mask, &t, step % 10);
        if (tokenizer_is_eog(x->t, id)) break;
        OK(grammar_accept(s, id, &support_err));
    }
    grammar_state_free(s);
    grammar_free(g);
}

static void mask_is_exact(void **state) {
    struct vocab x;
    small_vocab(&x);
    for (size_t i = 0; i < LEN(examples); i++) expect_exact(&x, examples[i].schema, x.n_vocab);
    vocab_close(&x);
}

static void mask_is_exact_for_real(void **state) {
    static const char *const names[] = {"llama-spm", "qwen2"};
    for (size_t k = 0; k < LEN(names); k++) {
        struct vocab x;
        if (!real_vocab(&x, names[k])) skip();
        for (size_t i = 0; i < LEN(examples); i += 5) expect_exact(&x, examples[i].schema, 160);
        vocab_close(&x);
    }
}

static void json_mode(void **state) {
    struct vocab x;
    static struct text t;
    struct grammar *g;
    small_vocab(&x);
    OK(grammar_compile_json(&g, &support_err));
    assert_true(writable_text(g, &x, "\n\n{\"a\": [1, {}]}", true));
    assert_false(writable_text(g, &x, "[1]", true));
    for (int i = 0; i < 50; i++) {
        walk(g, &x, "json", &t);
        json_t *v = json_loadb(t.p, t.n, 0, NULL);
        assert_true(json_is_object(v));
        json_decref(v);
    }
    grammar_free(g);
    vocab_close(&x);
}

static int compile_code(const char *schema, struct err *e) {
    struct grammar *g;
    int rc = grammar_compile_schema(schema, strlen(schema), &g, e);
    grammar_free(g);
    return rc;
}

static void refusals(void **state) {
    static const struct {
        const char *schema;
        int code;
        const char *word;
    } cases[] = {
        {"", ERR_FORMAT, "JSON"},
        {"{", ERR_FORMAT, "JSON"},
        {"3", ERR_FORMAT, "object"},
        {"{\"type\":\"objekt\"}", ERR_FORMAT, "objekt"},
        {"{\"type\":3}", ERR_FORMAT, "type"},
        {"{\"anyOf\":{}}", ERR_FORMAT, "anyOf"},
        {"{\"enum\":3}", ERR_FORMAT, "enum"},
        {"{\"minLength\":-1}", ERR_FORMAT, "minLength"},
        {"{\"$ref\":\"#/$defs/x\"}", ERR_FORMAT, "#/$defs/x"},
        {"{\"$ref\":1}", ERR_FORMAT, "$ref"},
        {"{\"properties\":{\"b\":{\"$ref\":null,\"type\":\"null\"}}}", ERR_FORMAT, "$ref"},
        {"{\"$ref\":\"https://example.org/s.json\"}", ERR_FORMAT, "example.org"},
        {"{\"properties\":{\"a\":{\"not\":{\"type\":\"null\"}}}}", ERR_UNSUPPORTED, "not"},
        {"{\"if\":{},\"then\":{}}", ERR_UNSUPPORTED, "if"},
        {"{\"type\":\"array\",\"contains\":{}}", ERR_UNSUPPORTED, "contains"},
        {"{\"type\":\"integer\",\"multipleOf\":7}", ERR_UNSUPPORTED, "multipleOf"},
        {"{\"pattern\":\"(?=a)\"}", ERR_UNSUPPORTED, "look-around"},
        {"{\"pattern\":\"(a)\\\\1\"}", ERR_UNSUPPORTED, "\\1"},
        {"{\"pattern\":\"\\\\bword\"}", ERR_UNSUPPORTED, "\\b"},
        {"{\"pattern\":\"\\\\p{L}\"}", ERR_UNSUPPORTED, "\\p"},
        {"{\"pattern\":\"(^a)\"}", ERR_UNSUPPORTED, "^"},
        {"{\"pattern\":\"(a\"}", ERR_FORMAT, ")"},
        {"{\"pattern\":\"a)\"}", ERR_FORMAT, ")"},
        {"{\"pattern\":\"[a\"}", ERR_FORMAT, "]"},
        {"{\"pattern\":\"[z-a]\"}", ERR_FORMAT, "backwards"},
        {"{\"pattern\":\"a{2\"}", ERR_FORMAT, "}"},
        {"{\"pattern\":\"a{3,2}\"}", ERR_FORMAT, "count"},
        {"{\"pattern\":\"*a\"}", ERR_FORMAT, "repeats"},
        {"{\"pattern\":\"a\\\\\"}", ERR_FORMAT, "backslash"},
        {"{\"allOf\":[{\"pattern\":\"a\"},{\"pattern\":\"b\"}]}", ERR_UNSUPPORTED, "pattern"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"patternProperties\":{\"b\":{}}}", ERR_UNSUPPORTED,
         "patternProperties"},
        {"false", ERR_ARG, "no value"},
        {"{\"enum\":[]}", ERR_ARG, "no value"},
        {"{\"type\":\"string\",\"enum\":[1]}", ERR_ARG, "no value"},
        {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", ERR_ARG, "no value"},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":2,\"exclusiveMaximum\":3}", ERR_ARG, "no value"},
        {"{\"type\":\"string\",\"minLength\":3,\"pattern\":\"^a$\"}", ERR_ARG, "no value"},
        {"{\"type\":\"string\",\"pattern\":\"^[]-type\\\\d{2,3}$\"}", ERR_ARG, "no value"},
        {"{\"type\":\"array\",\"items\":false,\"minItems\":1}", ERR_ARG, "no value"},
        {"{\"type\":\"object\",\"required\":[\"a\"],\"additionalProperties\":false}", ERR_ARG, "no value"},
        {"{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"minItems\":1}", ERR_ARG, "no value"},
        {"{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", ERR_ARG, "no value"},
        {"{\"$ref\":\"#\"}", ERR_ARG, "no value"},
        {"{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#\"}]}", ERR_ARG, "itself"},
        {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/"
         "b\"},{\"type\":\"null\"}]},\"b\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"}]}}}",
         ERR_ARG, "itself"},
        {"{\"type\":\"string\",\"minLength\":1000000}", ERR_LIMIT, "characters"},
        {"{\"pattern\":\"((a{1000}){1000}){1000}\"}", ERR_LIMIT, "large"},
        {"{\"pattern\":\"a{99999999999}\"}", ERR_LIMIT, "65536"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct err e = {0};
        int rc = compile_code(cases[i].schema, &e);
        if (rc != cases[i].code || !strstr(e.text, cases[i].word))
            fail_msg("%s: %s: %s", cases[i].schema, err_name(rc), e.text);
    }
}

/* Text that repeats: a part n times. */
static char *repeated(const char *before, const char *part, size_t n, const char *after) {
    size_t k = strlen(part);
    char *s = malloc(strlen(before) + n * k + strlen(after) + 1), *p = stpcpy(s, before);
    for (size_t i = 0; i < n; i++) p = stpcpy(p, part);
    strcpy(p, after);
    return s;
}

static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* Compiles, or refuses with a limit, soon; what compiles must give masks, or refuse, soon. */
static void expect_harmless(const struct vocab *x, const char *schema) {
    struct grammar *g;
    struct grammar_state *s;
    const uint32_t *mask;
    double from = seconds();
    int rc = grammar_compile_schema(schema, strlen(schema), &g, &support_err);
    if (rc && rc != ERR_LIMIT && rc != ERR_ARG && rc != ERR_FORMAT) fail_msg("%.100s: %s", schema, support_err.text);
    if (!rc) {
        static struct text t = {.n = 0};
        OK(grammar_state_new(g, x->v, &s, &support_err));
        grammar_start(s, -1);
        for (uint32_t i = 0; i < 10 && !rc; i++) {
            rc = grammar_mask(s, &mask, &support_err);
            if (rc) assert_int_equal(rc, ERR_LIMIT);
            int32_t id = rc ? 0 : choose(x, mask, &t, 1);
            if (!rc && !tokenizer_is_eog(x->t, id)) rc = grammar_accept(s, id, &support_err);
        }
        grammar_state_free(s);
    }
    grammar_free(g);
    if (seconds() - from > 30) fail_msg("%.100s: %.1f s", schema, seconds() - from);
}

static void hostile_schemas_end(void **state) {
    struct vocab x;
    small_vocab(&x);
    char *made[] = {
        repeated("", "{\"items\":", 90, "{}"), /* not closed */
        repeated("", "[", 5000, ""),
        repeated("{\"anyOf\":[", "{\"anyOf\":[{},{}]},", 3000, "{}]}"),
        repeated("{\"allOf\":[", "{\"anyOf\":[{\"type\":\"string\"},{\"type\":[\"null\",\"string\"]}]},", 40, "{}]}"),
        repeated("{\"enum\":[", "\"a\",", 20000, "1]}"),
        repeated("{\"properties\":{\"a\":{},", "\"b\":{\"maxLength\":60000},", 3000, "\"c\":{}}}"),
        repeated("{\"pattern\":\"^", "(a|b|ab)*", 2000, "$\"}"),
        repeated("{\"pattern\":\"^(", "a*|", 5000, "b)*$\"}"),
        repeated("{\"pattern\":\"", "(", 10000, "\"}"),
        repeated("{\"pattern\":\"(", "|", 100000, "){60000}\"}"),
        repeated("{\"pattern\":\"^(.{0,200}){0,200}$\",\"maxLength\":60000", "", 0, "}"),
        repeated("{\"pattern\":\"^.*a.{300}$\"", "", 0, "}"),
        repeated("{\"type\":\"array\",\"minItems\":60000,\"items\":{\"type\":\"array\",\"minItems\":60000}", "", 0,
                 "}"),
        repeated("{\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":\"#/$defs/b\"},{\"$ref\":\"#/$defs/"
                 "b\"}]},\"b\":{\"allOf\":[{\"$ref\":\"#/$defs/a\"},"
                 "{\"$ref\":\"#/$defs/a\"}]}},\"$ref\":\"#/$defs/a\"",
                 "", 0, "}"),
        repeated("{\"$defs\":{\"n\":{\"properties\":{\"c\":{\"$ref\":\"#/$defs/n\"}}},\"x\":{\"allOf\":[{\"$ref\":\"#/"
                 "$defs/n\"},{\"properties\":{\"c\":"
                 "{\"$ref\":\"#/$defs/x\"}}}]}},\"$ref\":\"#/$defs/x\"",
                 "", 0, "}"),
    };
    for (size_t i = 0; i < LEN(made); i++) {
        expect_harmless(&x, made[i]);
        free(made[i]);
    }
    vocab_close(&x);
}

/* Every keyword with every kind of value: alone, beside others, in a property and through a reference, and merged. */
static void values_of_wrong_types(void **state) {
    static const char *const keys[] = {
        "type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "propertyNames",
        "minProperties", "maxProperties", "items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems",
        "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "multipleOf", "allOf", "anyOf", "oneOf", "not", "if", "$ref", "$defs", "$id", "nullable", "default"};
    static const char *const values[] = {"null", "true", "-1", "2.5", "\"x\"", "\"\"", "[]", "[1]", "[\"x\"]", "[null]", "[{}]",
                                         "{}", "{\"a\":1}", "{\"a\":null}", "{\"a\":{\"type\":\"null\"}}"};
    static const char *const forms[] = {
        "{%s}", "{\"type\":\"object\",%s}", "{\"type\":[\"array\",\"string\",\"integer\"],%s}",
        "{\"properties\":{\"a\":{%s},\"b\":{\"$ref\":\"#/properties/a\"}},\"required\":[\"b\"]}",
        "{\"allOf\":[{%s},{\"type\":\"object\",\"properties\":{\"a\":{}}}]}",
        "{\"allOf\":[{\"items\":{},\"minimum\":1,\"enum\":[1],\"required\":[\"q\"]},{%s}]}", "{\"$ref\":\"#/$defs/d\",\"$defs\":{\"d\":{%s}}}"};
    for (size_t k = 0; k < LEN(keys); k++)
        for (size_t v = 0; v < LEN(values); v++)
            for (size_t f = 0; f < LEN(forms); f++) {
                char member[128], schema[512];
                struct err e = {0};
                snprintf(member, sizeof member, "\"%s\":%s", keys[k], values[v]);
                snprintf(schema, sizeof schema, forms[f], member);
                int rc = compile_code(schema, &e);
                if (rc && rc != ERR_ARG && rc != ERR_FORMAT && rc != ERR_UNSUPPORTED && rc != ERR_LIMIT)
                    fail_msg("%s: %s: %s", schema, err_name(rc), e.text);
                if (rc && !*e.text) fail_msg("%s: refused without a word", schema);
            }
}

/* Chains of references, and of optional properties, cost what they are long. */
static void long_schemas_work(void **state) {
    struct vocab x;
    struct grammar *g;
    small_vocab(&x);
    char *schema = malloc(1 << 20), *p = stpcpy(schema, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 2000; i++)
        p += sprintf(p, "\"d%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"const\":%d}]},", i, i + 1, i);
    stpcpy(p, "\"d2000\":{\"type\":\"null\"}}}");
    OK(grammar_compile_schema(schema, strlen(schema), &g, &support_err));
    assert_true(writable_text(g, &x, "1999", true));
    assert_true(writable_text(g, &x, "null", true));
    assert_false(writable_text(g, &x, "2000", true));
    grammar_free(g);
    p = stpcpy(schema, "{\"type\":\"object\",\"properties\":{");
    for (int i = 0; i < 2000; i++) p += sprintf(p, "\"p%d\":{\"type\":\"boolean\"},", i);
    stpcpy(p, "\"z\":{}},\"required\":[\"z\"],\"additionalProperties\":{\"type\":\"null\"}}");
    OK(grammar_compile_schema(schema, strlen(schema), &g, &support_err));
    assert_true(writable_text(g, &x, "{\"p7\": true, \"p1999\": false, \"z\": 1, \"p2000\": null}", true));
    assert_false(writable_text(g, &x, "{\"p7\": true, \"z\": 1, \"p8\": null}", true));
    grammar_free(g);
    free(schema);
    vocab_close(&x);
}

static void off_and_on(void **state) {
    struct vocab x;
    struct grammar *g;
    struct grammar_state *s, *copy;
    const uint32_t *mask;
    small_vocab(&x);
    OK(grammar_compile_json(&g, &support_err));
    OK(grammar_state_new(g, x.v, &s, &support_err));
    int32_t think = tokenizer_find(x.t, "<think>", 7), brace = x.byte['{'], letter = x.byte['x'];
    assert_false(grammar_on(s));
    OK(grammar_mask(s, &mask, &support_err));
    assert_null(mask);
    OK(grammar_accept(s, letter, &support_err));
    grammar_start(s, think);
    OK(grammar_accept(s, x.byte['\n'], &support_err));
    OK(grammar_mask(s, &mask, &support_err));
    assert_true(bit(mask, think) && bit(mask, brace) && !bit(mask, letter));
    OK(grammar_state_clone(s, &copy, &support_err));
    OK(grammar_accept(s, think, &support_err));
    assert_false(grammar_on(s));
    OK(grammar_accept(s, letter, &support_err));
    grammar_start(s, -1);
    OK(grammar_mask(s, &mask, &support_err));
    assert_true(!bit(mask, think) && bit(mask, brace));
    OK(grammar_accept(copy, brace, &support_err));
    OK(grammar_mask(copy, &mask, &support_err));
    assert_false(bit(mask, think));
    REFUSED(grammar_accept(copy, think, &support_err), ERR_ARG, "does not fit");
    REFUSED(grammar_accept(copy, letter, &support_err), ERR_ARG, "'x'");
    REFUSED(grammar_accept(copy, x.eog, &support_err), ERR_ARG, "ends before");
    REFUSED(grammar_accept(copy, 1 << 30, &support_err), ERR_ARG, "not one of");
    OK(grammar_accept(copy, x.byte['}'], &support_err)); /* the refusals have changed nothing */
    assert_true(grammar_complete(copy));
    grammar_state_free(s);
    grammar_state_free(copy);
    grammar_free(g);
    vocab_close(&x);
}

/* A text so deep that the state's tables fill and are emptied on the way. */
static void deep_texts(void **state) {
    struct vocab x;
    struct grammar *g;
    struct grammar_state *s;
    const uint32_t *mask;
    small_vocab(&x);
    OK(grammar_compile_schema("true", 4, &g, &support_err));
    OK(grammar_state_new(g, x.v, &s, &support_err));
    grammar_start(s, -1);
    enum { DEPTH = 20000 };
    for (int i = 0; i < DEPTH; i++) {
        OK(grammar_accept(s, x.byte['['], &support_err));
        if (i % 97 == 0) OK(grammar_mask(s, &mask, &support_err));
    }
    for (int i = 0; i < DEPTH; i++) {
        assert_false(grammar_complete(s));
        OK(grammar_accept(s, x.byte[']'], &support_err));
    }
    assert_true(grammar_complete(s));
    REFUSED(grammar_accept(s, x.byte[']'], &support_err), ERR_ARG, "fit");
    grammar_state_free(s);
    grammar_free(g);
    vocab_close(&x);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents),
        cmocka_unit_test(random_walks),
        cmocka_unit_test(mask_is_exact),
        cmocka_unit_test(mask_is_exact_for_real),
        cmocka_unit_test(json_mode),
        cmocka_unit_test(refusals),
        cmocka_unit_test(hostile_schemas_end),
        cmocka_unit_test(values_of_wrong_types),
        cmocka_unit_test(long_schemas_work),
        cmocka_unit_test(off_and_on),
        cmocka_unit_test(deep_texts),
        cmocka_unit_test(real_vocabularies),
    };
    return cmocka_run_group_tests_name("grammar", tests, NULL, NULL);
}
