/* The routes file: written, read, cut at every byte, damaged. And the replay over it, against slow and plain copies of
 * the policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sched/replay.h"
#include "tests/routes_make.h"

#define LEN(a) (sizeof(a) / sizeof *(a))

struct bytes {
    unsigned char *p;
    size_t n;
};

/* A file of the made routings in steps of the given lengths, the last for all the rest; layer `hole` without experts.
 */
static struct bytes write_file(const struct routes_make *m, const uint32_t *lengths, uint32_t n_length, uint32_t hole) {
    struct bytes b = {0};
    struct routes_writer w;
    struct err e = {0};
    char *text = NULL;
    FILE *f = open_memstream(&text, &b.n);
    uint32_t width = m->shape.n_layer * m->shape.n_used;
    uint16_t *ids = routes_make_ids(m);
    for (uint32_t t = 0; t < m->n_tok; t++)
        for (uint32_t i = 0; hole < m->shape.n_layer && i < m->shape.n_used; i++)
            ids[(size_t)t * width + hole * m->shape.n_used + i] = ROUTES_NO_EXPERT;
    if (routes_begin(&w, f, m->shape, &e)) fail_msg("%s", e.text);
    for (uint32_t t = 0, s = 0; t < m->n_tok; s++) {
        uint32_t n = lengths[s < n_length ? s : n_length - 1];
        if (n > m->n_tok - t) n = m->n_tok - t;
        if (routes_step(&w, ids + (size_t)t * width, n, &e)) fail_msg("%s", e.text);
        t += n;
    }
    fclose(f);
    free(ids);
    b.p = (unsigned char *)text;
    return b;
}

static const struct routes_make small = {{3, 5, 2}, 12, 0.5f, 0, 1, 0, 0, 1, 9};

static void round_trip(void **state) {
    struct bytes b = write_file(&small, (uint32_t[]){5, 1}, 2, 1);
    uint16_t *ids = routes_make_ids(&small);
    struct routes r;
    struct err e = {0};
    assert_int_equal(b.n, ROUTES_HEAD_BYTES + 8 * 4 + 12 * 3 * 2 * 2);
    assert_int_equal(routes_parse(b.p, b.n, "x", &r, &e), 0);
    assert_int_equal(r.n_step, 8);
    assert_int_equal(r.n_tok_total, 12);
    assert_int_equal(r.steps[0].n_tok, 5);
    assert_int_equal(r.steps[7].n_tok, 1);
    assert_false(r.cut_off);
    for (uint32_t t = 0; t < 12; t++)
        for (uint32_t l = 0; l < 3; l++)
            for (uint32_t i = 0; i < 2; i++)
                assert_int_equal(routes_id(&r, t < 5 ? 0 : t - 4, t < 5 ? t : 0, l, i),
                                 l == 1 ? ROUTES_NO_EXPERT : ids[(t * 3 + l) * 2 + i]);
    routes_close(&r);
    free(ids);
    free(b.p);
}

static void cut_at_every_byte(void **state) {
    struct bytes b = write_file(&small, (uint32_t[]){3, 2}, 2, 3);
    struct routes r;
    struct err e;
    uint32_t before = 0;
    for (size_t n = 0; n <= b.n; n++) {
        unsigned char *exact = malloc(n ? n : 1); /* so that a sanitizer sees a read past the end */
        memcpy(exact, b.p, n);
        int rc = routes_parse(exact, n, "x", &r, &e);
        assert_int_equal(rc, n < ROUTES_HEAD_BYTES ? ERR_FORMAT : ERR_OK);
        if (!rc) {
            assert_true(r.n_step >= before && r.n_step <= before + 1);
            assert_int_equal(r.cut_off, n != ROUTES_HEAD_BYTES && r.n_step == before);
            before = r.n_step;
            routes_close(&r);
        }
        free(exact);
    }
    assert_int_equal(before, 6);
    free(b.p);
}

