/* Encodes a program into a device's command list: each op's operands become places in buffers, its row counts
 * those of the step. One function per op; the table at the end is the list. */
#include <string.h>

#include "kernels/attention.h"
#include "kernels/embed.h"
#include "kernels/expert_sum.h"
#include "kernels/gather_rows.h"
#include "kernels/kv_write.h"
#include "kernels/matmul_glu.h"
#include "kernels/matmul_id.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/route.h"
#include "kernels/softcap.h"
#include "kernels/topk.h"
#include "sched/engine.h"


/* Activations that live through a step begin at the chunk's rows; the others are used by one chunk after the other. */
struct ref exec_act(const struct exec *x, act a) {
    if (a == ACT_NONE) return (struct ref){0};
    const struct act_info *i = &x->en->p.acts[a];
    uint64_t row = !x->en->plan.carried[a] ? 0 : i->rows == ROWS_TOK ? x->first_tok : x->first_out;
    return (struct ref){&x->en->acts, x->en->plan.act_off[a] + row * i->row_bytes};
}

struct ref exec_weight(const struct exec *x, const struct weight *w) {
    if (!weight_present(w)) return (struct ref){0};
    return ref_at(x->en->tensor_at[w->tensor], w->offset_bytes);
}

/* The chunk's part of an input with 4 bytes per token. */
static struct ref input_ref(const struct exec *x, struct ref in) { return ref_at(in, 4 * (uint64_t)x->first_tok); }

static struct ref kv_ref(const struct exec *x, uint32_t layer, bool value) {
    return (struct ref){&x->en->kv_pool, (2 * (uint64_t)layer + value) * x->en->plan.kv_layer_bytes};
}

static uint32_t dim_of(const struct exec *x, act a) { return x->en->p.acts[a].dim; }

static int run_embed(struct exec *x, const struct op *o, struct err *e) {
    struct embed_args a = {.n_tok = x->n_row, .n_embd = o->w.n_in, .n_vocab = o->w.n_out, .dtype = (uint32_t)o->w.type, .scale = o->embed.scale};
    if (!x->en->rows.host) return embed_encode(x->c, &a, exec_act(x, o->out), exec_weight(x, &o->w), input_ref(x, x->en->in.token), e);
    a.n_vocab = x->en->plan.n_step; /* only the step's rows are in memory, in its order */
    return embed_encode(x->c, &a, exec_act(x, o->out), (struct ref){&x->en->rows, 0}, input_ref(x, x->en->in.row), e);
}

static int run_rms_norm(struct exec *x, const struct op *o, struct err *e) {
    uint32_t n_sub = dim_of(x, o->in) / o->norm.dim; /* heads, for q and k norms */
    struct rms_norm_args a = {.n_row = x->n_row * n_sub, .dim = o->norm.dim, .eps = o->norm.eps};
    return rms_norm_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->in), exec_act(x, o->in2), exec_weight(x, &o->w), e);
}

static int run_act_quant(struct exec *x, const struct op *o, struct err *e) {
    uint32_t n_sub = dim_of(x, o->in) / o->quant.dim; /* experts used, for their down projections */
    struct act_quant_args a = {.n_row = x->n_row * n_sub, .dim = o->quant.dim, .fmt = o->quant.fmt};
    return act_quant_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->in), e);
}

static int run_matmul(struct exec *x, const struct op *o, struct err *e) {
    struct matmul_args a = {.n_tok = x->n_row, .n_in = o->w.n_in, .n_out = o->w.n_out, .w_type = (uint32_t)o->w.type};
    return matmul_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->in), exec_weight(x, &o->w), exec_weight(x, &o->bias), e);
}

static struct rope_args rope_args_of(const struct exec *x, const struct rope_spec *r) {
    return (struct rope_args){
        .n_tok = x->n_row, .n_head = r->n_head, .head_dim = r->head_dim, .n_rot = r->n_rot, .mode = r->halves ? ROPE_NEOX : ROPE_NORMAL,
        .freq_base = r->base, .freq_scale = r->scale, .ext_factor = r->ext_factor, .attn_factor = r->attn_factor,
        .beta_fast = r->beta_fast, .beta_slow = r->beta_slow, .n_ctx_orig = r->n_ctx_orig};
}

