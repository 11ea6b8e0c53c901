/* A workload for engines that stream: prompts of several batches, decoding, sequences of different lengths in one step, texts cut back
 * and replaced; and what its rows of logits must be. */
#pragma once
#include "tests/stream_disk.h"

#include <unistd.h>

#include "sched/engine.h"

enum { N_VOCAB = 400, N_BATCH = 16, N_CTX = 128, N_BEST = 3, MAX_ROW = 64 };

/* What a workload gave, in order. */
struct rows {
    float x[MAX_ROW][N_VOCAB];
    int32_t best[MAX_ROW][N_BEST];
    uint32_t n;
};

/* The next n tokens of text `text` for a sequence; logits of the last and of every so many before it. */
struct part {
    uint32_t seq, text, n, every;
};

SUPPORT int32_t text(uint32_t which, uint32_t i) { return (int32_t)((i * i * 31 + i * 7 + which * 101 + 3) % N_VOCAB); }

SUPPORT struct hy_options options(const char *path) {
    return (struct hy_options){.model_path = path, .n_thread = 1, .n_ctx = N_CTX, .n_seq = 3, .n_batch = N_BATCH, .n_logits = N_BATCH,
                               .kv = HY_KV_F16};
}

SUPPORT void add_row(struct rows *r, struct hy_engine *en, const float *logits, uint32_t row, bool best) {
    const int32_t *ids;
    const float *values;
    assert_true(r->n < MAX_ROW);
    memcpy(r->x[r->n], logits + (size_t)row * N_VOCAB, sizeof r->x[0]);
    if (best) {
        hy_best(en, row, &ids, &values);
        memcpy(r->best[r->n], ids, sizeof r->best[0]);
    }
    r->n++;
}

/* Steps ask whether they shall stop: yes, the stop_at-th time; 0: never. */
SUPPORT uint32_t stop_at, n_asked;
SUPPORT bool asked_to_stop(void *ctx) { return ++n_asked == stop_at; }

/* One batch; in as many steps as the engine needs, each cut where a resident engine cuts. */
SUPPORT int step(struct hy_engine *en, const struct part *parts, uint32_t n_part, struct rows *r, struct err *e) {
    int32_t token[N_CTX];
    uint32_t seq[N_CTX], pos[N_CTX], n = 0, most = hy_info(en)->n_batch;
    bool want[N_CTX];
    for (uint32_t p = 0; p < n_part; p++) {
        uint32_t at = hy_seq_len(en, parts[p].seq);
        for (uint32_t i = 0; i < parts[p].n; i++, n++) {
            token[n] = text(parts[p].text, at + i);
            seq[n] = parts[p].seq;
            pos[n] = at + i;
            want[n] = i + 1 == parts[p].n || (parts[p].every && i % parts[p].every == 0);
        }
    }
    for (uint32_t at = 0, k; at < n; at += k) {
        float *logits;
        k = n - at < most ? n - at : most;
        int rc = hy_step(en, &(struct hy_batch){k, token + at, seq + at, pos + at, want + at, N_BEST, asked_to_stop, NULL}, &logits, e);
        if (rc) return rc;
        for (uint32_t i = 0, row = 0; i < k; i++)
            if (want[at + i]) add_row(r, en, logits, row++, true);
    }
    return ERR_OK;
}

#define STEP(...)                                                                                                    \
    OK(step(en, (const struct part[]){__VA_ARGS__}, sizeof((const struct part[]){__VA_ARGS__}) / sizeof(struct part), r, &support_err))

/* A prompt of several batches, decoding, sequences of different lengths in one step, texts cut back and replaced. */
SUPPORT void work(struct hy_engine *en, struct rows *r) {
    uint32_t s[3];
    int32_t more[25];
    float *logits;
    r->n = 0;
    for (uint32_t i = 0; i < 3; i++) OK(hy_seq_new(en, &s[i], &support_err));
    STEP({s[0], 0, 45, 11});
    for (uint32_t i = 0; i < 3; i++) STEP({s[0], 0, 1, 0});
    STEP({s[1], 1, 7, 0}, {s[0], 0, 1, 0}, {s[2], 2, 20, 6});
    for (uint32_t i = 0; i < 3; i++) STEP({s[0], 0, 1, 0}, {s[1], 1, 2, 1}, {s[2], 2, 1, 0});
    hy_seq_truncate(en, s[0], 21);
    STEP({s[0], 3, 30, 10});
    for (uint32_t i = 0; i < 25; i++) more[i] = text(1, hy_seq_len(en, s[1]) + i);
    OK(hy_feed(en, s[1], more, 25, N_BEST, &logits, NULL, NULL, &support_err));
    add_row(r, en, logits, 0, true);
    hy_seq_truncate(en, s[2], 0);
    STEP({s[2], 4, 5, 0});
    STEP({s[0], 0, 1, 0}, {s[1], 1, 1, 0}, {s[2], 2, 1, 0});
    for (uint32_t i = 0; i < 3; i++) hy_seq_free(en, s[i]);
}

