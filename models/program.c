#include "models/program.h"

#include <string.h>

#include "kernels/act_quant.h"

static struct op dead_op; /* what a builder out of memory writes to */

/* Room for one more element behind n of *cap: the array itself, or a copy of twice the size; NULL without memory. */
static void *room(struct arena *a, void *array, uint32_t n, uint32_t *cap, size_t elem_bytes) {
    if (n < *cap) return array;
    uint32_t more = *cap ? *cap * 2 : 256;
    void *copy = arena_array(a, more, elem_bytes);
    if (!copy) return NULL;
    if (n) memcpy(copy, array, n * elem_bytes);
    *cap = more;
    return copy;
}

static struct op *push_op(struct builder *b, enum op_kind kind) {
    struct program *p = b->p;
    struct op *ops = room(b->arena, p->ops, p->n_op, &p->cap_op, sizeof *ops);
    if (!ops) {
        b->rc = ERR_NOMEM;
        return &dead_op;
    }
    p->ops = ops;
    struct op *o = &ops[p->n_op++];
    *o = (struct op){.kind = kind, .layer = b->layer, .out = ACT_NONE, .out2 = ACT_NONE, .in = ACT_NONE,
                     .in2 = ACT_NONE};
    return o;
}

static act new_act(struct builder *b, uint32_t dim, uint64_t row_bytes) {
    struct program *p = b->p;
    struct act_info *acts = room(b->arena, p->acts, p->n_act, &p->cap_act, sizeof *acts);
    if (!acts) {
        b->rc = ERR_NOMEM;
        return 0;
    }
    p->acts = acts;
    acts[p->n_act] = (struct act_info){.row_bytes = row_bytes, .dim = dim, .rows = b->rows};
    return p->n_act++;
}

static act new_f32(struct builder *b, uint32_t dim) { return new_act(b, dim, (uint64_t)dim * sizeof(float)); }
static uint32_t dim_of(const struct builder *b, act a) { return b->p->acts ? b->p->acts[a].dim : 0; }

/* A write in place makes a quantized copy stale. */
static void touched(struct builder *b, act a) {
    if (b->memo.src == a) b->memo.src = ACT_NONE;
}

act prog_embed(struct builder *b, const struct weight *table, float scale) {
    b->memo.src = ACT_NONE;
    act out = new_f32(b, table->n_in);
    struct op *o = push_op(b, OP_EMBED);
    o->out = out;
    o->w = *table;
    o->embed.scale = scale;
    return out;
}

static act push_norm(struct builder *b, act x, act out, const struct weight *w, float eps) {
    struct op *o = push_op(b, OP_RMS_NORM);
    o->in = x;
    o->out = out;
    o->w = *w;
    o->norm.dim = w->n_in;
    o->norm.eps = eps;
    touched(b, out);
    return out;
}

act prog_rms_norm(struct builder *b, act x, const struct weight *w, float eps) {
    return push_norm(b, x, new_f32(b, dim_of(b, x)), w, eps);
}

act prog_add_rms_norm(struct builder *b, act x, act y, const struct weight *w, float eps) {
    act out = prog_rms_norm(b, x, w, eps);
    if (y == ACT_NONE || b->rc) return out;
    struct op *o = &b->p->ops[b->p->n_op - 1];
    o->in2 = y;
    o->out2 = x;
    touched(b, x);
    return out;
}

void prog_rms_norm_heads(struct builder *b, act x, const struct weight *w, float eps) {
    if (weight_present(w)) push_norm(b, x, x, w, eps);
}

/* x in the format fmt; a row of x is one or (experts) several rows of dim. */
static act quantized(struct builder *b, act x, enum act_fmt fmt, uint32_t dim) {
    if (fmt == ACT_F32) return x;
    if (b->memo.src == x && b->memo.fmt == fmt) return b->memo.quant;
    uint32_t n_sub = dim_of(b, x) / dim;
    act q = new_act(b, dim_of(b, x), n_sub * act_bytes(fmt, dim));
    struct op *o = push_op(b, OP_ACT_QUANT);
    o->in = x;
    o->out = q;
    o->quant.fmt = fmt;
    o->quant.dim = dim;
    b->memo.src = x;
    b->memo.quant = q;
    b->memo.fmt = fmt;
    return q;
}

act prog_matmul(struct builder *b, const struct weight *w, act x, const struct weight *bias) {
    act in = quantized(b, x, matmul_x_fmt(b->dev, w->type), w->n_in);
    act out = new_f32(b, w->n_out);
    struct op *o = push_op(b, OP_MATMUL);
    o->in = in;
    o->out = out;
    o->w = *w;
    if (bias) o->bias = *bias;
    return out;
}

