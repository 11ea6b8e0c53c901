#include "models/hparams.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/attention.h"

static const struct arch archs[] = {
    {.name = "llama", .pairs = ROPE_PAIRS_ADJACENT},
    {.name = "qwen2", .pairs = ROPE_PAIRS_HALVES, .qkv_bias = true},
    {.name = "qwen3", .pairs = ROPE_PAIRS_HALVES, .qk_norm = true},
    {.name = "qwen3moe", .pairs = ROPE_PAIRS_HALVES, .qk_norm = true, .experts = true},
    /* Files of phi3 state a sliding window that their weights were not tuned with in every layer; like
     * the reference implementation hy attends to the whole context. */
    {.name = "phi3", .pairs = ROPE_PAIRS_HALVES, .gate_up_fused = true},
    {.name = "gemma2", .pairs = ROPE_PAIRS_HALVES, .gelu = true, .post_norm = true, .embd_scale = true,
     .window = true, .window_period = 2, .window_default = 4096, .n_layer_27b = 46},
    {.name = "gemma3", .pairs = ROPE_PAIRS_HALVES, .gelu = true, .post_norm = true, .embd_scale = true,
     .qk_norm = true, .window = true, .window_period = 6, .n_layer_27b = 62},
};
#define N_ARCH (sizeof archs / sizeof archs[0])

const char *arch_names(void) {
    static char text[128];
    if (!text[0])
        for (size_t i = 0, n = 0; i < N_ARCH; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? ", " : "", archs[i].name);
    return text;
}

/* Reads keys "<arch>.<suffix>" with a sticky error. */
struct reader {
    const struct gguf *g;
    const char *arch;
    struct err *e;
    int rc;
};

static const char *key_of(struct reader *r, const char *suffix, char out[128]) {
    snprintf(out, 128, "%s.%s", r->arch, suffix);
    return out;
}

static bool fail_missing(struct reader *r, const char *key) {
    if (!r->rc) r->rc = err_set(r->e, ERR_FORMAT, "the file has no usable value for '%s', which its architecture needs", key);
    return false;
}

static bool fail_range(struct reader *r, const char *key, double v, double lo, double hi) {
    if (!r->rc)
        r->rc = err_set(r->e, ERR_FORMAT, "the file's '%s' is %g; it must lie between %g and %g", key, v, lo, hi);
    return false;
}

/* A whole number, or an array of layer values that are all the same. */
static bool read_count(struct reader *r, const char *suffix, uint32_t lo, uint32_t hi, uint32_t *out) {
    char key[128];
    struct gguf_arr a;
    uint64_t v;
    key_of(r, suffix, key);
    if (gguf_get_arr(r->g, key, GGUF_U32, &a) || gguf_get_arr(r->g, key, GGUF_I32, &a)) {
        v = a.n ? gguf_arr_u64(&a, 0) : 0;
        for (uint64_t i = 1; i < a.n; i++)
            if (gguf_arr_u64(&a, i) != v) {
                if (!r->rc) r->rc = err_set(r->e, ERR_UNSUPPORTED, "the file's '%s' differs from layer to layer, which hy does not run yet", key);
                return false;
            }
    } else if (!gguf_get_u64(r->g, key, &v)) {
        return false;
    }
    if (v < lo || v > hi) return fail_range(r, key, (double)v, lo, hi);
    *out = (uint32_t)v;
    return true;
}

static void need_count(struct reader *r, const char *suffix, uint32_t lo, uint32_t hi, uint32_t *out) {
    char key[128];
    if (!read_count(r, suffix, lo, hi, out)) fail_missing(r, key_of(r, suffix, key));
}

static bool read_float(struct reader *r, const char *suffix, float lo, float hi, float *out) {
    char key[128];
    float v;
    if (!gguf_get_f32(r->g, key_of(r, suffix, key), &v)) return false;
    if (!(v >= lo && v <= hi)) return fail_range(r, key, v, lo, hi);
    *out = v;
    return true;
}