SUPPORT void same_rows(const struct rows *want, const struct rows *got, const char *what) {
    assert_int_equal(want->n, got->n);
    for (uint32_t i = 0; i < want->n; i++) {
        uint32_t k = 0;
        while (k < N_VOCAB && memcmp(&want->x[i][k], &got->x[i][k], sizeof(float)) == 0) k++;
        if (k < N_VOCAB) fail_msg("%s: row %u, token %u: %.9g is not %.9g", what, i, k, want->x[i][k], got->x[i][k]);
        if (memcmp(want->best[i], got->best[i], sizeof want->best[i]) != 0) fail_msg("%s: row %u: other best tokens", what, i);
    }
}

SUPPORT struct hy_engine *open_with(const struct hy_options *o) {
    struct hy_engine *en;
    OK(hy_open(o, &en, &support_err));
    return en;
}

/* The resident answer: the reference. */
SUPPORT struct rows want, got;

SUPPORT void make_reference(struct hy_options o, const char *what) {
    struct hy_engine *en = open_with(&o);
    assert_int_equal(hy_planned(en)->mode, HY_RESIDENT);
    work(en, &want);
    hy_close(en);
    for (uint32_t i = 1; i < want.n; i++)
        if (memcmp(want.x[i], want.x[i - 1], sizeof want.x[0]) == 0) fail_msg("%s: rows %u and %u are equal", what, i - 1, i);
}

SUPPORT const char *const types[] = {"Q8_0", "Q4_K", "F16", "Q4_0", "Q6_K", "Q5_0", "BF16", "Q8_0"};

SUPPORT const char *model_of(uint32_t i) { return support_arch_model(&support_archs[i], types[i]); }

/* Until no read is under way: only then may faults be changed. */
SUPPORT void settle_reads(struct hy_engine *en) {
    struct stream *st = &en->stream;
    for (uint64_t use = st->ring.acquired; use < st->ring.submitted; use++) {
        struct read_job *j = &st->ring.slots[use % st->ring.n_slot].job;
        while (!readers_ended(st->readers, j)) usleep(50);
    }
    for (uint32_t i = 0; i < st->experts.n_slot; i++)
        while (st->experts.slots[i].state == EXPERT_LOADING && !readers_ended(st->readers, &st->experts.slots[i].job)) usleep(50);
}

SUPPORT void set_fault(struct hy_engine *en, const char *mood) {
    settle_reads(en);
    disk_fault(mood);
}

/* A step of two sequences; and the same step again when it failed. Whether it did. */
SUPPORT bool step_or_again(struct hy_engine *en, const uint32_t *s, const char *mood, const struct rows *right, const char *path) {
    const struct part parts[] = {{s[0], 0, 20, 7}, {s[1], 1, 1, 0}};
    struct err e = {0};
    uint32_t len[2] = {hy_seq_len(en, s[0]), hy_seq_len(en, s[1])};
    got.n = 0;
    set_fault(en, mood);
    int rc = step(en, parts, 2, &got, &e);
    set_fault(en, NULL);
    if (rc) {
        support_refused(rc, ERR_IO, &e, (const char *const[]){"reading", strrchr(path, '/') + 1, "failed"}, 3, __LINE__);
        assert_int_equal(hy_seq_len(en, s[0]), len[0]);
        assert_int_equal(hy_seq_len(en, s[1]), len[1]);
        got.n = 0;
        OK(step(en, parts, 2, &got, &support_err));
    }
    same_rows(right, &got, mood);
    hy_seq_truncate(en, s[0], len[0]);
    hy_seq_truncate(en, s[1], len[1]);
    return rc != ERR_OK;
}

