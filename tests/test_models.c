/* Hyper-parameters and tensor binding: what is read, and that each defect is refused by its name; what is recorded. */
#include "tests/support.h"

#include <math.h>

#include "models/transformer.h"
#include "runtime/cpu.h"

static struct gguf_kv kv_u32(const char *key, uint32_t v) { return (struct gguf_kv){.key = {key, strlen(key)}, .type = GGUF_U32, .u = v}; }
static struct gguf_kv kv_i32(const char *key, int32_t v) { return (struct gguf_kv){.key = {key, strlen(key)}, .type = GGUF_I32, .i = v}; }
static struct gguf_kv kv_f32(const char *key, float v) { return (struct gguf_kv){.key = {key, strlen(key)}, .type = GGUF_F32, .f = v}; }
static struct gguf_kv kv_str(const char *key, const char *v) {
    return (struct gguf_kv){.key = {key, strlen(key)}, .type = GGUF_STR, .s = {v, strlen(v)}};
}
static struct gguf_kv kv_arr(const char *key, enum gguf_type t, const void *data, uint64_t n, uint64_t bytes) {
    return (struct gguf_kv){.key = {key, strlen(key)}, .type = GGUF_ARR, .a = {t, n, data, bytes}};
}

static void read_model(struct head *h, const char *arch, const char *type) {
    for (size_t i = 0; i < LEN(support_archs); i++)
        if (strcmp(support_archs[i].name, arch) == 0) {
            head_read(h, support_arch_model(&support_archs[i], type));
            return;
        }
    fail_msg("no architecture %s", arch);
}

/* hparams_read of the model with one key replaced (key NULL: put only; kv NULL: drop only). */
static int with_key(const struct head *from, const char *key, const struct gguf_kv *kv, struct hparams *h) {
    struct head changed;
    head_edit(&changed, &from->g, &(struct edit){.key = key ? key : "", .put = kv});
    int rc = hparams_read(&changed.g, h, &support_err);
    head_free(&changed);
    return rc;
}
static int put(const struct head *from, struct gguf_kv kv, struct hparams *h) {
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)kv.key.len, kv.key.p);
    return with_key(from, key, &kv, h);
}

static void reads_every_arch(void **state) {
    for (size_t i = 0; i < LEN(support_archs); i++) {
        struct head m;
        struct hparams h;
        head_read(&m, support_arch_model(&support_archs[i], "Q8_0"));
        OK(hparams_read(&m.g, &h, &support_err));
        bool gemma3 = strcmp(support_archs[i].name, "gemma3") == 0, gemma2 = strcmp(support_archs[i].name, "gemma2") == 0;
        assert_int_equal(h.n_layer, gemma3 ? 6 : 2);
        assert_int_equal(h.n_head, 4);
        assert_int_equal(h.n_head_kv, 2);
        assert_int_equal(h.head_dim_k, 64);
        assert_int_equal(h.head_dim_v, 64);
        assert_int_equal(h.n_rot, 64);
        assert_int_equal(h.n_ctx_train, 512);
        assert_true(h.attn_scale == 0.125f && h.rope_attn_factor == 1 && h.rope_scale == 1);
        for (uint32_t il = 0; il < h.n_layer; il++) assert_int_equal(h.windowed[il], gemma3 ? il < 5 : gemma2 ? il == 0 : false);
        assert_int_equal(h.n_window, gemma2 || gemma3 ? 16 : 0);
        assert_true(h.attn_softcap == (gemma2 ? 50 : 0) && h.logit_softcap == (gemma2 ? 30 : 0));
        if (gemma3) assert_true(h.rope_base == 1e6f && h.rope_base_window == 10000);
        else assert_true(h.rope_base_window == h.rope_base);
        bool moe = strstr(support_archs[i].options, "mixtral") || strstr(support_archs[i].options, "moe");
        assert_int_equal(h.n_expert, moe ? 4 : 0);
        if (moe) assert_true(h.n_expert_used == 2 && h.n_ff_expert == 256 && h.expert_norm && h.expert_scale == 1);
        else assert_int_equal(h.n_ff, 256);
        assert_non_null(strstr(arch_names(), h.arch->name));
        head_free(&m);
    }
}

