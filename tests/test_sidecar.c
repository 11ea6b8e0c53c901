/* Sidecars: where everything lies, that nothing that is not whole and this model's is used, that whatever interrupts
 * the writing it goes on, and that logits have the same bits or a step fails, never anything else. */
#include "tests/support.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/fault.h"
#include "sched/hy.h"
#include "sched/sidecar_write.h"

enum { N_TOK = 24, N_VOCAB = 400 };
#define SMALL " --n-vocab 400 --n-ff 256 --n-ff-exp 256"

struct opened {
    struct model_file *mf;
    struct arena arena;
    struct hparams h;
    struct weights w;
    struct sidecar_layout l;
};

static void open_model(struct opened *o, const char *path) {
    arena_init(&o->arena, 0);
    OK(model_file_open(path, &o->mf, &support_err));
    OK(hparams_read(&o->mf->gguf, &o->h, &support_err));
    OK(weights_bind(&o->mf->gguf, &o->h, &o->arena, &o->w, &support_err));
    OK(sidecar_layout_make(o->mf, &o->h, &o->w, &o->arena, &o->l, &support_err));
}

static void close_model(struct opened *o) {
    model_file_close(o->mf);
    arena_deinit(&o->arena);
}

/* Stops after n calls. */
struct stop {
    uint32_t n, calls;
    bool die;
};

static bool count_down(void *ctx, uint64_t done, uint64_t total) {
    struct stop *s = ctx;
    assert_true(done <= total);
    bool stop = s->n && ++s->calls == s->n;
    if (stop && s->die) _exit(9);
    return !stop;
}

static int write_some(const char *model, const char *path, bool force, struct stop *stop, uint64_t *kept) {
    struct opened o;
    struct sidecar_write w = {.path = path, .force = force, .progress = count_down, .ctx = stop};
    open_model(&o, model);
    int rc = sidecar_write(o.mf, &o.l, &w, &support_err);
    if (kept) *kept = w.kept_bytes;
    close_model(&o);
    return rc;
}

static void write_all(const char *model, const char *path) {
    OK(write_some(model, path, true, &(struct stop){0}, NULL));
}

static void copy_of(char out[160], const char *name) { snprintf(out, 160, "%s", support_path(name)); }

/* Layout and content. */

struct file_bytes {
    unsigned char *p;
    size_t n;
};

static void check_records(const struct opened *o, const struct file_bytes *model, const struct file_bytes *side) {
    uint64_t at = sidecar_first_record(&o->l);
    uint32_t record = 0;
    assert_int_equal(side->n, o->l.file_bytes);
    for (uint32_t i = 0; i < o->l.n_group; i++) {
        const struct sidecar_group *g = &o->l.groups[i];
        assert_int_equal(g->first_record, record);
        for (uint32_t r = 0; r < g->n_record; r++, record++) {
            assert_int_equal(g->offset + r * g->stride, at);
            assert_int_equal(at % SIDECAR_PAGE, 0);
            uint64_t end = 0;
            for (uint32_t p = 0; p < g->n_part; p++) {
                const struct gguf_tensor *t = &o->mf->gguf.tensors[g->tensor[p]];
                assert_int_equal(g->rel[p] % (g->joined ? SIDECAR_ALIGN : SIDECAR_PAGE), 0);
                assert_true(g->rel[p] >= end);
                end = g->rel[p] + g->bytes[p];
                assert_memory_equal(side->p + at + g->rel[p], model[t->file].p + t->offset + r * g->bytes[p],
                                    g->bytes[p]);
            }
            assert_true(end <= g->stride && g->stride - end < SIDECAR_PAGE);
            at += g->stride;
        }
    }
    assert_int_equal(at, o->l.file_bytes);
    assert_int_equal(record, o->l.n_record);
}

