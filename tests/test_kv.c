/* KV blocks: every position of every sequence must hold what was computed from exactly its tokens, whatever is shared, copied, cached
 * and reused. A value stands for a position's keys and values: a hash of all tokens up to it. Then the same through an engine. */
#include "tests/support.h"

#include "sched/hy.h"
#include "sched/kv.h"

enum { N_SEQ = 6, N_CTX = 400, MAX_BLOCK = 64 };

struct kv_test {
    struct kv kv;
    struct arena arena;
    uint32_t *table, n_copy;
    uint64_t value[MAX_BLOCK * KV_BLOCK_TOK]; /* the pool */
    int32_t token[N_SEQ][N_CTX];              /* what each sequence was given */
    uint32_t len[N_SEQ];
};

static void copy_block(void *ctx, uint32_t to, uint32_t from) {
    struct kv_test *t = ctx;
    assert_int_equal(t->kv.refs[to], 1);
    memcpy(t->value + to * KV_BLOCK_TOK, t->value + from * KV_BLOCK_TOK, KV_BLOCK_TOK * sizeof t->value[0]);
    t->n_copy++;
}

static void kv_setup(struct kv_test *t, uint32_t n_block) {
    memset(t, 0, sizeof *t);
    arena_init(&t->arena, 0);
    t->table = calloc(N_SEQ * kv_stride(N_CTX), sizeof *t->table);
    OK(kv_init(&t->kv, N_SEQ, N_CTX, n_block, t->table, &t->arena, &support_err));
    t->kv.copy = copy_block;
    t->kv.copy_ctx = t;
}

static void kv_teardown(struct kv_test *t) {
    arena_deinit(&t->arena);
    free(t->table);
}

static uint64_t next_value(uint64_t before, int32_t token) { return (before ^ (uint64_t)token) * 0x9e3779b97f4a7c15u + 1; }

/* A step of one sequence: up to n tokens as far as there are blocks, computed unless it fails. Returns how many. */
static uint32_t kv_step(struct kv_test *t, uint32_t s, const int32_t *token, uint32_t n, bool fails) {
    uint32_t from = t->len[s], i = 0;
    for (; i < n; i++) {
        if (kv_push(&t->kv, s, token[i], &support_err)) break;
        t->token[s][from + i] = token[i];
    }
    if (fails) {
        kv_truncate(&t->kv, s, from);
        return 0;
    }
    uint64_t v = from ? t->value[kv_slot(&t->kv, s, from - 1)] : 0;
    for (uint32_t k = 0; k < i; k++) t->value[kv_slot(&t->kv, s, from + k)] = v = next_value(v, token[k]);
    kv_commit(&t->kv, s);
    t->len[s] = from + i;
    return i;
}

static void check_values(const struct kv_test *t) {
    for (uint32_t s = 0; s < N_SEQ; s++) {
        uint64_t v = 0;
        if (!t->kv.used[s]) continue;
        assert_int_equal(t->kv.len[s], t->len[s]);
        for (uint32_t pos = 0; pos < t->len[s]; pos++) {
            v = next_value(v, t->token[s][pos]);
            uint32_t slot = kv_slot(&t->kv, s, pos);
            assert_int_equal(slot % KV_BLOCK_TOK, pos % KV_BLOCK_TOK);
            if (t->value[slot] != v) fail_msg("sequence %u, position %u of %u: another text's value", s, pos, t->len[s]);
        }
    }
}