static void refuses_architectures(void **state) {
    struct head m;
    struct hparams h;
    read_model(&m, "llama", "Q8_0");
    REFUSED(with_key(&m, "general.architecture", NULL, &h), ERR_FORMAT, "general.architecture");
    REFUSED(put(&m, kv_str("general.architecture", "mamba"), &h), ERR_UNSUPPORTED, "'mamba'", "llama", "gemma3");
    REFUSED(put(&m, kv_str("general.architecture", "llam"), &h), ERR_UNSUPPORTED, "'llam'");
    REFUSED(put(&m, kv_str("general.architecture", "llama2"), &h), ERR_UNSUPPORTED, "'llama2'");
    REFUSED(put(&m, kv_str("general.architecture", ""), &h), ERR_UNSUPPORTED, "''");
    REFUSED(put(&m, kv_u32("general.architecture", 3), &h), ERR_FORMAT, "general.architecture");
    REFUSED(put(&m, kv_str("general.architecture", "qwen2"), &h), ERR_FORMAT, "qwen2.block_count"); /* keys of another */
    head_free(&m);
}

static void refuses_missing_keys(void **state) {
    static const char *const llama[] = {"block_count", "embedding_length", "context_length", "attention.head_count",
                                        "attention.layer_norm_rms_epsilon", "feed_forward_length"};
    struct head m;
    struct hparams h;
    char key[64];
    read_model(&m, "llama", "Q8_0");
    for (size_t i = 0; i < LEN(llama); i++) {
        snprintf(key, sizeof key, "llama.%s", llama[i]);
        REFUSED(with_key(&m, key, NULL, &h), ERR_FORMAT, key);
        REFUSED(put(&m, kv_str(key, "many"), &h), ERR_FORMAT, key); /* of a wrong kind is as good as missing */
    }
    head_free(&m);
    read_model(&m, "qwen3moe", "Q8_0");
    REFUSED(with_key(&m, "qwen3moe.expert_count", NULL, &h), ERR_FORMAT, "qwen3moe.expert_count");
    REFUSED(put(&m, kv_u32("qwen3moe.expert_count", 0), &h), ERR_FORMAT, "qwen3moe.expert_count");
    REFUSED(with_key(&m, "qwen3moe.expert_used_count", NULL, &h), ERR_FORMAT, "qwen3moe.expert_used_count");
    head_free(&m);
    read_model(&m, "llama", "Q8_0");
    OK(with_key(&m, "llama.attention.head_count_kv", NULL, &h));
    assert_int_equal(h.n_head_kv, 4); /* as many as heads */
    OK(with_key(&m, "llama.rope.freq_base", NULL, &h));
    assert_true(h.rope_base == 10000);
    OK(with_key(&m, "llama.attention.value_length", NULL, &h));
    assert_int_equal(h.head_dim_v, 64);
    head_free(&m);
}