static void read_sizes(struct reader *r, struct hparams *h) {
    need_count(r, "block_count", 1, MAX_LAYERS, &h->n_layer);
    need_count(r, "embedding_length", 1, 1u << 20, &h->n_embd);
    need_count(r, "context_length", 1, 1u << 28, &h->n_ctx_train);
    need_count(r, "attention.head_count", 1, 1u << 14, &h->n_head);
    h->n_head_kv = h->n_head;
    read_count(r, "attention.head_count_kv", 1, 1u << 14, &h->n_head_kv);
    if (!read_float(r, "attention.layer_norm_rms_epsilon", 0, 1, &h->rms_eps)) {
        char key[128];
        fail_missing(r, key_of(r, "attention.layer_norm_rms_epsilon", key));
    }
    if (r->rc) return;
    h->head_dim_k = h->n_embd / h->n_head;
    read_count(r, "attention.key_length", 1, 1024, &h->head_dim_k);
    h->head_dim_v = h->head_dim_k;
    read_count(r, "attention.value_length", 1, 1024, &h->head_dim_v);
    if (h->n_head % h->n_head_kv)
        r->rc = err_set(r->e, ERR_FORMAT, "the file's %u attention heads do not share %u key/value heads evenly", h->n_head, h->n_head_kv);
    else if (h->n_head / h->n_head_kv > ATTENTION_MAX_GROUP)
        r->rc = err_set(r->e, ERR_UNSUPPORTED, "%u attention heads per key/value head are more than the %u that hy runs", h->n_head / h->n_head_kv, ATTENTION_MAX_GROUP);
    else if (h->head_dim_k < 2 || h->head_dim_k > ATTENTION_MAX_HEAD_DIM || h->head_dim_k != h->head_dim_v)
        r->rc = err_set(r->e, ERR_UNSUPPORTED, "attention heads of %u (keys) and %u (values) dimensions are not supported", h->head_dim_k, h->head_dim_v);
}

static void read_experts(struct reader *r, struct hparams *h) {
    h->expert_scale = 1;
    h->expert_norm = true;
    read_count(r, "expert_count", 0, 4096, &h->n_expert);
    if (h->arch->experts && !h->n_expert) {
        char key[128];
        fail_missing(r, key_of(r, "expert_count", key));
    }
    if (!h->n_expert || r->rc) {
        need_count(r, "feed_forward_length", 1, 1u << 22, &h->n_ff);
        return;
    }
    need_count(r, "expert_used_count", 1, h->n_expert, &h->n_expert_used);
    if (h->n_expert_used > 64)
        r->rc = err_set(r->e, ERR_UNSUPPORTED, "%u experts per token are more than the 64 that hy runs", h->n_expert_used);
    read_count(r, "feed_forward_length", 0, 1u << 22, &h->n_ff);
    if (!read_count(r, "expert_feed_forward_length", 1, 1u << 22, &h->n_ff_expert)) {
        h->n_ff_expert = h->arch->experts ? h->n_ff / h->n_expert_used : h->n_ff;
        if (!h->n_ff_expert) need_count(r, "feed_forward_length", 1, 1u << 22, &h->n_ff);
    }
    char key[128];
    gguf_get_bool(r->g, key_of(r, "expert_weights_norm", key), &h->expert_norm);
    float scale = 0;
    read_float(r, "expert_weights_scale", 0, 1e6f, &scale);
    if (scale != 0) h->expert_scale = scale;
}

static void read_rope_scaling(struct reader *r, struct hparams *h) {
    static const char *const names[] = {"none", "linear", "yarn", "longrope"};
    char key[128];
    struct gguf_str s;
    float factor = 0;
    h->rope_scaling = ROPE_SCALING_LINEAR; /* a bare factor means linear */
    if (gguf_get_str(r->g, key_of(r, "rope.scaling.type", key), &s)) {
        size_t i = 0;
        while (i < 4 && (strlen(names[i]) != s.len || memcmp(names[i], s.p, s.len) != 0)) i++;
        if (i == 4) {
            r->rc = err_set(r->e, ERR_UNSUPPORTED, "the file's RoPE scaling '%.*s' is not one of none, linear, yarn, longrope",
                            (int)(s.len < 32 ? s.len : 32), s.p);
            return;
        }
        h->rope_scaling = (enum rope_scaling)i;
    }
    if (!read_float(r, "rope.scaling.factor", 0, 1e6f, &factor)) read_float(r, "rope.scale_linear", 0, 1e6f, &factor);
    h->rope_scale = factor == 0 || h->rope_scaling == ROPE_SCALING_NONE ? 1 : 1 / factor;
    h->n_ctx_orig = h->n_ctx_train;
    read_count(r, "rope.scaling.original_context_length", 1, 1u << 28, &h->n_ctx_orig);
    h->rope_attn_factor = 1;
    read_float(r, "rope.scaling.attn_factor", 1e-3f, 1e3f, &h->rope_attn_factor);
    h->yarn_beta_fast = 32;
    h->yarn_beta_slow = 1;
    read_float(r, "rope.scaling.yarn_beta_fast", 0, 1e4f, &h->yarn_beta_fast);
    read_float(r, "rope.scaling.yarn_beta_slow", 0, 1e4f, &h->yarn_beta_slow);
}

