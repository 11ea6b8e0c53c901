/* Models that stream against the same models resident: the same bits, whatever the budget, the slots, the readers and the disk. */
#include "tests/stream_disk.h"

#include <pthread.h>
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

static int32_t text(uint32_t which, uint32_t i) { return (int32_t)((i * i * 31 + i * 7 + which * 101 + 3) % N_VOCAB); }

static struct hy_options options(const char *path) {
    return (struct hy_options){.model_path = path, .n_thread = 1, .n_ctx = N_CTX, .n_seq = 3, .n_batch = N_BATCH, .n_logits = N_BATCH,
                               .kv = HY_KV_F16};
}

static void add_row(struct rows *r, struct hy_engine *en, const float *logits, uint32_t row, bool best) {
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

/* One batch; in as many steps as the engine needs, each cut where a resident engine cuts. */
static int step(struct hy_engine *en, const struct part *parts, uint32_t n_part, struct rows *r, struct err *e) {
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
        int rc = hy_step(en, &(struct hy_batch){k, token + at, seq + at, pos + at, want + at, N_BEST}, &logits, e);
        if (rc) return rc;
        for (uint32_t i = 0, row = 0; i < k; i++)
            if (want[at + i]) add_row(r, en, logits, row++, true);
    }
    return ERR_OK;
}

#define STEP(...)                                                                                                    \
    OK(step(en, (const struct part[]){__VA_ARGS__}, sizeof((const struct part[]){__VA_ARGS__}) / sizeof(struct part), r, &support_err))

