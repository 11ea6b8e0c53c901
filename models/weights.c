#include "models/weights.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum dim { D_1, D_EMBD, D_VOCAB, D_Q, D_K, D_V, D_QKV, D_ATTN, D_HEAD_K, D_FF, D_FF_2, D_FF_EXPERT, D_EXPERT, D_ROT_HALF };
enum when { OPTIONAL, REQUIRED, IF_QKV_BIAS, IF_QK_NORM, IF_POST_NORM, IF_DENSE, IF_DENSE_SPLIT, IF_EXPERTS };

/* One tensor name of the file: its shape as (row length, rows, matrices) and where its view goes. */
struct spec {
    const char *name; /* of layer tensors, behind "blk.N." */
    enum dim in, out, n;
    enum when when;
    size_t field;
};
#define GLOBAL(f) offsetof(struct weights, f)
#define LAYER(f) offsetof(struct layer_weights, f)

static const struct spec global_specs[] = {
    {"token_embd.weight", D_EMBD, D_VOCAB, D_1, REQUIRED, GLOBAL(token_embd)},
    {"output_norm.weight", D_EMBD, D_1, D_1, REQUIRED, GLOBAL(output_norm)},
    {"output.weight", D_EMBD, D_VOCAB, D_1, OPTIONAL, GLOBAL(output)},
    {"output.bias", D_VOCAB, D_1, D_1, OPTIONAL, GLOBAL(output_bias)},
    {"rope_freqs.weight", D_ROT_HALF, D_1, D_1, OPTIONAL, GLOBAL(rope_freqs)},
    {"rope_factors_long.weight", D_ROT_HALF, D_1, D_1, OPTIONAL, GLOBAL(rope_long)},
    {"rope_factors_short.weight", D_ROT_HALF, D_1, D_1, OPTIONAL, GLOBAL(rope_short)},
};

static const struct spec layer_specs[] = {
    {"attn_norm.weight", D_EMBD, D_1, D_1, REQUIRED, LAYER(attn_norm)},
    {"attn_q.weight", D_EMBD, D_Q, D_1, REQUIRED, LAYER(attn_q)},
    {"attn_k.weight", D_EMBD, D_K, D_1, REQUIRED, LAYER(attn_k)},
    {"attn_v.weight", D_EMBD, D_V, D_1, REQUIRED, LAYER(attn_v)},
    {"attn_q.bias", D_Q, D_1, D_1, IF_QKV_BIAS, LAYER(attn_q_bias)},
    {"attn_k.bias", D_K, D_1, D_1, IF_QKV_BIAS, LAYER(attn_k_bias)},
    {"attn_v.bias", D_V, D_1, D_1, IF_QKV_BIAS, LAYER(attn_v_bias)},
    {"attn_output.weight", D_ATTN, D_EMBD, D_1, REQUIRED, LAYER(attn_out)},
    {"attn_output.bias", D_EMBD, D_1, D_1, OPTIONAL, LAYER(attn_out_bias)},
    {"attn_q_norm.weight", D_HEAD_K, D_1, D_1, IF_QK_NORM, LAYER(attn_q_norm)},
    {"attn_k_norm.weight", D_HEAD_K, D_1, D_1, IF_QK_NORM, LAYER(attn_k_norm)},
    {"post_attention_norm.weight", D_EMBD, D_1, D_1, IF_POST_NORM, LAYER(attn_post_norm)},
    {"ffn_norm.weight", D_EMBD, D_1, D_1, REQUIRED, LAYER(ffn_norm)},
    {"ffn_gate.weight", D_EMBD, D_FF, D_1, IF_DENSE_SPLIT, LAYER(ffn_gate)},
    {"ffn_up.weight", D_EMBD, D_FF, D_1, IF_DENSE_SPLIT, LAYER(ffn_up)},
    {"ffn_down.weight", D_FF, D_EMBD, D_1, IF_DENSE, LAYER(ffn_down)},
    {"ffn_gate.bias", D_FF, D_1, D_1, OPTIONAL, LAYER(ffn_gate_bias)},
    {"ffn_up.bias", D_FF, D_1, D_1, OPTIONAL, LAYER(ffn_up_bias)},
    {"ffn_down.bias", D_EMBD, D_1, D_1, OPTIONAL, LAYER(ffn_down_bias)},
    {"post_ffw_norm.weight", D_EMBD, D_1, D_1, IF_POST_NORM, LAYER(ffn_post_norm)},
    {"ffn_gate_inp.weight", D_EMBD, D_EXPERT, D_1, IF_EXPERTS, LAYER(route)},
    {"ffn_gate_exps.weight", D_EMBD, D_FF_EXPERT, D_EXPERT, IF_EXPERTS, LAYER(gate_experts)},
    {"ffn_up_exps.weight", D_EMBD, D_FF_EXPERT, D_EXPERT, IF_EXPERTS, LAYER(up_experts)},
    {"ffn_down_exps.weight", D_FF_EXPERT, D_EMBD, D_EXPERT, IF_EXPERTS, LAYER(down_experts)},
};

struct binder {
    const struct gguf *g;
    const struct hparams *h;
    bool *used; /* by tensor index */
    struct err *e;
};

