/* Models that stream against the same models resident: the same bits, whatever the budget, the slots, the readers and the disk. */
#include "tests/stream_work.h"

#include <pthread.h>

#include "runtime/clock.h"

static void describe(const struct hy_options *o, const struct hy_plan *p, char *out, size_t cap) {
    snprintf(out, cap, "%s: %s, budget %llu, %u of %u dense pinned, ring %u, %u of %u experts, %u readers%s%s, %u threads, %s, steps of %u",
             strrchr(o->model_path, '/') + 1, hy_mode_name(p->mode), (unsigned long long)o->memory.bytes, p->n_dense_pinned, p->n_dense,
             p->n_ring_slot, p->n_expert_slot, p->n_expert, o->n_reader, o->io == HY_IO_CACHED ? " cached" : "",
             o->no_guesses ? ", no guesses" : "", o->n_thread, o->cpu_isa ? o->cpu_isa : "best isa", p->n_step);
}

/* The same bits as the reference, and a plan within its budget. */
static enum hy_mode check(const struct hy_options *o, uint32_t n_round) {
    char what[400];
    struct hy_engine *en = open_with(o);
    struct hy_plan p = *hy_planned(en);
    describe(o, &p, what, sizeof what);
    if (p.budget_bytes && p.total_bytes > p.budget_bytes)
        fail_msg("%s: the plan of %llu bytes is larger", what, (unsigned long long)p.total_bytes);
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

/* The smallest budget that opens, to a page, and that with which all is resident, are 0 and 1000 of 1000; those between lie between. */
static void set_budget(struct hy_options *o, uint32_t share) {
    struct hy_plan p;
    o->memory = (struct budget_request){0};
    OK(hy_plan(o, &p, &support_err));
    uint64_t lo = 0, hi = p.total_bytes, whole = hi;
    while (hi - lo > 4096) {
        uint64_t mid = lo + (hi - lo) / 2;
        int rc = try_budget(o, mid, &p);
        if (rc) assert_int_equal(rc, ERR_NOMEM);
        if (rc) lo = mid;
        else hi = mid;
    }
    o->memory.bytes = hi + (whole - hi) * share / 1000;
}

/* With FFNs that are large beside what else a step needs, so that less memory is enough to stream. */
static const char *wide_model_of(uint32_t i) {
    char name[64], more[256];
    snprintf(name, sizeof name, "wide-%s.gguf", support_archs[i].name);
    snprintf(more, sizeof more, "%s --type %s --n-vocab 400 --n-layer %u --n-ff 1536 --n-ff-exp 1536", support_archs[i].options, types[i],
             4);
    return support_model(name, more);
}

/* Few slots, and many. */
static void every_architecture(void **state) {
    for (uint32_t i = 0; i < LEN(support_archs); i++) {
        struct hy_options o = options(model_of(i));
        make_reference(o, o.model_path);
        for (uint32_t k = 0; k < 2; k++) {
            o.n_ring_slot = o.n_expert_slot = 3 + 3 * k;
            o.n_reader = 1 + (k * 3 + i) % 9;
            o.n_thread = 1 + k;
            o.io = k ? HY_IO_CACHED : HY_IO_DIRECT;
            assert_int_not_equal(check(&o, 2), HY_RESIDENT);
        }
    }
}

/* From the smallest budget that opens to one in which all but a little fits, and all. */
static void every_budget(void **state) {
    static const uint32_t models[] = {0, 1, 5, 6};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(wide_model_of(models[i]));
        make_reference(o, o.model_path);
        for (uint32_t k = 0; k < 4; k++) {
            o.n_thread = 1 + k % 2;
            o.no_guesses = k == 1;
            set_budget(&o, k * 300);
            assert_int_not_equal(check(&o, 1), HY_RESIDENT);
        }
        set_budget(&o, 1000);
        assert_int_equal(check(&o, 1), HY_RESIDENT);
    }
}

/* Short of all by less than the embedding: its rows are read as they are needed, and nothing else. */
static void rows_alone(void **state) {
    struct hy_options o = options(support_model("rows.gguf", "--arch llama --type Q8_0 --tied 0 --n-vocab 400 --n-embd 1024 --n-layer 2"));
    struct hy_plan p;
    make_reference(o, o.model_path);
    OK(hy_plan(&o, &p, &support_err));
    o.memory = (struct budget_request){.kind = BUDGET_BYTES, .bytes = p.total_bytes - 100000};
    assert_int_equal(check(&o, 2), HY_ROWS);
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
    {"many.gguf", NULL,
     "--arch mixtral --type Q4_K --n-layer 4 --n-vocab 400 --experts 16 --experts-used 4 --n-ff 256 --n-ff-exp 256 --n-embd 128"},
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

/* Under observation; readers tell of their reads meanwhile. */
static void traced(void **state) {
    static const uint32_t models[] = {0, 1};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(model_of(models[i]));
        struct trace t;
        make_reference(o, o.model_path);
        OK(trace_init(&t, 4096, &support_err));
        o.n_ring_slot = o.n_expert_slot = 3;
        o.trace = &t;
        check(&o, 1);
        assert_true(atomic_load(&t.n) > 100);
        trace_deinit(&t);
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
        snprintf(command, sizeof command,
                 "for f in '%s'/*; do printf spoiled | dd of=\"$f\" bs=1 seek=100 conv=notrunc 2>/dev/null; done", dir);
        if (round == 1) assert_int_equal(system(command), 0);
    }
    setenv("HY_CACHE_DIR", support_path("cache"), 1);
}