/* A prompt of several batches, decoding, sequences of different lengths in one step, texts cut back and replaced. */
static void work(struct hy_engine *en, struct rows *r) {
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

static void same_rows(const struct rows *want, const struct rows *got, const char *what) {
    assert_int_equal(want->n, got->n);
    for (uint32_t i = 0; i < want->n; i++) {
        uint32_t k = 0;
        while (k < N_VOCAB && memcmp(&want->x[i][k], &got->x[i][k], sizeof(float)) == 0) k++;
        if (k < N_VOCAB) fail_msg("%s: row %u, token %u: %.9g is not %.9g", what, i, k, want->x[i][k], got->x[i][k]);
        if (memcmp(want->best[i], got->best[i], sizeof want->best[i]) != 0) fail_msg("%s: row %u: other best tokens", what, i);
    }
}

static struct hy_engine *open_with(const struct hy_options *o) {
    struct hy_engine *en;
    OK(hy_open(o, &en, &support_err));
    return en;
}

/* The resident answer: the reference. */
static struct rows want, got;

static void make_reference(struct hy_options o, const char *what) {
    struct hy_engine *en = open_with(&o);
    assert_int_equal(hy_planned(en)->mode, HY_RESIDENT);
    work(en, &want);
    hy_close(en);
    for (uint32_t i = 1; i < want.n; i++)
        if (memcmp(want.x[i], want.x[i - 1], sizeof want.x[0]) == 0) fail_msg("%s: rows %u and %u are equal", what, i - 1, i);
}

static void describe(const struct hy_options *o, const struct hy_plan *p, char *out, size_t cap) {
    snprintf(out, cap, "%s: %s, budget %llu, %u of %u dense pinned, ring %u, %u of %u experts, %u readers%s%s, %u threads, %s, %u tokens a step",
             strrchr(o->model_path, '/') + 1, hy_mode_name(p->mode), (unsigned long long)o->memory.bytes, p->n_dense_pinned, p->n_dense,
             p->n_ring_slot, p->n_expert_slot, p->n_expert, o->n_reader, o->io == HY_IO_CACHED ? " cached" : "", o->no_guesses ? ", no guesses" : "",
             o->n_thread, o->cpu_isa ? o->cpu_isa : "best isa", p->n_step);
}

/* The same bits as the reference, and a plan within its budget. */
static enum hy_mode check(const struct hy_options *o, uint32_t n_round) {
    char what[400];
    struct hy_engine *en = open_with(o);
    struct hy_plan p = *hy_planned(en);
    describe(o, &p, what, sizeof what);
    if (getenv("SAY")) print_message("%s\n", what);
    if (p.budget_bytes && p.total_bytes > p.budget_bytes) fail_msg("%s: the plan of %llu bytes is larger", what, (unsigned long long)p.total_bytes);
    for (uint32_t round = 0; round < n_round; round++) { /* the second begins with what the first left in the slots */
        work(en, &got);
        same_rows(&want, &got, what);
    }
    hy_close(en);
    return p.mode;
}

static int try_budget(struct hy_options *o, uint64_t bytes, struct hy_plan *p) {
    o->memory = (struct budget_request){.kind = BUDGET_BYTES, .bytes = bytes};
    return hy_plan(o, p, &support_err);
}

/* The smallest budget that opens, to the KB, and that with which all is resident, are 0 and 1000 of 1000; those between lie between. */
static void set_budget(struct hy_options *o, uint32_t share) {
    struct hy_plan p;
    o->memory = (struct budget_request){0};
    OK(hy_plan(o, &p, &support_err));
    uint64_t lo = 0, hi = p.total_bytes, whole = hi;
    while (hi - lo > 1024) {
        uint64_t mid = lo + (hi - lo) / 2;
        int rc = try_budget(o, mid, &p);
        if (rc) assert_int_equal(rc, ERR_NOMEM);
        if (rc) lo = mid;
        else hi = mid;
    }
    o->memory.bytes = hi + (whole - hi) * share / 1000;
}

static const char *const types[] = {"Q8_0", "Q4_K", "F16", "Q4_0", "Q6_K", "Q5_0", "BF16", "Q8_0"};

static const char *model_of(uint32_t i) { return support_arch_model(&support_archs[i], types[i]); }

/* With FFNs that are large beside what else a step needs, so that less memory is enough to stream. */
static const char *wide_model_of(uint32_t i) {
    char name[64], more[256];
    snprintf(name, sizeof name, "wide-%s.gguf", support_archs[i].name);
    snprintf(more, sizeof more, "%s --type %s --n-vocab 400 --n-layer %u --n-ff 1536 --n-ff-exp 1536", support_archs[i].options, types[i],
             strcmp(support_archs[i].name, "gemma3") == 0 ? 6 : 4);
    return support_model(name, more);
}

/* From the smallest budget that opens to one in which all but a little fits, and all. */
static void every_architecture(void **state) {
    for (uint32_t i = 0; i < LEN(support_archs); i++) {
        struct hy_options o = options(wide_model_of(i));
        make_reference(o, o.model_path);
        for (uint32_t k = 0; k < 4; k++) {
            o.n_reader = 1 + (k * 3 + i) % 9;
            o.n_thread = 1 + k % 2;
            o.no_guesses = k == 1;
            o.io = k == 2 ? HY_IO_CACHED : HY_IO_DIRECT;
            set_budget(&o, k * 250);
            assert_int_not_equal(check(&o, 1), HY_RESIDENT);
        }
        set_budget(&o, 1000);
        assert_int_equal(check(&o, 1), HY_RESIDENT);
    }
}

/* Slots asked for: the fewest to all. */
static void every_slot_count(void **state) {
    static const uint32_t dense[] = {0, 5, 7}, experts[] = {1, 4};
    for (uint32_t i = 0; i < LEN(dense); i++) {
        struct hy_options o = options(model_of(dense[i]));
        make_reference(o, o.model_path);
        for (o.n_ring_slot = 1; o.n_ring_slot <= 8; o.n_ring_slot += 1 + o.n_ring_slot / 3) {
            o.n_reader = o.n_ring_slot;
            assert_int_equal(check(&o, 2), HY_STREAM_DENSE);
        }
    }
    for (uint32_t i = 0; i < LEN(experts); i++) {
        struct hy_options o = options(model_of(experts[i]));
        make_reference(o, o.model_path);
        for (o.n_expert_slot = 1; o.n_expert_slot <= 8; o.n_expert_slot++) {
            o.n_reader = 10 - o.n_expert_slot;
            o.n_thread = 1 + o.n_expert_slot % 3;
            assert_int_equal(check(&o, 2), HY_STREAM_EXPERTS);
        }
    }
}

/* Files of other shapes: split, one layer, more experts and layers, two sizes of experts. */
static const struct {
    const char *name, *file, *options;
} shapes[] = {
    {"one.gguf", NULL, "--arch llama --type Q8_0 --n-layer 1 --n-vocab 400 --n-ff 4096"},
    {"onefused.gguf", NULL, "--arch phi3 --type Q8_0 --n-layer 1 --n-vocab 400 --n-ff 4096"},
    {"apart.gguf", NULL, "--arch qwen2 --type Q8_0 --n-layer 3 --n-vocab 400 --n-ff 1536 --alignment 16384"},
    {"cut.gguf", "cut-00001-of-00003.gguf", "--arch qwen3moe --type Q5_0 --n-layer 3 --n-vocab 400 --n-ff-exp 768 --split 3"},
    {"many.gguf", NULL, "--arch mixtral --type Q4_K --n-layer 4 --n-vocab 400 --experts 16 --experts-used 4 --n-ff 256 --n-ff-exp 256 --n-embd 128"},
    {"mixed.gguf", NULL, "--arch mixtral --type Q4_K --down-type Q6_K --n-layer 4 --n-vocab 400 --n-ff 512 --n-ff-exp 512 --experts 6"},
    {"mixeddense.gguf", NULL, "--arch llama --type Q4_K --down-type Q6_K --n-layer 4 --n-ff 1536 --n-vocab 400"},
};

static const char *shape_path(size_t i) {
    const char *path = support_path(shapes[i].file ? shapes[i].file : shapes[i].name);
    if (access(path, R_OK) != 0) support_model(shapes[i].name, shapes[i].options);
    return path;
}

static void random_settings(struct hy_options *o) {
    o->n_ring_slot = o->n_expert_slot = 0;
    o->n_reader = support_random(10);
    o->n_thread = 1 + support_random(3);
    o->io = support_random(3) ? HY_IO_DIRECT : HY_IO_CACHED;
    o->no_guesses = support_random(4) == 0;
    set_budget(o, support_random(1001));
    o->n_ring_slot = support_random(3) ? 0 : 1 + support_random(9);
    o->n_expert_slot = support_random(3) ? 0 : 1 + support_random(20);
}

static void other_files(void **state) {
    support_random_state = 4711;
    for (size_t i = 0; i < LEN(shapes); i++) {
        struct hy_options o = options(shape_path(i));
        struct hy_plan p;
        make_reference(o, o.model_path);
        set_budget(&o, 0);
        enum hy_mode mode = check(&o, 2);
        if (i > 1) assert_int_not_equal(mode, HY_RESIDENT); /* what streams needs room for a layer: one layer may as well stay */
        for (uint32_t k = 0; k < 6; k++) {
            random_settings(&o);
            if (hy_plan(&o, &p, &support_err) == ERR_OK) check(&o, 2); /* slots that were asked for may need more */
        }
    }
}

/* What does not fit stays in the file, mapped. */
static void mapped(void **state) {
    static const uint32_t models[] = {0, 1, 6};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(model_of(models[i]));
        make_reference(o, o.model_path);
        o.tier = HY_TIER_MMAP;
        for (uint32_t k = 0; k < 3; k++) {
            set_budget(&o, k * 300);
            assert_int_equal(check(&o, 2), HY_MAPPED);
        }
    }
}