static void damage(void **state) {
    static const struct {
        size_t at;
        unsigned char value;
        int rc;
    } cases[] = {
        {0, 'H', ERR_FORMAT}, {8, 2, ERR_UNSUPPORTED}, {12, 0, ERR_FORMAT}, /* magic, version, n_layer */
        {13, 9, ERR_FORMAT},  {16, 1, ERR_FORMAT},     {18, 1, ERR_FORMAT}, {20, 6, ERR_FORMAT}, /* n_expert, n_used */
        {20, 0, ERR_FORMAT},  {32, 0, ERR_FORMAT},     {35, 1, ERR_FORMAT},                      /* n_tok */
        {36, 5, ERR_FORMAT},  {37, 1, ERR_FORMAT},                                               /* an id */
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct bytes b = write_file(&small, (uint32_t[]){1}, 1, 3);
        struct routes r;
        struct err e = {0};
        b.p[cases[i].at] = cases[i].value;
        assert_int_equal(routes_parse(b.p, b.n, "x", &r, &e), cases[i].rc);
        assert_true(strlen(e.text) > 10);
        free(b.p);
    }
    struct bytes b = write_file(&small, (uint32_t[]){1}, 1, 3);
    struct routes r;
    memcpy(b.p + 38, b.p + 36, 2); /* the same expert twice */
    assert_int_equal(routes_parse(b.p, b.n, "x", &r, NULL), ERR_FORMAT);
    memset(b.p + 38, 0xff, 2);     /* half a row without expert */
    assert_int_equal(routes_parse(b.p, b.n, "x", &r, NULL), ERR_FORMAT);
    free(b.p);
}

static void a_full_disk(void **state) {
    FILE *f = fopen("/dev/full", "wb");
    if (!f) skip();
    struct routes_writer w;
    struct err e = {0};
    setvbuf(f, NULL, _IONBF, 0);
    assert_int_equal(routes_begin(&w, f, small.shape, &e), ERR_IO);
    assert_int_equal(routes_begin(&w, f, (struct routes_shape){3, 2, 3}, &e), ERR_LIMIT);
    fclose(f);
}

/* Slow and plain */

struct slow {
    const struct replay *r;
    enum replay_policy policy;
    uint32_t n_slot;
    uint8_t resident[512];
    uint32_t count[512], last[512], visit[512], next[512]; /* last: the number of the use */
};

/* Whether a goes before b. */
static bool goes_before(const struct slow *s, uint32_t a, uint32_t b) {
    if (s->policy == REPLAY_BELADY) return s->next[a] > s->next[b];
    if (s->policy != REPLAY_LRU && s->count[a] != s->count[b]) return s->count[a] < s->count[b];
    return s->last[a] < s->last[b];
}

static void slow_evict(struct slow *s, uint32_t visit, uint32_t n_key) {
    uint32_t victim = n_key;
    for (uint32_t k = 0; k < n_key; k++)
        if (s->resident[k] && s->visit[k] != visit && (victim == n_key || goes_before(s, k, victim))) victim = k;
    if (victim < n_key) s->resident[victim] = 0;
}

static uint32_t n_resident(const struct slow *s) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < LEN(s->resident); k++) n += s->resident[k];
    return n;
}

static uint64_t slow_visit(struct slow *s, uint32_t v) {
    const struct replay *r = s->r;
    uint32_t base = v % r->shape.n_layer * r->shape.n_expert, n_key = r->shape.n_layer * r->shape.n_expert;
    uint64_t n_hit = 0;
    for (uint32_t u = r->visits[v]; u < r->visits[v + 1]; u++) {
        uint32_t key = base + r->experts[u];
        s->count[key]++;
        s->last[key] = u;
        s->visit[key] = v;
        s->next[key] = r->next[u];
        n_hit += s->resident[key];
    }
    for (uint32_t u = r->visits[v]; u < r->visits[v + 1]; u++) {
        uint32_t key = base + r->experts[u];
        if (s->resident[key]) continue;
        if (n_resident(s) == s->n_slot) slow_evict(s, v, n_key);
        if (n_resident(s) < s->n_slot) s->resident[key] = 1;
    }
    return n_hit;
}