/* Failures */

static void failing_reads(void **state) {
    static const uint32_t models[] = {0, 1, 3, 4, 5}; /* 3 has its embedding in memory: there the ring's reads are the first, and few */
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(model_of(models[i]));
        make_reference(o, o.model_path);
        o.n_ring_slot = o.n_expert_slot = 3;
        o.n_reader = 1 + i * 2;
        fail_reads(o, 13);
        o.n_ring_slot = 6;
        o.n_expert_slot = 6;
        fail_reads(o, 7);
    }
}

/* Stopped, also under a disk that is late. */
static void stopped(void **state) {
    static const uint32_t models[] = {0, 1, 3, 4};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(model_of(models[i]));
        make_reference(o, o.model_path);
        o.n_ring_slot = o.n_expert_slot = 3 + i;
        o.n_reader = 1 + i * 2;
        disk_fault(disk_moods[1 + i]);
        stop_steps(&o);
        disk_fault(NULL);
    }
}

/* A model that fits is left between layers, too: by one thread and several, with and without experts. */
static void stopped_resident(void **state) {
    static const uint32_t models[] = {0, 1};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(model_of(models[i]));
        o.n_batch = o.n_logits = N_CTX;
        o.n_thread = 1 + i;
        make_reference(o, o.model_path);
        stop_steps(&o);
    }
}