static void other_kernels(void **state) {
    static const char *const isas[] = {"scalar", "avx2"};
    for (uint32_t i = 0; i < LEN(isas); i++) {
        struct hy_options o = options(model_of(i));
        struct hy_engine *en;
        o.cpu_isa = isas[i];
        if (hy_open(&o, &en, &support_err)) continue; /* not on this machine */
        hy_close(en);
        make_reference(o, isas[i]);
        o.n_ring_slot = o.n_expert_slot = 3;
        check(&o, 2);
    }
}

static void q8_keys(void **state) {
    struct hy_options o = options(model_of(1));
    o.kv = HY_KV_Q8_0;
    make_reference(o, o.model_path);
    o.n_expert_slot = 3;
    check(&o, 2);
}

/* A disk that is late, out of order, and in bits; slots spoiled as soon as they are given away. */
static void slow_disk(void **state) {
    static const uint32_t models[] = {0, 1, 4, 5};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(model_of(models[i]));
        make_reference(o, o.model_path);
        for (size_t mood = 1; mood < LEN(disk_moods); mood += 1 + i % 2) {
            o.n_ring_slot = o.n_expert_slot = mood % 2 ? 3 : 6;
            o.n_reader = 1 + (uint32_t)(mood + i) % 9;
            o.n_thread = 1 + mood % 2;
            disk_fault(disk_moods[mood]);
            check(&o, 2);
            disk_fault(NULL);
        }
    }
}

