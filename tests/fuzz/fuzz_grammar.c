/* The first byte picks a schema, the rest is a text. What the mask says of a token, accepting it must say too, and what
 * is complete must be JSON that satisfies the schema, as an independent check sees it. */
#include "tests/grammar_examples.h"
#include "tests/grammar_vocab.h"
#include "tests/schema_check.h"

#define N_EXAMPLE (sizeof examples / sizeof *examples)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vocab vocab;
static struct {
    struct grammar *g;
    json_t *root;
} schema[N_EXAMPLE];

static void open_all(void) {
    small_vocab(&vocab);
    for (size_t i = 0; i < N_EXAMPLE; i++) {
        CHECK(!grammar_compile_schema(examples[i].schema, strlen(examples[i].schema), &schema[i].g, NULL));
        schema[i].root = json_loads(examples[i].schema, JSON_DECODE_ANY, NULL);
    }
}

static void expect_valid(size_t i, const char *text, size_t n) {
    json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    CHECK(v && check_schema(schema[i].root, schema[i].root, v));
    json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct grammar_state *s;
    const uint32_t *mask;
    if (!vocab.t) open_all();
    if (size < 2 || size > 2000) return 0;
    size_t i = data[0] % N_EXAMPLE;
    CHECK(!grammar_state_new(schema[i].g, vocab.v, &s, NULL));
    grammar_start(s, -1);
    for (size_t k = 1; k < size; k++) {
        int32_t id = vocab.byte[data[k]];
        CHECK(!grammar_mask(s, &mask, NULL));
        bool allowed = mask[id / 32] >> (id % 32) & 1;
        CHECK(allowed == !grammar_accept(s, id, NULL));
        if (!allowed) break;
        if (grammar_complete(s)) expect_valid(i, (const char *)data + 1, k);
    }
    grammar_state_free(s);
    return 0;
}
