/* Placement of tensors and the memory plan, against brute force. */
#include "tests/support.h"

#include "models/transformer.h"
#include "runtime/cpu.h"
#include "sched/model_file.h"
#include "sched/place.h"
#include "sched/plan.h"

/* Placement. */

static void check_places(const struct gguf *g, const struct place *p) {
    for (uint64_t i = 0; i < g->n_tensor; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        uint64_t off = p->tensor_off[i];
        assert_true(off + t->size_bytes <= p->size_bytes);
        assert_int_equal(off % IO_PAGE, t->offset % IO_PAGE);
        uint32_t n_in = 0;
        for (uint32_t r = 0; r < p->n_range; r++) { /* one range brings all of it to where it is */
            const struct load_range *x = &p->ranges[r];
            uint64_t dst = (uintptr_t)x->dst;
            if (t->file == (uint32_t)(x->file - p->ranges[0].file) && t->offset >= x->offset &&
                t->offset + t->size_bytes <= x->offset + x->len) {
                assert_int_equal(dst + (t->offset - x->offset), off);
                n_in++;
            }
        }
        assert_int_equal(n_in, 1);
        for (uint64_t k = 0; k < i; k++) {
            const struct gguf_tensor *u = &g->tensors[k];
            bool apart = off + t->size_bytes <= p->tensor_off[k] || p->tensor_off[k] + u->size_bytes <= off;
            if (!apart) fail_msg("%s and %s overlap", t->name, u->name);
        }
    }
    for (uint32_t r = 0; r < p->n_range; r++) {
        uint64_t begin = (uintptr_t)p->ranges[r].dst;
        assert_int_equal(begin % IO_PAGE, p->ranges[r].offset % IO_PAGE);
        assert_true(begin + p->ranges[r].len <= p->size_bytes);
        for (uint32_t k = 0; k < r; k++) {
            uint64_t other = (uintptr_t)p->ranges[k].dst;
            assert_true(begin + p->ranges[r].len <= other || other + p->ranges[k].len <= begin);
        }
    }
}

static struct fit all_resident(const struct gguf *g, struct arena *a) {
    return (struct fit){.where = arena_array(a, g->n_tensor, 1)}; /* zeroed: FIT_RESIDENT */
}

static void place_models(void **state) {
    static const struct { const char *options; uint32_t n_part; } models[] = {
        {"--arch llama --type Q4_K --n-layer 2", 1},
        {"--arch mixtral --type Q8_0 --n-layer 2 --alignment 8", 1},
        {"--arch phi3 --type F16 --n-layer 2 --alignment 65536", 1},
        {"--arch gemma3 --type Q4_0 --alignment 262144", 1}, /* holes that are not worth reading */
        {"--arch qwen2 --type Q8_0 --n-layer 2 --split 5", 5},
    };
    for (size_t i = 0; i < LEN(models); i++) {
        char name[64], first[64];
        snprintf(name, sizeof name, "place%zu.gguf", i);
        snprintf(first, sizeof first, "place%zu-00001-of-%05u.gguf", i, models[i].n_part);
        const char *path = support_model(name, models[i].options);
        struct model_file *m;
        struct place p;
        struct arena a;
        arena_init(&a, 0);
        OK(model_file_open(models[i].n_part > 1 ? support_path(first) : path, &m, &support_err));
        assert_int_equal(m->n_file, models[i].n_part);
        struct fit fit = all_resident(&m->gguf, &a);
        OK(place_make(&m->gguf, m->files, &fit, 0, &a, &p, &support_err));
        assert_in_range(p.n_range, models[i].n_part, m->gguf.n_tensor);
        if (i == 0) assert_int_equal(p.n_range, 1); /* neighbours are one read */
        if (i == 3) assert_int_equal(p.n_range, m->gguf.n_tensor);
        check_places(&m->gguf, &p);
        place_bind(&p, 0, (unsigned char *)IO_PAGE);
        assert_int_equal((uintptr_t)p.ranges[0].dst, IO_PAGE + p.ranges[0].offset % IO_PAGE);
        uint64_t most = p.size_bytes / 3; /* several buffers, none too large */
        OK(place_make(&m->gguf, m->files, &fit, most, &a, &p, &support_err));
        assert_in_range(p.n_buf, 3, 8);
        for (uint32_t k = 0; k < p.n_buf; k++) assert_true(p.buf_bytes[k] <= most);
        for (uint64_t t = 0; t < m->gguf.n_tensor; t++)
            assert_true(p.tensor_off[t] + m->gguf.tensors[t].size_bytes <= p.buf_bytes[p.tensor_buf[t]]);
        REFUSED(place_make(&m->gguf, m->files, &fit, 1000, &a, &p, &support_err), ERR_LIMIT, "larger than this GPU's buffers");
        model_file_close(m);
        arena_deinit(&a);
    }
}