static const struct {
    const char *name, *options;
    uint32_t n_part, n_record;
} laid_out[] = {
    {"l-llama", "--arch llama --type Q4_K --n-layer 2" SMALL, 1, 2},
    {"l-phi3", "--arch phi3 --type Q8_0 --n-layer 2" SMALL, 1, 2},
    {"l-mixtral", "--arch mixtral --type Q6_K --n-layer 2 --alignment 8" SMALL, 1, 8},
    {"l-qwen3moe", "--arch qwen3moe --type IQ4_NL --n-layer 3 --split 4" SMALL, 4, 12},
    {"l-large", "--arch mixtral --type F32 --n-layer 1 --n-embd 1024 --n-ff 1536 --experts 2 --n-vocab 400", 1, 2},
};

static void layouts(void **state) {
    for (size_t i = 0; i < LEN(laid_out); i++) {
        char name[64], first[160], side[160], part[160];
        snprintf(name, sizeof name, "%s.gguf", laid_out[i].name);
        copy_of(first, laid_out[i].n_part > 1 ? "l-qwen3moe-00001-of-00004.gguf" : name);
        support_model(name, laid_out[i].options);
        OK(sidecar_path(first, side, sizeof side, &support_err));
        assert_non_null(strstr(side, ".hyx"));
        write_all(first, side);
        struct opened o;
        struct file_bytes model[4], s;
        open_model(&o, first);
        assert_int_equal(o.l.n_record, laid_out[i].n_record);
        for (uint32_t f = 0; f < laid_out[i].n_part; f++) {
            snprintf(part, sizeof part, "%s", first);
            if (f) OK(gguf_split_path(first, f, laid_out[i].n_part, part, sizeof part, &support_err));
            model[f].p = support_read(part, &model[f].n);
        }
        s.p = support_read(side, &s.n);
        check_records(&o, model, &s);
        assert_int_equal(o.l.groups[0].joined, o.l.groups[0].experts && i != LEN(laid_out) - 1);
        for (uint32_t f = 0; f < laid_out[i].n_part; f++) free(model[f].p);
        free(s.p);
        close_model(&o);
    }
}

/* Use. */

struct rows {
    float x[N_TOK][N_VOCAB];
};

static int step_at(struct hy_engine *en, uint32_t seq, uint32_t n, struct rows *r) {
    int32_t token[N_TOK];
    uint32_t seqs[N_TOK], pos[N_TOK], at = hy_seq_len(en, seq);
    bool want[N_TOK];
    float *logits;
    for (uint32_t i = 0; i < n; i++) {
        token[i] = (int32_t)(((at + i) * (at + i) * 31 + 7 * i + 3) % N_VOCAB);
        seqs[i] = seq;
        pos[i] = at + i;
        want[i] = true;
    }
    int rc = hy_step(en, &(struct hy_batch){n, token, seqs, pos, want}, &logits, &support_err);
    if (!rc) memcpy(r->x[at], logits, n * sizeof r->x[0]);
    return rc;
}

static const uint32_t chunks[] = {9, 1, 1, 5, 1, 7};

static struct hy_options options(const char *model, const char *sidecar, uint32_t n_slot) {
    return (struct hy_options){.model_path = model,
                               .sidecar = sidecar,
                               .n_thread = 1,
                               .n_ctx = 64,
                               .n_batch = N_TOK,
                               .n_logits = N_TOK,
                               .n_ring_slot = n_slot ? 3 : 0,
                               .n_expert_slot = n_slot};
}

static void compute(const struct hy_options *o, struct rows *r, bool expect) {
    struct hy_engine *en;
    uint32_t seq;
    OK(hy_open(o, &en, &support_err));
    assert_int_equal(hy_info(en)->sidecar != NULL, expect);
    assert_null(hy_info(en)->sidecar_note);
    OK(hy_seq_new(en, &seq, &support_err));
    for (size_t i = 0; i < LEN(chunks); i++) OK(step_at(en, seq, chunks[i], r));
    assert_int_equal(hy_seq_len(en, seq), N_TOK);
    hy_close(en);
}

