/* Sampling: exact cases, brute force on small vocabularies, and statistics with fixed seeds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/sampler.h"

#define LEN(a) (sizeof(a) / sizeof *(a))

static uint32_t noise_state = 1;
static float noise(void) { /* -1..1 */
    noise_state = noise_state * 1664525u + 1013904223u;
    return (float)(noise_state >> 8) / (float)(1 << 23) - 1;
}

static struct sampler *make(struct sampler_params p, uint32_t n_vocab) {
    struct sampler *s;
    struct err e = {0};
    if (sampler_new(&p, n_vocab, &s, &e)) fail_msg("%s", e.text);
    return s;
}

/* Nothing but the draw. */
static struct sampler_params plain(void) {
    return (struct sampler_params){.temperature = 1, .top_p = 1, .typical_p = 1, .repeat_penalty = 1, .repeat_last_n = 64};
}

static int32_t pick(struct sampler *s, const float *logits, uint32_t n) {
    static float copy[1 << 18];
    memcpy(copy, logits, n * sizeof *copy);
    return sampler_pick(s, copy, n);
}

static void greedy(void **state) {
    struct sampler_params p = plain();
    p.temperature = 0;
    struct sampler *s = make(p, 5);
    assert_int_equal(pick(s, (float[]){1, 3, 2, 3, 0}, 5), 1); /* the lower of two */
    assert_int_equal(pick(s, (float[]){NAN, NAN, -5, NAN, -5}, 5), 2);
    assert_int_equal(pick(s, (float[]){-INFINITY, 1, INFINITY, INFINITY, 0}, 5), 2);
    assert_int_equal(pick(s, (float[]){NAN, NAN, NAN, NAN, NAN}, 5), ERR_FORMAT);
    assert_int_equal(pick(s, (float[]){NAN, NAN, -INFINITY, NAN, NAN}, 5), ERR_FORMAT);
    assert_int_equal(pick(s, (float[]){1, 3, 2}, 3), 1); /* a shorter row */
    uint32_t mask = 1u << 0 | 1u << 2;
    sampler_set_mask(s, &mask);
    assert_int_equal(pick(s, (float[]){1, 3, 2, 3, 0}, 5), 2);
    mask = 0;
    assert_int_equal(pick(s, (float[]){1, 3, 2, 3, 0}, 5), ERR_FORMAT);
    sampler_set_mask(s, NULL);
    assert_int_equal(pick(s, (float[]){1, 3, 2, 3, 0}, 5), 1);
    sampler_free(s);
}

static void strange_logits(void **state) {
    for (uint32_t k = 0; k < 4; k++) {
        struct sampler_params p = sampler_defaults();
        p.top_k = k;
        p.typical_p = 0.9f;
        struct sampler *s = make(p, 4);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(pick(s, (float[]){NAN, 5, NAN, -INFINITY}, 4), 1);
            assert_int_equal(pick(s, (float[]){0, INFINITY, 3e38f, -3e38f}, 4), 1);
            assert_int_equal(pick(s, (float[]){NAN, NAN, NAN, NAN}, 4), ERR_FORMAT);
            assert_in_range(pick(s, (float[]){-3e38f, 3e38f, 3e38f, 0}, 4), 1, 2);
        }
        sampler_free(s);
    }
    struct sampler_params p = plain();
    p.temperature = 1e-30f; /* as good as greedy, and no division trouble */
    struct sampler *s = make(p, 3);
    for (int i = 0; i < 100; i++) assert_int_equal(pick(s, (float[]){1, 1.5f, -9}, 3), 1);
    sampler_free(s);
}

static void penalties_by_hand(void **state) {
    struct sampler_params p = plain();
    p.temperature = 0;
    p.repeat_penalty = 2;
    p.repeat_last_n = 3;
    struct sampler *s = make(p, 3);
    sampler_accept(s, 0);
    assert_int_equal(pick(s, (float[]){3, 2, -9}, 3), 1);      /* 3/2 < 2 */
    assert_int_equal(pick(s, (float[]){-1, -1.5f, -9}, 3), 1); /* -1*2 < -1.5 */
    sampler_accept(s, 1);
    sampler_accept(s, 1);
    sampler_accept(s, 1); /* 0 has left the ring */
    assert_int_equal(pick(s, (float[]){3, 5, -9}, 3), 0);
    sampler_reset(s, 0);
    assert_int_equal(pick(s, (float[]){3, 5, -9}, 3), 1);
    sampler_accept(s, -7); /* ignored */
    sampler_accept(s, 99);
    assert_int_equal(pick(s, (float[]){3, 5, -9}, 3), 1);
    sampler_free(s);
}

