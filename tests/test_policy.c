/* The expert policy: its bookkeeping against a plain model, and its hit rates against LRU, LFU and decayed counts on
 * made-up and recorded routings, at every size of cache. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sched/expert_policy.h"
#include "sched/replay.h"
#include "tests/routes_make.h"

#define LEN(a) (sizeof(a) / sizeof *(a))

/* Bookkeeping */

enum { N_LAYER = 7, N_EXPERT = 11, N_KEY = N_LAYER * N_EXPERT };

struct model {
    bool resident[N_KEY], locked[N_KEY];
    uint32_t n_asked;
};

static bool may_go(void *ctx, uint32_t key) {
    struct model *m = ctx;
    assert_true(key < N_KEY && m->resident[key]);
    m->n_asked++;
    return !m->locked[key];
}

/* The highest rank of those that may go. */
static void check_victim(struct expert_policy *p, struct model *m) {
    uint32_t victim = expert_policy_victim(p, may_go, m);
    float longest = -INFINITY;
    for (uint32_t k = 0; k < N_KEY; k++) {
        assert_int_equal(expert_policy_has(p, k), m->resident[k]);
        if (m->resident[k] && !m->locked[k]) longest = fmaxf(longest, expert_policy_rank(p, k));
    }
    if (victim == EXPERT_POLICY_NONE) assert_true(longest == -INFINITY);
    else assert_true(!m->locked[victim] && fabsf(expert_policy_rank(p, victim) - longest) <= longest * 1e-5f);
}

static uint32_t random_set(uint64_t *s, uint16_t *experts, uint32_t *n_each, uint32_t n_tok) {
    uint32_t n = 0;
    for (uint16_t e = 0; e < N_EXPERT; e++) {
        if (routes_make_next(s) % 3) continue;
        n_each[n] = 1 + routes_make_next(s) % n_tok;
        experts[n++] = e;
    }
    return n;
}

static void random_calls(void **state) {
    struct arena a;
    arena_init(&a, 0);
    struct expert_policy *p = expert_policy_new(N_LAYER, N_EXPERT, &a);
    struct model m = {0};
    uint64_t s = 1;
    uint32_t n_resident = 0;
    for (int step = 0; step < 600; step++) {
        for (uint32_t l = 0; l < N_LAYER; l++) {
            uint16_t experts[N_EXPERT];
            uint32_t n_each[N_EXPERT], n_tok = step % 5 ? 1 : 1 + routes_make_next(&s) % 40;
            uint32_t n = random_set(&s, experts, n_each, n_tok);
            if (l != 3 || step % 7) expert_policy_visit(p, l, experts, n_tok > 1 ? n_each : NULL, n, n_tok);
            for (int i = 0; i < 6; i++) {
                uint32_t key = routes_make_next(&s) % N_KEY;
                m.locked[routes_make_next(&s) % N_KEY] ^= true;
                m.resident[key] ? expert_policy_remove(p, key) : expert_policy_insert(p, key);
                m.resident[key] ? n_resident-- : n_resident++;
                m.resident[key] ^= true;
                assert_int_equal(expert_policy_n_resident(p), n_resident);
                check_victim(p, &m);
            }
        }
        expert_policy_end_step(p);
    }
    arena_deinit(&a);
}

static void nothing_to_evict(void **state) {
    struct arena a;
    arena_init(&a, 0);
    struct expert_policy *p = expert_policy_new(N_LAYER, N_EXPERT, &a);
    struct model m = {0};
    assert_int_equal(expert_policy_victim(p, NULL, NULL), EXPERT_POLICY_NONE);
    expert_policy_insert(p, 5);
    m.resident[5] = m.locked[5] = true;
    assert_int_equal(expert_policy_victim(p, may_go, &m), EXPERT_POLICY_NONE);
    assert_int_equal(expert_policy_victim(p, NULL, NULL), 5);
    expert_policy_remove(p, 5);
    assert_int_equal(expert_policy_victim(p, NULL, NULL), EXPERT_POLICY_NONE);
    arena_deinit(&a);
    arena_init(&a, 1024); /* too little */
    assert_null(expert_policy_new(N_LAYER, N_EXPERT, &a));
    arena_deinit(&a);
}

