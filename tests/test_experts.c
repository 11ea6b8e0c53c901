/* The expert cache alone: what is given has the file's bytes and keeps them until it is released, whatever the disk does, whoever is
 * read ahead and however few slots there are; and who goes when. */
#include "tests/stream_disk.h"

#include <unistd.h>


#include "sched/experts.h"

enum { N_LAYER = 4, N_EXPERT = 8, N_USED = 2, MAX_TOK = 6 };

/* Layers 0 and 2 have experts of one size, 1 and 3 of another; layer 3 keeps each in one record. */
static const uint64_t part_bytes[2][3] = {{5000, 5000, 7001}, {9000, 160, 4096}};
static const uint8_t layer_class[N_LAYER] = {0, 1, 0, 1};

struct bench {
    struct disk disk;
    struct device *dev;
    struct readers *readers;
    struct hparams h;
    struct fit fit;
    struct expert_layer layers[N_LAYER];
    struct experts x;
    uint16_t group[N_EXPERT]; /* given, and not released */
    uint32_t n_group;
};

static uint64_t pages(uint64_t bytes) { return (bytes + IO_PAGE - 1) / IO_PAGE * IO_PAGE; }

static uint64_t lay_out_layer(struct bench *b, uint32_t il, uint64_t at) {
    struct expert_layer *l = &b->layers[il];
    const uint64_t *bytes = part_bytes[layer_class[il]];
    l->joined = il == 3;
    if (l->joined) {
        at = pages(at);
        l->rel[1] = 64 + bytes[0];
        l->rel[2] = l->rel[1] + 64 + bytes[1];
        l->part[0] = (struct source){&b->disk.file, at, l->rel[2] + bytes[2]};
        l->stride[0] = pages(l->part[0].len);
        return at + N_EXPERT * l->stride[0];
    }
    for (uint32_t p = 0; p < 3; p++) {
        l->part[p] = (struct source){&b->disk.file, at, bytes[p]};
        l->stride[p] = bytes[p];
        at += N_EXPERT * bytes[p] + 32 * p;
    }
    return at;
}

static void bench_open(struct bench *b, uint32_t n_slot0, uint32_t n_slot1, const char *mood, uint32_t n_reader) {
    uint64_t at = 96;
    uint32_t n_slot[2] = {n_slot0, n_slot1};
    *b = (struct bench){.h = {.n_layer = N_LAYER, .n_expert = N_EXPERT, .n_expert_used = N_USED}, .fit = {.n_class = 2}};
    disk_open(&b->disk, "experts", 1 << 20);
    for (uint32_t il = 0; il < N_LAYER; il++) at = lay_out_layer(b, il, at);
    CHECK(at <= b->disk.n);
    for (uint32_t k = 0; k < 2; k++) {
        struct fit_class *c = &b->fit.cls[k];
        *c = (struct fit_class){.n_key = 2 * N_EXPERT, .n_slot = n_slot[k]};
        for (uint32_t p = 0; p < 3; p++) {
            c->part_bytes[p] = part_bytes[k][p];
            c->slot_bytes += pages(part_bytes[k][p]) + 2 * IO_PAGE;
        }
        b->fit.pool_bytes += c->n_slot * c->slot_bytes;
    }
    b->fit.layer_class = (uint8_t *)layer_class;
    b->dev = support_cpu(CPU_SCALAR);
    disk_fault(mood);
    OK(readers_open(&(struct readers_options){.n_reader = n_reader, .direct = n_reader % 2}, &b->readers, &support_err));
    OK(experts_init(&b->x, &(struct experts_options){b->dev, b->readers, &b->fit, &b->h, b->layers}, &support_err));
}

static void bench_close(struct bench *b) {
    experts_deinit(&b->x);
    readers_close(b->readers);
    device_close(b->dev);
    disk_fault(NULL);
    disk_close(&b->disk);
}

/* Part p of a given expert is what the file holds of it. */
static void check_part(struct bench *b, uint32_t layer, uint32_t expert, uint32_t p, const char *when) {
    const struct expert_layer *l = &b->layers[layer];
    uint64_t at = l->joined ? l->part[0].offset + expert * l->stride[0] + l->rel[p] : l->part[p].offset + expert * l->stride[p];
    char what[96];
    snprintf(what, sizeof what, "%s: part %u of expert %u of layer %u", when, p, expert, layer);
    disk_same(&b->disk, (const void *)(uintptr_t)experts_address(&b->x, layer, expert, p), at, part_bytes[layer_class[layer]][p], what);
}

static void check_group(struct bench *b, uint32_t n_part, const char *when) {
    for (uint32_t i = 0; i < b->n_group; i++)
        for (uint32_t p = 0; p < n_part; p++) check_part(b, b->x.layer, b->group[i], p, when);
}