static int run_rope(struct exec *x, const struct op *o, struct err *e) {
    struct rope_args a = rope_args_of(x, &o->rope);
    return rope_encode(x->c, &a, exec_act(x, o->out), input_ref(x, x->en->in.pos), exec_weight(x, &o->w), e);
}

static int run_kv_write(struct exec *x, const struct op *o, struct err *e) {
    const struct hparams *h = &x->en->h;
    struct kv_write_args a = {.n_tok = x->n_row, .n_head_kv = h->n_head_kv, .head_dim = h->head_dim_k, .head_dim_v = h->head_dim_v,
                              .block_tok = KV_BLOCK_TOK, .n_block = x->en->kv.n_block, .dtype = x->en->kv_q8 ? DT_Q8_0 : DT_F16};
    struct rope_args rope = rope_args_of(x, &o->rope);
    return kv_write_rope_encode(x->c, &a, &rope, kv_ref(x, o->layer, false), kv_ref(x, o->layer, true), exec_act(x, o->in),
                                exec_act(x, o->in2), input_ref(x, x->en->in.slot), input_ref(x, x->en->in.pos), exec_weight(x, &o->w), e);
}

static int run_attention(struct exec *x, const struct op *o, struct err *e) {
    const struct hparams *h = &x->en->h;
    const struct kv *kv = &x->en->kv;
    struct attention_args a = {.n_tok = x->n_row, .n_head = h->n_head, .n_head_kv = h->n_head_kv, .head_dim = h->head_dim_k,
                               .head_dim_v = h->head_dim_v, .block_tok = KV_BLOCK_TOK, .n_block = kv->n_block, .n_seq = kv->n_seq,
                               .table_stride = kv->stride, .dtype = x->en->kv_q8 ? DT_Q8_0 : DT_F16, .window = o->attn.window,
                               .n_pos_max = x->n_pos, .scale = o->attn.scale, .softcap = o->attn.softcap};
    return attention_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->in), kv_ref(x, o->layer, false), kv_ref(x, o->layer, true),
                            x->en->in.table, input_ref(x, x->en->in.seq), input_ref(x, x->en->in.pos), (struct ref){0},
                            x->en->attn_work.host ? (struct ref){&x->en->attn_work, 0} : (struct ref){0}, e);
}

static int run_matmul_glu(struct exec *x, const struct op *o, struct err *e) {
    struct matmul_glu_args a = {.n_tok = x->n_row, .n_in = o->w.n_in, .n_out = o->w.n_out, .w_type = (uint32_t)o->w.type,
                                .act = o->up.gelu ? GLU_GELU_TANH : GLU_SILU};
    struct matmul_glu_side gate = {exec_weight(x, &o->w), exec_weight(x, &o->bias)};
    struct matmul_glu_side up = {exec_weight(x, &o->up.w), exec_weight(x, &o->up.bias)};
    return matmul_glu_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->out2), exec_act(x, o->in), &gate, &up, e);
}

static int run_glu(struct exec *x, const struct op *o, struct err *e) {
    struct glu_args a = {.n = x->n_row * o->glu.dim, .act = o->glu.gelu ? GLU_GELU_TANH : GLU_SILU};
    return glu_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->in), exec_act(x, o->in2), e);
}

static int run_gather(struct exec *x, const struct op *o, struct err *e) {
    struct gather_rows_args a = {.n_out = x->n_row, .n_row = x->n_tok, .dim = dim_of(x, o->out)};
    return gather_rows_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->in), ref_at(x->en->in.out_rows, 4 * (uint64_t)x->first_out), e);
}

static int run_softcap(struct exec *x, const struct op *o, struct err *e) {
    struct softcap_args a = {.n = x->n_row * dim_of(x, o->out), .cap = o->softcap.cap};
    return softcap_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->in), e);
}