/* Each block in exactly one place; references are counted; the cached ring is whole; children were cached before their parents. */
static void check_places(const struct kv_test *t) {
    const struct kv *kv = &t->kv;
    uint32_t refs[MAX_BLOCK] = {0}, place[MAX_BLOCK] = {0}, n_cached = 0, age[MAX_BLOCK] = {0};
    for (uint32_t s = 0; s < N_SEQ; s++) {
        const uint32_t *row = kv->table + s * kv->stride;
        for (uint32_t i = 0; kv->used[s] && i < kv_stride(kv->len[s]); i++) {
            refs[row[i]]++;
            bool full = (i + 1) * KV_BLOCK_TOK <= kv->len[s];
            if (full) assert_int_equal(prefix_n_tok(&kv->prefix, row[i]), KV_BLOCK_TOK);
            if (full) assert_int_equal(kv->prefix.nodes[row[i]].parent, i ? row[i - 1] : kv->prefix.root);
        }
    }
    for (uint32_t i = 0; i < kv->n_free; i++) {
        place[kv->free_blocks[i]]++;
        assert_int_equal(prefix_n_tok(&kv->prefix, kv->free_blocks[i]), 0);
    }
    for (uint32_t b = kv->links[kv->n_block].newer; b != kv->n_block; b = kv->links[b].newer) {
        place[b]++;
        age[b] = ++n_cached;
        assert_true(prefix_n_tok(&kv->prefix, b) > 0);
        assert_int_equal(kv->links[kv->links[b].newer].older, b);
    }
    assert_int_equal(n_cached, kv->n_cached);
    for (uint32_t b = 0; b < kv->n_block; b++) {
        assert_int_equal(kv->refs[b], refs[b]);
        assert_int_equal(place[b] + (refs[b] > 0), 1);
        if (refs[b] > 1) assert_int_equal(prefix_n_tok(&kv->prefix, b), KV_BLOCK_TOK);
        for (uint32_t c = kv->prefix.nodes[b].child; prefix_n_tok(&kv->prefix, b) && c != PREFIX_NONE; c = kv->prefix.nodes[c].older)
            assert_true(refs[b] > 0 || age[c] < age[b]);
    }
}

/* Texts that share beginnings: text k follows text k / 2 up to some position. */
static int32_t text(uint32_t k, uint32_t pos) {
    while (k > 1 && pos < 37 * (k % 9)) k /= 2;
    return (int32_t)((k * 31 + pos * pos * 7 + pos) % 50);
}

static void kv_random_pool(uint32_t n_block, uint32_t n_step) {
    struct kv_test t;
    uint32_t which[N_SEQ] = {0}, seq, n_full = 0, n_attached = 0;
    kv_setup(&t, n_block);
    for (uint32_t step = 0; step < n_step; step++) {
        uint32_t s = support_random(N_SEQ), n = support_random(130), what = support_random(16);
        int32_t token[N_CTX];
        if (!t.kv.used[s]) {
            if (what < 12) continue;
            OK(kv_seq_new(&t.kv, &seq, &support_err));
            which[seq] = 1 + support_random(40);
            for (uint32_t i = 0; i < N_CTX; i++) t.token[seq][i] = token[i] = text(which[seq], i);
            t.len[seq] = what < 15 ? kv_attach(&t.kv, seq, token, support_random(N_CTX)) : 0;
            n_attached += t.len[seq];
        } else if (what == 0) {
            kv_seq_free(&t.kv, s);
        } else if (what == 1) {
            uint32_t to = support_random(N_CTX);
            kv_truncate(&t.kv, s, to);
            if (to < t.len[s]) t.len[s] = to;
            if (support_random(2)) which[s] = 1 + support_random(40); /* goes on differently */
        } else if (what == 2) { /* what the sequence has, then its text: a longer beginning may be there by now */
            for (uint32_t i = 0; i < N_CTX; i++) token[i] = i < t.len[s] ? t.token[s][i] : text(which[s], i);
            uint32_t len = kv_attach(&t.kv, s, token, N_CTX - 1);
            assert_true(len >= t.len[s]);
            memcpy(t.token[s], token, len * sizeof *token);
            t.len[s] = len;
        } else {
            if (n > N_CTX - t.len[s]) n = N_CTX - t.len[s];
            for (uint32_t i = 0; i < n; i++) token[i] = text(which[s], t.len[s] + i);
            n_full += kv_step(&t, s, token, n, what == 3) < n && what != 3;
        }
        check_places(&t);
        check_values(&t);
    }
    if (n_block < 30) assert_true(n_full > 10);
    assert_true(n_attached > 1000 && t.n_copy > 10);
    if (n_block < MAX_BLOCK) assert_true(t.kv.n_reused > 10);
    kv_teardown(&t);
}