static void penalties_by_brute_force(void **state) {
    enum { N = 30, LAST = 17 };
    struct sampler_params p = plain();
    p.temperature = 0;
    p.repeat_penalty = 1.3f;
    p.presence_penalty = 0.25f;
    p.frequency_penalty = 0.125f;
    p.repeat_last_n = LAST;
    struct sampler *s = make(p, N);
    int32_t history[400];
    for (int n = 0; n < 400; n++) {
        float logits[N], want[N];
        int32_t best = 0;
        for (int i = 0; i < N; i++) {
            int count = 0;
            for (int k = n > LAST ? n - LAST : 0; k < n; k++) count += history[k] == i;
            want[i] = logits[i] = 2 * noise();
            if (count) {
                want[i] = want[i] <= 0 ? want[i] * 1.3f : want[i] / 1.3f;
                want[i] -= 0.125f * (float)count + 0.25f;
            }
            if (want[i] > want[best]) best = i;
        }
        assert_int_equal(pick(s, logits, N), best);
        history[n] = (int32_t)((noise() + 1) * 5); /* 0..9 */
        sampler_accept(s, history[n]);
    }
    sampler_free(s);
}

struct item {
    double p, dev;
    int32_t id;
};
static int by_p(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    return x->p > y->p ? -1 : x->p < y->p ? 1 : x->id - y->id;
}
static int by_dev(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    return x->dev < y->dev ? -1 : x->dev > y->dev ? 1 : x->id - y->id;
}

static void normalize(struct item *it, uint32_t n) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += it[i].p;
    for (uint32_t i = 0; i < n; i++) it[i].p /= sum;
}

static uint32_t shortest(const struct item *it, uint32_t n, double share) {
    double have = 0;
    for (uint32_t i = 0; i < n; i++)
        if ((have += it[i].p) >= share) return i + 1;
    return n;
}

/* The distribution by the book: sort everything, one filter after another. */
static void expected(const struct sampler_params *p, const float *logits, uint32_t n_vocab, double *prob) {
    struct item *it = malloc(n_vocab * sizeof *it);
    uint32_t n = n_vocab;
    for (uint32_t i = 0; i < n; i++) it[i] = (struct item){.p = exp((double)logits[i]), .id = (int32_t)i};
    qsort(it, n, sizeof *it, by_p);
    if (p->top_k && p->top_k < n) n = p->top_k;
    normalize(it, n);
    if (p->typical_p < 1) {
        double h = 0;
        for (uint32_t i = 0; i < n; i++) h -= it[i].p * log(it[i].p);
        for (uint32_t i = 0; i < n; i++) it[i].dev = fabs(-log(it[i].p) - h);
        qsort(it, n, sizeof *it, by_dev);
        n = shortest(it, n, (double)p->typical_p);
        normalize(it, n);
        qsort(it, n, sizeof *it, by_p);
    }
    if (p->top_p < 1) n = shortest(it, n, (double)p->top_p);
    uint32_t kept = n;
    for (uint32_t i = 0; i < n; i++)
        if (it[i].p < (double)p->min_p * it[0].p && kept > i) kept = i;
    n = kept;
    for (uint32_t i = 0; i < n; i++) it[i].p = pow(it[i].p, 1 / (double)p->temperature);
    normalize(it, n);
    for (uint32_t i = 0; i < n_vocab; i++) prob[i] = 0;
    for (uint32_t i = 0; i < n; i++) prob[it[i].id] = it[i].p;
    free(it);
}