/* Whether the experts' products of this step go by lists of tokens by expert (Metal, many tokens). */
static bool by_lists(const struct exec *x, const struct matmul_id_args *a) {
    return x->en->expert_lists.host && matmul_id_lists_bytes(x->en->dev, a);
}

/* The routing; where products go by lists, those too, once for the layer's three products. */
static int run_route(struct exec *x, const struct op *o, struct err *e) {
    struct route_args a = {.n_tok = x->n_row, .n_expert = o->route.n_expert, .n_used = o->route.n_used,
                           .flags = o->route.norm ? ROUTE_RENORM : 0, .scale = o->route.scale};
    struct matmul_id_args lists = {.n_tok = x->n_row, .n_expert = o->route.n_expert, .n_used = o->route.n_used};
    int rc = route_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->out2), exec_act(x, o->in), e);
    if (rc || x->pooled || !by_lists(x, &lists)) return rc;
    cmd_barrier(x->c);
    return matmul_id_lists_encode(x->c, &lists, (struct ref){&x->en->expert_lists, 0}, exec_act(x, o->out), e);
}

/* gate, up or down: which of its layer's matrices the op's weight is. */
static uint32_t which_expert_matrix(const struct exec *x, const struct op *o) {
    const struct layer_weights *l = &x->en->w.layers[o->layer];
    return o->w.tensor == l->gate_experts.tensor ? 0 : o->w.tensor == l->up_experts.tensor ? 1 : 2;
}

int exec_lists(struct exec *x, const struct op *route, uint32_t n_row, struct err *e) {
    struct matmul_id_args a = {.n_tok = n_row, .n_expert = route->route.n_expert, .n_used = route->route.n_used};
    if (!by_lists(x, &a)) return ERR_OK;
    cmd_barrier(x->c);
    return matmul_id_lists_encode(x->c, &a, (struct ref){&x->en->expert_lists, 0}, x->ids, e);
}

static int run_matmul_id(struct exec *x, const struct op *o, struct err *e) {
    struct matmul_id_args a = {.n_tok = x->n_row, .n_in = o->w.n_in, .n_out = o->w.n_out, .w_type = (uint32_t)o->w.type,
                               .n_expert = o->w.n_expert, .n_used = o->experts.n_used, .x_per_slot = o->experts.row_per_use};
    struct ref table = expert_table(x->en, o->layer, which_expert_matrix(x, o));
    struct ref out = exec_act(x, o->out), in = exec_act(x, o->in), lists = {&x->en->expert_lists, 0}, none = {0};
    if (by_lists(x, &a)) return matmul_id_listed_encode(x->c, &a, out, in, table, lists, none, e);
    return matmul_id_encode(x->c, &a, out, in, table, x->pooled ? x->ids : exec_act(x, o->in2), none, e);
}

static int run_expert_sum(struct exec *x, const struct op *o, struct err *e) {
    struct expert_sum_args a = {.n_tok = x->n_row, .n_used = o->experts.n_used, .dim = dim_of(x, o->out)};
    return expert_sum_encode(x->c, &a, exec_act(x, o->out), exec_act(x, o->in), exec_act(x, o->in2), e);
}

static int (*const runners[N_OP_KINDS])(struct exec *, const struct op *, struct err *) = {
    [OP_EMBED] = run_embed,         [OP_RMS_NORM] = run_rms_norm,   [OP_ACT_QUANT] = run_act_quant, [OP_MATMUL] = run_matmul,
    [OP_ROPE] = run_rope,           [OP_KV_WRITE] = run_kv_write,   [OP_ATTENTION] = run_attention, [OP_GLU] = run_glu,
    [OP_GATHER] = run_gather,       [OP_SOFTCAP] = run_softcap,     [OP_ROUTE] = run_route,         [OP_MATMUL_ID] = run_matmul_id,
    [OP_EXPERT_SUM] = run_expert_sum, [OP_MATMUL_GLU] = run_matmul_glu,
};