static void kv_random(void **state) {
    kv_random_pool(MAX_BLOCK, 20000);
    kv_random_pool(20, 20000);
    kv_random_pool(3, 5000 * 4);
}

static void fill(struct kv_test *t, uint32_t s, uint32_t k, uint32_t n) {
    int32_t token[N_CTX];
    for (uint32_t i = 0; i < n; i++) token[i] = text(k, t->len[s] + i);
    assert_int_equal(kv_step(t, s, token, n, false), n);
}

static uint32_t attach(struct kv_test *t, uint32_t s, uint32_t k, uint32_t n) {
    for (uint32_t i = 0; i < N_CTX; i++) t->token[s][i] = text(k, i);
    return t->len[s] = kv_attach(&t->kv, s, t->token[s], n);
}

static uint32_t new_seq(struct kv_test *t) {
    uint32_t s;
    OK(kv_seq_new(&t->kv, &s, &support_err));
    t->len[s] = 0;
    return s;
}

/* A freed text comes back whole, its last part block as a copy; running ones share what is full. */
static void kv_shares(void **state) {
    struct kv_test t;
    kv_setup(&t, 30);
    uint32_t a = new_seq(&t);
    fill(&t, a, 1, 200);
    assert_int_equal(t.kv.n_free, 26);
    uint32_t b = new_seq(&t);
    assert_int_equal(attach(&t, b, 1, 300), 192); /* a's fourth block is still being written */
    assert_int_equal(t.kv.n_free, 26);
    assert_int_equal(t.kv.refs[t.table[0]], 2);
    fill(&t, b, 1, 64);
    kv_truncate(&t.kv, b, 100); /* into a block that a has, too */
    t.len[b] = 100;
    fill(&t, b, 7, 1);
    assert_int_equal(t.n_copy, 1);
    check_values(&t);
    check_places(&t);
    kv_seq_free(&t.kv, a);
    kv_seq_free(&t.kv, b);
    uint32_t all = t.kv.n_free + t.kv.n_cached;
    assert_int_equal(all, 30);
    uint32_t c = new_seq(&t), n_copy = t.n_copy;
    assert_int_equal(attach(&t, c, 1, 300), 256); /* what b wrote, before it was cut */
    assert_int_equal(t.n_copy, n_copy);
    uint32_t d = new_seq(&t);
    assert_int_equal(attach(&t, d, 1, 130), 130);
    assert_int_equal(t.n_copy, n_copy + 1);
    check_values(&t);
    kv_teardown(&t);
}

/* Two that compute the same at the same time end up with one copy. */
static void kv_twins(void **state) {
    struct kv_test t;
    kv_setup(&t, 30);
    uint32_t a = new_seq(&t), b = new_seq(&t);
    for (uint32_t i = 0; i < 10; i++) {
        fill(&t, a, 1, 30);
        fill(&t, b, 1, 30);
        check_values(&t);
        check_places(&t);
    }
    assert_int_equal(30 - t.kv.n_free, 4 + 2); /* 300 tokens: four full blocks in common */
    kv_seq_free(&t.kv, a);
    kv_seq_free(&t.kv, b);
    assert_int_equal(t.kv.n_cached, 5); /* nor is the end kept twice */
    kv_teardown(&t);
}

/* A text whose hash is that of another (forged here) is not taken for it. */
static void kv_does_not_trust_hashes(void **state) {
    struct kv_test t;
    kv_setup(&t, 30);
    uint32_t a = new_seq(&t), b = new_seq(&t);
    int32_t other[KV_BLOCK_TOK];
    fill(&t, a, 1, 64);
    struct prefix *p = &t.kv.prefix;
    uint32_t block = t.table[a * t.kv.stride];
    for (uint32_t i = 0; i < KV_BLOCK_TOK; i++) other[i] = 49 - text(1, i);
    assert_int_equal(prefix_find(p, p->root, prefix_token(p, block)), block);
    assert_int_equal(prefix_find(p, p->root, other), PREFIX_NONE);
    memcpy(prefix_token(p, block), other, sizeof other); /* as if its hash had collided */
    assert_int_equal(attach(&t, b, 1, 64), 0);
    kv_teardown(&t);

    kv_setup(&t, 30);
    a = new_seq(&t);
    fill(&t, a, 1, 64);
    p->nodes[t.table[a * t.kv.stride]].hash = p->nodes[p->root].hash; /* a beginning that collides with none at all */
    fill(&t, a, 1, 64);
    for (uint32_t i = 0; i < KV_BLOCK_TOK; i++) other[i] = text(1, 64 + i);
    assert_int_equal(prefix_find(p, p->root, other), PREFIX_NONE);
    kv_teardown(&t);
}

