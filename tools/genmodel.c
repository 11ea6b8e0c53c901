/* hy-genmodel: writes random but well-formed models, for tests and benchmarks.
 *
 * A model is described by data: `archs` (what an architecture has and its usual numbers), `tensors`
 * (names, shapes, fillings) and the options. Weights are scaled so that activations stay near 1 and
 * logits are lively; text is noise. The same options and seed give the same bytes, streamed to the file
 * in constant memory. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "gguf/gguf_random.h"
#include "gguf/gguf_write.h"
#include "tools/genmodel.h"

enum feature {
    HAS_SPLIT = 1,   /* attn_q, attn_k, attn_v and ffn_gate, ffn_up as tensors of their own */
    HAS_FUSED = 2,   /* attn_qkv, and ffn_up holding gate and up */
    HAS_BIAS = 4,    /* on q, k, v */
    HAS_QK_NORM = 8, /* per head */
    HAS_POST_NORM = 16,
    HAS_DENSE = 32,
    HAS_MOE = 64,
    HAS_OUTPUT = 128,       /* the embedding is not tied */
    HAS_ROPE_FREQS = 256,   /* llama3 scaling */
    HAS_ROPE_FACTORS = 512, /* longrope */
};

struct arch {
    const char *option, *name; /* --arch, general.architecture */
    unsigned features;
    enum vocab_kind vocab;
    const char *pre; /* tokenizer.ggml.pre of its BPE vocabulary */
    float rope_base, eps;
    uint32_t n_layer; /* of the tiny size */
    bool tied;
    float qk_gain;    /* on the weights of attn_q and attn_k: how sharp attention is */
    float embd_gain, out_norm; /* tied embeddings need small rows, or each token predicts itself */
    float attn_cap, logit_cap;
    uint32_t window; /* of the tiny size */
};

#define STANDARD (HAS_SPLIT | HAS_DENSE)
static const struct arch archs[] = {
    {"llama", "llama", STANDARD, VOCAB_SPM, "llama-bpe", 10000, 1e-5f, 3, false, 1, 1.5f, 1},
    {"mixtral", "llama", HAS_SPLIT | HAS_MOE, VOCAB_SPM, "llama-bpe", 1e6f, 1e-5f, 3, false, 1, 1.5f, 1},
    {"qwen2", "qwen2", STANDARD | HAS_BIAS, VOCAB_BPE, "qwen2", 1e6f, 1e-6f, 3, true, 1, 0.8f, 2},
    {"qwen3", "qwen3", STANDARD | HAS_QK_NORM, VOCAB_BPE, "qwen2", 1e6f, 1e-6f, 3, true, 1, 0.8f, 2},
    {"qwen3moe", "qwen3moe", HAS_SPLIT | HAS_MOE | HAS_QK_NORM, VOCAB_BPE, "qwen2", 1e6f, 1e-6f, 3, false, 1, 1.5f, 1},
    {"phi3", "phi3", HAS_FUSED | HAS_DENSE, VOCAB_SPM, "gpt-4o", 10000, 1e-5f, 3, false, 1, 1.5f, 1},
    {"gemma2", "gemma2", STANDARD | HAS_POST_NORM, VOCAB_SPM, "gpt-2", 10000, 1e-6f, 4, true, 1, 0.2f, 16, 50, 30, 16},
    {"gemma3", "gemma3", STANDARD | HAS_POST_NORM | HAS_QK_NORM, VOCAB_SPM, "gpt-2", 1e6f, 1e-6f, 7, true, 1, 0.2f,
     12, 0, 0, 16},
};

enum dim { D_NONE, D_EMBD, D_VOCAB, D_Q, D_KV, D_QKV, D_HEAD, D_FF, D_FF2, D_FF_EXP, D_EXPERT, D_ROT2, N_DIM };
enum fill {
    MATRIX, MATRIX_QK, MATRIX_OUT, EMBEDDING, OUTPUT, /* from here on always F32 */
    ROUTER, NORM, NORM_ATTN, NORM_QK, NORM_POST, NORM_OUT, BIAS, FREQS, LONG, SHORT,
};