void prog_rope(struct builder *b, act x, const struct rope_spec *r, const struct weight *freq_factors) {
    struct op *o = push_op(b, OP_ROPE);
    o->in = o->out = x;
    o->w = *freq_factors;
    o->rope = *r;
    touched(b, x);
}

void prog_kv_write(struct builder *b, act k, act v, const struct rope_spec *r, const struct weight *freq_factors) {
    struct op *o = push_op(b, OP_KV_WRITE);
    o->in = k;
    o->in2 = v;
    o->w = *freq_factors;
    o->rope = *r;
}

act prog_attention(struct builder *b, act q, uint32_t dim_out, float scale, float softcap, uint32_t window) {
    act out = new_f32(b, dim_out);
    struct op *o = push_op(b, OP_ATTENTION);
    o->in = q;
    o->out = out;
    o->attn.scale = scale;
    o->attn.softcap = softcap;
    o->attn.window = window;
    return out;
}

void prog_glu(struct builder *b, act gate, act up, bool gelu) {
    struct op *o = push_op(b, OP_GLU);
    o->in = o->out = gate;
    o->in2 = up;
    o->glu.gelu = gelu;
    o->glu.dim = dim_of(b, gate);
    touched(b, gate);
}

act prog_gated(struct builder *b, const struct weight *gate, const struct weight *gate_bias, const struct weight *up,
               const struct weight *up_bias, act x, bool gelu) {
    if (gate->type != up->type) {
        act out = prog_matmul(b, gate, x, gate_bias);
        prog_glu(b, out, prog_matmul(b, up, x, up_bias), gelu);
        return out;
    }
    act in = quantized(b, x, matmul_x_fmt(b->dev, gate->type), gate->n_in);
    act out = new_f32(b, gate->n_out), room = new_f32(b, gate->n_out);
    struct op *o = push_op(b, OP_MATMUL_GLU);
    o->in = in;
    o->out = out;
    o->out2 = room;
    o->w = *gate;
    o->bias = *gate_bias;
    o->up.w = *up;
    o->up.bias = *up_bias;
    o->up.gelu = gelu;
    return out;
}

act prog_gather(struct builder *b, act x) {
    enum act_rows rows = b->rows;
    b->rows = ROWS_OUT;
    act out = new_f32(b, dim_of(b, x));
    b->rows = rows;
    struct op *o = push_op(b, OP_GATHER);
    o->in = x;
    o->out = out;
    return out;
}

void prog_gather_done(struct builder *b) { b->rows = ROWS_OUT; }

void prog_softcap(struct builder *b, act x, float cap) {
    if (cap == 0) return;
    struct op *o = push_op(b, OP_SOFTCAP);
    o->in = o->out = x;
    o->softcap.cap = cap;
    touched(b, x);
}

void prog_route(struct builder *b, act logits, uint32_t n_used, bool norm, float scale, act *ids, act *weights) {
    *ids = new_f32(b, n_used); /* i32, the same size */
    *weights = new_f32(b, n_used);
    struct op *o = push_op(b, OP_ROUTE);
    o->in = logits;
    o->out = *ids;
    o->out2 = *weights;
    o->route.n_expert = dim_of(b, logits);
    o->route.n_used = n_used;
    o->route.norm = norm;
    o->route.scale = scale;
}

act prog_matmul_id(struct builder *b, const struct weight *w, act x, act ids, uint32_t n_used, bool row_per_use) {
    act in = quantized(b, x, matmul_x_fmt(b->dev, w->type), w->n_in);
    act out = new_f32(b, n_used * w->n_out);
    struct op *o = push_op(b, OP_MATMUL_ID);
    o->in = in;
    o->in2 = ids;
    o->out = out;
    o->w = *w;
    o->experts.n_used = n_used;
    o->experts.row_per_use = row_per_use;
    return out;
}

act prog_expert_sum(struct builder *b, act x, act weights, uint32_t n_used, uint32_t dim) {
    act out = new_f32(b, dim);
    struct op *o = push_op(b, OP_EXPERT_SUM);
    o->in = x;
    o->in2 = weights;
    o->out = out;
    o->experts.n_used = n_used;
    return out;
}

void op_acts(const struct op *o, void (*f)(void *ctx, act a, bool write), void *ctx) {
    const act reads[] = {o->in, o->in2};
    for (int i = 0; i < 2; i++)
        if (reads[i] != ACT_NONE) f(ctx, reads[i], false);
    if (o->out != ACT_NONE) f(ctx, o->out, true);
    if (o->out2 != ACT_NONE) f(ctx, o->out2, true);
}

const char *op_name(enum op_kind k) {
    static const char *const names[N_OP_KINDS] = {
        "embed", "rms_norm", "act_quant", "matmul", "rope", "kv_write", "attention", "glu", "gather",
        "softcap", "matmul_glu", "route", "matmul_id", "expert_sum",
    };
    return names[k];
}