/* The cache filled from earlier runs of the model, and from runs of nobody. */
static void warm_start(void **state) {
    char dir[160];
    snprintf(dir, sizeof dir, "%s", support_path("popularity"));
    struct hy_options o = options(shape_path(4));
    make_reference(o, o.model_path);
    o.n_expert_slot = 20;
    for (uint32_t round = 0; round < 3; round++) { /* nothing known, known, damaged */
        struct hy_stream_stats s;
        setenv("HY_CACHE_DIR", dir, 1);
        struct hy_engine *en = open_with(&o);
        work(en, &got);
        same_rows(&want, &got, "warm start");
        hy_stream_stats(en, &s);
        assert_true(s.ahead_bytes > 0);
        hy_close(en);
        char command[400];
        snprintf(command, sizeof command, "ls '%s'/* >/dev/null", dir);
        assert_int_equal(system(command), 0);
        snprintf(command, sizeof command, "for f in '%s'/*; do printf spoiled | dd of=\"$f\" bs=1 seek=100 conv=notrunc 2>/dev/null; done", dir);
        if (round == 1) assert_int_equal(system(command), 0);
    }
    setenv("HY_CACHE_DIR", support_path("cache"), 1);
}

/* Failures */

/* Until no read is under way: only then may faults be changed. */
static void settle_reads(struct hy_engine *en) {
    struct stream *st = &en->stream;
    for (uint64_t use = st->ring.acquired; use < st->ring.submitted; use++) {
        struct read_job *j = &st->ring.slots[use % st->ring.n_slot].job;
        while (!readers_ended(st->readers, j)) usleep(50);
    }
    for (uint32_t i = 0; i < st->experts.n_slot; i++)
        while (st->experts.slots[i].state == EXPERT_LOADING && !readers_ended(st->readers, &st->experts.slots[i].job)) usleep(50);
}

static void set_fault(struct hy_engine *en, const char *mood) {
    settle_reads(en);
    disk_fault(mood);
}

/* A step of two sequences; and the same step again when it failed. *n_failed counts failures. */
static void step_or_again(struct hy_engine *en, const uint32_t *s, const char *mood, const struct rows *right, const char *path, uint32_t *n_failed) {
    const struct part parts[] = {{s[0], 0, 20, 7}, {s[1], 1, 1, 0}};
    struct err e = {0};
    uint32_t len[2] = {hy_seq_len(en, s[0]), hy_seq_len(en, s[1])};
    got.n = 0;
    set_fault(en, mood);
    int rc = step(en, parts, 2, &got, &e);
    set_fault(en, NULL);
    if (rc) {
        (*n_failed)++;
        support_refused(rc, ERR_IO, &e, (const char *const[]){"reading", strrchr(path, '/') + 1, "failed"}, 3, __LINE__);
        assert_int_equal(hy_seq_len(en, s[0]), len[0]);
        assert_int_equal(hy_seq_len(en, s[1]), len[1]);
        got.n = 0;
        OK(step(en, parts, 2, &got, &support_err));
    }
    same_rows(right, &got, mood);
    hy_seq_truncate(en, s[0], len[0]);
    hy_seq_truncate(en, s[1], len[1]);
}

/* Reads fail, each in its turn and many at once: the step fails and nothing else does. */
static void fail_reads(struct hy_options o, uint32_t n_most) {
    static struct rows right;
    struct hy_engine *en = open_with(&o);
    uint32_t s[2], n_failed = 0, first[2];
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
    for (uint32_t n = 1; n <= n_most; n++) {
        char mood[64];
        snprintf(mood, sizeof mood, "poison,eio=%u%s", n, n % 3 ? "" : ",delay=200us,short");
        step_or_again(en, s, mood, &right, o.model_path, &n_failed);
    }
    if (n_failed < n_most / 4 + 1) fail_msg("%s: only %u of %u steps failed", o.model_path, n_failed, n_most);
    hy_seq_free(en, s[0]);
    hy_seq_free(en, s[1]);
    work(en, &got);
    same_rows(&want, &got, o.model_path);
    hy_close(en);
}

static void failing_reads(void **state) {
    static const uint32_t models[] = {0, 1, 4, 5};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(model_of(models[i]));
        make_reference(o, o.model_path);
        o.n_ring_slot = o.n_expert_slot = 3;
        o.n_reader = 1 + i * 2;
        fail_reads(o, 16);
        o.n_ring_slot = 6;
        o.n_expert_slot = 6;
        fail_reads(o, 8);
    }
}