static void refuses_absurd_values(void **state) {
    struct head m;
    struct hparams h;
    read_model(&m, "llama", "Q8_0");
    static const struct { const char *key; uint32_t bad[3]; } counts[] = {
        {"llama.block_count", {0, 1025, UINT32_MAX}},
        {"llama.embedding_length", {0, (1 << 20) + 1, UINT32_MAX}},
        {"llama.context_length", {0, (1 << 28) + 1, UINT32_MAX}},
        {"llama.feed_forward_length", {0, (1 << 22) + 1, UINT32_MAX}},
        {"llama.attention.head_count", {0, 16385, UINT32_MAX}},
        {"llama.attention.head_count_kv", {0, 16385, UINT32_MAX}},
        {"llama.attention.key_length", {0, 1025, UINT32_MAX}},
        {"llama.attention.value_length", {0, 1025, UINT32_MAX}},
        {"llama.rope.dimension_count", {0, 65, UINT32_MAX}},
        {"llama.expert_count", {4097, 1 << 30, UINT32_MAX}},
    };
    for (size_t i = 0; i < LEN(counts); i++)
        for (size_t k = 0; k < 3; k++) REFUSED(put(&m, kv_u32(counts[i].key, counts[i].bad[k]), &h), ERR_FORMAT, counts[i].key);
    REFUSED(put(&m, kv_i32("llama.block_count", -1), &h), ERR_FORMAT, "llama.block_count");
    REFUSED(put(&m, kv_u32("llama.rope.dimension_count", 63), &h), ERR_FORMAT, "llama.rope.dimension_count", "63", "even");
    static const struct { const char *key; float bad[4]; } floats[] = {
        {"llama.attention.layer_norm_rms_epsilon", {-1e-6f, 1.5f, INFINITY, NAN}},
        {"llama.rope.freq_base", {0, -10000, INFINITY, NAN}},
        {"llama.rope.scaling.factor", {-1, 1e7f, INFINITY, NAN}},
        {"llama.rope.scaling.attn_factor", {0, 1e4f, INFINITY, NAN}},
        {"llama.attention.scale", {0, -1, INFINITY, NAN}},
        {"llama.attn_logit_softcapping", {-1, 1e7f, INFINITY, NAN}},
        {"llama.final_logit_softcapping", {-1, 1e7f, INFINITY, NAN}},
    };
    for (size_t i = 0; i < LEN(floats); i++)
        for (size_t k = 0; k < 4; k++) REFUSED(put(&m, kv_f32(floats[i].key, floats[i].bad[k]), &h), ERR_FORMAT, floats[i].key);
    REFUSED(put(&m, kv_str("llama.rope.scaling.type", "su"), &h), ERR_UNSUPPORTED, "'su'", "longrope");
    OK(put(&m, kv_u32("llama.rope.dimension_count", 32), &h));
    assert_int_equal(h.n_rot, 32);
    head_free(&m);

    read_model(&m, "mixtral", "Q8_0");
    REFUSED(put(&m, kv_u32("llama.expert_used_count", 5), &h), ERR_FORMAT, "llama.expert_used_count", "5");
    REFUSED(put(&m, kv_u32("llama.expert_used_count", 0), &h), ERR_FORMAT, "llama.expert_used_count");
    OK(put(&m, kv_u32("llama.expert_used_count", 4), &h));
    head_free(&m);
    read_model(&m, "qwen3moe", "Q8_0");
    REFUSED(put(&m, kv_u32("qwen3moe.expert_feed_forward_length", 0), &h), ERR_FORMAT, "qwen3moe.expert_feed_forward_length");
    head_free(&m);
    read_model(&m, "gemma2", "Q8_0");
    const bool one[1] = {true}, both[2] = {false, true};
    REFUSED(put(&m, kv_arr("gemma2.attention.sliding_window_pattern", GGUF_BOOL, one, 1, 1), &h), ERR_FORMAT, "sliding_window_pattern", "1 entries");
    OK(put(&m, kv_arr("gemma2.attention.sliding_window_pattern", GGUF_BOOL, both, 2, 2), &h));
    assert_true(!h.windowed[0] && h.windowed[1]);
    REFUSED(put(&m, kv_u32("gemma2.attention.sliding_window_pattern", 0), &h), ERR_FORMAT, "sliding_window_pattern");
    OK(put(&m, kv_u32("gemma2.attention.sliding_window", 0), &h));
    assert_true(!h.windowed[0] && !h.windowed[1]);
    head_free(&m);
}