static uint64_t dim_of(const struct hparams *h, enum dim d) {
    switch (d) {
    case D_1: return 1;
    case D_EMBD: return h->n_embd;
    case D_VOCAB: return h->n_vocab;
    case D_Q: return (uint64_t)h->n_head * h->head_dim_k;
    case D_K: return (uint64_t)h->n_head_kv * h->head_dim_k;
    case D_V: return (uint64_t)h->n_head_kv * h->head_dim_v;
    case D_QKV: return dim_of(h, D_Q) + dim_of(h, D_K) + dim_of(h, D_V);
    case D_ATTN: return (uint64_t)h->n_head * h->head_dim_v;
    case D_HEAD_K: return h->head_dim_k;
    case D_FF: return h->n_ff;
    case D_FF_2: return 2 * (uint64_t)h->n_ff;
    case D_FF_EXPERT: return h->n_ff_expert;
    case D_EXPERT: return h->n_expert;
    case D_ROT_HALF: return h->n_rot / 2;
    }
    return 0;
}

static bool is_required(const struct hparams *h, enum when w) {
    const struct arch *a = h->arch;
    switch (w) {
    case OPTIONAL: return false;
    case REQUIRED: return true;
    case IF_QKV_BIAS: return a->qkv_bias;
    case IF_QK_NORM: return a->qk_norm;
    case IF_POST_NORM: return a->post_norm;
    case IF_DENSE: return !h->n_expert;
    case IF_DENSE_SPLIT: return !h->n_expert && !a->gate_up_fused;
    case IF_EXPERTS: return h->n_expert != 0;
    }
    return false;
}

/* Tensors that this kind of model cannot have at all, even as an extra: their presence is an error. */
static bool is_allowed(const struct hparams *h, enum when w) {
    return w == OPTIONAL || w == IF_QKV_BIAS || is_required(h, w);
}

static int bad_shape(const struct gguf_tensor *t, uint64_t in, uint64_t out, uint64_t n, struct err *e) {
    return err_set(e, ERR_FORMAT, "tensor '%s' has the shape %llu x %llu x %llu, but the metadata asks for %llu x %llu x %llu", t->name,
                   (unsigned long long)t->dims[0], (unsigned long long)t->dims[1], (unsigned long long)t->dims[2],
                   (unsigned long long)in, (unsigned long long)out, (unsigned long long)n);
}

/* Finds, checks and marks one tensor; leaves *w absent when the file has none. */
static int bind_one(struct binder *b, const char *name, const struct spec *s, struct weight *w) {
    const struct gguf_tensor *t = gguf_tensor_find(b->g, name);
    if (!t) return ERR_OK;
    uint64_t in = dim_of(b->h, s->in), out = dim_of(b->h, s->out), n = dim_of(b->h, s->n);
    if (t->dims[0] != in || t->dims[1] != out || t->dims[2] != n || t->dims[3] != 1) return bad_shape(t, in, out, n, b->e);
    if (!dtype_info((uint32_t)t->type)->supported)
        return err_set(b->e, ERR_UNSUPPORTED, "tensor '%s' has the type %s, which hy does not compute with yet", name,
                       dtype_info((uint32_t)t->type)->name);
    if (s->out == D_1 && t->type != DT_F32)
        return err_set(b->e, ERR_UNSUPPORTED, "tensor '%s' has the type %s; vectors must be F32", name, dtype_info((uint32_t)t->type)->name);
    uint32_t index = (uint32_t)(t - b->g->tensors);
    b->used[index] = true;
    *w = (struct weight){.tensor = index, .type = t->type, .n_in = (uint32_t)in, .n_out = (uint32_t)out, .n_expert = (uint32_t)n};
    return ERR_OK;
}

/* n_row rows of w from row first on. */
static struct weight rows_of(const struct weight *w, uint64_t first, uint64_t n_row) {
    struct weight v = *w;
    v.offset_bytes += first * dtype_bytes(w->type, w->n_in);
    v.n_out = (uint32_t)n_row;
    return v;
}

static struct weight elements_of(const struct weight *w, uint64_t first, uint64_t n) {
    struct weight v = *w;
    v.offset_bytes += first * sizeof(float);
    v.n_in = (uint32_t)n;
    return v;
}

static void layer_name(char out[96], uint32_t il, const char *name) { snprintf(out, 96, "blk.%u.%s", il, name); }

/* attn_qkv stands for attn_q, attn_k and attn_v where a file has it. */
static int bind_fused_qkv(struct binder *b, uint32_t il, struct layer_weights *l) {
    static const struct spec matrix = {NULL, D_EMBD, D_QKV, D_1, OPTIONAL, 0}, bias = {NULL, D_QKV, D_1, D_1, OPTIONAL, 0};
    char name[96];
    struct weight w = {0};
    uint64_t nq = dim_of(b->h, D_Q), nk = dim_of(b->h, D_K), nv = dim_of(b->h, D_V);
    layer_name(name, il, "attn_qkv.weight");
    int rc = bind_one(b, name, &matrix, &w);
    if (rc) return rc;
    if (weight_present(&w)) {
        l->attn_q = rows_of(&w, 0, nq);
        l->attn_k = rows_of(&w, nq, nk);
        l->attn_v = rows_of(&w, nq + nk, nv);
    }
    w = (struct weight){0};
    layer_name(name, il, "attn_qkv.bias");
    if ((rc = bind_one(b, name, &bias, &w))) return rc;
    if (weight_present(&w)) {
        l->attn_q_bias = elements_of(&w, 0, nq);
        l->attn_k_bias = elements_of(&w, nq, nk);
        l->attn_v_bias = elements_of(&w, nq + nk, nv);
    }
    return ERR_OK;
}