/* The plan. */

struct planned {
    struct model_file *m;
    struct arena arena;
    struct hparams h;
    struct weights w;
    struct program p;
    struct plan plan;
    struct device *dev;
};

static void plan_open(struct planned *x, const char *path, enum cpu_isa isa) {
    arena_init(&x->arena, 0);
    OK(model_file_open(path, &x->m, &support_err));
    OK(hparams_read(&x->m->gguf, &x->h, &support_err));
    OK(weights_bind(&x->m->gguf, &x->h, &x->arena, &x->w, &support_err));
    x->dev = support_cpu(isa);
    OK(transformer_record(&x->h, &x->w, 256, x->dev, &x->arena, &x->p, &support_err));
}

static void plan_close(struct planned *x) {
    device_close(x->dev);
    model_file_close(x->m);
    arena_deinit(&x->arena);
}

/* Budgets from nothing to all: what is placed never takes more, and takes all there is use for. */
static void fit_budgets(void **state) {
    static const char *const models[] = {
        "--arch llama --type Q8_0 --n-layer 4 --tied 0 --n-vocab 4000", "--arch llama --type Q4_0 --down-type F32 --n-layer 1 --n-ff 1024",
        "--arch mixtral --type Q4_0 --down-type F32 --n-layer 3 --experts 8 --tied 0", "--arch qwen3moe --type Q8_0 --n-layer 2"};
    for (size_t i = 0; i < LEN(models); i++) {
        char name[32];
        struct planned x;
        struct fit f;
        snprintf(name, sizeof name, "fit%zu.gguf", i);
        plan_open(&x, support_model(name, models[i]), CPU_SCALAR);
        uint32_t embd = x.w.token_embd.tensor, n_open = 0, n_rows = 0;
        uint64_t embd_bytes = x.m->gguf.tensors[embd].size_bytes, whole = x.m->size_bytes + x.m->gguf.n_tensor * 2 * FIT_PAGE;
        for (uint32_t asked = 0; asked < 3; asked++)
            for (uint64_t bytes = 0; bytes <= whole + 4096; bytes += 4096) {
                struct fit_request r = {.g = &x.m->gguf, .h = &x.h, .w = &x.w, .bytes = bytes, .whole_bytes = whole, .rows_bytes = 3000,
                                        .n_ring_slot = asked == 1 ? 5 : 0, .n_expert_slot = asked == 2 ? 7 : 0};
                int rc = fit_make(&r, &x.arena, &f, &support_err);
                assert_int_equal(rc, bytes < f.min_bytes ? ERR_NOMEM : ERR_OK);
                if (rc) continue;
                n_open++;
                uint64_t used = f.resident_bytes + f.ring_bytes + f.pool_bytes + (f.rows ? r.rows_bytes : 0);
                if (used > bytes) fail_msg("%s: %llu of %llu bytes", name, (unsigned long long)used, (unsigned long long)bytes);
                n_rows += f.rows && !f.n_ring && !f.n_class;
                if (!asked && x.w.tied == 0 && !x.h.n_expert && bytes + embd_bytes >= whole + r.rows_bytes) assert_int_equal(f.n_ring, 0);
                for (uint64_t t = 0; t < x.m->gguf.n_tensor && !fit_streams(&f); t++) assert_int_equal(f.where[t], FIT_RESIDENT);
                assert_int_equal(f.where[embd], f.rows ? FIT_ROWS : FIT_RESIDENT);
            }
        assert_true(n_open > 10);
        if (i == 0) assert_true(n_rows > 10);
        plan_close(&x);
    }
}

struct touch {
    uint64_t begin, end;
    bool write;
};
struct touches {
    const struct planned *x;
    struct touch t[8];
    uint32_t n;
};

static uint64_t size_of_act(const struct planned *x, act a) {
    const struct act_info *i = &x->p.acts[a];
    return i->row_bytes * (i->rows == ROWS_TOK ? x->plan.n_batch : x->plan.n_logits);
}