struct tensor_desc {
    const char *name; /* %u: once per layer */
    enum dim dims[3];
    enum fill fill;
    unsigned needs; /* features, all of them */
};

static const struct tensor_desc tensors[] = {
    {"token_embd.weight", {D_EMBD, D_VOCAB}, EMBEDDING},
    {"output_norm.weight", {D_EMBD}, NORM_OUT},
    {"output.weight", {D_EMBD, D_VOCAB}, OUTPUT, HAS_OUTPUT},
    {"rope_freqs.weight", {D_ROT2}, FREQS, HAS_ROPE_FREQS},
    {"rope_factors_long.weight", {D_ROT2}, LONG, HAS_ROPE_FACTORS},
    {"rope_factors_short.weight", {D_ROT2}, SHORT, HAS_ROPE_FACTORS},
    {"blk.%u.attn_norm.weight", {D_EMBD}, NORM},
    {"blk.%u.attn_q.weight", {D_EMBD, D_Q}, MATRIX_QK, HAS_SPLIT},
    {"blk.%u.attn_k.weight", {D_EMBD, D_KV}, MATRIX_QK, HAS_SPLIT},
    {"blk.%u.attn_v.weight", {D_EMBD, D_KV}, MATRIX, HAS_SPLIT},
    {"blk.%u.attn_q.bias", {D_Q}, BIAS, HAS_BIAS},
    {"blk.%u.attn_k.bias", {D_KV}, BIAS, HAS_BIAS},
    {"blk.%u.attn_v.bias", {D_KV}, BIAS, HAS_BIAS},
    {"blk.%u.attn_qkv.weight", {D_EMBD, D_QKV}, MATRIX_QK, HAS_FUSED},
    {"blk.%u.attn_q_norm.weight", {D_HEAD}, NORM_QK, HAS_QK_NORM},
    {"blk.%u.attn_k_norm.weight", {D_HEAD}, NORM_QK, HAS_QK_NORM},
    {"blk.%u.attn_output.weight", {D_Q, D_EMBD}, MATRIX_OUT},
    {"blk.%u.post_attention_norm.weight", {D_EMBD}, NORM_ATTN, HAS_POST_NORM},
    {"blk.%u.ffn_norm.weight", {D_EMBD}, NORM},
    {"blk.%u.ffn_gate.weight", {D_EMBD, D_FF}, MATRIX, HAS_DENSE | HAS_SPLIT},
    {"blk.%u.ffn_up.weight", {D_EMBD, D_FF}, MATRIX, HAS_DENSE | HAS_SPLIT},
    {"blk.%u.ffn_up.weight", {D_EMBD, D_FF2}, MATRIX, HAS_DENSE | HAS_FUSED},
    {"blk.%u.ffn_down.weight", {D_FF, D_EMBD}, MATRIX_OUT, HAS_DENSE},
    {"blk.%u.ffn_gate_inp.weight", {D_EMBD, D_EXPERT}, ROUTER, HAS_MOE},
    {"blk.%u.ffn_gate_exps.weight", {D_EMBD, D_FF_EXP, D_EXPERT}, MATRIX, HAS_MOE},
    {"blk.%u.ffn_up_exps.weight", {D_EMBD, D_FF_EXP, D_EXPERT}, MATRIX, HAS_MOE},
    {"blk.%u.ffn_down_exps.weight", {D_FF_EXP, D_EMBD, D_EXPERT}, MATRIX_OUT, HAS_MOE},
    {"blk.%u.post_ffw_norm.weight", {D_EMBD}, NORM_POST, HAS_POST_NORM},
};
#define N_DESC (sizeof tensors / sizeof tensors[0])