static void refuses_uneven_heads(void **state) {
    struct head m;
    struct hparams h;
    read_model(&m, "llama", "Q8_0");
    REFUSED(put(&m, kv_u32("llama.attention.head_count_kv", 3), &h), ERR_FORMAT, "4 attention heads", "3 key/value");
    REFUSED(put(&m, kv_u32("llama.attention.head_count_kv", 8), &h), ERR_FORMAT, "4 attention heads", "8 key/value");
    REFUSED(put(&m, kv_u32("llama.attention.key_length", 32), &h), ERR_UNSUPPORTED, "32", "64");
    REFUSED(put(&m, kv_u32("llama.attention.key_length", 1024), &h), ERR_UNSUPPORTED, "1024"); /* attention cannot */
    REFUSED(put(&m, kv_u32("llama.attention.head_count", 258), &h), ERR_UNSUPPORTED, "129 attention heads");
    const uint32_t same[] = {2, 2}, differ[] = {2, 4}, bad[] = {3, 3}, big[] = {2, UINT32_MAX};
    OK(put(&m, kv_arr("llama.attention.head_count_kv", GGUF_U32, same, 2, 8), &h));
    assert_int_equal(h.n_head_kv, 2);
    REFUSED(put(&m, kv_arr("llama.attention.head_count_kv", GGUF_U32, differ, 2, 8), &h), ERR_UNSUPPORTED, "llama.attention.head_count_kv", "layer");
    REFUSED(put(&m, kv_arr("llama.attention.head_count_kv", GGUF_I32, big, 2, 8), &h), ERR_UNSUPPORTED, "llama.attention.head_count_kv");
    REFUSED(put(&m, kv_arr("llama.attention.head_count_kv", GGUF_U32, bad, 2, 8), &h), ERR_FORMAT, "3 key/value");
    REFUSED(put(&m, kv_arr("llama.attention.head_count_kv", GGUF_U32, same, 0, 0), &h), ERR_FORMAT, "llama.attention.head_count_kv");
    head_free(&m);
}

static void reads_rope_scaling(void **state) {
    struct head m;
    struct hparams h;
    head_read(&m, support_model("yarn.gguf", "--arch llama --type Q8_0 --n-layer 1 --n-vocab 400 --rope-scaling yarn"));
    OK(hparams_read(&m.g, &h, &support_err));
    assert_true(h.rope_scaling == ROPE_SCALING_YARN && h.rope_scale == 0.25f && h.n_ctx_orig == 128);
    assert_true(h.yarn_beta_fast == 32 && h.yarn_beta_slow == 1);
    OK(put(&m, kv_str("llama.rope.scaling.type", "none"), &h));
    assert_true(h.rope_scaling == ROPE_SCALING_NONE && h.rope_scale == 1);
    OK(put(&m, kv_str("llama.rope.scaling.type", "linear"), &h));
    assert_true(h.rope_scaling == ROPE_SCALING_LINEAR && h.rope_scale == 0.25f);
    head_free(&m);
}

/* Binding. */

static int bind(const struct head *from, const struct edit *ed) {
    struct head changed;
    struct hparams h;
    struct weights w;
    struct arena a;
    arena_init(&a, 0);
    head_edit(&changed, &from->g, ed);
    int rc = hparams_read(&changed.g, &h, &support_err);
    if (!rc) rc = weights_bind(&changed.g, &h, &a, &w, &support_err);
    arena_deinit(&a);
    head_free(&changed);
    return rc;
}

static bool is_optional(const char *name) { return strcmp(name, "output.weight") == 0; }