static uint64_t slow_run(const struct replay *r, enum replay_policy policy, uint32_t n_slot) {
    struct slow s = {.r = r, .policy = policy, .n_slot = n_slot};
    uint64_t n_hit = 0;
    for (uint32_t v = 0; v < r->n_step * r->shape.n_layer; v++) {
        bool halve = policy == REPLAY_DECAYED && v && v % (REPLAY_HALF_STEPS * r->shape.n_layer) == 0;
        for (uint32_t k = 0; halve && k < LEN(s.count); k++) s.count[k] /= 2;
        n_hit += slow_visit(&s, v);
    }
    return n_hit;
}

static void against_slow(void **state) {
    static const struct routes_make made[] = {
        {{5, 9, 2}, 300, 0.5f, 0.8f, 0.7f, 0.2f, 3, 30, 1},
        {{1, 16, 4}, 300, 0, 0, 0, 0, 0, 1, 2},
        {{12, 8, 1}, 300, 1, 0, 2, 0, 0, 1, 3},
    };
    for (size_t m = 0; m < LEN(made); m++)
        for (uint32_t batch = 1; batch <= 3; batch += 2) {
            struct bytes b = write_file(&made[m], &batch, 1, made[m].shape.n_layer > 6 ? 5 : UINT32_MAX);
            struct routes routes;
            struct replay r;
            assert_int_equal(routes_parse(b.p, b.n, "x", &routes, NULL), 0);
            assert_int_equal(replay_new(&routes, &r, NULL), 0);
            for (uint32_t n_slot = 1; n_slot <= r.shape.n_layer * r.shape.n_expert; n_slot += 3)
                for (int p = 0; p < N_REPLAY_POLICIES; p++) {
                    struct replay_result got;
                    assert_int_equal(replay_run(&r, (enum replay_policy)p, n_slot, &got, NULL), 0);
                    bool ties = p == REPLAY_BELADY && n_slot < r.max_uses; /* then they matter */
                    if (p != REPLAY_HY && !ties)
                        assert_int_equal(got.n_hit, slow_run(&r, (enum replay_policy)p, n_slot));
                    if (n_slot >= r.max_uses) assert_true(got.n_hit <= slow_run(&r, REPLAY_BELADY, n_slot));
                }
            replay_free(&r);
            routes_close(&routes);
            free(b.p);
        }
}

/* A step's tokens share what they both use. */
static void unions(void **state) {
    static const uint16_t ids[] = {0, 1, 2, 3, /* token 0: layers 0, 1 */ 1, 2, 3, 2 /* token 1 */};
    struct routes_writer w;
    struct bytes b = {0};
    char *text = NULL;
    FILE *f = open_memstream(&text, &b.n);
    struct routes routes;
    struct replay r;
    assert_int_equal(routes_begin(&w, f, (struct routes_shape){2, 4, 2}, NULL), 0);
    assert_int_equal(routes_step(&w, ids, 2, NULL), 0);
    fclose(f);
    assert_int_equal(routes_parse((unsigned char *)text, b.n, "x", &routes, NULL), 0);
    assert_int_equal(replay_new(&routes, &r, NULL), 0);
    assert_int_equal(r.n_use, 5);
    assert_int_equal(r.max_uses, 3);
    assert_memory_equal(r.experts, ((uint16_t[]){0, 1, 2, 2, 3}), 10);
    assert_memory_equal(r.n_each, ((uint32_t[]){1, 2, 1, 2, 2}), 20);
    replay_free(&r);
    routes_close(&routes);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(cut_at_every_byte), cmocka_unit_test(damage),
        cmocka_unit_test(a_full_disk), cmocka_unit_test(against_slow), cmocka_unit_test(unions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
