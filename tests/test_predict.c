/* Popularity of experts and its file; predictors and their accounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sched/cache_dir.h"
#include "sched/popularity.h"
#include "sched/predict.h"
#include "tests/routes_make.h"

#define HASH 0x1234567890abcdefu

static struct popularity make(struct arena *a, uint32_t n_layer, uint32_t n_expert) {
    struct popularity p;
    struct err e;
    arena_init(a, 0);
    if (popularity_init(&p, n_layer, n_expert, a, &e)) fail_msg("%s", e.text);
    return p;
}

static uint32_t within(const struct popularity *p, uint32_t l, uint32_t i, uint32_t j) {
    return p->within[((size_t)l * p->n_expert + i) * p->n_expert + j];
}

static uint32_t across(const struct popularity *p, uint32_t l, uint32_t i, uint32_t j) {
    return p->across[((size_t)l * p->n_expert + i) * p->n_expert + j];
}

/* Feeds made routings, layer by layer, as an engine would. */
static void feed(struct popularity *p, const struct routes_make *m, const uint16_t *ids) {
    uint32_t n = m->shape.n_used;
    for (uint32_t t = 0; t < m->n_tok; t++) {
        for (uint32_t l = 0; l < m->shape.n_layer; l++) {
            const uint16_t *row = ids + ((size_t)t * m->shape.n_layer + l) * n;
            popularity_add(p, l, row, n, l ? row - n : NULL, l ? n : 0);
        }
        popularity_end_tokens(p, 1);
    }
}

static void counts(void **state) {
    struct arena a;
    struct popularity p = make(&a, 2, 4);
    uint32_t keys[8];
    for (int i = 0; i < 3; i++) {
        popularity_add(&p, 0, (uint16_t[]){0, 3}, 2, NULL, 0);
        popularity_add(&p, 1, (uint16_t[]){1, i ? 2 : 0}, 2, (uint16_t[]){0, 3}, 2);
    }
    popularity_end_tokens(&p, 3);
    assert_int_equal(popularity_order(&p, keys), 5);
    assert_memory_equal(keys, ((uint32_t[]){0, 3, 5, 6, 4}), 20);
    assert_float_equal(popularity_share(&p, 6), 2 / 3.f, 1e-6f);
    assert_float_equal(popularity_share(&p, 1), 0, 0);
    assert_int_equal(within(&p, 1, 1, 2), 2);
    assert_int_equal(within(&p, 1, 2, 1), 2);
    assert_int_equal(within(&p, 1, 1, 1), 0);
    assert_int_equal(across(&p, 1, 3, 2), 2);
    assert_int_equal(across(&p, 1, 3, 1), 3);
    assert_int_equal(across(&p, 1, 1, 1), 0);
    arena_deinit(&a);
}

static void old_sessions_fade(void **state) {
    struct arena a;
    struct popularity p = make(&a, 1, 3);
    for (uint32_t t = 0; t < 2 * POPULARITY_TOK; t++) {
        popularity_add(&p, 0, (uint16_t[]){0, 1}, 2, NULL, 0);
        popularity_end_tokens(&p, 1);
    }
    for (uint32_t t = 0; t < 8 * POPULARITY_TOK; t++) {
        popularity_add(&p, 0, (uint16_t[]){0, 2}, 2, NULL, 0);
        popularity_end_tokens(&p, 1);
    }
    assert_true(p.n_tok < 2 * POPULARITY_TOK);
    assert_float_equal(popularity_share(&p, 0), 1, 1e-3f);
    assert_true(popularity_share(&p, 1) < 0.01f && popularity_share(&p, 2) > 0.99f);
    assert_true(within(&p, 0, 0, 1) < within(&p, 0, 0, 2)); /* and nothing ran over */
    assert_true(within(&p, 0, 0, 2) >= 127);
    arena_deinit(&a);
}

static void too_many_pairs(void **state) {
    struct arena a;
    struct popularity p = make(&a, 64, 512);
    uint32_t *keys = malloc(64 * 512 * sizeof *keys);
    assert_null(p.within);
    assert_null(p.across);
    popularity_add(&p, 63, (uint16_t[]){511, 0}, 2, (uint16_t[]){1}, 1);
    popularity_end_tokens(&p, 1);
    assert_int_equal(popularity_order(&p, keys), 2);
    assert_int_equal(keys[1], 64 * 512 - 1);
    free(keys);
    arena_deinit(&a);
}

/* The file */

static const struct routes_make few = {{3, 6, 2}, 50, 0.7f, 0, 1, 0.5f, 0, 1, 3};