static void same_bits(const char *model, enum device_kind device, uint32_t n_slot, uint32_t n_reader, enum hy_io io) {
    static struct rows resident, without, with;
    struct hy_options o = options(model, NULL, 0);
    o.device = device;
    compute(&o, &resident, false);
    o = options(model, "off", n_slot);
    o.device = device;
    o.n_reader = n_reader;
    o.io = io;
    compute(&o, &without, false);
    o.sidecar = NULL; /* beside the model */
    compute(&o, &with, true);
    if (memcmp(&resident, &without, sizeof with) || memcmp(&without, &with, sizeof with))
        fail_msg("%s: other bits", model);
}

static void bits_on(enum device_kind device) {
    for (size_t i = 0; i < LEN(laid_out); i++) {
        char name[64], first[160];
        snprintf(name, sizeof name, "%s.gguf", laid_out[i].name);
        copy_of(first, laid_out[i].n_part > 1 ? "l-qwen3moe-00001-of-00004.gguf" : name);
        same_bits(first, device, 4, 1, HY_IO_DIRECT);
        if (device == DEVICE_CPU) same_bits(first, device, 100, 9, HY_IO_CACHED);
    }
}

static void bits_cpu(void **state) { bits_on(DEVICE_CPU); }
static void bits_metal(void **state) { bits_on(DEVICE_METAL); }

static void bits_under_delay(void **state) {
    file_fault_set(&(struct file_fault){.delay_us = 300, .reorder = true, .short_reads = true, .seed = 5});
    same_bits(support_path("l-mixtral.gguf"), DEVICE_CPU, 3, 4, HY_IO_DIRECT);
    file_fault_set(NULL);
}

/* What is there but not usable: ignored when it lies beside the model, refused when it was asked for. */
static void not_used(const char *model, const char *side, const char *why) {
    struct hy_options o = options(model, NULL, 4);
    struct hy_engine *en;
    OK(hy_open(&o, &en, &support_err));
    assert_null(hy_info(en)->sidecar);
    if (!hy_info(en)->sidecar_note || !strstr(hy_info(en)->sidecar_note, why))
        fail_msg("not '%s': %s", why, hy_info(en)->sidecar_note);
    hy_close(en);
    o.sidecar = side;
    for (uint32_t i = 0; i < 4; i++) { /* opened and planned; and the same when all fits, so that nothing would be read */
        struct hy_plan p;
        struct err e = {0};
        o.n_ring_slot = o.n_expert_slot = i / 2 ? 0 : 4;
        int rc = i % 2 ? hy_plan(&o, &p, &e) : hy_open(&o, &en, &e);
        if (!rc || !strstr(e.text, why) || !strstr(e.text, side)) fail_msg("case %u: not '%s': %s", i, why, e.text);
    }
}

static void only_this_models(void **state) {
    char model[160], side[160], other[160];
    copy_of(model, "own.gguf");
    copy_of(side, "own.hyx");
    copy_of(other, "other.gguf");
    const char *shape = "--arch mixtral --type Q8_0 --n-layer 2" SMALL;
    support_model("own.gguf", shape);
    support_model("other.gguf", "--arch mixtral --type Q8_0 --n-layer 2 --seed 9" SMALL);
    write_all(other, side);
    not_used(model, side, "other weights");
    support_model("deeper.gguf", "--arch mixtral --type Q8_0 --n-layer 3" SMALL);
    write_all(support_path("deeper.gguf"), side);
    not_used(model, side, "another model");
    write_all(model, side);
    size_t n;
    unsigned char *p = support_read(side, &n);
    support_write(side, p, n - 1);
    not_used(model, side, "optimize --force"); /* it is complete, so that without --force nothing would be done */
    FILE *longer = fopen(side, "ab");
    assert_non_null(longer);
    fputs("xy", longer);
    fclose(longer);
    not_used(model, side, "optimize --force");
    support_write(side, p, 0);
    not_used(model, side, "is not used: ");
    support_write(side, p, 40);
    not_used(model, side, "cut off");
    support_write(side, "It was a dark and stormy night", 30);
    not_used(model, side, "no sidecar");
    support_write(side, p, n);
    struct hy_options o = options(model, side, 4);
    static struct rows r;
    compute(&o, &r, true);
    o = options(model, NULL, 0);
    compute(&o, &r, false); /* it fits */
    o = options(model, support_path("nowhere.hyx"), 4);
    struct hy_engine *en;
    REFUSED(hy_open(&o, &en, &support_err), ERR_NOT_FOUND, "nowhere.hyx", "--sidecar off");
    o.n_ring_slot = o.n_expert_slot = 0;
    REFUSED(hy_open(&o, &en, &support_err), ERR_NOT_FOUND, "nowhere.hyx", "hy optimize");
    o.sidecar = "off";
    compute(&o, &r, false);
    o.sidecar = side;
    compute(&o, &r, false);
    free(p);
}