/* Room is made by the text that was used longest ago, its end first; nothing in use is touched. */
static void kv_least_recently_used(void **state) {
    static const uint32_t apart[] = {9, 18, 27, 36}; /* texts that differ from their first token on */
    struct kv_test t;
    kv_setup(&t, 7);
    for (uint32_t k = 0; k < 3; k++) {
        uint32_t s = new_seq(&t);
        fill(&t, s, apart[k], 128);
        kv_seq_free(&t.kv, s);
    }
    uint32_t a = new_seq(&t);
    assert_int_equal(attach(&t, a, apart[0], 128), 128); /* text 0 is now the newest */
    kv_seq_free(&t.kv, a);
    a = new_seq(&t);
    fill(&t, a, apart[3], 2 * 64); /* the free block, and one more */
    assert_int_equal(t.kv.n_reused, 1);
    uint32_t b = new_seq(&t);
    assert_int_equal(attach(&t, b, apart[1], 128), 64); /* its end is gone */
    kv_seq_free(&t.kv, b);
    fill(&t, a, apart[3], 128);
    assert_int_equal(t.kv.n_reused, 3);
    b = new_seq(&t);
    assert_int_equal(attach(&t, b, apart[2], 128), 0); /* text 2 was the oldest */
    assert_int_equal(attach(&t, b, apart[1], 128), 64);
    uint32_t c = new_seq(&t);
    assert_int_equal(attach(&t, c, apart[0], 128), 128);
    REFUSED(kv_push(&t.kv, a, 0, &support_err), ERR_LIMIT, "full", "7 blocks"); /* all are in use */
    check_values(&t);
    check_places(&t);
    kv_seq_free(&t.kv, c);
    OK(kv_push(&t.kv, a, 0, &support_err));
    kv_teardown(&t);
}

static void kv_limits(void **state) {
    struct kv_test t;
    uint32_t none;
    kv_setup(&t, MAX_BLOCK);
    for (uint32_t i = 0; i < N_SEQ; i++) assert_int_equal(new_seq(&t), i);
    REFUSED(kv_seq_new(&t.kv, &none, &support_err), ERR_LIMIT, "6 sequences");
    fill(&t, 2, 1, N_CTX);
    REFUSED(kv_push(&t.kv, 2, 0, &support_err), ERR_LIMIT, "401 tokens", "context of 400");
    check_places(&t);
    kv_teardown(&t);
}

/* Lengths and what they cost, cut everywhere. */
static void kv_truncate_edges(void **state) {
    struct kv_test t;
    kv_setup(&t, MAX_BLOCK);
    uint32_t s = new_seq(&t);
    for (uint32_t len = 0; len <= N_CTX; len += 31)
        for (uint32_t to = 0; to <= N_CTX; to += 32) {
            kv_truncate(&t.kv, s, 0);
            t.len[s] = 0;
            fill(&t, s, 1 + len % 7, len);
            kv_truncate(&t.kv, s, to);
            uint32_t now = t.len[s] = to < len ? to : len;
            assert_int_equal(t.kv.len[s], now);
            assert_int_equal(t.kv.n_block - t.kv.n_free - t.kv.n_cached, kv_stride(now));
            check_values(&t);
        }
    check_places(&t);
    kv_teardown(&t);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kv_random), cmocka_unit_test(kv_shares), cmocka_unit_test(kv_twins),
        cmocka_unit_test(kv_does_not_trust_hashes), cmocka_unit_test(kv_least_recently_used),
        cmocka_unit_test(kv_limits), cmocka_unit_test(kv_truncate_edges),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
