#include "sched/memory.h"

#include <string.h>

#include "models/transformer.h"
#include "runtime/cpu.h"
#include "runtime/metal.h"
#include "runtime/size_text.h"
#include "sched/profile.h"

#define DEFAULT_CTX 4096u
#define DEFAULT_LOGITS 8u
#define READERS_LEAST 4u /* also where fewer are as fast: a demand read must not wait for one that is under way */
#define READERS_MOST 9u
#define METAL_BYTES ((uint64_t)8 << 20) /* pipelines and command buffers: 3 to 7 MB of soft Metal; Apple's is not measured */
#define CARRIED_MOST ((uint64_t)256 << 20) /* activations of a long prompt that go from layer to layer, */
#define CARRIED_SHARE 32                   /* and at most this part of the budget */

/* What the GPU says of itself; all 0 on the CPU. */
static struct metal_info gpu_info(const struct hy_engine *en) {
    struct metal_info i = {0};
    if (device_kind(en->dev) == DEVICE_METAL) metal_get_info(en->dev, &i);
    return i;
}

static uint64_t head_bytes(const struct model_file *mf) {
    uint64_t sum = mf->size_bytes;
    for (uint64_t i = 0; i < mf->gguf.n_tensor; i++) sum -= mf->gguf.tensors[i].size_bytes < sum ? mf->gguf.tensors[i].size_bytes : sum;
    return sum;
}

static struct plan_request plan_request_of(const struct hy_engine *en, const struct hy_options *opt) {
    struct plan_request r = {
        .n_ctx = opt->n_ctx, .n_seq = opt->n_seq ? opt->n_seq : 1, .n_batch = opt->n_batch,
        .n_logits = opt->n_logits ? opt->n_logits : DEFAULT_LOGITS, .n_kv_block = opt->n_kv_block, .kv_q8 = opt->kv == HY_KV_Q8_0,
        .head_bytes = head_bytes(en->mf), .carried_bytes = CARRIED_MOST};
    if (!r.n_ctx) r.n_ctx = en->h.n_ctx_train < DEFAULT_CTX ? en->h.n_ctx_train : DEFAULT_CTX;
    r.scratch_bytes = device_kind(en->dev) == DEVICE_CPU ? device_n_thread(en->dev) * (uint64_t)CPU_SCRATCH_BYTES : METAL_BYTES;
    if (en->mf->files[0].embedded) r.scratch_bytes += en->mf->files[0].size_bytes; /* the program's own pages, once read */
    if (en->budget.bytes && en->budget.bytes / CARRIED_SHARE < r.carried_bytes) r.carried_bytes = en->budget.bytes / CARRIED_SHARE;
    return r;
}

/* Bytes of the budget that a plan leaves for weights. */
static uint64_t left_for_weights(const struct hy_engine *en) {
    uint64_t used = en->plan.kv_bytes + en->plan.work_bytes;
    if (!en->budget.bytes) return UINT64_MAX / 4;
    return en->budget.bytes > used ? en->budget.bytes - used : 0;
}

static struct fit_request fit_request_of(const struct hy_engine *en, const struct hy_options *opt) {
    return (struct fit_request){.g = &en->mf->gguf, .h = &en->h, .w = &en->w, .bytes = left_for_weights(en), .whole_bytes = en->place.size_bytes,
                                .rows_bytes = en->plan.n_step * dtype_bytes(en->w.token_embd.type, en->w.token_embd.n_in),
                                .mapped = opt->tier == HY_TIER_MMAP, .n_ring_slot = opt->n_ring_slot, .n_expert_slot = opt->n_expert_slot};
}

/* One way: plan, then places for the weights in what is left. ERR_NOMEM when they have no room. */
static int attempt(struct hy_engine *en, const struct hy_options *opt, const struct plan_request *r, struct err *e) {
    int rc = plan_make(&en->h, &en->p, r, &en->arena, &en->plan, e);
    if (rc) return rc;
    struct fit_request f = fit_request_of(en, opt);
    en->kv_q8 = r->kv_q8;
    rc = fit_make(&f, &en->arena, &en->fit, e);
    if (!rc && en->fit.rows) en->plan.work_bytes += f.rows_bytes;
    return rc;
}