#define UNSET UINT32_MAX

struct model {
    const struct arch *arch;
    enum dtype type, down_type; /* of all matrices; of down projections in every other layer */
    unsigned features;
    uint32_t seed, n_embd, n_ff, n_ff_exp, n_layer, n_head, n_head_kv, head_dim, n_rot, n_vocab, n_ctx, n_expert,
        n_expert_used, window, tied, n_file, version, alignment;
    enum vocab_kind vocab;
    const char *rope_scaling, *out, *chat_template;
};

_Noreturn void genmodel_die(int status, const char *text, const char *what) {
    fprintf(stderr, "hy-genmodel: %s%s%s\n", text, what ? ": " : "", what ? what : "");
    exit(status);
}

void *genmodel_must(void *p) {
    if (!p) genmodel_die(1, "out of memory", NULL);
    return p;
}

/* Metadata. */

static const char *key(const struct model *m, const char *suffix) {
    static char text[96];
    snprintf(text, sizeof text, "%s.%s", m->arch->name, suffix);
    return text;
}

/* The number of general.file_type for a model mostly of that type. */
static uint32_t file_type(enum dtype t) {
    static const uint8_t ids[DT_MAX] = {
        [DT_F16] = 1,   [DT_Q4_0] = 2,     [DT_Q4_1] = 3,     [DT_Q8_0] = 7,  [DT_Q5_0] = 8,
        [DT_Q5_1] = 9,  [DT_Q2_K] = 10,    [DT_Q3_K] = 12,    [DT_Q4_K] = 15, [DT_Q5_K] = 17,
        [DT_Q6_K] = 18, [DT_IQ4_NL] = 25,  [DT_IQ4_XS] = 30,  [DT_BF16] = 32, [DT_MXFP4] = 38,
    };
    return ids[t];
}

static void put_rope(struct gguf_writer *w, const struct model *m) {
    const char *scaling = m->rope_scaling;
    gguf_put_u32(w, key(m, "rope.dimension_count"), m->n_rot);
    gguf_put_f32(w, key(m, "rope.freq_base"), m->arch->rope_base);
    if (strcmp(scaling, "linear") == 0 || strcmp(scaling, "yarn") == 0) {
        gguf_put_str(w, key(m, "rope.scaling.type"), scaling);
        gguf_put_f32(w, key(m, "rope.scaling.factor"), 4);
    }
    if (strcmp(scaling, "yarn") == 0 || strcmp(scaling, "longrope") == 0)
        gguf_put_u32(w, key(m, "rope.scaling.original_context_length"), m->n_ctx / 4);
    if (strcmp(scaling, "longrope") == 0)
        gguf_put_f32(w, key(m, "rope.scaling.attn_factor"), sqrtf(1 + logf(4) / logf((float)m->n_ctx / 4)));
}

static void put_optional(struct gguf_writer *w, const struct model *m) {
    if (m->features & HAS_MOE) {
        gguf_put_u32(w, key(m, "expert_count"), m->n_expert);
        gguf_put_u32(w, key(m, "expert_used_count"), m->n_expert_used);
        if (strcmp(m->arch->name, "qwen3moe") == 0)
            gguf_put_u32(w, key(m, "expert_feed_forward_length"), m->n_ff_exp);
    }
    if (m->arch->attn_cap > 0) gguf_put_f32(w, key(m, "attn_logit_softcapping"), m->arch->attn_cap);
    if (m->arch->logit_cap > 0) gguf_put_f32(w, key(m, "final_logit_softcapping"), m->arch->logit_cap);
    if (m->window > 0) gguf_put_u32(w, key(m, "attention.sliding_window"), m->window);
}

