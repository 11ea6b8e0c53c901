/* Any bytes as a schema. What compiles is walked: tokens are picked from the mask by a hash of the input, each must be
 * accepted, and a walk never gets stuck but at a stated limit. */
#include <xxhash.h>

#include "tests/grammar_vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int32_t pick(const struct vocab *v, const uint32_t *mask, uint64_t r) {
    for (uint32_t i = 0; i < v->n_vocab; i++) {
        int32_t id = (int32_t)((i + r) % v->n_vocab);
        if (mask[id / 32] >> (id % 32) & 1) return id;
    }
    return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct vocab vocab;
    struct grammar *g;
    struct grammar_state *s;
    struct err e = {0};
    if (!vocab.t) small_vocab(&vocab);
    if (grammar_compile_schema((const char *)data, size, &g, &e)) {
        CHECK(e.code < 0 && *e.text && !g);
        return 0;
    }
    CHECK(!grammar_state_new(g, vocab.v, &s, NULL));
    grammar_start(s, -1);
    for (uint64_t step = 0; step < 30; step++) {
        const uint32_t *mask;
        int rc = grammar_mask(s, &mask, &e);
        CHECK(!rc || rc == ERR_LIMIT);
        if (rc) break;
        int32_t id = pick(&vocab, mask, XXH3_64bits_withSeed(data, size, step));
        CHECK(id >= 0);
        if (tokenizer_is_eog(vocab.t, id)) break;
        rc = grammar_accept(s, id, &e);
        CHECK(!rc || rc == ERR_LIMIT);
    }
    grammar_state_free(s);
    grammar_free(g);
    return 0;
}
