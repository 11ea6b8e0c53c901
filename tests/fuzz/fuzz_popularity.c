/* Any bytes as a file of experts' statistics, once as they are and once with the hash put right, so that the checks
 * behind it are reached. What is taken must be usable, and what is refused must have changed nothing. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sched/popularity.h"
#include "sched/predict.h"

enum { N_LAYER = 2, N_EXPERT = 3, N_KEY = N_LAYER * N_EXPERT };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct popularity *p, struct arena *a) {
    uint32_t keys[N_KEY];
    struct guess g[N_EXPERT];
    struct predict *predict = predict_new(N_LAYER, N_EXPERT, p, a);
    uint32_t n = popularity_order(p, keys);
    for (uint32_t i = 0; i < n; i++) CHECK(keys[i] < N_KEY && popularity_share(p, keys[i]) <= 1);
    predict_routed(predict, 0, (uint16_t[]){0, 2}, 2);
    predict_routed(predict, 1, (uint16_t[]){1}, 1);
    predict_routed(predict, 0, (uint16_t[]){1, 2}, 2);
    CHECK(predict_next(predict, PREDICT_ACROSS, 1, g, N_EXPERT) <= N_EXPERT);
    CHECK(predict_next(predict, PREDICT_WITHIN, 1, g, N_EXPERT) <= N_EXPERT);
    popularity_add(p, 1, (uint16_t[]){0, 1}, 2, (uint16_t[]){2}, 1);
    popularity_end_tokens(p, 1);
}

static void take(const uint8_t *data, size_t size) {
    struct arena a;
    struct popularity p;
    struct err e = {0};
    arena_init(&a, 0);
    CHECK(popularity_init(&p, N_LAYER, N_EXPERT, &a, NULL) == 0);
    if (popularity_unpack(&p, 0, data, size, &e))
        CHECK(e.code < 0 && strlen(e.text) > 0 && p.n_tok == 0 && p.count[0] == 0);
    use(&p, &a);
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    take(data, size);
    if (size < 8) return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    uint64_t hash = XXH3_64bits(copy, size - 8);
    for (int i = 0; i < 8; i++) copy[size - 8 + (size_t)i] = (uint8_t)(hash >> 8 * i);
    take(copy, size);
    free(copy);
    return 0;
}