static void put_metadata(struct gguf_writer *w, const struct model *m) {
    gguf_put_str(w, "general.architecture", m->arch->name);
    gguf_put_str(w, "general.type", "model");
    gguf_put_str(w, "general.name", "random weights");
    gguf_put_u32(w, "general.file_type", file_type(m->type));
    gguf_put_u32(w, "general.quantization_version", 2);
    gguf_put_u32(w, key(m, "vocab_size"), m->n_vocab);
    gguf_put_u32(w, key(m, "context_length"), m->n_ctx);
    gguf_put_u32(w, key(m, "embedding_length"), m->n_embd);
    gguf_put_u32(w, key(m, "block_count"), m->n_layer);
    gguf_put_u32(w, key(m, "feed_forward_length"), m->n_ff);
    gguf_put_u32(w, key(m, "attention.head_count"), m->n_head);
    gguf_put_u32(w, key(m, "attention.head_count_kv"), m->n_head_kv);
    gguf_put_u32(w, key(m, "attention.key_length"), m->head_dim);
    gguf_put_u32(w, key(m, "attention.value_length"), m->head_dim);
    gguf_put_f32(w, key(m, "attention.layer_norm_rms_epsilon"), m->arch->eps);
    put_rope(w, m);
    put_optional(w, m);
    genmodel_put_vocab(w, m->vocab, m->arch->pre, m->n_vocab);
    if (strncmp(m->arch->name, "gemma", 5) == 0) gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", false);
    if (m->chat_template) gguf_put_str(w, "tokenizer.chat_template", m->chat_template);
}

/* Tensors. */

struct tensor {
    const struct tensor_desc *desc;
    char name[64];
    uint32_t n_dims;
    uint64_t dims[3];
    enum dtype type;
};

static void resolve_dims(const struct model *m, struct tensor *t) {
    const uint32_t n_q = m->n_head * m->head_dim, n_kv = m->n_head_kv * m->head_dim;
    const uint32_t sizes[N_DIM] = {
        [D_EMBD] = m->n_embd, [D_VOCAB] = m->n_vocab, [D_Q] = n_q,          [D_KV] = n_kv,
        [D_QKV] = n_q + 2 * n_kv, [D_HEAD] = m->head_dim, [D_FF] = m->n_ff, [D_FF2] = 2 * m->n_ff,
        [D_FF_EXP] = m->n_ff_exp, [D_EXPERT] = m->n_expert, [D_ROT2] = m->n_rot / 2,
    };
    while (t->n_dims < 3 && t->desc->dims[t->n_dims] != D_NONE) {
        t->dims[t->n_dims] = sizes[t->desc->dims[t->n_dims]];
        t->n_dims++;
    }
}

/* The model's type where rows are whole blocks of it; vectors and routers stay F32. */
static enum dtype tensor_type(const struct model *m, const struct tensor *t, uint32_t layer) {
    enum dtype type = strstr(t->desc->name, "ffn_down") && layer % 2 ? m->down_type : m->type;
    if (t->desc->fill > OUTPUT) return DT_F32;
    if (t->dims[0] % dtype_info(type)->block_elems == 0) return type;
    return t->dims[0] % dtype_info(DT_Q8_0)->block_elems == 0 ? DT_Q8_0 : DT_F16;
}

static struct tensor *plan_tensors(const struct model *m, uint32_t *n) {
    struct tensor *all = genmodel_must(calloc((size_t)N_DESC * (m->n_layer + 1), sizeof *all));
    *n = 0;
    for (uint32_t layer = 0; layer <= m->n_layer; layer++) { /* round 0 is for what is no layer's */
        for (size_t i = 0; i < N_DESC; i++) {
            const struct tensor_desc *d = &tensors[i];
            if ((d->needs & ~m->features) != 0 || (strstr(d->name, "%u") != NULL) != (layer > 0)) continue;
            struct tensor *t = &all[(*n)++];
            t->desc = d;
            if (layer > 0) snprintf(t->name, sizeof t->name, "blk.%u%s", layer - 1, strchr(d->name + 4, '.'));
            else snprintf(t->name, sizeof t->name, "%s", d->name);
            resolve_dims(m, t);
            t->type = tensor_type(m, t, layer);
        }
    }
    return all;
}