/* Each tensor of each architecture in turn: gone, misshapen, of another type, under another name. */
static void refuses_each_tensor(void **state) {
    for (size_t i = 0; i < LEN(support_archs); i++) {
        struct head m;
        head_read(&m, support_arch_model(&support_archs[i], "Q8_0"));
        OK(bind(&m, &(struct edit){0}));
        for (uint64_t k = 0; k < m.g.n_tensor; k++) {
            const struct gguf_tensor *t = &m.g.tensors[k];
            if (is_optional(t->name)) OK(bind(&m, &(struct edit){.tensor = t->name}));
            else if (strstr(t->name, "attn_qkv")) REFUSED(bind(&m, &(struct edit){.tensor = t->name}), ERR_FORMAT, "attn_q.weight");
            else REFUSED(bind(&m, &(struct edit){.tensor = t->name}), ERR_FORMAT, t->name);

            struct edit shape = {.tensor = t->name, .change = true};
            for (uint32_t d = 0; d < 3; d++) {
                if (strcmp(t->name, "token_embd.weight") == 0 && d == 1) continue; /* defines the vocabulary */
                memcpy(shape.dims, t->dims, sizeof shape.dims);
                shape.dims[3] = 0;
                if (t->n_dims < 3) shape.dims[2] = d == 2 ? 2 : 0;
                if (d < 2) shape.dims[d] = d == 0 ? t->dims[0] + 32 : t->dims[1] + 1;
                else if (t->n_dims == 3) shape.dims[2] = t->dims[2] + 1;
                REFUSED(bind(&m, &shape), ERR_FORMAT, t->name, "shape");
            }
            struct edit name = {.tensor = t->name, .change = true, .rename = "blk.0.odd.weight"};
            int rc = bind(&m, &name);
            assert_int_not_equal(rc, ERR_OK);
            if (is_optional(t->name)) assert_non_null(strstr(support_err.text, "blk.0.odd.weight"));
            if (t->n_dims == 1)
                REFUSED(bind(&m, &(struct edit){.tensor = t->name, .change = true, .retype = true, .type = DT_Q8_0}), ERR_UNSUPPORTED, t->name,
                        "Q8_0", "F32");
        }
        head_free(&m);
    }
}

static void refuses_extra_tensors(void **state) {
    static const char *const extras[] = {"blk.0.attn_sinks.weight", "blk.2.attn_norm.weight", "blk.00.attn_norm.weight", "rope.weight",
                                         "token_types.weight"};
    struct head m;
    read_model(&m, "llama", "Q8_0");
    for (size_t i = 0; i < LEN(extras); i++)
        REFUSED(bind(&m, &(struct edit){.extra = extras[i], .extra_dim = 256}), ERR_UNSUPPORTED, extras[i], "llama");
    /* what another architecture has is not ignored either */
    REFUSED(bind(&m, &(struct edit){.extra = "blk.1.attn_q_norm.weight", .extra_dim = 64}), ERR_UNSUPPORTED, "blk.1.attn_q_norm.weight");
    REFUSED(bind(&m, &(struct edit){.extra = "blk.1.post_ffw_norm.weight", .extra_dim = 256}), ERR_UNSUPPORTED, "blk.1.post_ffw_norm.weight");
    OK(bind(&m, &(struct edit){.extra = "blk.1.attn_q.bias", .extra_dim = 256})); /* biases are welcome */
    OK(bind(&m, &(struct edit){.extra = "rope_freqs.weight", .extra_dim = 32}));
    REFUSED(bind(&m, &(struct edit){.extra = "rope_freqs.weight", .extra_dim = 64}), ERR_FORMAT, "rope_freqs.weight", "shape");
    head_free(&m);
    read_model(&m, "phi3", "Q8_0"); /* fused and split at once */
    REFUSED(bind(&m, &(struct edit){.extra = "blk.0.attn_q.weight", .extra_dim = 256}), ERR_UNSUPPORTED, "blk.0.attn_q.weight");
    REFUSED(bind(&m, &(struct edit){.extra = "blk.0.ffn_gate.weight", .extra_dim = 256}), ERR_UNSUPPORTED, "blk.0.ffn_gate.weight");
    head_free(&m);
}

static void refuses_types(void **state) {
    struct head m;
    read_model(&m, "llama", "F32");
    struct edit ed = {.tensor = "blk.1.ffn_up.weight", .change = true, .retype = true};
    for (uint32_t t = 0; t < DT_MAX; t++) {
        const struct dtype_info *d = dtype_info(t);
        if (!d->name || 256 % d->block_elems) continue;
        ed.type = (enum dtype)t;
        if (d->supported) OK(bind(&m, &ed));
        else REFUSED(bind(&m, &ed), ERR_UNSUPPORTED, "blk.1.ffn_up.weight", d->name);
    }
    struct edit vocab = {.tensor = "token_embd.weight", .change = true, .dims = {256, (1u << 24) + 1}};
    REFUSED(bind(&m, &vocab), ERR_FORMAT, "16777217", "not plausible");
    head_free(&m);
}

