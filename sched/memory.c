#include "sched/memory.h"

#include "models/transformer.h"
#include "runtime/cpu.h"
#include "runtime/metal.h"

#define DEFAULT_CTX 4096u
#define DEFAULT_LOGITS 8u
#define CARRIED_MOST ((uint64_t)256 << 20) /* activations of a long prompt that go from layer to layer, */
#define CARRIED_SHARE 32                   /* and at most this part of the budget */

static uint64_t gpu_hint(const struct hy_engine *en) {
    if (device_kind(en->dev) != DEVICE_METAL) return 0;
    struct metal_info i;
    metal_get_info(en->dev, &i);
    return i.working_set_bytes;
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
    if (device_kind(en->dev) == DEVICE_CPU) r.scratch_bytes = device_n_thread(en->dev) * (uint64_t)CPU_SCRATCH_BYTES;
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
    return (struct fit_request){.g = &en->mf->gguf, .h = &en->h, .w = &en->w, .p = &en->p, .bytes = left_for_weights(en), .whole_bytes = en->place.size_bytes,
                                .mapped = opt->tier == HY_TIER_MMAP, .n_ring_slot = opt->n_ring_slot, .n_expert_slot = opt->n_expert_slot};
}

/* One way: plan, then places for the weights in what is left. ERR_NOMEM when they have no room. */
static int attempt(struct hy_engine *en, const struct hy_options *opt, const struct plan_request *r, struct err *e) {
    int rc = plan_make(&en->h, &en->p, r, &en->arena, &en->plan, e);
    if (rc) return rc;
    struct fit_request f = fit_request_of(en, opt);
    uint64_t rows = r->streams && !f.mapped ? en->plan.n_step * dtype_bytes(en->w.token_embd.type, en->w.token_embd.n_in) : 0;
    f.bytes = f.bytes > rows ? f.bytes - rows : 0;
    en->kv_q8 = r->kv_q8;
    rc = fit_make(&f, &en->arena, &en->fit, e);
    if (!rc && en->fit.where[en->w.token_embd.tensor] == FIT_ROWS) en->plan.work_bytes += rows;
    return rc;
}

static int refuse(const struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    const struct plan *pl = &en->plan;
    uint64_t need = en->fit.min_bytes + pl->kv_bytes + pl->work_bytes;
    return err_set(e, ERR_NOMEM,
                   "the model needs at least %.2f GB (weights that must stay %.2f, KV cache for %llu tokens %.2f, work space %.2f), but %s "
                   "%.2f GB; %s, or use a smaller model or quantization%s",
                   (double)need / 1e9, (double)en->fit.min_bytes / 1e9, (unsigned long long)pl->n_ctx * pl->n_seq, (double)pl->kv_bytes / 1e9,
                   (double)pl->work_bytes / 1e9, en->budget.from, (double)en->budget.bytes / 1e9, en->budget.help,
                   pl->kv_bytes > pl->work_bytes ? (opt->kv == HY_KV_F16 ? ", a shorter context (-c) or --kv q8_0" : ", a shorter context (-c)")
                                                 : "");
}

int memory_plan(struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    struct budget_request b = opt->memory;
    b.gpu_hint_bytes = gpu_hint(en);
    int rc = budget_make(&b, &en->budget, e);
    struct plan_request r = plan_request_of(en, opt);
    en->fit.where = arena_array(&en->arena, en->mf->gguf.n_tensor, 1); /* zeroed: all resident */
    if (!rc && !en->fit.where) rc = err_set(e, ERR_NOMEM, "no memory to place the weights");
    if (!rc) rc = place_make(&en->mf->gguf, en->mf->files, &en->fit, &en->arena, &en->place, e);
    if (!rc) rc = transformer_record(&en->h, &en->w, r.n_ctx, en->dev, &en->arena, &en->p, e);
    if (rc) return rc;
    rc = attempt(en, opt, &r, e);
    if (!rc && !fit_streams(&en->fit) && !en->fit.mapped_bytes) return ERR_OK;
    r.streams = opt->tier != HY_TIER_MMAP;
    if (rc == ERR_OK || rc == ERR_NOMEM) rc = attempt(en, opt, &r, e);
    if (rc == ERR_NOMEM && opt->kv == HY_KV_AUTO && en->h.head_dim_k % 32 == 0) {
        r.kv_q8 = true;
        rc = attempt(en, opt, &r, e);
    }
    if (rc == ERR_NOMEM) return refuse(en, opt, e);
    return rc ? rc : place_make(&en->mf->gguf, en->mf->files, &en->fit, &en->arena, &en->place, e);
}