static void every_byte_of_the_head(void **state) {
    struct opened o;
    struct sidecar_head head;
    size_t n;
    unsigned char *p = support_read(support_path("own.hyx"), &n);
    open_model(&o, support_path("own.gguf"));
    uint64_t *hashes = calloc(o.l.n_hash, sizeof *hashes), end = SIDECAR_HEAD_BYTES + 8 * o.l.n_hash;
    OK(sidecar_parse(&o.l, p, n, hashes, &head, &support_err));
    assert_int_equal(head.n_done, o.l.n_record);
    for (uint64_t i = 0; i < end; i++) {
        unsigned char *cut = malloc(i ? i : 1);
        memcpy(cut, p, i);
        assert_true(sidecar_parse(&o.l, cut, i, hashes, &head, &support_err) != ERR_OK);
        free(cut);
        p[i] ^= 1 << i % 8;
        assert_true(sidecar_parse(&o.l, p, n, hashes, &head, &support_err) != ERR_OK);
        assert_int_equal(head.n_done, 0);
        p[i] ^= 1 << i % 8;
    }
    free(hashes);
    free(p);
    close_model(&o);
}

/* Damage. */

static void flip_in_records(const char *path, const struct opened *o) {
    size_t n;
    unsigned char *p = support_read(path, &n);
    for (uint32_t i = 0; i < o->l.n_group; i++) {
        const struct sidecar_group *g = &o->l.groups[i];
        for (uint32_t r = 0; r < g->n_record; r++) {
            uint32_t part = support_random(g->n_part);
            p[g->offset + r * g->stride + g->rel[part] + support_random((uint32_t)g->bytes[part])] ^= 1 << r % 8;
        }
    }
    support_write(path, p, n);
    free(p);
}

static void damaged_file(void **state) {
    static const struct {
        const char *model, *what;
    } cases[] = {{"l-mixtral.gguf", "expert "}, {"l-large.gguf", "of layer 0"}, {"l-phi3.gguf", "the FFN of layer 0"}};
    for (size_t i = 0; i < LEN(cases); i++) {
        char model[160], side[160];
        copy_of(model, cases[i].model);
        copy_of(side, "damaged.hyx");
        struct opened o;
        struct hy_engine *en;
        struct rows r;
        uint32_t seq;
        write_all(model, side);
        open_model(&o, model);
        flip_in_records(side, &o);
        close_model(&o);
        struct hy_options opt = options(model, side, 2);
        OK(hy_open(&opt, &en, &support_err));
        OK(hy_seq_new(en, &seq, &support_err));
        for (int again = 0; again < 2; again++)
            REFUSED(step_at(en, seq, 1, &r), ERR_IO, cases[i].what, "xxHash", "hy optimize", "damaged.hyx");
        assert_int_equal(hy_seq_len(en, seq), 0);
        hy_close(en);
    }
}

static int check_piece(void *ctx, const struct read_part *piece, struct err *e) { return sidecar_check(ctx, piece, e); }

static struct source part_of(const struct sidecar *s, const struct sidecar_group *g, uint32_t record, uint32_t p) {
    struct source one = {0};
    struct expert_layer l = {0};
    sidecar_tensor(s, g->tensor[p], &one);
    if (!g->experts) return one;
    sidecar_experts(s, g->layer, &l);
    return (struct source){l.part[p].file, l.part[p].offset + record * l.stride[p], l.part[p].len};
}