static void add_touch(void *ctx, act a, bool write) {
    struct touches *t = ctx;
    assert_true(a < t->x->p.n_act && t->n < LEN(t->t));
    uint64_t off = t->x->plan.act_off[a];
    t->t[t->n++] = (struct touch){off, off + size_of_act(t->x, a), write};
}

static struct touches touches_of(const struct planned *x, uint32_t op) {
    struct touches t = {.x = x};
    op_acts(&x->p.ops[op], add_touch, &t);
    uint64_t kv = UINT64_MAX / 2 + x->p.ops[op].layer;
    if (x->p.ops[op].kind == OP_KV_WRITE) t.t[t.n++] = (struct touch){kv, kv + 1, true};
    if (x->p.ops[op].kind == OP_ATTENTION) t.t[t.n++] = (struct touch){kv, kv + 1, false};
    return t;
}

static bool clash(const struct touches *a, const struct touches *b) {
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            if ((a->t[i].write || b->t[k].write) && a->t[i].begin < b->t[k].end && b->t[k].begin < a->t[i].end) return true;
    return false;
}

/* Every pair of ops, without the plan's own reasoning: which clash must have a barrier between. */
static uint32_t check_barriers(const struct planned *x) {
    uint32_t n_barrier = 0;
    for (uint32_t i = 0; i < x->p.n_op; i++) {
        struct touches a = touches_of(x, i);
        bool between = false;
        for (uint32_t k = i + 1; k < x->p.n_op; k++) {
            between |= x->plan.barrier[k];
            struct touches b = touches_of(x, k);
            if (!between && clash(&a, &b))
                fail_msg("no barrier between op %u (%s) and op %u (%s)", i, op_name(x->p.ops[i].kind), k, op_name(x->p.ops[k].kind));
        }
        n_barrier += x->plan.barrier[i];
        const struct op *o = &x->p.ops[i]; /* q, k and v, or gate and up, run side by side */
        if (i && o->kind == OP_MATMUL && o[-1].kind == OP_MATMUL && o[-1].in == o->in) assert_false(x->plan.barrier[i]);
    }
    return n_barrier;
}

/* Lifetimes are found again here from the ops alone. */
static void check_lifetimes(const struct planned *x) {
    const struct program *p = &x->p;
    uint32_t *first = calloc(p->n_act, sizeof *first), *last = calloc(p->n_act, sizeof *last);
    for (uint32_t a = 0; a < p->n_act; a++) first[a] = UINT32_MAX;
    for (uint32_t i = 0; i < p->n_op; i++) {
        const struct op *o = &p->ops[i];
        const act all[] = {o->in, o->in2, o->out, o->out2};
        for (size_t k = 0; k < LEN(all); k++) {
            if (all[k] == ACT_NONE) continue;
            bool reads = k < 2;
            if (reads && first[all[k]] == UINT32_MAX) fail_msg("op %u reads what nobody wrote", i);
            if (first[all[k]] == UINT32_MAX) first[all[k]] = i;
            last[all[k]] = i;
        }
    }
    last[p->logits] = p->n_op;
    for (uint32_t a = 0; a < p->n_act; a++) {
        uint64_t off = x->plan.act_off[a], end = off + size_of_act(x, a);
        assert_int_not_equal(first[a], UINT32_MAX); /* none is in vain */
        assert_int_equal(off % 64, 0);
        assert_true(end <= x->plan.acts_bytes);
        for (uint32_t b = 0; b < a; b++) {
            bool together = first[a] <= last[b] && first[b] <= last[a];
            bool overlap = off < x->plan.act_off[b] + size_of_act(x, b) && x->plan.act_off[b] < end;
            if (together && overlap) fail_msg("activations %u and %u live together in the same bytes", a, b);
        }
    }
    free(first);
    free(last);
}

/* An op that is all of a step's rows reads and writes rows of the same kind, but for gathers. */
static void check_rows(const struct program *p) {
    for (uint32_t i = 0; i < p->n_op; i++) {
        const struct op *o = &p->ops[i];
        const act all[] = {o->in, o->in2, o->out, o->out2};
        act out = o->out != ACT_NONE ? o->out : o->in;
        for (size_t k = 0; k < LEN(all) && o->kind != OP_GATHER; k++)
            if (all[k] != ACT_NONE) assert_int_equal(p->acts[all[k]].rows, p->acts[out].rows);
    }
    assert_int_equal(p->acts[p->logits].rows, ROWS_OUT);
}