/* What must hold between any two calls. */
static void check_slots(const struct bench *b) {
    const struct experts *x = &b->x;
    uint32_t n_key[2] = {0}, n_empty[2] = {0}, n_loading = 0;
    for (uint32_t i = 0; i < x->n_slot; i++) {
        const struct expert_slot *s = &x->slots[i];
        n_empty[s->cls] += s->state == EXPERT_EMPTY && x->slabs[s->slab].host;
        n_loading += s->state == EXPERT_LOADING;
        if (s->state == EXPERT_LOADING) assert_true(s->at < x->n_loading && x->loading[s->at] == i);
        assert_int_equal(s->state == EXPERT_EMPTY, s->key == EXPERT_NO_KEY);
        assert_true(!s->in_use || s->state != EXPERT_EMPTY);
        if (s->state == EXPERT_EMPTY) continue;
        assert_non_null(x->slabs[s->slab].host);
        assert_int_equal(x->slot_of[s->key], i);
        assert_int_equal(s->cls, layer_class[s->key / N_EXPERT]);
        assert_true(expert_policy_has(x->policy[s->cls], s->key));
        n_key[s->cls]++;
    }
    assert_int_equal(x->n_loading, n_loading);
    for (uint32_t k = 0; k < 2; k++) assert_int_equal(x->n_empty[k], n_empty[k]);
    for (uint32_t k = 0; k < 2; k++) assert_int_equal(expert_policy_n_resident(x->policy[k]), n_key[k]);
}

static uint32_t random_ids(int32_t *ids, uint32_t n_tok) {
    for (uint32_t t = 0; t < n_tok; t++) {
        ids[2 * t] = (int32_t)support_random(N_EXPERT);
        do ids[2 * t + 1] = (int32_t)support_random(N_EXPERT);
        while (ids[2 * t + 1] == ids[2 * t]);
    }
    return n_tok * N_USED;
}

static void read_some_ahead(struct bench *b) {
    static const enum expert_why whys[] = {EXPERT_AHEAD, EXPERT_GUESS, EXPERT_WARM};
    uint16_t list[N_EXPERT];
    uint32_t n = support_random(N_EXPERT);
    for (uint32_t i = 0; i < n; i++) list[i] = (uint16_t)support_random(N_EXPERT);
    experts_ahead(&b->x, support_random(N_LAYER), list, n, whys[support_random(3)]);
    check_slots(b);
}

/* One visit as a step makes it. Everything wanted is given once, whole, and in as many groups as it takes. */
static int visit(struct bench *b, uint32_t layer, const int32_t *ids, uint32_t n_id, bool keep, bool ahead, struct err *e) {
    struct experts *x = &b->x;
    uint32_t wanted = 0, given = 0;
    uint64_t waited;
    for (uint32_t i = 0; i < n_id; i++) wanted |= 1u << ids[i];
    experts_release(x);
    b->n_group = 0;
    experts_visit(x, layer, ids, n_id, n_id / N_USED, keep);
    if (ahead) read_some_ahead(b);
    do {
        int rc = experts_next(x, b->group, &b->n_group, &waited, e);
        if (rc) return rc;
        assert_true(b->n_group > 0);
        for (uint32_t i = 0; i < b->n_group; i++) {
            assert_true(wanted & 1u << b->group[i] & ~given);
            given |= 1u << b->group[i];
        }
        check_group(b, 2, "given");
        rc = experts_complete(x, b->group, b->n_group, &waited, e);
        if (rc) return rc;
        assert_false(experts_incomplete(x, b->group, b->n_group));
        if (ahead) read_some_ahead(b);
        check_group(b, 3, "whole");
        check_slots(b);
        if (experts_left(x)) experts_release(x);
    } while (experts_left(x));
    assert_int_equal(given, wanted);
    return ERR_OK;
}

static int random_step(struct bench *b, struct err *e) {
    int32_t ids[MAX_TOK * N_USED];
    for (uint32_t layer = 0; layer < N_LAYER; layer++) {
        uint32_t n_chunk = 1 + support_random(2);
        for (uint32_t c = 0; c < n_chunk; c++) {
            check_group(b, 3, "until the next layer");
            int rc = visit(b, layer, ids, random_ids(ids, 1 + support_random(MAX_TOK)), c + 1 < n_chunk, true, e);
            if (rc) return rc;
        }
    }
    return ERR_OK;
}

static void end_step(struct bench *b) {
    experts_end_step(&b->x);
    b->n_group = 0;
    check_slots(b);
}

static void shrink_or_grow(struct bench *b) {
    if (support_random(2)) experts_shrink(&b->x);
    else experts_grow(&b->x);
    check_slots(b);
}