/* Later layers add less to the residual stream, as in trained models. Were all equal, the rounding of
 * activations to 8 bits would grow from layer to layer until no two engines agree on the logits. */
static float branch_gain(const struct tensor *t) { return strncmp(t->name, "blk.0.", 6) == 0 ? 1 : 0.25f; }

static float weight_std(const struct model *m, const struct tensor *t) {
    float unit = 1.0f / sqrtf((float)t->dims[0]);
    switch (t->desc->fill) {
    case MATRIX_QK: return unit * m->arch->qk_gain;
    case MATRIX_OUT: return unit * branch_gain(t);
    case EMBEDDING: return m->features & HAS_OUTPUT ? 0.5f : unit * m->arch->embd_gain;
    case OUTPUT: case ROUTER: return unit * 2;
    default: return unit;
    }
}

/* Factors that divide RoPE's frequencies: 1 where waves are short, 8 where they outgrow the context
 * that Llama 3 was trained with, smooth between. */
static float llama3_factor(const struct model *m, uint64_t i) {
    float wave = 6.2831853f * powf(m->arch->rope_base, 2 * (float)i / (float)m->n_rot);
    float turns = (float)m->n_ctx / 8 / wave;
    if (turns >= 4) return 1;
    if (turns <= 1) return 8;
    float smooth = (turns - 1) / 3;
    return 1 / ((1 - smooth) / 8 + smooth);
}

static float vector_value(const struct model *m, const struct tensor *t, uint64_t i, struct rng *r) {
    float u = rng_uniform(r), place = (float)i / (float)t->dims[0];
    switch (t->desc->fill) {
    case NORM: return 0.8f + 0.4f * u;
    case NORM_POST: return branch_gain(t) * (0.8f + 0.4f * u);
    case NORM_ATTN: return branch_gain(t) * (0.2f + 0.2f * u); /* small beside the FFN: what a token is must outweigh its context */
    case NORM_QK: return 1.3f + 0.4f * u;
    case NORM_OUT: return m->arch->out_norm * (0.8f + 0.4f * u);
    case BIAS: return u - 0.5f;
    case FREQS: return llama3_factor(m, i);
    case LONG: return 1 + 3 * place + 0.2f * u;
    case SHORT: return 1 + 0.2f * place + 0.05f * u;
    default: return 0;
    }
}

static void write_vector(const struct model *m, const struct tensor *t, struct rng *r, struct gguf_writer *w,
                         struct err *e) {
    for (uint64_t i = 0; i < t->dims[0] && e->code == 0; i++) {
        float f = vector_value(m, t, i, r);
        gguf_write_data(w, &f, sizeof f, e);
    }
}

static void write_matrix(const struct model *m, const struct tensor *t, struct rng *r, struct gguf_writer *w,
                         struct err *e) {
    uint64_t n_row = t->dims[1] * (t->n_dims == 3 ? t->dims[2] : 1), row_bytes = dtype_bytes(t->type, t->dims[0]);
    void *row = genmodel_must(malloc(row_bytes));
    for (uint64_t i = 0; i < n_row && e->code == 0; i++) {
        gguf_random_row(r, t->type, weight_std(m, t), row, t->dims[0]);
        gguf_write_data(w, row, row_bytes, e);
    }
    free(row);
}

/* Each tensor has a generator of its own, so that options that add tensors leave the others as they are. */
static void write_tensor(const struct model *m, const struct tensor *t, struct gguf_writer *w, struct err *e) {
    struct rng r;
    rng_seed(&r, XXH3_64bits_withSeed(t->name, strlen(t->name), m->seed));
    if (t->n_dims == 1) write_vector(m, t, &r, w, e);
    else write_matrix(m, t, &r, w, e);
}

/* Files. */