/* Soon: reads that are queued are not waited for. */
static void stopped_soon(void **state) {
    struct hy_options o = options(wide_model_of(3)); /* its embedding is in memory */
    uint64_t took[2];
    o.n_ring_slot = 3;
    o.n_reader = 1;
    for (uint32_t i = 0; i < 2; i++) {
        struct hy_engine *en = open_with(&o);
        uint32_t s;
        OK(hy_seq_new(en, &s, &support_err));
        set_fault(en, "delay=120ms,seed=3");
        n_asked = got.n = 0;
        stop_at = i ? 0 : 3; /* behind the first tensor */
        uint64_t t0 = clock_ns();
        int rc = step(en, (const struct part[]){{s, 0, 20, 0}}, 1, &got, &support_err);
        took[i] = clock_ns() - t0;
        stop_at = 0;
        assert_int_equal(rc, i ? ERR_OK : ERR_CANCELLED);
        set_fault(en, NULL);
        hy_close(en);
    }
    if (took[0] > took[1] / 2) fail_msg("stopping took %.0f ms of a step of %.0f ms", (double)took[0] / 1e6, (double)took[1] / 1e6);
    print_message("a step of %.0f ms, stopped: %.0f ms\n", (double)took[1] / 1e6, (double)took[0] / 1e6);
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

/* Memory */

/* A budget between bytes never crashes: it opens and gives the same bits, or says what it needs. */
static void random_budgets(void **state) {
    struct hy_options o = options(wide_model_of(1));
    uint32_t n_refused = 0;
    make_reference(o, o.model_path);
    support_random_state = 1234;
    for (uint32_t i = 0; i < 24; i++) {
        struct hy_engine *en;
        o.memory = (struct budget_request){.kind = BUDGET_BYTES, .bytes = 1 + support_random(40000000)};
        o.n_batch = i % 3 ? N_BATCH : 1 + support_random(100);
        o.tier = i % 5 ? HY_TIER_STREAM : HY_TIER_MMAP;
        struct err e = {0};
        int rc = hy_open(&o, &en, &e);
        n_refused += rc != 0;
        if (rc) {
            support_refused(rc, ERR_NOMEM, &e, (const char *const[]){"needs at least", "--memory allows", "raise --memory"}, 3, __LINE__);
            continue;
        }
        assert_true(hy_planned(en)->total_bytes <= o.memory.bytes);
        if (o.n_batch == N_BATCH) work(en, &got);
        if (o.n_batch == N_BATCH) same_rows(&want, &got, "a random budget");
        hy_close(en);
    }
    assert_in_range(n_refused, 3, 21);
}

/* Keys and values become Q8_0 when only that fits, and never when they were asked for. */
static void smaller_keys(void **state) {
    struct hy_options o = options(wide_model_of(0));
    struct hy_plan p;
    o.n_ctx = 512;
    o.kv = HY_KV_F16;
    set_budget(&o, 0);
    OK(hy_plan(&o, &p, &support_err));
    assert_false(p.kv_q8);
    o.kv = HY_KV_AUTO;
    OK(hy_plan(&o, &p, &support_err));
    assert_false(p.kv_q8 || p.kv_fell);
    o.memory.bytes -= 100000;
    OK(hy_plan(&o, &p, &support_err));
    assert_true(p.kv_q8 && p.kv_fell);
    o.kv = HY_KV_F16;
    REFUSED(hy_plan(&o, &p, &support_err), ERR_NOMEM, "needs at least", "--memory allows");
    o.kv = HY_KV_Q8_0;
    OK(hy_plan(&o, &p, &support_err));
    assert_true(p.kv_q8 && !p.kv_fell);
}

static void say_pressure(const char *word) { support_write(getenv("HY_FAKE_PRESSURE"), word, strlen(word)); }

/* Steps until n slots are live, or some seconds have passed. */
static void step_until(struct hy_engine *en, uint32_t n_live) {
    struct hy_stream_stats st;
    for (uint32_t i = 0; i < 400; i++) {
        work(en, &got);
        same_rows(&want, &got, "under pressure");
        hy_stream_stats(en, &st);
        if (st.n_slot_live == n_live) return;
        en->stream.grow_ns = en->stream.shrink_ns = 0; /* no waiting for times that are made for hours */
        usleep(5000);
    }
    fail_msg("%u of %u slots are live, not %u", st.n_slot_live, st.n_slot, n_live);
}

/* The cache gives memory back while the system wants it and takes it again, in one size of experts and in two. */
static void pressure(void **state) {
    static const uint32_t shape[] = {4, 5};
    setenv("HY_FAKE_PRESSURE", support_path("pressure"), 1);
    for (uint32_t i = 0; i < LEN(shape); i++) {
        struct hy_options o = options(shape_path(shape[i]));
        struct hy_stream_stats st;
        make_reference(o, o.model_path);
        o.n_expert_slot = 24;
        say_pressure("none\n");
        struct hy_engine *en = open_with(&o);
        hy_stream_stats(en, &st);
        assert_int_equal(st.n_slot, 24);
        assert_int_equal(st.n_slot_live, 24);
        step_until(en, 24);
        say_pressure(i ? "critical\n" : "warn\n");
        step_until(en, i ? 5 : 6); /* one slab of each size, or two where one is too small for a token */
        say_pressure("none\n");
        step_until(en, 24);
        hy_close(en);
    }
    unsetenv("HY_FAKE_PRESSURE");
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
/* Every request for memory of this program, counted. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
static atomic_uint n_request;

void *malloc(size_t n) {
    atomic_fetch_add(&n_request, 1);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    atomic_fetch_add(&n_request, 1);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n) {
    atomic_fetch_add(&n_request, 1);
    return __libc_realloc(p, n);
}

static void no_requests(void **state) {
    static const uint32_t models[] = {0, 1};
    for (uint32_t i = 0; i < LEN(models); i++) {
        struct hy_options o = options(model_of(models[i]));
        o.n_ring_slot = o.n_expert_slot = 3;
        struct hy_engine *en = open_with(&o);
        uint32_t before = atomic_load(&n_request);
        work(en, &got);
        uint32_t after = atomic_load(&n_request);
        hy_close(en);
        assert_true(before > 0);
        assert_int_equal(after - before, 0);
    }
}
#else
static void no_requests(void **state) { skip(); }
#endif

int main(int argc, char **argv) {
    support_init(argv[0]);
    setenv("HY_CACHE_DIR", support_path("cache"), 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture), cmocka_unit_test(every_budget), cmocka_unit_test(rows_alone), cmocka_unit_test(every_slot_count),
        cmocka_unit_test(other_files), cmocka_unit_test(mapped), cmocka_unit_test(other_kernels), cmocka_unit_test(q8_keys),
        cmocka_unit_test(slow_disk), cmocka_unit_test(traced), cmocka_unit_test(warm_start), cmocka_unit_test(failing_reads), cmocka_unit_test(stopped), cmocka_unit_test(stopped_resident),
        cmocka_unit_test(stopped_soon),
        cmocka_unit_test(changed_file), cmocka_unit_test(changed_meanwhile), cmocka_unit_test(random_budgets),
        cmocka_unit_test(smaller_keys), cmocka_unit_test(pressure), cmocka_unit_test(no_requests),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