/* Reads a record as an engine would. Whether it failed; what did not must be right. */
static bool record_fails(const struct sidecar *s, struct readers *r, const struct sidecar_group *g, uint32_t record,
                         const unsigned char *want, enum read_priority priority) {
    unsigned char *room = aligned_alloc(SIDECAR_PAGE, g->stride + SIDECAR_PAGE);
    struct read_job j = {.n_part = g->joined ? 1 : g->n_part};
    assert_non_null(room);
    for (uint32_t p = 0; p < j.n_part; p++) {
        struct source one = part_of(s, g, record, p);
        j.part[p] = (struct read_part){one.file, one.offset, one.len, room + (one.offset - g->offset) % g->stride};
    }
    readers_submit(r, &j, priority);
    bool failed = readers_wait(r, &j, j.n_part, &support_err) != ERR_OK;
    if (failed) {
        assert_int_equal(support_err.code, ERR_IO);
        assert_non_null(strstr(support_err.text, "is damaged"));
        while (!readers_ended(r, &j)) usleep(100);
    }
    for (uint32_t p = 0; p < j.n_part && !failed; p++)
        assert_memory_equal(j.part[p].dst, want + j.part[p].offset, j.part[p].len);
    free(room);
    return failed;
}

static uint32_t read_records(struct sidecar *s, const unsigned char *want, enum read_priority priority) {
    struct readers *r;
    uint32_t n_failed = 0;
    OK(readers_open(&(struct readers_options){.n_reader = 3, .direct = true, .check = check_piece, .ctx = s}, &r,
                    &support_err));
    for (const struct sidecar_group *g = s->layout.groups; g < s->layout.groups + s->layout.n_group; g++)
        for (uint32_t k = 0; k < g->n_record; k++) n_failed += record_fails(s, r, g, k, want, priority);
    readers_close(r);
    return n_failed;
}

/* A disk that flips bits: what is read for the first time is right, or fails. */
static void flipping_disk(void **state) {
    static const char *const models[] = {"l-llama.gguf", "l-mixtral.gguf", "l-large.gguf"};
    for (size_t i = 0; i < LEN(models); i++) {
        char model[160], side[160];
        size_t n;
        uint32_t n_failed = 0, most = i == 2 ? 8 : 60;
        copy_of(model, models[i]);
        OK(sidecar_path(model, side, sizeof side, &support_err));
        write_all(model, side);
        unsigned char *want = support_read(side, &n);
        for (uint32_t k = 0; k < most; k++) {
            struct opened o;
            struct sidecar s;
            open_model(&o, model);
            OK(sidecar_open(side, model, o.mf, &o.h, &o.w, &o.arena, &s, &support_err));
            file_fault_set(&(struct file_fault){.flip = 2 + k % 20, .short_reads = k % 3 == 0, .seed = k});
            n_failed += read_records(&s, want, k % 2 ? READ_SPECULATE : READ_DEMAND);
            file_fault_set(NULL);
            assert_int_equal(read_records(&s, want, READ_DEMAND), 0); /* failed once: asked again, and right */
            sidecar_close(&s);
            close_model(&o);
        }
        assert_true(n_failed > most / 10);
        free(want);
    }
}

/* The same for a whole model: each step fails, or is right. */
static void flipping_steps(void **state) {
    static struct rows want, got;
    char model[160], side[160];
    uint32_t n_failed = 0, n_right = 0, seq;
    copy_of(model, "flip.gguf");
    /* Tied: steps read nothing but the ring. */
    support_model("flip.gguf", "--arch llama --type Q8_0 --n-layer 4 --tied 1" SMALL);
    OK(sidecar_path(model, side, sizeof side, &support_err));
    write_all(model, side);
    struct hy_options o = options(model, NULL, 3);
    compute(&o, &want, true);
    for (uint32_t k = 0; k < 60; k++) {
        struct hy_engine *en;
        OK(hy_open(&o, &en, &support_err));
        OK(hy_seq_new(en, &seq, &support_err));
        file_fault_set(&(struct file_fault){.flip = 2 + k % 20, .seed = k});
        if (step_at(en, seq, 9, &got)) {
            assert_int_equal(support_err.code, ERR_IO);
            assert_non_null(strstr(support_err.text, "the FFN of layer"));
            n_failed++;
        } else {
            assert_memory_equal(got.x, want.x, 9 * sizeof got.x[0]);
            n_right++;
        }
        hy_close(en); /* nothing reads any more */
        file_fault_set(NULL);
    }
    assert_true(n_failed > 5 && n_right > 5);
}