static bool to_file(void *ctx, const void *bytes, size_t n) { return fwrite(bytes, 1, n, ctx) == n; }

static void part_path(const struct model *m, uint32_t part, char *out, size_t out_bytes) {
    size_t stem = strlen(m->out);
    if (stem > 5 && strcmp(m->out + stem - 5, ".gguf") == 0) stem -= 5;
    if (m->n_file == 1) snprintf(out, out_bytes, "%s", m->out);
    else snprintf(out, out_bytes, "%.*s-%05u-of-%05u.gguf", (int)stem, m->out, part + 1, m->n_file);
}

/* Writes the part that holds tensors begin..end-1 of n. */
static void write_part(const struct model *m, uint32_t part, const struct tensor *all, uint32_t begin, uint32_t end,
                       uint32_t n) {
    char path[4096];
    part_path(m, part, path, sizeof path);
    FILE *f = fopen(path, "wb");
    if (!f) genmodel_die(1, strerror(errno), path);
    struct gguf_writer w;
    struct err e = {0};
    gguf_writer_init(&w);
    w.version = m->version;
    w.alignment = m->alignment;
    if (part == 0) put_metadata(&w, m);
    if (m->n_file > 1) gguf_put_split(&w, part, m->n_file, n);
    for (uint32_t i = begin; i < end; i++) gguf_put_tensor(&w, all[i].name, all[i].type, all[i].n_dims, all[i].dims);
    gguf_write_head(&w, to_file, f, &e);
    for (uint32_t i = begin; i < end && e.code == 0; i++) write_tensor(m, &all[i], &w, &e);
    if (e.code == 0) gguf_write_end(&w, &e);
    gguf_writer_deinit(&w);
    if (fclose(f) != 0 || e.code != 0) genmodel_die(1, e.code ? e.text : strerror(errno), path);
}

static void write_model(const struct model *m) {
    uint32_t n;
    struct tensor *all = plan_tensors(m, &n);
    for (uint32_t part = 0; part < m->n_file; part++)
        write_part(m, part, all, (uint32_t)((uint64_t)n * part / m->n_file),
                   (uint32_t)((uint64_t)n * (part + 1) / m->n_file), n);
    free(all);
}

/* Options. */

static const char usage[] =
    "usage: hy-genmodel --arch ARCH --type TYPE [--size tiny|1b] [options] -o OUT.gguf\n"
    "Writes a model with random weights.\n"
    "  --arch ARCH          llama mixtral qwen2 qwen3 qwen3moe phi3 gemma2 gemma3\n"
    "  --type TYPE          of all matrices: F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K\n"
    "                       IQ4_NL IQ4_XS MXFP4 (vectors and routers are F32)\n"
    "  --down-type TYPE     of the FFN's down projections in every other layer (default: --type), as mixed quantizations have\n"
    "  --size tiny|1b       a model for tests, or the shape of Llama 3.2 1B (default tiny)\n"
    "  --vocab spm|bpe      kind of vocabulary (default: the architecture's)\n"
    "  --rope-scaling S     none linear yarn llama3 longrope (phi3 only)\n"
    "  --tied 0|1           output is the embedding (default: the architecture's)\n"
    "  --chat-template TEXT the Jinja text itself (default: none)\n"
    "  --split N            as N files\n"
    "  --seed N --n-layer N --n-ctx N --n-embd N --n-ff N --n-ff-exp N --n-head N --n-head-kv N --head-dim N\n"
    "  --n-rot N --n-vocab N --window N --experts N --experts-used N --gguf-version 2|3 --alignment N\n";

_Noreturn static void wrong(const char *text, const char *what) {
    fprintf(stderr, "hy-genmodel: %s: %s\n%s", text, what, usage);
    exit(2);
}

static const struct arch *find_arch(const char *name) {
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
        if (strcmp(archs[i].option, name) == 0) return &archs[i];
    wrong("unknown architecture", name);
}