static void plan_every_arch(void **state) {
    static const struct plan_request requests[] = {
        {.n_ctx = 256, .n_seq = 1, .n_logits = 8, .scratch_bytes = 2 * CPU_SCRATCH_BYTES},
        {.n_ctx = 100, .n_seq = 3, .n_logits = 1, .n_batch = 7, .scratch_bytes = 1 * CPU_SCRATCH_BYTES, .kv_q8 = true},
        {.n_ctx = 64, .n_seq = 1, .n_logits = 1000, .n_batch = 1000, .scratch_bytes = 1 * CPU_SCRATCH_BYTES},
        {.n_ctx = 1, .n_seq = 1, .n_logits = 1, .n_batch = 1, .scratch_bytes = 1 * CPU_SCRATCH_BYTES},
    };
    static const char *const types[] = {"Q8_0", "Q4_K", "F32"};
    for (size_t i = 0; i < LEN(support_archs) * LEN(types); i++) {
        const char *path = support_arch_model(&support_archs[i / LEN(types)], types[i % LEN(types)]);
        for (int isa = 0; isa < 2; isa++) {
            struct planned x;
            plan_open(&x, path, isa ? cpu_isa_best() : CPU_SCALAR);
            check_rows(&x.p);
            for (size_t r = 0; r < LEN(requests); r++) {
                OK(plan_make(&x.h, &x.p, &requests[r], &x.arena, &x.plan, &support_err));
                assert_in_range(x.plan.n_batch, 1, requests[r].n_ctx * requests[r].n_seq);
                assert_in_range(x.plan.n_logits, 1, x.plan.n_batch);
                check_lifetimes(&x);
                uint32_t n_barrier = check_barriers(&x);
                assert_true(n_barrier > 0);
                assert_true(x.plan.kv_bytes >= (uint64_t)requests[r].n_ctx * requests[r].n_seq * 2 * x.h.n_layer * x.h.n_head_kv *
                                                   (requests[r].kv_q8 ? x.h.head_dim_k / 32 * 34 : x.h.head_dim_k * 2));
                assert_true(x.plan.work_bytes >= x.plan.acts_bytes + requests[r].scratch_bytes);
            }
            plan_close(&x);
        }
    }
}

static void plan_limits(void **state) {
    struct planned x;
    plan_open(&x, support_arch_model(&support_archs[0], "Q8_0"), CPU_SCALAR);
    struct plan_request r = {.n_ctx = 512, .n_seq = 64, .n_logits = 8, .scratch_bytes = 1 * CPU_SCRATCH_BYTES};
    struct arena tight;
    arena_init(&tight, 200);
    REFUSED(plan_make(&x.h, &x.p, &r, &tight, &x.plan, &support_err), ERR_NOMEM, "memory plan");
    arena_deinit(&tight);
    plan_close(&x);
}

/* A model whose activations are large gets smaller batches, unless the caller insists. */
static void plan_chooses_batches(void **state) {
    struct planned x;
    plan_open(&x, support_model("wide.gguf", "--arch llama --type Q4_0 --n-layer 2 --n-embd 32 --n-head 1 --n-head-kv 1 "
                                             "--n-ff 65536 --n-ctx 4096 --n-vocab 400"), CPU_SCALAR);
    struct plan_request r = {.n_ctx = 4096, .n_seq = 1, .n_logits = 8, .scratch_bytes = 1 * CPU_SCRATCH_BYTES};
    OK(plan_make(&x.h, &x.p, &r, &x.arena, &x.plan, &support_err));
    assert_in_range(x.plan.n_batch, 16, 256);
    assert_true(x.plan.acts_bytes <= (uint64_t)80 << 20);
    check_lifetimes(&x);
    r.n_batch = 1024;
    OK(plan_make(&x.h, &x.p, &r, &x.arena, &x.plan, &support_err));
    assert_int_equal(x.plan.n_batch, 1024);
    check_lifetimes(&x);
    plan_close(&x);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(place_models), cmocka_unit_test(fit_budgets), cmocka_unit_test(plan_every_arch), cmocka_unit_test(plan_limits),
        cmocka_unit_test(plan_chooses_batches),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