/* Chi-square of n_draw draws, as standard deviations from its mean. Fails at once on an impossible token. */
static double chi_square_sigma(struct sampler *s, const float *logits, const double *prob, uint32_t n_vocab, int n_draw) {
    uint32_t *seen = calloc(n_vocab, sizeof *seen);
    for (int i = 0; i < n_draw; i++) {
        int32_t id = pick(s, logits, n_vocab);
        assert_in_range(id, 0, n_vocab - 1);
        if (prob[id] <= 0) fail_msg("token %d has probability 0", id);
        seen[id]++;
    }
    double chi = 0, rest_p = 0, rest_seen = 0;
    int dof = -1;
    for (uint32_t i = 0; i < n_vocab; i++) {
        double want = prob[i] * n_draw;
        if (want < 10) { /* too rare for the test: all such together */
            rest_p += want;
            rest_seen += seen[i];
            continue;
        }
        chi += (seen[i] - want) * (seen[i] - want) / want;
        dof++;
    }
    if (rest_p >= 10) chi += (rest_seen - rest_p) * (rest_seen - rest_p) / rest_p, dof++;
    free(seen);
    return dof < 1 ? 0 : (chi - dof) / sqrt(2.0 * dof);
}

static void distribution(void **state) {
    enum { N = 50 };
    double worst = 0;
    for (int c = 0; c < 60; c++) {
        struct sampler_params p = plain();
        float logits[N];
        double prob[N];
        for (int i = 0; i < N; i++) logits[i] = 4 * noise();
        p.seed = (uint64_t)c;
        p.temperature = 0.6f + 0.3f * (float)(c % 4);
        if (c & 1) p.top_k = 1 + (uint32_t)(c % 37);
        if (c & 2) p.top_p = 0.3f + 0.01f * (float)c;
        if (c & 4) p.min_p = 0.01f * (float)(c % 11);
        if (c & 8) p.typical_p = 0.2f + 0.012f * (float)c;
        expected(&p, logits, N, prob);
        struct sampler *s = make(p, N);
        double sigma = chi_square_sigma(s, logits, prob, N, 20000);
        sampler_free(s);
        if (sigma > worst) worst = sigma;
    }
    assert_true(worst < 6); /* 60 draws of a chi-square, which has a long right tail */
    assert_true(worst > 0.5);
}

/* More tokens than one stretch of the partial sort. */
static void large_vocabulary(void **state) {
    enum { N = 40000 };
    float *logits = malloc(N * sizeof *logits);
    double *prob = malloc(N * sizeof *prob);
    for (int i = 0; i < N; i++) logits[i] = 3 * noise() + (i % 1000 == 7 ? 6 : 0);
    struct sampler_params p[4] = {plain(), plain(), plain(), plain()};
    p[0].top_p = 0.2f;
    p[1].typical_p = 0.3f;
    p[2].min_p = 0.3f;
    p[3].top_k = 1000;
    for (size_t c = 0; c < LEN(p); c++) {
        p[c].seed = c;
        expected(&p[c], logits, N, prob);
        struct sampler *s = make(p[c], N);
        assert_true(chi_square_sigma(s, logits, prob, N, 250) < 6);
        sampler_free(s);
    }
    free(logits);
    free(prob);
}

static void same_seed_same_tokens(void **state) {
    static const int32_t golden[] = {38, 5, 48, 13, 30, 60, 3, 8, 41, 36, 48, 31, 15, 50, 3, 1, 55, 27, 3, 3, 38, 57, 24, 55};
    float logits[64];
    for (int i = 0; i < 64; i++) logits[i] = (float)((i * 37) % 64) / 16;
    struct sampler_params p = plain();
    p.seed = 42;
    p.top_p = 0.95f;
    p.temperature = 0.9f;
    struct sampler *s = make(p, 64), *other = make(p, 64);
    for (size_t i = 0; i < LEN(golden); i++) {
        int32_t id = pick(s, logits, 64);
        assert_int_equal(id, golden[i]);
        assert_int_equal(pick(other, logits, 64), id);
        sampler_accept(s, id);
    }
    sampler_reset(s, 42);
    for (size_t i = 0; i < LEN(golden); i++) assert_int_equal(pick(s, logits, 64), golden[i]);
    sampler_reset(s, 43);
    int same = 0;
    for (size_t i = 0; i < LEN(golden); i++) same += pick(s, logits, 64) == golden[i];
    assert_true(same < (int)LEN(golden) / 2);
    sampler_free(s);
    sampler_free(other);
}

static void refuse(struct sampler_params p, const char *word) {
    struct sampler *s;
    struct err e = {0};
    assert_int_equal(sampler_new(&p, 10, &s, &e), ERR_ARG);
    assert_null(s);
    if (!strstr(e.text, word)) fail_msg("'%s' does not say '%s'", e.text, word);
}