/* The file has rows of q, then k, then v; rows of gate, then up. */
static void fused_views(void **state) {
    static const char *const types[] = {"Q8_0", "F16", "Q4_K", "F32"};
    for (size_t i = 0; i < LEN(types); i++) {
        struct head m;
        struct hparams h;
        struct weights w;
        struct arena a;
        arena_init(&a, 0);
        read_model(&m, "phi3", types[i]);
        OK(hparams_read(&m.g, &h, &support_err));
        OK(weights_bind(&m.g, &h, &a, &w, &support_err));
        uint64_t row = dtype_bytes((enum dtype)dtype_from_name(types[i]), 256);
        for (uint32_t il = 0; il < 2; il++) {
            const struct layer_weights *l = &w.layers[il];
            char name[64];
            snprintf(name, sizeof name, "blk.%u.attn_qkv.weight", il);
            const struct gguf_tensor *qkv = gguf_tensor_find(&m.g, name);
            assert_true(l->attn_q.tensor == qkv - m.g.tensors && l->attn_k.tensor == l->attn_q.tensor && l->attn_v.tensor == l->attn_q.tensor);
            assert_true(l->attn_q.n_out == 256 && l->attn_k.n_out == 128 && l->attn_v.n_out == 128);
            assert_true(l->attn_q.n_in == 256 && l->attn_k.n_in == 256 && l->attn_v.n_in == 256);
            assert_int_equal(l->attn_q.offset_bytes, 0);
            assert_int_equal(l->attn_k.offset_bytes, 256 * row);
            assert_int_equal(l->attn_v.offset_bytes, 384 * row);
            assert_int_equal(l->attn_v.offset_bytes + 128 * row, qkv->size_bytes);
            snprintf(name, sizeof name, "blk.%u.ffn_up.weight", il);
            const struct gguf_tensor *up = gguf_tensor_find(&m.g, name);
            assert_true(l->ffn_gate.tensor == up - m.g.tensors && l->ffn_up.tensor == l->ffn_gate.tensor);
            assert_true(l->ffn_gate.n_out == 256 && l->ffn_up.n_out == 256 && l->ffn_gate.n_in == 256);
            assert_int_equal(l->ffn_gate.offset_bytes, 0);
            assert_int_equal(l->ffn_up.offset_bytes, 256 * row);
            assert_int_equal(2 * 256 * row, up->size_bytes);
        }
        arena_deinit(&a);
        head_free(&m);
    }
}

static void fused_bias(void **state) {
    struct head m, changed;
    struct hparams h;
    struct weights w;
    struct arena a;
    arena_init(&a, 0);
    read_model(&m, "phi3", "Q8_0");
    head_edit(&changed, &m.g, &(struct edit){.extra = "blk.1.attn_qkv.bias", .extra_dim = 512});
    OK(hparams_read(&changed.g, &h, &support_err));
    OK(weights_bind(&changed.g, &h, &a, &w, &support_err));
    assert_false(weight_present(&w.layers[0].attn_q_bias));
    const struct layer_weights *l = &w.layers[1];
    assert_true(l->attn_q_bias.n_in == 256 && l->attn_k_bias.n_in == 128 && l->attn_v_bias.n_in == 128 && l->attn_q_bias.n_out == 1);
    assert_int_equal(l->attn_q_bias.offset_bytes, 0);
    assert_int_equal(l->attn_k_bias.offset_bytes, 256 * sizeof(float));
    assert_int_equal(l->attn_v_bias.offset_bytes, 384 * sizeof(float));
    head_free(&changed);
    REFUSED(bind(&m, &(struct edit){.extra = "blk.1.attn_qkv.bias", .extra_dim = 511}), ERR_FORMAT, "blk.1.attn_qkv.bias");
    head_free(&m);
    arena_deinit(&a);
}