static uint32_t number(const char *option, const char *text) {
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || end == text || *end || n >= UNSET || text[0] == '-') wrong("not a number", option);
    return (uint32_t)n;
}

static bool number_option(struct model *m, const char *name, const char *value) {
    const struct {
        const char *name;
        uint32_t *where;
    } options[] = {
        {"--seed", &m->seed},         {"--n-layer", &m->n_layer},     {"--n-ctx", &m->n_ctx},
        {"--n-embd", &m->n_embd},     {"--n-ff", &m->n_ff},           {"--n-ff-exp", &m->n_ff_exp},
        {"--n-head", &m->n_head},     {"--n-head-kv", &m->n_head_kv}, {"--head-dim", &m->head_dim},
        {"--n-rot", &m->n_rot},       {"--n-vocab", &m->n_vocab},     {"--window", &m->window},
        {"--experts", &m->n_expert},  {"--experts-used", &m->n_expert_used}, {"--split", &m->n_file},
        {"--gguf-version", &m->version}, {"--alignment", &m->alignment}, {"--tied", &m->tied},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(options[i].name, name) != 0) continue;
        *options[i].where = number(name, value);
        return true;
    }
    return false;
}

struct choices {
    const char *arch, *type, *down_type, *size, *vocab;
};

static void parse(int argc, char **argv, struct model *m, struct choices *c) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        const char *value = argv[++i];
        if (!value) wrong("needs a value", name);
        if (strcmp(name, "--arch") == 0) c->arch = value;
        else if (strcmp(name, "--type") == 0) c->type = value;
        else if (strcmp(name, "--down-type") == 0) c->down_type = value;
        else if (strcmp(name, "--size") == 0) c->size = value;
        else if (strcmp(name, "--vocab") == 0) c->vocab = value;
        else if (strcmp(name, "--rope-scaling") == 0) m->rope_scaling = value;
        else if (strcmp(name, "--chat-template") == 0) m->chat_template = value;
        else if (strcmp(name, "-o") == 0) m->out = value;
        else if (!number_option(m, name, value)) wrong("unknown option", name);
    }
}

static void unless_set(uint32_t *where, uint32_t value) {
    if (*where == UNSET) *where = value;
}

static void fill_shape(struct model *m, bool big) {
    unless_set(&m->n_embd, big ? 2048 : 256);
    unless_set(&m->n_ff, big ? 8192 : 512);
    unless_set(&m->n_ff_exp, strcmp(m->arch->name, "qwen3moe") == 0 && !big ? 256 : m->n_ff);
    unless_set(&m->n_layer, big ? 16 : m->arch->n_layer);
    unless_set(&m->n_head, big ? 32 : 4);
    unless_set(&m->n_head_kv, big ? 8 : 2);
    unless_set(&m->head_dim, 64);
    unless_set(&m->n_rot, m->head_dim);
    unless_set(&m->n_vocab, big ? 32000 : 512);
    unless_set(&m->n_ctx, big ? 8192 : 512);
    unless_set(&m->n_expert, big ? 8 : 4);
    unless_set(&m->n_expert_used, 2);
    unless_set(&m->window, big && m->arch->window ? 512 : m->arch->window);
    unless_set(&m->tied, big || m->arch->tied);
    unless_set(&m->n_file, 1);
    unless_set(&m->version, 3);
    unless_set(&m->alignment, 32);
    unless_set(&m->seed, 1);
}

static enum dtype type_named(const char *name) {
    int type = dtype_from_name(name);
    if (type < 0 || !dtype_info((uint32_t)type)->supported) wrong("unknown type", name);
    return (enum dtype)type;
}