static void changed_while_used(void **state) {
    char model[160], side[160];
    struct hy_engine *en;
    struct rows r;
    uint32_t seq;
    copy_of(model, "l-mixtral.gguf");
    copy_of(side, "changed.hyx");
    write_all(model, side);
    struct hy_options o = options(model, side, 2);
    OK(hy_open(&o, &en, &support_err));
    OK(hy_seq_new(en, &seq, &support_err));
    write_all(model, side); /* anew: a file of its own */
    OK(step_at(en, seq, 1, &r));
    hy_close(en);
    OK(hy_open(&o, &en, &support_err));
    OK(hy_seq_new(en, &seq, &support_err));
    assert_int_equal(truncate(side, 100000), 0);
    REFUSED(step_at(en, seq, 1, &r), ERR_IO, "changed.hyx", "bytes");
    hy_close(en);
}

/* Writing. */

static void same_files(const char *a, const char *b) {
    size_t n, m;
    unsigned char *p = support_read(a, &n), *q = support_read(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(p, q, n);
    free(p);
    free(q);
}

static void goes_on(void **state) {
    char model[160], whole[160], side[160];
    uint64_t kept, before = 0;
    copy_of(model, "l-qwen3moe-00001-of-00004.gguf");
    copy_of(whole, "whole.hyx");
    copy_of(side, "parts.hyx");
    write_all(model, whole);
    for (uint32_t i = 0; i < 11; i++) { /* a record each time */
        REFUSED(write_some(model, side, false, &(struct stop){.n = 1}, &kept), ERR_CANCELLED, "goes on from there");
        assert_true(i == 0 ? kept == 0 : kept > before);
        before = kept;
        size_t n;
        unsigned char *p = support_read(side, &n);
        p = realloc(p, n + 3000);
        memset(p + n, 0x55, 3000); /* the torn beginning of the next record */
        support_write(side, p, n + 3000);
        free(p);
        struct hy_options o = options(model, side, 4);
        struct hy_engine *en;
        REFUSED(hy_open(&o, &en, &support_err), ERR_SHORT, "not complete", "hy optimize");
    }
    OK(write_some(model, side, false, &(struct stop){0}, &kept));
    assert_true(kept > before);
    same_files(whole, side);
    OK(write_some(model, side, false, &(struct stop){.n = 1}, &kept)); /* nothing to do: nobody is asked */
    struct opened o;
    open_model(&o, model);
    assert_int_equal(kept, o.l.file_bytes - sidecar_first_record(&o.l));
    close_model(&o);
}

static void killed(void **state) {
    char model[160], whole[160], side[160];
    copy_of(model, "l-qwen3moe-00001-of-00004.gguf");
    copy_of(whole, "whole.hyx");
    copy_of(side, "killed.hyx");
    for (uint32_t n = 1; n <= 12; n++) {
        pid_t child = fork();
        if (child == 0) _exit(write_some(model, side, false, &(struct stop){.n = n, .die = true}, NULL) ? 1 : 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    }
    OK(write_some(model, side, false, &(struct stop){0}, NULL));
    same_files(whole, side);
}

static bool try_too(void *ctx, uint64_t done, uint64_t total) {
    const char *side = ctx;
    REFUSED(write_some(support_path("l-mixtral.gguf"), side, false, &(struct stop){0}, NULL), ERR_BUSY,
            "another hy optimize");
    return true;
}

static void keeps_what_is_there(void **state) {
    char model[160], other[160], side[160];
    copy_of(model, "l-mixtral.gguf");
    copy_of(other, "l-phi3.gguf");
    copy_of(side, "there.hyx");
    support_write(side, "Dear diary", 10);
    for (int force = 0; force < 2; force++) {
        REFUSED(write_some(model, side, force, &(struct stop){0}, NULL), ERR_FORMAT, "left as it is", "-o");
        REFUSED(write_some(model, other, force, &(struct stop){0}, NULL), ERR_FORMAT, "left as it is");
    }
    size_t n;
    unsigned char *p = support_read(side, &n);
    assert_int_equal(n, 10);
    assert_memory_equal(p, "Dear diary", 10);
    free(p);
    write_all(other, support_path("there2.hyx"));
    REFUSED(write_some(model, support_path("there2.hyx"), false, &(struct stop){0}, NULL), ERR_UNSUPPORTED,
            "another model", "--force");
    OK(write_some(model, support_path("there2.hyx"), true, &(struct stop){0}, NULL));
    assert_int_equal(truncate(support_path("there2.hyx"), 200000), 0);
    REFUSED(write_some(model, support_path("there2.hyx"), false, &(struct stop){0}, NULL), ERR_SHORT, "cut off",
            "--force");
    REFUSED(write_some(model, support_path("no/such/folder.hyx"), false, &(struct stop){0}, NULL), ERR_IO,
            "folder.hyx");
    struct opened o;
    open_model(&o, model);
    copy_of(side, "locked.hyx");
    OK(sidecar_write(o.mf, &o.l, &(struct sidecar_write){.path = side, .progress = try_too, .ctx = side},
                     &support_err));
    close_model(&o);
}

static void space(void **state) {
    struct opened o;
    char side[160];
    uint64_t need, left;
    copy_of(side, "space.hyx");
    open_model(&o, support_path("l-mixtral.gguf"));
    struct sidecar_write w = {.path = side};
    OK(sidecar_space(&o.l, &w, &need, &left, &support_err));
    assert_int_equal(need, o.l.file_bytes);
    assert_true(left > 0);
    OK(sidecar_write(o.mf, &o.l, &w, &support_err));
    OK(sidecar_space(&o.l, &w, &need, &left, &support_err));
    assert_true(need < o.l.file_bytes / 10);
    REFUSED(sidecar_space(&o.l, &(struct sidecar_write){.path = "/no/such/folder/x.hyx"}, &need, &left, &support_err),
            ERR_IO, "/no/such/folder");
    close_model(&o);
}

static void failing_disk(void **state) {
    char model[160], side[160];
    copy_of(model, "l-mixtral.gguf");
    copy_of(side, "eio.hyx");
    struct opened o;
    open_model(&o, model);
    uint32_t n_failed = 0;
    for (uint32_t nth = 1;; nth++) {
        file_fault_set(&(struct file_fault){.eio = nth});
        int rc = sidecar_write(o.mf, &o.l, &(struct sidecar_write){.path = side}, &support_err);
        bool all_well = file_fault_n_read() < nth;
        file_fault_set(NULL);
        if (all_well) break;
        n_failed += rc != ERR_OK;
        unlink(side);
    }
    assert_true(n_failed > 10);
    close_model(&o);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    setenv("HY_CACHE_DIR", support_dir, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts),
        cmocka_unit_test(bits_cpu),
        cmocka_unit_test(bits_metal),
        cmocka_unit_test(bits_under_delay),
        cmocka_unit_test(only_this_models),
        cmocka_unit_test(every_byte_of_the_head),
        cmocka_unit_test(damaged_file),
        cmocka_unit_test(flipping_disk),
        cmocka_unit_test(flipping_steps),
        cmocka_unit_test(changed_while_used),
        cmocka_unit_test(goes_on),
        cmocka_unit_test(killed),
        cmocka_unit_test(keeps_what_is_there),
        cmocka_unit_test(space),
        cmocka_unit_test(failing_disk),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