static void random_schedules(void **state) {
    static const uint32_t sizes[][2] = {{2, 2}, {3, 2}, {2, 5}, {8, 9}, {16, 16}};
    struct err e;
    for (uint32_t i = 0; i < LEN(sizes) * LEN(disk_moods); i++) {
        const uint32_t *size = sizes[i % LEN(sizes)];
        struct bench b;
        support_random_state = 77 + i;
        bench_open(&b, size[0], size[1], disk_moods[i / LEN(sizes)], 1 + i % 9);
        for (uint32_t step = 0; step < 8; step++) {
            OK(random_step(&b, &e));
            end_step(&b);
            shrink_or_grow(&b);
        }
        bench_close(&b);
    }
}

/* Faults may only change while no read is under way. */
static void settle_reads(struct bench *b) {
    for (uint32_t i = 0; i < b->x.n_slot; i++)
        while (b->x.slots[i].state == EXPERT_LOADING && !readers_ended(b->readers, &b->x.slots[i].job)) usleep(50);
}

/* Every so many reads fail: a step ends with a sentence, and later ones get right bytes or an error. */
static void failing_disk(void **state) {
    static const uint32_t sizes[][2] = {{2, 2}, {3, 4}, {9, 9}};
    for (uint32_t i = 0; i < 48; i++) {
        const uint32_t *size = sizes[i % 3];
        struct bench b;
        char mood[64];
        uint32_t n_failed = 0;
        support_random_state = 901 + i;
        snprintf(mood, sizeof mood, "poison,eio=%u,seed=%u%s", 2 + i, i + 1, i % 4 ? "" : ",delay=500us");
        bench_open(&b, size[0], size[1], mood, 1 + i % 5);
        for (uint32_t step = 0; step < 16; step++) {
            struct err e = {0};
            int rc = random_step(&b, &e);
            if (rc) support_refused(rc, ERR_IO, &e, (const char *const[]){"experts", "failed"}, 2, __LINE__);
            n_failed += rc != 0;
            end_step(&b);
            shrink_or_grow(&b);
        }
        if (i < 24) assert_true(n_failed > 0);
        settle_reads(&b);
        disk_fault(NULL);
        for (uint32_t step = 0; step < 2; step++) {
            OK(random_step(&b, &support_err));
            end_step(&b);
        }
        bench_close(&b);
    }
}

/* Who goes when */

static void take(struct bench *b, uint32_t layer, int32_t a, int32_t c) {
    OK(visit(b, layer, (const int32_t[]){a, c}, 2, false, false, &support_err));
}

static enum expert_state state_of(const struct bench *b, uint32_t layer, uint32_t expert) {
    uint32_t s = b->x.slot_of[layer * N_EXPERT + expert];
    return s == UINT32_MAX ? EXPERT_EMPTY : b->x.slots[s].state;
}

static void hits_come_first(void **state) {
    struct bench b;
    uint64_t waited;
    bench_open(&b, 6, 2, NULL, 2);
    take(&b, 0, 1, 2);
    end_step(&b);
    disk_fault("poison,delay=40ms");
    experts_visit(&b.x, 0, (const int32_t[]){3, 1, 2, 5}, 4, 2, false);
    OK(experts_next(&b.x, b.group, &b.n_group, &waited, &support_err));
    assert_int_equal(b.n_group, 2);
    assert_int_equal(b.group[0] * 10 + b.group[1], 12);
    check_group(&b, 3, "hits");
    assert_int_equal(b.x.stats.n_hit, 2);
    assert_int_equal(b.x.stats.n_miss, 4);
    bench_close(&b); /* with reads under way */
}

/* Eight experts through two slots; and the layer's own make room for each other before another visit of it. */
static void pool_smaller_than_a_visit(void **state) {
    static const int32_t all[] = {7, 0, 1, 2, 6, 3, 4, 5};
    struct bench b;
    bench_open(&b, 2, 2, "poison,reorder", 4);
    for (uint32_t chunk = 0; chunk < 3; chunk++) OK(visit(&b, 0, all, 8, chunk < 2, false, &support_err));
    OK(visit(&b, 1, all, 8, false, false, &support_err));
    bench_close(&b);
}

/* More chunks of the layer follow: what it has stays while another layer's can go. */
static void kept_layer(void **state) {
    struct bench b;
    bench_open(&b, 4, 2, NULL, 2);
    take(&b, 2, 6, 7);
    take(&b, 0, 0, 1);
    OK(visit(&b, 0, (const int32_t[]){2, 3}, 2, true, false, &support_err));
    assert_int_equal(state_of(&b, 0, 0), EXPERT_READY);
    assert_int_equal(state_of(&b, 0, 1), EXPERT_READY);
    assert_int_equal(state_of(&b, 2, 6), EXPERT_EMPTY);
    assert_int_equal(state_of(&b, 2, 7), EXPERT_EMPTY);
    bench_close(&b);
}