static void parameters_are_checked(void **state) {
#define REFUSE(field, value)                      \
    do {                                          \
        struct sampler_params p = sampler_defaults(); \
        p.field = value;                          \
        refuse(p, #field);                        \
    } while (0)
    REFUSE(temperature, -0.1f);
    REFUSE(temperature, NAN);
    REFUSE(temperature, INFINITY);
    REFUSE(top_p, 1.01f);
    REFUSE(top_p, -0.01f);
    REFUSE(min_p, 2);
    REFUSE(typical_p, NAN);
    REFUSE(repeat_penalty, 0);
    REFUSE(presence_penalty, INFINITY);
    REFUSE(frequency_penalty, NAN);
    REFUSE(repeat_last_n, SAMPLER_LAST_N_MAX + 1);
    struct sampler_params p = sampler_defaults();
    struct sampler *s;
    assert_int_equal(sampler_new(&p, 0, &s, NULL), ERR_ARG);
    p.top_p = p.min_p = p.typical_p = 0; /* the strictest values still keep one token */
    p.repeat_last_n = 0;
    s = make(p, 3);
    sampler_accept(s, 1);
    assert_int_equal(pick(s, (float[]){0, 2, -5}, 3), 1);
    sampler_free(s);
}

static int by_value(const void *a, const void *b) {
    const float *x = *(const float *const *)a, *y = *(const float *const *)b;
    return *x > *y ? -1 : *x < *y ? 1 : x < y ? -1 : 1; /* the lower id first */
}

/* From the best alone the same tokens come as from the whole row. */
static void best_are_enough(void **state) {
    enum { N = 500, MOST = 256 };
    static const struct { float temperature; uint32_t top_k; float typical; uint32_t want; } cases[] = {
        {0, 40, 1, 1}, {0.8f, 40, 1, 40}, {1.5f, 256, 0.7f, 256}, {1, 1, 1, 1}, {1, 257, 1, 0}, {1, 0, 1, 0}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct sampler_params p = sampler_defaults();
        struct sampler *whole, *best;
        p.temperature = cases[c].temperature;
        p.top_k = cases[c].top_k;
        p.typical_p = cases[c].typical;
        p.seed = c;
        assert_int_equal(sampler_new(&p, N, &whole, NULL), 0);
        assert_int_equal(sampler_new(&p, N, &best, NULL), 0);
        uint32_t n = sampler_n_best(best, MOST);
        assert_int_equal(n, cases[c].want);
        for (uint32_t round = 0, x = 1; round < 200 && n; round++) {
            float logits[N];
            const float *order[N];
            int32_t ids[MOST];
            float values[MOST];
            for (uint32_t i = 0; i < N; i++) {
                x = x * 1664525u + 1013904223u;
                logits[i] = (float)(x >> 20) / 400; /* with ties */
                order[i] = &logits[i];
            }
            qsort(order, N, sizeof *order, by_value);
            for (uint32_t i = 0; i < n; i++) {
                ids[i] = (int32_t)(order[i] - logits);
                values[i] = *order[i];
            }
            assert_int_equal(sampler_pick_best(best, ids, values, n), sampler_pick(whole, logits, N));
        }
        sampler_free(whole);
        sampler_free(best);
    }
    struct sampler_params p = sampler_defaults();
    struct sampler *s;
    uint32_t mask[16] = {0};
    p.repeat_penalty = 1.1f;
    assert_int_equal(sampler_new(&p, N, &s, NULL), 0);
    assert_int_equal(sampler_n_best(s, MOST), 0);
    sampler_free(s);
    p.repeat_penalty = 1;
    assert_int_equal(sampler_new(&p, N, &s, NULL), 0);
    sampler_set_mask(s, mask);
    assert_int_equal(sampler_n_best(s, MOST), 0);
    const float nan_row[1] = {NAN};
    assert_int_equal(sampler_pick_best(s, (const int32_t[]){3}, nan_row, 1), ERR_FORMAT);
    sampler_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy),
        cmocka_unit_test(strange_logits),
        cmocka_unit_test(penalties_by_hand),
        cmocka_unit_test(penalties_by_brute_force),
        cmocka_unit_test(distribution),
        cmocka_unit_test(large_vocabulary),
        cmocka_unit_test(same_seed_same_tokens),
        cmocka_unit_test(parameters_are_checked), cmocka_unit_test(best_are_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