/* All resident, or all but the embedding; else with steps of many tokens, as streaming wants them; else with smaller keys and values. */
static int attempts(struct hy_engine *en, const struct hy_options *opt, struct plan_request *r, struct err *e) {
    const struct fit *f = &en->fit;
    int rc = attempt(en, opt, r, e);
    if (!rc && !f->n_ring && !f->n_class && !f->mapped_bytes) return ERR_OK;
    r->streams = opt->tier != HY_TIER_MMAP;
    if (rc == ERR_OK || rc == ERR_NOMEM) rc = attempt(en, opt, r, e);
    if (rc == ERR_NOMEM && opt->kv == HY_KV_AUTO && en->h.head_dim_k % 32 == 0) {
        r->kv_q8 = true;
        rc = attempt(en, opt, r, e);
    }
    return rc;
}

static int refuse(const struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    const struct plan *pl = &en->plan;
    uint64_t need = en->fit.min_bytes + pl->kv_bytes + pl->work_bytes;
    return err_set(e, ERR_NOMEM,
                   "the model needs at least %s (weights that must stay %s, KV cache for %llu tokens %s, work space %s), but %s "
                   "%s; %s, or use a smaller model or quantization%s",
                   size_needed(need).s, size_text(en->fit.min_bytes).s, (unsigned long long)pl->n_ctx * pl->n_seq, size_text(pl->kv_bytes).s,
                   size_text(pl->work_bytes).s, en->budget.from, size_there(en->budget.bytes).s, en->budget.help,
                   pl->kv_bytes > pl->work_bytes ? (opt->kv == HY_KV_F16 ? ", a shorter context (-c) or --kv q8_0" : ", a shorter context (-c)")
                                                 : "");
}

int memory_plan(struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    struct budget_request b = opt->memory;
    b.gpu_hint_bytes = gpu_info(en).working_set_bytes;
    int rc = budget_make(&b, &en->budget, e);
    struct plan_request r = plan_request_of(en, opt);
    en->fit.where = arena_array(&en->arena, en->mf->gguf.n_tensor, 1); /* zeroed: all resident */
    if (!rc && !en->fit.where) rc = err_set(e, ERR_NOMEM, "no memory to place the weights");
    if (!rc) rc = place_make(&en->mf->gguf, en->mf->files, &en->fit, gpu_info(en).max_buffer_bytes, &en->arena, &en->place, e);
    if (!rc) rc = transformer_record(&en->h, &en->w, r.n_ctx, en->dev, &en->arena, &en->p, e);
    if (rc) return rc;
    rc = attempts(en, opt, &r, e);
    if (rc == ERR_NOMEM) return refuse(en, opt, e);
    return rc ? rc : place_make(&en->mf->gguf, en->mf->files, &en->fit, gpu_info(en).max_buffer_bytes, &en->arena, &en->place, e);
}

const char *hy_mode_name(enum hy_mode m) {
    static const char *const names[] = {"resident", "streams dense FFN", "streams experts", "streams experts and dense FFN", "mapped",
                                        "resident but for rows of the embedding"};
    return names[m];
}

static enum hy_mode mode_of(const struct fit *f) {
    if (f->mapped_bytes) return HY_MAPPED;
    if (f->n_class) return f->n_ring ? HY_STREAM_BOTH : HY_STREAM_EXPERTS;
    if (f->n_ring) return HY_STREAM_DENSE;
    return f->rows ? HY_ROWS : HY_RESIDENT;
}

/* What one decoded token reads of the op's weights, and how much of it is not in memory. */
static void add_op_bytes(const struct hy_engine *en, const struct op *o, struct hy_plan *d) {
    if (o->kind != OP_MATMUL && o->kind != OP_MATMUL_GLU && o->kind != OP_MATMUL_ID) return;
    uint64_t bytes = dtype_bytes(o->w.type, (uint64_t)o->w.n_in * o->w.n_out);
    if (o->kind == OP_MATMUL_GLU) bytes *= 2; /* gate and up */
    if (o->kind == OP_MATMUL_ID) bytes *= o->experts.n_used;
    d->step_bytes += bytes;
    uint8_t k = en->fit.layer_class[o->layer];
    if (o->kind != OP_MATMUL_ID || k == FIT_NO_CLASS || !en->fit.n_class) return;
    const struct fit_class *c = &en->fit.cls[k];
    d->disk_bytes += (uint64_t)((double)bytes * (1 - (double)c->n_slot / c->n_key));
}