static void read_rope(struct reader *r, struct hparams *h) {
    h->n_rot = h->head_dim_k;
    read_count(r, "rope.dimension_count", 2, h->head_dim_k, &h->n_rot);
    if (h->n_rot % 2 && !r->rc)
        r->rc = err_set(r->e, ERR_FORMAT, "the file's '%s.rope.dimension_count' is %u; it must be even", r->arch, h->n_rot);
    h->rope_base = 10000;
    read_float(r, "rope.freq_base", 1, 1e12f, &h->rope_base);
    read_rope_scaling(r, h);
    /* Gemma 3's windowed layers keep the original base and are not scaled; others turn like the rest. */
    bool own = h->arch->window && h->arch->qk_norm;
    h->rope_base_window = own ? 10000 : h->rope_base;
    h->rope_scale_window = own ? 1 : h->rope_scale;
    read_float(r, "rope.freq_base_swa", 1, 1e12f, &h->rope_base_window);
}

static void read_attention(struct reader *r, struct hparams *h) {
    const struct arch *a = h->arch;
    bool big = a->n_layer_27b && h->n_layer == a->n_layer_27b;
    h->attn_scale = 1 / sqrtf((float)(big ? h->n_embd / h->n_head : h->head_dim_k));
    if (!a->post_norm) read_float(r, "attention.scale", 1e-6f, 1e6f, &h->attn_scale);
    read_float(r, "attn_logit_softcapping", 0, 1e6f, &h->attn_softcap);
    read_float(r, "final_logit_softcapping", 0, 1e6f, &h->logit_softcap);
    if (!a->window) return;
    uint32_t period = a->window_period;
    h->n_window = a->window_default;
    read_count(r, "attention.sliding_window", 0, 1u << 28, &h->n_window);
    char key[128];
    struct gguf_arr pattern;
    if (gguf_get_arr(r->g, key_of(r, "attention.sliding_window_pattern", key), GGUF_BOOL, &pattern)) {
        if (pattern.n < h->n_layer)
            r->rc = err_set(r->e, ERR_FORMAT, "the file's '%s' has %llu entries for %u layers", key, (unsigned long long)pattern.n, h->n_layer);
        for (uint32_t i = 0; i < h->n_layer && !r->rc; i++) h->windowed[i] = gguf_arr_u64(&pattern, i) != 0;
        return;
    }
    read_count(r, "attention.sliding_window_pattern", 1, MAX_LAYERS, &period);
    for (uint32_t i = 0; i < h->n_layer; i++) h->windowed[i] = h->n_window && i % period < period - 1;
}

int hparams_read(const struct gguf *g, struct hparams *h, struct err *e) {
    *h = (struct hparams){0};
    struct gguf_str name;
    if (!gguf_get_str(g, "general.architecture", &name))
        return err_set(e, ERR_FORMAT, "the file does not say its architecture ('general.architecture' is missing)");
    for (size_t i = 0; i < N_ARCH; i++)
        if (strlen(archs[i].name) == name.len && memcmp(archs[i].name, name.p, name.len) == 0) h->arch = &archs[i];
    if (!h->arch)
        return err_set(e, ERR_UNSUPPORTED, "hy does not run the architecture '%.*s'; it runs %s", (int)(name.len < 48 ? name.len : 48),
                       name.p, arch_names());
    struct reader r = {.g = g, .arch = h->arch->name, .e = e};
    read_sizes(&r, h);
    if (!r.rc) read_experts(&r, h);
    if (!r.rc) read_rope(&r, h);
    if (!r.rc) read_attention(&r, h);
    return r.rc;
}