static void every_byte_matters(void **state) {
    struct arena a, b;
    struct popularity p = make(&a, 3, 6), q = make(&b, 3, 6);
    uint16_t *ids = routes_make_ids(&few);
    unsigned char *bytes;
    size_t n;
    feed(&p, &few, ids);
    assert_int_equal(popularity_pack(&p, HASH, &bytes, &n, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        bytes[i] ^= 0x10;
        assert_true(popularity_unpack(&q, HASH, bytes, n, &e) < 0 && strlen(e.text) > 5);
        bytes[i] ^= 0x10;
        unsigned char *exact = malloc(i + 1);
        memcpy(exact, bytes, i);
        assert_true(popularity_unpack(&q, HASH, exact, i, NULL) < 0);
        free(exact);
    }
    assert_true(popularity_unpack(&q, HASH + 1, bytes, n, NULL) < 0);
    assert_int_equal(q.n_tok, 0);
    for (uint32_t k = 0; k < 18; k++) assert_int_equal(q.count[k], 0);
    assert_int_equal(popularity_unpack(&q, HASH, bytes, n, NULL), 0);
    assert_int_equal(q.n_tok, p.n_tok);
    assert_memory_equal(q.count, p.count, 18 * 4);
    assert_memory_equal(q.within, p.within, 108);
    assert_memory_equal(q.across, p.across, 108);
    free(bytes);
    free(ids);
    arena_deinit(&a);
    arena_deinit(&b);
}

static void in_the_cache_folder(void **state) {
    char dir[] = "/tmp/hy-test-popularity-XXXXXX", path[256], warning[256];
    struct arena a, b;
    struct popularity p = make(&a, 3, 6), q = make(&b, 3, 6);
    uint16_t *ids = routes_make_ids(&few);
    struct err e;
    assert_non_null(mkdtemp(dir));
    setenv("HY_CACHE_DIR", dir, 1);
    feed(&p, &few, ids);
    assert_false(popularity_load(&q, HASH, warning, sizeof warning));
    assert_int_equal(strlen(warning), 0); /* no file is nothing to warn of */
    if (popularity_save(&p, HASH, &e)) fail_msg("%s", e.text);
    assert_true(popularity_load(&q, HASH, warning, sizeof warning));
    assert_memory_equal(q.count, p.count, 18 * 4);
    assert_int_equal(cache_path("experts-1234567890abcdef", path, sizeof path, NULL), 0);
    assert_int_equal(truncate(path, 100), 0);
    assert_false(popularity_load(&q, HASH, warning, sizeof warning));
    assert_non_null(strstr(warning, "ignored"));
    assert_int_equal(q.n_tok, p.n_tok); /* as it was */
    unlink(path);
    rmdir(dir);
    unsetenv("HY_CACHE_DIR");
    free(ids);
    arena_deinit(&a);
    arena_deinit(&b);
}

/* Predictors */

static void ranks_and_accounts(void **state) {
    struct arena a, b;
    struct popularity pop = make(&a, 2, 5);
    arena_init(&b, 0);
    struct predict *p = predict_new(2, 5, &pop, &b);
    struct guess g[5];
    for (int i = 0; i < 3; i++) {
        popularity_add(&pop, 0, (uint16_t[]){0, 1}, 2, NULL, 0);
        popularity_add(&pop, 1, (uint16_t[]){4, i ? 2 : 3}, 2, (uint16_t[]){0, 1}, 2);
    }
    for (int w = 0; w < N_PREDICTORS; w++) /* nothing is known of this run */
        assert_int_equal(predict_next(p, (enum predictor)w, 1, g, 5), 0);
    predict_routed(p, 0, (uint16_t[]){1}, 1);
    assert_int_equal(predict_next(p, PREDICT_ACROSS, 1, g, 5), 3);
    assert_true(g[0].expert == 4 && g[1].expert == 2 && g[2].expert == 3);
    assert_float_equal(g[0].confidence, 0.5f, 0);
    predict_offer(p, PREDICT_ROUTER, 1, (uint16_t[]){3, 0, 2}, 3);
    assert_int_equal(predict_next(p, PREDICT_ROUTER, 1, g, 2), 2);
    assert_true(g[0].expert == 3 && g[1].expert == 0);
    predict_read(p, PREDICT_ROUTER, 1, 3);
    predict_read(p, PREDICT_ROUTER, 1, 0);
    predict_read(p, PREDICT_ACROSS, 1, 4);
    predict_routed(p, 1, (uint16_t[]){4, 3}, 2);
    struct predict_stats s = predict_stats(p, PREDICT_ACROSS), r = predict_stats(p, PREDICT_ROUTER);
    assert_true(s.n_guess == 3 && s.n_right == 2 && s.n_chosen == 2 && s.n_read == 1 && s.n_wasted == 0);
    assert_true(r.n_guess == 2 && r.n_right == 1 && r.n_chosen == 2 && r.n_read == 2 && r.n_wasted == 1);
    assert_int_equal(predict_next(p, PREDICT_ROUTER, 1, g, 5), 0); /* an offer is good for once */
    predict_offer(p, PREDICT_ROUTER_2, 0, (uint16_t[]){1}, 1); /* each early router has its own list and record */
    predict_offer(p, PREDICT_ROUTER, 0, (uint16_t[]){2}, 1);
    assert_true(predict_next(p, PREDICT_ROUTER_2, 0, g, 5) == 1 && g[0].expert == 1);
    assert_true(predict_next(p, PREDICT_ROUTER, 0, g, 5) == 1 && g[0].expert == 2);
    assert_int_equal(predict_next(p, PREDICT_LAST, 1, g, 5), 2);
    assert_true(g[0].expert == 4 && g[1].expert == 3);
    assert_int_equal(predict_next(p, PREDICT_WITHIN, 1, g, 5), 3);
    assert_int_equal(g[0].expert, 4); /* 3 was always with it, 2 is only half of its own row */
    predict_routed(p, 0, (uint16_t[]){0}, 1);
    assert_int_equal(predict_next(p, PREDICT_ACROSS, 1, g, 5), 3);
    assert_true(g[0].confidence > 0.6f && g[2].confidence < 0.7f);
    arena_deinit(&a);
    arena_deinit(&b);
}

static void without_pairs(void **state) {
    struct arena a;
    struct guess g[4];
    arena_init(&a, 0);
    struct predict *p = predict_new(2, 4, NULL, &a);
    predict_routed(p, 0, (uint16_t[]){1}, 1);
    predict_routed(p, 1, (uint16_t[]){2}, 1);
    assert_int_equal(predict_next(p, PREDICT_ACROSS, 1, g, 4), 0);
    assert_int_equal(predict_next(p, PREDICT_WITHIN, 1, g, 4), 0);
    assert_int_equal(predict_next(p, PREDICT_LAST, 1, g, 4), 1);
    arena_deinit(&a);
}

static double precision(const struct predict *p, enum predictor which) {
    struct predict_stats s = predict_stats(p, which);
    return s.n_guess ? (double)s.n_right / (double)s.n_guess : 0;
}

/* Where layers follow from each other, what was counted across them tells; where tokens stay, the token before does.
 * And the confidence that is given is the share that turns out right. */
static void predict_made(float stay, float link, double *across_precision, double *last_precision) {
    struct routes_make m = {{6, 32, 4}, 1500, 0.3f, 0, stay, link, 0, 1, 5};
    struct arena a, b;
    struct popularity pop = make(&a, 6, 32);
    uint16_t *ids = routes_make_ids(&m);
    double promised = 0, kept = 0;
    arena_init(&b, 0);
    struct predict *p = predict_new(6, 32, &pop, &b);
    for (uint32_t t = 0; t < m.n_tok; t++)
        for (uint32_t l = 0; l < 6; l++) {
            const uint16_t *row = ids + ((size_t)t * 6 + l) * 4;
            struct guess g[4];
            uint32_t n = l ? predict_next(p, PREDICT_ACROSS, l, g, 4) : 0;
            for (uint32_t i = 0; i < n && t > 500; i++) {
                promised += g[i].confidence;
                for (int k = 0; k < 4; k++) kept += row[k] == g[i].expert;
            }
            predict_next(p, PREDICT_LAST, l, g, 4);
            predict_routed(p, l, row, 4);
            popularity_add(&pop, l, row, 4, l ? row - 4 : NULL, l ? 4 : 0);
        }
    assert_true(promised > 0.9 * kept && promised < 1.1 * kept);
    *across_precision = precision(p, PREDICT_ACROSS);
    *last_precision = precision(p, PREDICT_LAST);
    printf("stay %.1f, link %.1f: precision across layers %.2f, of the token before %.2f, even guesses 0.12\n",
           (double)stay, (double)link, *across_precision, *last_precision);
    free(ids);
    arena_deinit(&a);
    arena_deinit(&b);
}

static void what_predicts_what(void **state) {
    double across_layers, last;
    predict_made(0, 1.5f, &across_layers, &last);
    assert_true(across_layers > 0.3 && across_layers > last + 0.05);
    predict_made(3, 0, &across_layers, &last);
    assert_true(last > 0.4 && last > across_layers + 0.05);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(old_sessions_fade),
        cmocka_unit_test(too_many_pairs),
        cmocka_unit_test(every_byte_matters),
        cmocka_unit_test(in_the_cache_folder),
        cmocka_unit_test(ranks_and_accounts),
        cmocka_unit_test(without_pairs),
        cmocka_unit_test(what_predicts_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