static void add_roles(const struct hy_engine *en, struct hy_plan *d) {
    const struct gguf *g = &en->mf->gguf;
    for (uint64_t t = 0; t < g->n_tensor; t++) {
        enum tensor_role r = tensor_role(g->tensors[t].name);
        d->role[r].bytes += g->tensors[t].size_bytes;
        if (en->fit.where[t] == FIT_RESIDENT) d->role[r].resident_bytes += g->tensors[t].size_bytes;
        else d->file_bytes += g->tensors[t].size_bytes;
    }
}

static void add_rates(const struct hy_engine *en, const struct hy_options *opt, bool measure, struct hy_plan *d) {
    static const double quick_s = 0.3;
    struct profile p;
    const struct file *f = &en->mf->files[0];
    uint64_t disk = profile_disk_id(f);
    profile_load(&p);
    d->memory_rate = p.memory_rate;
    d->disk_rate = profile_disk_rate(&p, disk);
    struct profile_disk quick;
    if (measure && !f->embedded && d->disk_rate == 0 && profile_quick_disk(f, quick_s, &quick, NULL) == ERR_OK) {
        d->disk_rate = quick.best_rate;
        profile_put_disk(&p, &quick);
        profile_save(&p, NULL); /* without a cache folder the next run measures again */
    }
    const struct profile_disk *known = profile_disk_find(&p, disk);
    uint32_t n = known ? known->best_n_reader : 0;
    d->n_reader = opt->n_reader ? opt->n_reader : n < READERS_LEAST ? READERS_LEAST : n > READERS_MOST ? READERS_MOST : n;
    double compute = d->memory_rate > 0 ? (double)d->step_bytes / d->memory_rate : 0;
    double disk_s = d->disk_rate > 0 ? (double)d->disk_bytes / d->disk_rate : 0;
    if (compute > 0 && (disk_s > 0 || d->disk_bytes == 0)) d->tok_s = 1 / (compute > disk_s ? compute : disk_s);
}

void memory_describe(struct hy_engine *en, const struct hy_options *opt, bool measure) {
    struct hy_plan *d = &en->planned;
    const struct plan *pl = &en->plan;
    const struct fit *f = &en->fit;
    *d = (struct hy_plan){.mode = mode_of(f), .budget_bytes = en->budget.bytes, .machine_bytes = en->budget.machine_bytes,
                          .resident_bytes = en->place.size_bytes, .ring_bytes = f->ring_bytes, .pool_bytes = f->pool_bytes,
                          .kv_bytes = pl->kv_bytes, .acts_bytes = pl->acts_bytes, .other_bytes = pl->work_bytes - pl->acts_bytes,
                          .n_dense = f->n_dense, .n_dense_pinned = f->n_dense_pinned, .n_ring_slot = f->n_ring_slot,
                          .n_ctx = pl->n_ctx, .n_seq = pl->n_seq, .n_batch = pl->n_batch, .n_step = pl->n_step, .kv_q8 = en->kv_q8,
                          .kv_fell = en->kv_q8 && opt->kv == HY_KV_AUTO, .disk_bytes = f->ring_step_bytes};
    snprintf(d->budget_from, sizeof d->budget_from, "%s", en->budget.from);
    d->total_bytes = d->resident_bytes + d->ring_bytes + d->pool_bytes + d->kv_bytes + d->acts_bytes + d->other_bytes;
    for (uint32_t k = 0; k < f->n_class; k++) {
        d->n_expert += f->cls[k].n_key;
        d->n_expert_slot += f->cls[k].n_slot;
    }
    for (uint32_t i = 0; i < en->p.n_op; i++) add_op_bytes(en, &en->p.ops[i], d);
    add_roles(en, d);
    add_rates(en, opt, measure && fit_streams(f), d);
}