static void guesses(void **state) {
    static const uint16_t four[] = {4, 5, 6, 7};
    struct bench b;
    bench_open(&b, 2, 2, NULL, 2);
    experts_visit(&b.x, 0, (const int32_t[]){0, 1}, 2, 1, false);
    uint64_t waited;
    while (experts_left(&b.x)) OK(experts_next(&b.x, b.group, &b.n_group, &waited, &support_err));
    /* Both slots are in use: no guess, nothing ahead and no warm read may have them. */
    assert_int_equal(experts_ahead(&b.x, 2, four, 4, EXPERT_GUESS), 0);
    assert_int_equal(experts_ahead(&b.x, 2, four, 4, EXPERT_AHEAD), 0);
    assert_int_equal(experts_ahead(&b.x, 2, four, 4, EXPERT_WARM), 0);
    end_step(&b);
    assert_int_equal(experts_ahead(&b.x, 2, four, 4, EXPERT_WARM), 0); /* warm reads evict nobody */
    assert_int_equal(experts_ahead(&b.x, 0, (const uint16_t[]){0, 1}, 2, EXPERT_GUESS), 0); /* they are there */
    bench_close(&b);
}

/* A guess that waits in the queue when its layer is routed otherwise is given up, and may be asked for again. */
static void cancelled_guesses(void **state) {
    static const uint16_t list[] = {2, 3, 4, 5};
    const uint64_t bytes = 5000 + 5000 + 7001;
    struct bench b;
    struct readers_stats before, other, after;
    bench_open(&b, 8, 2, NULL, 1);
    disk_fault("poison,delay=60ms,seed=2");
    assert_int_equal(experts_ahead(&b.x, 0, list, 4, EXPERT_GUESS), 4);
    readers_stats(b.readers, &before);
    experts_visit(&b.x, 2, (const int32_t[]){2, 3}, 2, 1, false); /* another layer's */
    readers_stats(b.readers, &other);
    assert_true(other.cancelled_bytes == before.cancelled_bytes);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(state_of(&b, 0, list[i]), EXPERT_LOADING);
    end_step(&b);
    take(&b, 0, 2, 7);
    readers_stats(b.readers, &after);
    assert_true(after.cancelled_bytes - before.cancelled_bytes >= 2 * bytes); /* one reader has begun few of them */
    assert_int_equal(b.x.stats.n_useful, 1);
    take(&b, 0, 4, 5);
    take(&b, 0, 3, 6);
    bench_close(&b);
}

/* Reads on guesses that nobody wanted, over or not, hold no slot for good. */
static void unwanted_reads(void **state) {
    for (uint32_t wait = 0; wait < 2; wait++) {
        struct bench b;
        struct readers_stats s;
        bench_open(&b, 4, 2, wait ? NULL : "delay=2ms", 2);
        assert_int_equal(experts_ahead(&b.x, 0, (const uint16_t[]){0, 1, 2, 3}, 4, EXPERT_AHEAD), 4);
        do readers_stats(b.readers, &s);
        while (wait && s.bytes[READ_SCHEDULE] < 4 * (5000 + 5000 + 7001));
        take(&b, 2, 0, 1);
        take(&b, 2, 2, 3);
        take(&b, 2, 4, 5);
        bench_close(&b);
    }
}

/* Memory pressure with reads under way in the slab that goes; and back. */
static void shrink_and_grow(void **state) {
    struct bench b;
    bench_open(&b, 16, 16, "poison,delay=3ms", 3);
    uint32_t n_slab = b.x.n_slab, n_gone = 0;
    assert_true(n_slab >= 4);
    for (uint16_t k = 0; k < N_EXPERT; k++)
        for (uint32_t il = 0; il < N_LAYER; il++) experts_ahead(&b.x, il, &k, 1, EXPERT_WARM);
    while (experts_shrink(&b.x)) {
        n_gone++;
        check_slots(&b);
    }
    assert_true(n_gone >= 2);
    for (uint32_t k = 0; k < 2; k++) { /* of each size enough for a token stays */
        uint32_t n = 0;
        for (uint32_t i = 0; i < b.x.n_slot; i++) n += b.x.slots[i].cls == k && b.x.slabs[b.x.slots[i].slab].host;
        assert_in_range(n, N_USED, 8);
    }
    OK(random_step(&b, &support_err));
    end_step(&b);
    while (experts_grow(&b.x)) n_gone--;
    assert_int_equal(n_gone, 0);
    OK(random_step(&b, &support_err));
    bench_close(&b);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_schedules), cmocka_unit_test(failing_disk), cmocka_unit_test(hits_come_first),
        cmocka_unit_test(pool_smaller_than_a_visit), cmocka_unit_test(kept_layer), cmocka_unit_test(guesses),
        cmocka_unit_test(cancelled_guesses), cmocka_unit_test(unwanted_reads), cmocka_unit_test(shrink_and_grow),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