static const char *copy_of(uint32_t model, const char *name) {
    size_t n;
    unsigned char *bytes = support_read(model_of(model), &n);
    const char *copy = support_path(name);
    support_write(copy, bytes, n);
    free(bytes);
    return copy;
}

static size_t size_of(const char *path) {
    size_t n;
    free(support_read(path, &n));
    return n;
}

static void overwrite_byte(const char *path, long at) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(0x5a, f), 0x5a);
    assert_int_equal(fclose(f), 0);
}

/* Written to, cut short, or longer: no further answer. Replaced: the one that was opened goes on. */
static void changed_file(void **state) {
    static const char *const changes[] = {"written to", "bytes when it was opened", "bytes when it was opened", NULL};
    static const uint32_t models[] = {0, 1};
    for (uint32_t i = 0; i < LEN(models); i++) {
        size_t size = size_of(model_of(models[i]));
        make_reference(options(model_of(models[i])), "reference");
        for (uint32_t change = 0; change < 2 * LEN(changes); change++) {
            struct hy_options o = options(copy_of(models[i], "changing.gguf"));
            o.n_ring_slot = o.n_expert_slot = 3;
            o.tier = change / LEN(changes) ? HY_TIER_MMAP : HY_TIER_STREAM;
            struct hy_engine *en = open_with(&o);
            uint32_t s;
            work(en, &got);
            same_rows(&want, &got, "before a change");
            usleep(10000); /* times of files have steps of some milliseconds */
            uint32_t k = change % LEN(changes);
            if (k == 0) overwrite_byte(o.model_path, (long)size - 100);
            if (k == 1) assert_int_equal(truncate(o.model_path, (off_t)size / 2), 0);
            if (k == 2) assert_int_equal(truncate(o.model_path, (off_t)size + 1), 0);
            if (k == 3) assert_int_equal(rename(copy_of(models[i], "other.gguf"), o.model_path), 0);
            if (changes[k]) {
                OK(hy_seq_new(en, &s, &support_err));
                REFUSED(step(en, (const struct part[]){{s, 0, 3, 0}}, 1, &got, &support_err), ERR_IO, "changing.gguf", changes[k]);
                assert_int_equal(hy_seq_len(en, s), 0);
            } else {
                work(en, &got);
                same_rows(&want, &got, "replaced");
            }
            hy_close(en);
        }
    }
}

struct saboteur {
    const char *path;
    size_t size;
    bool cut;
};

static void *sabotage(void *arg) {
    const struct saboteur *s = arg;
    usleep(30000);
    if (s->cut) assert_int_equal(truncate(s->path, (off_t)s->size / 2), 0);
    else
        for (size_t at = s->size / 2; at < s->size; at += 50) overwrite_byte(s->path, (long)at);
    return NULL;
}

/* The file changes while a step reads it. */
static void changed_meanwhile(void **state) {
    struct saboteur sab = {.size = size_of(model_of(0))};
    for (uint32_t i = 0; i < 4; i++) {
        struct hy_options o = options(copy_of(0, "sabotaged.gguf"));
        pthread_t thread;
        uint32_t s;
        struct err e = {0};
        o.n_ring_slot = 3;
        o.io = i / 2 ? HY_IO_CACHED : HY_IO_DIRECT;
        struct hy_engine *en = open_with(&o);
        OK(hy_seq_new(en, &s, &support_err));
        set_fault(en, "delay=60ms,seed=5");
        sab.path = o.model_path;
        sab.cut = i % 2;
        assert_int_equal(pthread_create(&thread, NULL, sabotage, &sab), 0);
        got.n = 0;
        int rc = step(en, (const struct part[]){{s, 0, 3, 0}}, 1, &got, &e);
        pthread_join(thread, NULL);
        support_refused(rc, ERR_IO, &e, (const char *const[]){"sabotaged.gguf", "while it was in use"}, i % 2 ? 1 : 2, __LINE__);
        assert_int_equal(hy_seq_len(en, s), 0);
        set_fault(en, NULL);
        hy_close(en);
    }
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    setenv("HY_CACHE_DIR", support_path("cache"), 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture), cmocka_unit_test(every_slot_count), cmocka_unit_test(other_files),
        cmocka_unit_test(mapped), cmocka_unit_test(other_kernels), cmocka_unit_test(q8_keys), cmocka_unit_test(slow_disk),
        cmocka_unit_test(warm_start), cmocka_unit_test(failing_reads), cmocka_unit_test(changed_file), cmocka_unit_test(changed_meanwhile),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