static void tied_output(void **state) {
    struct head m, changed;
    struct hparams h;
    struct weights w;
    struct arena a;
    arena_init(&a, 0);
    read_model(&m, "llama", "Q8_0");
    OK(hparams_read(&m.g, &h, &support_err));
    OK(weights_bind(&m.g, &h, &a, &w, &support_err));
    assert_false(w.tied);
    assert_int_equal(h.n_vocab, 400);
    assert_string_equal(m.g.tensors[w.output.tensor].name, "output.weight");
    head_edit(&changed, &m.g, &(struct edit){.tensor = "output.weight"});
    OK(weights_bind(&changed.g, &h, &a, &w, &support_err));
    assert_true(w.tied);
    assert_string_equal(changed.g.tensors[w.output.tensor].name, "token_embd.weight");
    head_free(&changed);
    head_free(&m);
    arena_deinit(&a);
}

static void roles(void **state) {
    static const struct { const char *name; enum tensor_role role; } cases[] = {
        {"token_embd.weight", ROLE_EMBEDDING}, {"output.weight", ROLE_OUTPUT},          {"output_norm.weight", ROLE_NORM},
        {"blk.3.attn_norm.weight", ROLE_NORM}, {"blk.3.attn_q.weight", ROLE_ATTENTION}, {"blk.3.attn_output.weight", ROLE_ATTENTION},
        {"blk.3.ffn_up.weight", ROLE_FFN},     {"blk.3.ffn_up_exps.weight", ROLE_EXPERT}, {"blk.3.ffn_gate_inp.weight", ROLE_FFN},
        {"rope_freqs.weight", ROLE_OTHER},     {"blk.3.post_ffw_norm.weight", ROLE_NORM},
    };
    for (size_t i = 0; i < LEN(cases); i++) assert_int_equal(tensor_role(cases[i].name), cases[i].role);
    for (int r = 0; r < N_ROLES; r++) assert_non_null(tensor_role_name((enum tensor_role)r));
}

/* Recording. */

struct op_counts {
    uint32_t n[N_OP_KINDS];
};

static struct op_counts record(const char *arch, const char *type, enum cpu_isa isa) {
    struct head m;
    struct hparams h;
    struct weights w;
    struct program p;
    struct arena a;
    struct op_counts c = {0};
    struct device *dev = support_cpu(isa);
    arena_init(&a, 0);
    read_model(&m, arch, type);
    OK(hparams_read(&m.g, &h, &support_err));
    OK(weights_bind(&m.g, &h, &a, &w, &support_err));
    OK(transformer_record(&h, &w, 256, dev, &a, &p, &support_err));
    for (uint32_t i = 0; i < p.n_op; i++) c.n[p.ops[i].kind]++;
    assert_int_equal(p.acts[p.logits].dim, h.n_vocab);
    assert_int_equal(p.acts[p.logits].last_op, p.n_op);
    for (size_t limit = 64; limit < 400000; limit += limit / 3) { /* however little memory: a clean refusal, or all of it */
        struct arena tight;
        struct program q;
        arena_init(&tight, limit);
        int rc = transformer_record(&h, &w, 256, dev, &tight, &q, &support_err);
        if (rc) assert_int_equal(rc, ERR_NOMEM);
        else assert_int_equal(q.n_op, p.n_op);
        arena_deinit(&tight);
    }
    device_close(dev);
    head_free(&m);
    arena_deinit(&a);
    return c;
}