static void choose(struct model *m, const struct choices *c) {
    if (!c->arch || !c->type || !m->out) wrong("missing option", "--arch, --type and -o are needed");
    m->arch = find_arch(c->arch);
    m->type = type_named(c->type);
    m->down_type = c->down_type ? type_named(c->down_type) : m->type;
    if (strcmp(c->size, "tiny") != 0 && strcmp(c->size, "1b") != 0) wrong("unknown size", c->size);
    fill_shape(m, strcmp(c->size, "1b") == 0);
    m->vocab = m->arch->vocab;
    if (c->vocab && strcmp(c->vocab, "spm") != 0 && strcmp(c->vocab, "bpe") != 0) wrong("unknown vocabulary", c->vocab);
    if (c->vocab) m->vocab = strcmp(c->vocab, "spm") == 0 ? VOCAB_SPM : VOCAB_BPE;
    m->features = m->arch->features | (m->tied ? 0 : HAS_OUTPUT);
    if (strcmp(m->rope_scaling, "llama3") == 0) m->features |= HAS_ROPE_FREQS;
    if (strcmp(m->rope_scaling, "longrope") == 0) m->features |= HAS_ROPE_FACTORS;
}

static void check(const struct model *m) {
    static const char *const scalings[] = {"none", "linear", "yarn", "llama3", "longrope"};
    bool known = false;
    for (size_t i = 0; i < 5; i++) known |= strcmp(m->rope_scaling, scalings[i]) == 0;
    if (!known) wrong("unknown --rope-scaling", m->rope_scaling);
    if ((m->features & HAS_ROPE_FACTORS) && strcmp(m->arch->name, "phi3") != 0) wrong("longrope is for", "phi3");
    if ((m->features & HAS_ROPE_FREQS) && strcmp(m->arch->name, "llama") != 0) wrong("llama3 scaling is for", "llama");
    if (m->n_vocab < 384) wrong("too small", "--n-vocab (at least 384)");
    if (m->n_head == 0 || m->n_head_kv == 0 || m->n_head % m->n_head_kv != 0)
        wrong("not a divisor of --n-head", "--n-head-kv");
    if (m->n_rot > m->head_dim || m->n_rot % 2 != 0 || m->n_rot == 0) wrong("not an even part of a head", "--n-rot");
    if (m->n_embd % 32 != 0 || m->n_ff % 32 != 0 || m->n_ff_exp % 32 != 0 || m->head_dim % 2 != 0 || m->n_embd == 0 ||
        m->n_ff == 0 || m->n_ff_exp == 0 || m->head_dim == 0)
        wrong("not a multiple of 32 (head-dim: of 2)", "--n-embd, --n-ff, --n-ff-exp or --head-dim");
    if (m->n_expert == 0 || m->n_expert_used == 0 || m->n_expert_used > m->n_expert) wrong("too many", "--experts-used");
    if (m->n_file == 0 || m->n_file > GGUF_MAX_FILES || m->n_layer == 0 || m->n_ctx < 8)
        wrong("out of range", "--split, --n-layer or --n-ctx");
    if (m->version < 2 || m->version > 3 || m->tied > 1) wrong("out of range", "--gguf-version or --tied");
    if (m->alignment < 8 || (m->alignment & (m->alignment - 1)) != 0) wrong("not a power of two from 8", "--alignment");
}

int main(int argc, char **argv) {
    struct model m = {
        .seed = UNSET, .n_embd = UNSET, .n_ff = UNSET, .n_ff_exp = UNSET, .n_layer = UNSET, .n_head = UNSET,
        .n_head_kv = UNSET, .head_dim = UNSET, .n_rot = UNSET, .n_vocab = UNSET, .n_ctx = UNSET, .n_expert = UNSET,
        .n_expert_used = UNSET, .window = UNSET, .tied = UNSET, .n_file = UNSET, .version = UNSET, .alignment = UNSET,
        .rope_scaling = "none",
    };
    struct choices c = {.size = "tiny"};
    parse(argc, argv, &m, &c);
    choose(&m, &c);
    check(&m);
    write_model(&m);
    return 0;
}