/* Reads fail, each in its turn and many at once, up to so many behind the rows of the embedding: at most the step fails. It must when
 * a row is not read. What the ring or the expert cache reads ahead is asked for again when it failed before its turn, so that only a
 * step whose reads all fail must fail; and the second such one, as for the first all may have been there. */
SUPPORT void fail_reads(struct hy_options o, uint32_t n_more) {
    static struct rows right;
    struct hy_engine *en = open_with(&o);
    uint32_t s[2], first[2], n_row = en->rows.host ? 21 : 0, n_sure = n_row ? n_row : 1;
    OK(hy_seq_new(en, &s[0], &support_err));
    OK(hy_seq_new(en, &s[1], &support_err));
    right.n = 0;
    OK(step(en, (const struct part[]){{s[1], 1, 3, 0}}, 1, &right, &support_err));
    first[0] = hy_seq_len(en, s[0]);
    first[1] = hy_seq_len(en, s[1]);
    right.n = 0;
    OK(step(en, (const struct part[]){{s[0], 0, 20, 7}, {s[1], 1, 1, 0}}, 2, &right, &support_err));
    hy_seq_truncate(en, s[0], first[0]);
    hy_seq_truncate(en, s[1], first[1]);
    step_or_again(en, s, "poison,eio=1", &right, o.model_path);
    for (uint32_t n = 1; n <= n_row + n_more; n += n == 2 && n_row ? 17 : 1) {
        char mood[64];
        snprintf(mood, sizeof mood, "poison,eio=%u%s", n, n % 3 ? "" : ",delay=200us,short");
        bool failed = step_or_again(en, s, mood, &right, o.model_path);
        if (n <= n_sure && !failed) fail_msg("%s: read %u of a step failed, and the step did not", o.model_path, n);
    }
    hy_seq_free(en, s[0]);
    hy_seq_free(en, s[1]);
    work(en, &got);
    same_rows(&want, &got, o.model_path);
    hy_close(en);
}

/* Stopped wherever it asks, a step leaves nothing behind: the same step again gives what it would have given. */
SUPPORT void stop_steps(const struct hy_options *o) {
    static struct rows right;
    struct hy_engine *en = open_with(o);
    uint32_t s[2], n_stopped = 0, n_place = en->p.ops[en->p.n_op - 1].layer; /* between layers; and streams ask before the first, too */
    for (uint32_t i = 0; i < 2; i++) OK(hy_seq_new(en, &s[i], &support_err));
    right.n = 0;
    OK(step(en, (const struct part[]){{s[1], 1, 3, 0}}, 1, &right, &support_err));
    const struct part parts[] = {{s[0], 0, 70, 17}, {s[1], 1, 1, 0}};
    struct hy_kv_use before = hy_kv_use(en), after;
    right.n = 0;
    OK(step(en, parts, 2, &right, &support_err));
    hy_seq_truncate(en, s[0], 0);
    hy_seq_truncate(en, s[1], 3);
    for (bool stopped = true; stopped;) {
        struct err e = {0};
        n_asked = 0;
        stop_at = ++n_stopped;
        got.n = 0;
        int rc = step(en, parts, 2, &got, &e);
        stopped = rc != ERR_OK;
        stop_at = 0;
        if (stopped) {
            support_refused(rc, ERR_CANCELLED, &e, (const char *const[]){"interrupted"}, 1, __LINE__);
            assert_int_equal(hy_seq_len(en, s[0]), 0);
            assert_int_equal(hy_seq_len(en, s[1]), 3);
            after = hy_kv_use(en);
            assert_int_equal(after.n_free + after.n_cached, before.n_free + before.n_cached);
            got.n = 0;
            OK(step(en, parts, 2, &got, &support_err));
        }
        same_rows(&right, &got, "after a step that was stopped");
        hy_seq_truncate(en, s[0], 0);
        hy_seq_truncate(en, s[1], 3);
    }
    if (n_stopped - 1 < n_place + en->stream.on) fail_msg("%s: a step could be stopped at %u places only", o->model_path, n_stopped - 1);
    for (uint32_t i = 0; i < 2; i++) hy_seq_free(en, s[i]);
    work(en, &got);
    same_rows(&want, &got, o->model_path);
    hy_close(en);
}