/* All alike: the layer just passed is the one that is needed again last. */
static void layers_go_round(void **state) {
    struct arena a;
    arena_init(&a, 0);
    struct expert_policy *p = expert_policy_new(4, 2, &a);
    for (uint32_t k = 0; k < 8; k++) expert_policy_insert(p, k);
    for (int step = 0; step < 300; step++) {
        for (uint32_t l = 0; l < 4; l++) {
            expert_policy_visit(p, l, (uint16_t[]){0, 1}, NULL, 2, 1);
            if (step < 20) continue; /* what it expects comes close to certainty */
            assert_int_equal(expert_policy_victim(p, NULL, NULL) / 2, l);
            assert_float_equal(expert_policy_wait(p, (l + 1) % 4 * 2), 0.25f, 0.06f);
            assert_float_equal(expert_policy_wait(p, l * 2), 1, 0.06f);
        }
        expert_policy_end_step(p);
    }
    arena_deinit(&a);
}

static void seeds_decide_at_first(void **state) {
    struct arena a;
    arena_init(&a, 0);
    struct expert_policy *p = expert_policy_new(2, 4, &a);
    for (uint32_t k = 0; k < 8; k++) {
        expert_policy_seed(p, k, k == 6 ? 0.01f : 0.2f);
        expert_policy_insert(p, k);
    }
    assert_int_equal(expert_policy_victim(p, NULL, NULL), 6);
    expert_policy_visit(p, 1, (uint16_t[]){0, 1}, NULL, 2, 1);
    expert_policy_end_step(p);
    assert_int_equal(expert_policy_victim(p, NULL, NULL), 6); /* one token does not change that */
    assert_true(expert_policy_wait(p, 7) < 5.5f);             /* nor forget what was said of another */
    arena_deinit(&a);
}

/* A prompt of many tokens counts as what it is: shares, not one use each. */
static void prompts_teach(void **state) {
    struct arena a;
    arena_init(&a, 0);
    struct expert_policy *p = expert_policy_new(1, 4, &a);
    expert_policy_visit(p, 0, (uint16_t[]){0, 1, 2, 3}, (uint32_t[]){100, 60, 39, 1}, 4, 100);
    assert_float_equal(expert_policy_wait(p, 1), 1, 0.01f); /* another such step uses it for sure */
    expert_policy_end_step(p);
    expert_policy_visit(p, 0, (uint16_t[]){0, 3}, NULL, 2, 1);
    assert_true(expert_policy_wait(p, 0) < expert_policy_wait(p, 1));
    assert_true(expert_policy_wait(p, 1) < expert_policy_wait(p, 2));
    arena_deinit(&a);
}

static void long_prompts_outweigh(void **state) {
    struct arena a;
    arena_init(&a, 0);
    struct expert_policy *p = expert_policy_new(1, 4, &a);
    for (int t = 0; t < 3000; t++) {
        expert_policy_visit(p, 0, (uint16_t[]){0}, NULL, 1, 1);
        expert_policy_end_step(p);
    }
    expert_policy_visit(p, 0, (uint16_t[]){1}, (uint32_t[]){300}, 1, 300);
    expert_policy_end_step(p);
    expert_policy_visit(p, 0, (uint16_t[]){2}, NULL, 1, 1);
    assert_true(expert_policy_wait(p, 0) > 50 && expert_policy_wait(p, 1) < expert_policy_wait(p, 0) / 10);
    arena_deinit(&a);
}

/* Hit rates */

struct made {
    const char *name;
    struct routes_make m;
    uint32_t n_tok; /* of a step */
    double gain;    /* points above the best of the three, averaged over sizes: at least */
};

static const struct made made[] = {
    {"even, 2 of 8", {{32, 8, 2}, 500, 0, 0, 0, 0, 0, 1, 1}, 1, 1.5},
    {"even, 8 of 128", {{12, 128, 8}, 400, 0, 0, 0, 0, 0, 1, 2}, 1, 0.3},
    {"fixed popularity", {{16, 64, 4}, 600, 0.8f, 0, 0, 0, 0, 1, 4}, 1, -0.05},
    {"Mixtral-like", {{32, 8, 2}, 500, 0.3f, 0.6f, 0.4f, 0.2f, 8, 100, 3}, 1, 1},
    {"Qwen-like", {{12, 128, 8}, 500, 0.6f, 1.2f, 0.8f, 0.2f, 10, 60, 5}, 1, 1},
    {"topics", {{16, 64, 4}, 800, 0.2f, 1.5f, 0, 0, 12, 50, 6}, 1, 1.2},
    {"Qwen-like, steps of 8", {{12, 128, 8}, 800, 0.6f, 1.2f, 0.8f, 0.2f, 10, 60, 5}, 8, 2.5},
    {"even, steps of 4", {{32, 8, 2}, 800, 0, 0, 0, 0, 0, 1, 8}, 4, 4},
    {"tokens like their neighbours", {{16, 64, 4}, 600, 0.2f, 0.3f, 2.5f, 0, 4, 80, 7}, 1, 1},
};

