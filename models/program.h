/* A program: the forward pass of one model, recorded once, as a flat list of ops.
 *
 * Recording executes straight-line C (transformer.c) against a builder: each call appends one op over virtual
 * activations and weight views. The program is valid for any number of tokens and sequences. Who runs it
 * (sched/exec.c) decides where activations and weights live.
 *
 * An activation is a matrix of rows: one row per token of the batch, or per row of logits asked for (after
 * prog_gather). Elements are f32 unless said otherwise. Ops marked in place return the operand's own id. */
#pragma once
#include "kernels/matmul.h"
#include "models/weights.h"
#include "runtime/arena.h"

typedef uint32_t act; /* index into program.acts */
#define ACT_NONE UINT32_MAX

enum op_kind {
    OP_EMBED, OP_RMS_NORM, OP_ACT_QUANT, OP_MATMUL, OP_ROPE, OP_KV_WRITE, OP_ATTENTION, OP_GLU, OP_GATHER,
    OP_SOFTCAP, OP_MATMUL_GLU, OP_ROUTE, OP_MATMUL_ID, OP_EXPERT_SUM, N_OP_KINDS,
};

enum act_rows { ROWS_TOK, ROWS_OUT };

struct act_info {
    uint64_t row_bytes;
    uint32_t dim;            /* elements per row */
    enum act_rows rows;
    uint32_t first_op, last_op;
};

struct rope_spec {
    uint32_t n_head, head_dim, n_rot;
    bool halves;             /* NeoX pairing */
    float base, scale, attn_factor, ext_factor, beta_fast, beta_slow;
    uint32_t n_ctx_orig;
};

struct op {
    enum op_kind kind;
    uint32_t layer;
    act out, out2;           /* out2: ROUTE's weights; RMS_NORM's sum, which is in; MATMUL_GLU's room */
    act in, in2;
    struct weight w, bias;   /* bias also: RoPE's frequency factors are w */
    union {
        struct { float scale; } embed;
        struct { uint32_t dim; float eps; } norm;   /* rows of dim within each row of the activation */
        struct { enum act_fmt fmt; uint32_t dim; } quant;
        struct rope_spec rope;
        struct { float scale, softcap; uint32_t window; } attn;
        struct { bool gelu; uint32_t dim; } glu;
        struct { struct weight w, bias; bool gelu; } up; /* MATMUL_GLU: of the up projection; the gate's are the op's */
        struct { float cap; } softcap;
        struct { uint32_t n_expert, n_used; bool norm; float scale; } route;
        struct { uint32_t n_used; bool row_per_use; } experts;
    };
};

struct program {
    struct op *ops;
    uint32_t n_op, cap_op;
    struct act_info *acts;
    uint32_t n_act, cap_act;
    act logits;              /* (n_out, n_vocab) */
    act hidden;              /* (n_out, n_embd): what the output product reads, kept for embeddings */
};

struct builder {
    struct program *p;
    struct arena *arena;
    const struct device *dev; /* decides which activation format a product wants */
    enum act_rows rows;
    uint32_t layer;
    struct { act src, quant; enum act_fmt fmt; } memo; /* the last activation that was quantized */
    int rc;                  /* sticky: ERR_NOMEM */
};

/* The ops, in the order of a forward pass. Absent weights (n_out 0) of optional operands are skipped. */
act prog_embed(struct builder *b, const struct weight *table, float scale);
act prog_rms_norm(struct builder *b, act x, const struct weight *w, float eps);          /* new row of the same size */
act prog_add_rms_norm(struct builder *b, act x, act y, const struct weight *w, float eps); /* x += y (if any), the norm of x */
void prog_rms_norm_heads(struct builder *b, act x, const struct weight *w, float eps);   /* in place, per head */
act prog_matmul(struct builder *b, const struct weight *w, act x, const struct weight *bias);
void prog_rope(struct builder *b, act x, const struct rope_spec *r, const struct weight *freq_factors); /* in place */
void prog_kv_write(struct builder *b, act k, act v, const struct rope_spec *r,
                   const struct weight *freq_factors); /* turns k on its way */
act prog_attention(struct builder *b, act q, uint32_t dim_out, float scale, float softcap, uint32_t window);
/* act(gate x) * up x, one op where the matrices have one type */
act prog_gated(struct builder *b, const struct weight *gate, const struct weight *gate_bias, const struct weight *up,
               const struct weight *up_bias, act x, bool gelu);
void prog_glu(struct builder *b, act gate, act up, bool gelu);                            /* in place in gate */
act prog_gather(struct builder *b, act x);           /* the rows whose logits are asked for; later rows are these */
void prog_gather_done(struct builder *b);            /* call once after the gathers */
void prog_softcap(struct builder *b, act x, float cap);                                   /* in place */
void prog_route(struct builder *b, act logits, uint32_t n_used, bool norm, float scale, act *ids, act *weights);
act prog_matmul_id(struct builder *b, const struct weight *w, act x, act ids, uint32_t n_used, bool row_per_use);
act prog_expert_sum(struct builder *b, act x, act weights, uint32_t n_used, uint32_t dim);

/* For each op, the activations it touches: calls f(ctx, act, is_write). Used for lifetimes and dependencies. */
void op_acts(const struct op *o, void (*f)(void *ctx, act a, bool write), void *ctx);
const char *op_name(enum op_kind k);