int exec_best(struct hy_engine *en, struct cmd *c, const struct step_shape *s, struct err *e) {
    if (!s->n_best || !s->n_out) return ERR_OK;
    struct topk_args a = {.n_row = s->n_out, .n = en->h.n_vocab, .k = s->n_best};
    struct ref work = en->best.work.host ? (struct ref){&en->best.work, 0} : (struct ref){0};
    struct ref logits = {&en->acts, en->plan.act_off[en->p.logits]};
    cmd_barrier(c);
    return topk_encode(c, &a, (struct ref){&en->best.ids, 0}, (struct ref){&en->best.values, 0}, logits, work, e);
}

void exec_chunk(struct exec *x, const struct step_shape *s, uint32_t chunk) {
    uint32_t n_batch = x->en->plan.n_batch;
    x->first_tok = chunk * n_batch;
    x->n_tok = s->n_tok - x->first_tok < n_batch ? s->n_tok - x->first_tok : n_batch;
    x->first_out = chunk ? s->out_end[chunk - 1] : 0;
    x->n_out = s->out_end[chunk] - x->first_out;
    x->n_pos = s->n_pos[chunk];
}

uint32_t exec_token(const struct exec *x, uint32_t op, uint32_t row) {
    const int32_t *out_rows = (const int32_t *)ref_host(x->en->in.out_rows) + x->first_out;
    bool all = x->en->p.acts[x->en->p.ops[op].out].rows == ROWS_TOK;
    return x->first_tok + (all ? row : (uint32_t)out_rows[row]);
}

const int32_t *exec_routed(const struct exec *x, uint32_t route_op) { return ref_host(exec_act(x, x->en->p.ops[route_op].out)); }

int exec_op(struct exec *x, uint32_t i, struct err *e) {
    const struct hy_engine *en = x->en;
    const struct op *o = &en->p.ops[i];
    act a = o->out != ACT_NONE ? o->out : o->in;
    x->n_row = en->p.acts[a].rows == ROWS_TOK ? x->n_tok : x->n_out;
    if (en->plan.barrier[i]) cmd_barrier(x->c); /* counts for the next op when this one has no rows */
    if (!x->n_row) return ERR_OK;
    int rc = runners[o->kind](x, o, e);
    if (rc) err_prefix(e, "layer %u, %s", o->layer, op_name(o->kind));
    return rc;
}

/* Between two layers: the device begins on the list while the next is encoded. A long step that may be stopped goes on with
 * another list, at most one ahead of the device. */
static int end_layer(struct exec *x, const struct step_shape *s, uint32_t next, uint64_t *fence, struct err *e) {
    uint64_t before = *fence;
    if (!s->stop || s->n_tok <= LONG_STEP) return next % FLUSH_LAYERS == 0 ? cmd_flush(x->c, e) : ERR_OK;
    int rc = cmd_commit(x->c, fence, e);
    if (!rc) rc = device_wait(x->en->dev, before, e);
    if (!rc && s->stop(s->ctx)) rc = err_set(e, ERR_CANCELLED, "interrupted");
    if (!rc) x->c = cmd_begin(x->en->dev);
    return rc;
}

static int run_ops(struct exec *x, const struct step_shape *s, uint64_t *fence, struct err *e) {
    const struct program *p = &x->en->p;
    int rc = ERR_OK;
    x->c = cmd_begin(x->en->dev);
    exec_chunk(x, s, 0);
    for (uint32_t i = 0; i < p->n_op && !rc; i++) {
        if (i && p->ops[i].layer != p->ops[i - 1].layer) rc = end_layer(x, s, p->ops[i].layer, fence, e);
        if (!rc) rc = exec_op(x, i, e);
    }
    if (!rc) rc = exec_best(x->en, x->c, s, e);
    return rc ? rc : cmd_commit(x->c, fence, e);
}

int exec_run(struct hy_engine *en, const struct step_shape *s, struct err *e) {
    struct exec x = {.en = en};
    uint64_t fence = 0;
    int rc = run_ops(&x, s, &fence, e), waited = device_wait(en->dev, fence, rc ? NULL : e);
    return rc ? rc : waited;
}