/* Luck of one run: 0.1 points of these are some 40 uses. */
#define NOISE_POINTS 0.15
#define RECORDED_POINTS 0.1 /* of the recordings, at every size; measured: 11 of 12,029 uses */

struct gain {
    double sum, worst;
    uint32_t n, worst_at;
    double ns;
};

static struct gain compare(const struct replay *r) {
    struct gain g = {.worst = 100};
    uint32_t n_key = r->shape.n_layer * r->shape.n_expert;
    uint32_t n_size = n_key < 64 ? n_key : 16; /* every size of a small model */
    for (uint32_t i = 0; i <= n_size; i++) {
        uint32_t n_slot = i ? n_key * i / n_size : r->max_uses;
        if (n_slot < r->max_uses) continue;
        struct replay_result got[N_REPLAY_POLICIES];
        uint64_t best = 0;
        for (int p = 0; p < N_REPLAY_POLICIES; p++) {
            assert_int_equal(replay_run(r, (enum replay_policy)p, n_slot, &got[p], NULL), 0);
            if (p < REPLAY_HY && got[p].n_hit > best) best = got[p].n_hit;
        }
        double gain = 100 * ((double)got[REPLAY_HY].n_hit - (double)best) / (double)r->n_use;
        if (gain < g.worst) g.worst = gain, g.worst_at = n_slot;
        g.sum += gain;
        g.n++;
        g.ns += got[REPLAY_HY].policy_ns;
        assert_true(got[REPLAY_HY].n_hit <= got[REPLAY_BELADY].n_hit);
    }
    return g;
}

static void judge(const char *name, struct routes *routes, double least_gain, double most_below) {
    struct replay r;
    assert_int_equal(replay_new(routes, &r, NULL), 0);
    struct gain g = compare(&r);
    printf("%-30s best of the others %+.2f points on average, %+.2f at worst (%u slots), %.0f ns per use\n", name,
           g.sum / g.n, g.worst, g.worst_at, g.ns / g.n);
    assert_true(g.worst >= -most_below);
    assert_true(g.sum / g.n >= least_gain);
    replay_free(&r);
}

static void made_routings(void **state) {
    for (size_t i = 0; i < LEN(made); i++) {
        const struct routes_make *m = &made[i].m;
        struct routes_writer w;
        struct routes routes;
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);
        uint16_t *ids = routes_make_ids(m);
        assert_int_equal(routes_begin(&w, f, m->shape, NULL), 0);
        for (uint32_t t = 0; t + made[i].n_tok <= m->n_tok; t += made[i].n_tok) {
            const uint16_t *row = ids + (size_t)t * m->shape.n_layer * m->shape.n_used;
            assert_int_equal(routes_step(&w, row, made[i].n_tok, NULL), 0);
        }
        fclose(f);
        assert_int_equal(routes_parse((unsigned char *)text, n, made[i].name, &routes, NULL), 0);
        judge(made[i].name, &routes, made[i].gain, NOISE_POINTS);
        routes_close(&routes);
        free(text);
        free(ids);
    }
}

/* tests/data/NAME.routes: recorded with hy trace --routes. */
static void recorded_routings(void **state) {
    DIR *dir = opendir("tests/data");
    uint32_t n = 0;
    for (struct dirent *d; dir && (d = readdir(dir));) {
        size_t len = strlen(d->d_name);
        if (len < 8 || strcmp(d->d_name + len - 7, ".routes") != 0) continue;
        char path[512];
        struct routes routes;
        struct err e;
        snprintf(path, sizeof path, "tests/data/%s", d->d_name);
        if (routes_open(path, &routes, &e)) fail_msg("%s", e.text);
        judge(path, &routes, 2.5, RECORDED_POINTS);
        routes_close(&routes);
        n++;
    }
    if (dir) closedir(dir);
    if (n) return;
    print_message("no recorded routings in tests/data\n");
    skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls), cmocka_unit_test(nothing_to_evict), cmocka_unit_test(layers_go_round),
        cmocka_unit_test(seeds_decide_at_first), cmocka_unit_test(prompts_teach),
        cmocka_unit_test(long_prompts_outweigh), cmocka_unit_test(made_routings), cmocka_unit_test(recorded_routings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