static int bind_fused_gate_up(struct binder *b, uint32_t il, struct layer_weights *l) {
    static const struct spec matrix = {NULL, D_EMBD, D_FF_2, D_1, REQUIRED, 0};
    if (!b->h->arch->gate_up_fused || b->h->n_expert) return ERR_OK;
    char name[96];
    struct weight w = {0};
    layer_name(name, il, "ffn_up.weight");
    int rc = bind_one(b, name, &matrix, &w);
    if (rc) return rc;
    if (!weight_present(&w)) return err_set(b->e, ERR_FORMAT, "the file has no tensor '%s', which its architecture needs", name);
    l->ffn_gate = rows_of(&w, 0, b->h->n_ff);
    l->ffn_up = rows_of(&w, b->h->n_ff, b->h->n_ff);
    return ERR_OK;
}

static int bind_specs(struct binder *b, const struct spec *specs, size_t n_spec, int32_t il, void *base) {
    for (size_t i = 0; i < n_spec; i++) {
        const struct spec *s = &specs[i];
        struct weight *w = (struct weight *)((char *)base + s->field);
        char name[96];
        if (il >= 0) layer_name(name, (uint32_t)il, s->name);
        else snprintf(name, sizeof name, "%s", s->name);
        if (weight_present(w) || !is_allowed(b->h, s->when)) continue;
        int rc = bind_one(b, name, s, w);
        if (rc) return rc;
        if (!weight_present(w) && is_required(b->h, s->when))
            return err_set(b->e, ERR_FORMAT, "the file has no tensor '%s', which its architecture needs", name);
    }
    return ERR_OK;
}

static int check_leftovers(const struct binder *b) {
    for (uint64_t i = 0; i < b->g->n_tensor; i++)
        if (!b->used[i])
            return err_set(b->e, ERR_UNSUPPORTED, "the file has a tensor '%.64s' that hy does not know for the architecture %s; running without it would be a different model",
                           b->g->tensors[i].name, b->h->arch->name);
    return ERR_OK;
}

static int bind_all(struct binder *b, struct weights *w) {
    int rc = bind_specs(b, global_specs, sizeof global_specs / sizeof global_specs[0], -1, w);
    for (uint32_t il = 0; il < b->h->n_layer && !rc; il++) {
        struct layer_weights *l = &w->layers[il];
        rc = bind_fused_qkv(b, il, l);
        if (!rc) rc = bind_fused_gate_up(b, il, l);
        if (!rc) rc = bind_specs(b, layer_specs, sizeof layer_specs / sizeof layer_specs[0], (int32_t)il, l);
    }
    return rc ? rc : check_leftovers(b);
}

int weights_bind(const struct gguf *g, struct hparams *h, struct arena *a, struct weights *w, struct err *e) {
    *w = (struct weights){0};
    const struct gguf_tensor *embd = gguf_tensor_find(g, "token_embd.weight");
    if (!embd) return err_set(e, ERR_FORMAT, "the file has no tensor 'token_embd.weight', which its architecture needs");
    if (embd->dims[1] > 1u << 24) return err_set(e, ERR_FORMAT, "a vocabulary of %llu tokens is not plausible", (unsigned long long)embd->dims[1]);
    h->n_vocab = (uint32_t)embd->dims[1];
    struct binder b = {.g = g, .h = h, .e = e, .used = arena_array(a, g->n_tensor, sizeof(bool))};
    w->layers = arena_array(a, h->n_layer, sizeof *w->layers);
    if (!b.used || !w->layers) return err_set(e, ERR_NOMEM, "no memory for the tensor directory");
    int rc = bind_all(&b, w);
    if (rc) return rc;
    w->tied = !weight_present(&w->output);
    if (w->tied) w->output = w->token_embd;
    return ERR_OK;
}

enum tensor_role tensor_role(const char *name) {
    static const struct { const char *part; enum tensor_role role; } parts[] = {
        {"token_embd.", ROLE_EMBEDDING}, {"_norm.", ROLE_NORM},      {"_exps.", ROLE_EXPERT}, {"ffn_", ROLE_FFN},
        {"attn_", ROLE_ATTENTION},       {"output.", ROLE_OUTPUT},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(name, parts[i].part)) return parts[i].role;
    return ROLE_OTHER;
}

const char *tensor_role_name(enum tensor_role r) {
    static const char *const names[N_ROLES] = {"embeddings", "attention", "FFN", "experts", "norms", "output", "other"};
    return names[r];
}