static void records_programs(void **state) {
    struct op_counts c = record("llama", "F32", CPU_SCALAR);
    assert_int_equal(c.n[OP_EMBED], 1);
    assert_int_equal(c.n[OP_RMS_NORM], 5);
    assert_int_equal(c.n[OP_MATMUL], 11);
    assert_int_equal(c.n[OP_MATMUL_GLU], 2); /* a layer's gate and up */
    assert_int_equal(c.n[OP_ROPE], 2); /* of q; k is turned while it is written */
    assert_int_equal(c.n[OP_KV_WRITE], 2);
    assert_int_equal(c.n[OP_ATTENTION], 2);
    assert_int_equal(c.n[OP_GATHER], 2); /* the last layer goes on with rows of logits */
    assert_int_equal(c.n[OP_SOFTCAP], 0);
    c = record("mixtral", "Q8_0", CPU_SCALAR);
    assert_int_equal(c.n[OP_ROUTE], 2);
    assert_int_equal(c.n[OP_MATMUL_ID], 6);
    assert_int_equal(c.n[OP_EXPERT_SUM], 2);
    c = record("qwen3", "Q8_0", CPU_SCALAR);
    assert_int_equal(c.n[OP_RMS_NORM], 9); /* 2 per layer for q and k */
    c = record("gemma2", "Q8_0", CPU_SCALAR);
    assert_int_equal(c.n[OP_RMS_NORM], 9); /* 2 per layer behind attention and FFN */
    assert_int_equal(c.n[OP_SOFTCAP], 1);
    c = record("gemma3", "Q4_K", cpu_isa_best());
    assert_int_equal(c.n[OP_RMS_NORM], 6 * 6 + 1);
}

/* One input, quantized once for q, k and v, and again once it was written to. */
static void quantizes_once(void **state) {
    struct arena a;
    struct program p = {0};
    arena_init(&a, 0);
    struct device *dev = support_cpu(CPU_SCALAR);
    struct builder b = {.p = &p, .arena = &a, .dev = dev, .memo.src = ACT_NONE};
    struct weight table = {.type = DT_F32, .n_in = 64, .n_out = 100, .n_expert = 1};
    struct weight q8 = {.type = DT_Q8_0, .n_in = 64, .n_out = 64, .n_expert = 1}, f32 = q8;
    struct weight norm = {.type = DT_F32, .n_in = 64, .n_out = 1, .n_expert = 1};
    f32.type = DT_F32;
    enum act_fmt fmt = matmul_act_fmt(DT_Q8_0, CPU_SCALAR);
    uint32_t per_use = fmt != matmul_act_fmt(DT_F32, CPU_SCALAR);
    act x = prog_embed(&b, &table, 1);
    act y = prog_matmul(&b, &q8, x, NULL);
    prog_matmul(&b, &q8, x, NULL);
    prog_matmul(&b, &f32, x, NULL);
    prog_matmul(&b, &q8, x, NULL);
    prog_add_rms_norm(&b, x, y, &norm, 1e-5f);
    act z = prog_matmul(&b, &q8, x, NULL);
    uint32_t n = 0;
    for (uint32_t i = 0; i < p.n_op; i++) n += p.ops[i].kind == OP_ACT_QUANT;
    assert_int_equal(n, 2 * per_use);
    assert_int_not_equal(p.ops[p.n_op - 1].in, p.ops[p.n_op - 1].out);
    assert_int_equal(p.ops[p.n_op - 1].out, z);
    assert_int_equal(b.rc, 0);
    for (uint32_t i = 0; i < 1000; i++) prog_softcap(&b, x, 1); /* beyond the first room */
    assert_int_equal(p.n_op, 7 + 2 * per_use + 1000);
    for (int k = 0; k < N_OP_KINDS; k++) assert_non_null(op_name((enum op_kind)k));
    device_close(dev);
    arena_deinit(&a);
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_arch),     cmocka_unit_test(refuses_architectures), cmocka_unit_test(refuses_missing_keys),
        cmocka_unit_test(refuses_absurd_values), cmocka_unit_test(refuses_uneven_heads), cmocka_unit_test(reads_rope_scaling),
        cmocka_unit_test(refuses_each_tensor),  cmocka_unit_test(refuses_extra_tensors), cmocka_unit_test(refuses_types),
        cmocka_unit_test(fused_views),          cmocka_unit_test(fused_bias),            cmocka_unit_test(tied_output),
        cmocka_unit_test(roles),                cmocka_unit_test(records_programs),      cmocka_unit_test(quantizes_once),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
