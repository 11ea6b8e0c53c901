#include "models/transformer.h"

#include <math.h>

struct recorder {
    struct builder b;
    const struct hparams *h;
    const struct weights *w;
    const struct weight *freq_factors; /* RoPE: one divisor per pair, or absent */
};

static struct rope_spec rope_of(const struct hparams *h, uint32_t il, uint32_t n_head) {
    bool windowed = h->windowed[il];
    return (struct rope_spec){
        .n_head = n_head, .head_dim = h->head_dim_k, .n_rot = h->n_rot, .halves = h->arch->pairs == ROPE_PAIRS_HALVES,
        .base = windowed ? h->rope_base_window : h->rope_base, .scale = windowed ? h->rope_scale_window : h->rope_scale,
        .attn_factor = h->rope_attn_factor, .ext_factor = h->rope_scaling == ROPE_SCALING_YARN,
        .beta_fast = h->yarn_beta_fast, .beta_slow = h->yarn_beta_slow, .n_ctx_orig = h->n_ctx_orig};
}

/* softmax(q k / sqrt(d)) v over the sequence's past, then the output projection. */
static act attention(struct recorder *r, uint32_t il, act x) {
    const struct hparams *h = r->h;
    const struct layer_weights *l = &r->w->layers[il];
    struct builder *b = &r->b;
    struct rope_spec q_rope = rope_of(h, il, h->n_head), k_rope = rope_of(h, il, h->n_head_kv);

    act q = prog_matmul(b, &l->attn_q, x, &l->attn_q_bias); // (n_tok, n_head, head_dim)
    act k = prog_matmul(b, &l->attn_k, x, &l->attn_k_bias); // (n_tok, n_head_kv, head_dim)
    act v = prog_matmul(b, &l->attn_v, x, &l->attn_v_bias); // (n_tok, n_head_kv, head_dim)
    prog_rms_norm_heads(b, q, &l->attn_q_norm, h->rms_eps);
    prog_rms_norm_heads(b, k, &l->attn_k_norm, h->rms_eps);
    prog_rope(b, q, &q_rope, r->freq_factors);
    prog_kv_write(b, k, v, &k_rope, r->freq_factors);
    return prog_attention(b, q, h->n_head * h->head_dim_v, h->attn_scale, h->attn_softcap,
                          h->windowed[il] ? h->n_window : 0); // (n_tok, n_head, head_dim)
}

/* down(act(gate x) * up x) */
static act dense_ffn(struct recorder *r, const struct layer_weights *l, act x) {
    struct builder *b = &r->b;
    act f = prog_gated(b, &l->ffn_gate, &l->ffn_gate_bias, &l->ffn_up, &l->ffn_up_bias, x, r->h->arch->gelu); // (n_tok, n_ff)
    return prog_matmul(b, &l->ffn_down, f, &l->ffn_down_bias); // (n_tok, n_embd)
}

/* The same with n_expert_used of n_expert FFNs per token, chosen and weighted by a router. */
static act expert_ffn(struct recorder *r, const struct layer_weights *l, act x) {
    const struct hparams *h = r->h;
    struct builder *b = &r->b;
    uint32_t n_used = h->n_expert_used;
    act ids, weights;
    act logits = prog_matmul(b, &l->route, x, NULL);                                    // (n_tok, n_expert)
    prog_route(b, logits, n_used, h->expert_norm, h->expert_scale, &ids, &weights);     // (n_tok, n_used)
    act gate = prog_matmul_id(b, &l->gate_experts, x, ids, n_used, false);              // (n_tok, n_used, n_ff)
    act up = prog_matmul_id(b, &l->up_experts, x, ids, n_used, false);                  // (n_tok, n_used, n_ff)
    prog_glu(b, gate, up, h->arch->gelu);
    act down = prog_matmul_id(b, &l->down_experts, gate, ids, n_used, true);            // (n_tok, n_used, n_embd)
    return prog_expert_sum(b, down, weights, n_used, h->n_embd);                        // (n_tok, n_embd)
}

static act post_norm(struct recorder *r, act x, const struct weight *w) {
    return weight_present(w) ? prog_rms_norm(&r->b, x, w, r->h->rms_eps) : x;
}

/* *h is the residual stream; f is still to be added to it. Returns what the next norm has to add. */
static act layer(struct recorder *r, uint32_t il, act *h, act f) {
    const struct layer_weights *l = &r->w->layers[il];
    struct builder *b = &r->b;
    bool last = il + 1 == r->h->n_layer;
    b->layer = il;

    act x = prog_add_rms_norm(b, *h, f, &l->attn_norm, r->h->rms_eps); // (n_tok, n_embd)
    act a = attention(r, il, x);
    if (last) { /* from here on only the rows whose logits are asked for */
        a = prog_gather(b, a);
        *h = prog_gather(b, *h);
        prog_gather_done(b);
    }
    a = prog_matmul(b, &l->attn_out, a, &l->attn_out_bias); // (n_tok, n_embd)
    a = post_norm(r, a, &l->attn_post_norm);

    x = prog_add_rms_norm(b, *h, a, &l->ffn_norm, r->h->rms_eps);
    f = weight_present(&l->route) ? expert_ffn(r, l, x) : dense_ffn(r, l, x);
    return post_norm(r, f, &l->ffn_post_norm);
}

struct lifetime_ctx {
    struct program *p;
    uint32_t op;
};

static void note_use(void *ctx, act a, bool write) {
    struct lifetime_ctx *c = ctx;
    struct act_info *i = &c->p->acts[a];
    if (i->first_op == UINT32_MAX) i->first_op = c->op;
    i->last_op = c->op;
}

static void find_lifetimes(struct program *p) {
    for (uint32_t a = 0; a < p->n_act; a++) p->acts[a].first_op = UINT32_MAX;
    for (uint32_t i = 0; i < p->n_op; i++) {
        struct lifetime_ctx c = {p, i};
        op_acts(&p->ops[i], note_use, &c);
    }
    p->acts[p->logits].last_op = p->acts[p->hidden].last_op = p->n_op; /* the caller reads them */
}

static const struct weight *choose_freq_factors(const struct hparams *h, const struct weights *w, uint32_t n_ctx) {
    if (weight_present(&w->rope_freqs)) return &w->rope_freqs;
    return n_ctx > h->n_ctx_orig ? &w->rope_long : &w->rope_short;
}

int transformer_record(const struct hparams *h, const struct weights *w, uint32_t n_ctx, const struct device *dev, struct arena *a,
                       struct program *p, struct err *e) {
    *p = (struct program){0};
    struct recorder r = {.b = {.p = p, .arena = a, .dev = dev, .memo.src = ACT_NONE}, .h = h, .w = w,
                         .freq_factors = choose_freq_factors(h, w, n_ctx)};
    float embd_scale = h->arch->embd_scale ? sqrtf((float)h->n_embd) : 1;
    act stream = prog_embed(&r.b, &w->token_embd, embd_scale), f = ACT_NONE; // (n_tok, n_embd)
    for (uint32_t il = 0; il < h->n_layer; il++) f = layer(&r, il, &stream, f);
    act x = prog_add_rms_norm(&r.b, stream, f, &w->output_norm, h->rms_eps); // (n_out, n_embd)
    p->hidden = x;
    p->logits = prog_matmul(&r.b, &w->output, x, &w->output_bias);           // (n_out, n_vocab)
    prog_softcap(&r.b, p->logits, h->logit_softcap);
    if (r.b.rc) return err_set(e, r.b.rc, "no memory to record the model's program");
    find_lifetimes(p);
    return ERR_OK;
}
