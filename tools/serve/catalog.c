#include "tools/serve/catalog.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "tools/serve/json_out.h"

#define DEFAULT_CTX 4096u
#define SHORT_ARRAY 5u /* longer ones are left out unless asked for */
#define SAMPLES 16u    /* places of a file that its digest sees, besides the header */
#define SAMPLE_BYTES 4096u

/* general.file_type, as llama.cpp numbers them. */
static const char *const file_types[] = {
    [0] = "F32", [1] = "F16", [2] = "Q4_0", [3] = "Q4_1", [7] = "Q8_0", [8] = "Q5_0", [9] = "Q5_1", [10] = "Q2_K", [11] = "Q3_K_S",
    [12] = "Q3_K_M", [13] = "Q3_K_L", [14] = "Q4_K_S", [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M", [18] = "Q6_K",
    [19] = "IQ2_XXS", [20] = "IQ2_XS", [21] = "Q2_K_S", [22] = "IQ3_XS", [23] = "IQ3_XXS", [24] = "IQ1_S", [25] = "IQ4_NL",
    [26] = "IQ3_S", [27] = "IQ3_M", [28] = "IQ2_S", [29] = "IQ2_M", [30] = "IQ4_XS", [31] = "IQ1_M", [32] = "BF16", [36] = "TQ1_0",
    [37] = "TQ2_0", [38] = "MXFP4",
};

static const char *arch_key(const struct gguf *g, const char *suffix, char out[256]) {
    struct gguf_str arch = {"", 0};
    gguf_get_str(g, "general.architecture", &arch);
    snprintf(out, 256, "%.*s.%s", (int)(arch.len < 100 ? arch.len : 100), arch.len ? arch.p : "", suffix);
    return out;
}

static json_t *json_of_str(struct gguf_str s) { return json_out_str(s.len ? s.p : "", s.len); }

static json_t *json_of_real(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *json_of_arr(const struct gguf_arr *a, bool verbose) {
    json_t *out = json_array();
    struct gguf_str s;
    if ((a->n > SHORT_ARRAY && !verbose) || a->type == GGUF_ARR) return out;
    if (a->type == GGUF_STR)
        for (uint64_t pos = 0; gguf_arr_next_str(a, &pos, &s);) json_array_append_new(out, json_of_str(s));
    else
        for (uint64_t i = 0; i < a->n; i++) {
            if (a->type == GGUF_F32 || a->type == GGUF_F64) json_array_append_new(out, json_of_real(gguf_arr_f64(a, i)));
            else if (a->type == GGUF_BOOL) json_array_append_new(out, json_boolean(gguf_arr_u64(a, i)));
            else json_array_append_new(out, json_integer(gguf_arr_i64(a, i)));
        }
    return out;
}

static json_t *json_of_kv(const struct gguf_kv *kv, bool verbose) {
    switch (kv->type) {
    case GGUF_STR: return json_of_str(kv->s);
    case GGUF_ARR: return json_of_arr(&kv->a, verbose);
    case GGUF_F32:
    case GGUF_F64: return json_of_real(kv->f);
    case GGUF_BOOL: return json_boolean(kv->u);
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64: return json_integer(kv->i);
    default: return json_integer((json_int_t)kv->u);
    }
}

static bool left_out(struct gguf_str key) {
    static const char *const keys[] = {"general.name", "tokenizer.chat_template"};
    for (size_t i = 0; i < 2; i++)
        if (key.len >= strlen(keys[i]) && memcmp(key.p, keys[i], strlen(keys[i])) == 0) return true;
    return false;
}

static uint64_t count_params(const struct gguf *g) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < g->n_tensor; i++) {
        const uint64_t *d = g->tensors[i].dims;
        n += d[0] * d[1] * d[2] * d[3];
    }
    return n;
}

json_t *catalog_info(const struct gguf *g, bool verbose) {
    json_t *out = json_object();
    for (uint64_t i = 0; i < g->n_kv; i++) {
        if (left_out(g->kv[i].key)) continue;
        json_t *key = json_of_str(g->kv[i].key);
        json_object_set_new(out, json_string_value(key), json_of_kv(&g->kv[i], verbose));
        json_decref(key);
    }
    json_object_set_new(out, "general.parameter_count", json_integer((json_int_t)count_params(g)));
    return out;
}

json_t *catalog_tensors(const struct gguf *g) {
    json_t *out = json_array();
    for (uint64_t i = 0; i < g->n_tensor; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        json_t *shape = json_array();
        for (uint32_t d = 0; d < t->n_dims; d++) json_array_append_new(shape, json_integer((json_int_t)t->dims[d]));
        const char *type = dtype_info((uint32_t)t->type)->name;
        json_array_append_new(out, json_pack("{s:o,s:s,s:o}", "name", json_out_str(t->name, strlen(t->name)), "type",
                                             type ? type : "?", "shape", shape));
    }
    return out;
}

/* "8.2B", "751.63M", "512K". */
static void human_number(uint64_t n, char out[32]) {
    double v = (double)n;
    if (n >= 1000000000) snprintf(out, 32, "%.*fB", fmod(v, 1e9) == 0 ? 0 : 1, v / 1e9);
    else if (n >= 1000000) snprintf(out, 32, "%.*fM", fmod(v, 1e6) == 0 ? 0 : 2, v / 1e6);
    else if (n >= 1000) snprintf(out, 32, "%.0fK", v / 1e3);
    else snprintf(out, 32, "%llu", (unsigned long long)n);
}

/* The type that most parameters have, for files that do not say. */
static const char *commonest_type(const struct gguf *g) {
    uint64_t n[DT_MAX] = {0};
    uint32_t best = 0;
    for (uint64_t i = 0; i < g->n_tensor; i++)
        if ((uint32_t)g->tensors[i].type < DT_MAX) n[g->tensors[i].type] += g->tensors[i].size_bytes;
    for (uint32_t t = 0; t < DT_MAX; t++)
        if (n[t] > n[best]) best = t;
    const char *name = dtype_info(best)->name;
    return name ? name : "unknown";
}

static json_t *details_of(const struct gguf *g, uint64_t n_param, uint32_t n_ctx) {
    char key[256], size[32];
    uint32_t type = UINT32_MAX, n_embd = 0;
    struct gguf_str arch = {"", 0};
    gguf_get_str(g, "general.architecture", &arch);
    gguf_get_u32(g, "general.file_type", &type);
    gguf_get_u32(g, arch_key(g, "embedding_length", key), &n_embd);
    const char *quant = type < sizeof file_types / sizeof *file_types ? file_types[type] : NULL;
    human_number(n_param, size);
    json_t *family = json_of_str(arch);
    return json_pack("{s:s,s:s,s:O,s:[o],s:s,s:s,s:I,s:I}", "parent_model", "", "format", "gguf", "family", family, "families",
                     family, "parameter_size", size, "quantization_level", quant ? quant : commonest_type(g), "context_length",
                     (json_int_t)n_ctx, "embedding_length", (json_int_t)n_embd);
}

/* Of the header and of samples of the data: stable, and quick for large files. */
static int digest_of(const struct model_file *mf, char out[65], struct err *e) {
    unsigned char bytes[SAMPLE_BYTES];
    XXH3_state_t *a = XXH3_createState(), *b = XXH3_createState();
    if (!a || !b) {
        XXH3_freeState(a);
        XXH3_freeState(b);
        return err_set(e, ERR_NOMEM, "no memory for a digest");
    }
    XXH3_128bits_reset(a);
    XXH3_128bits_reset_withSeed(b, 1);
    int rc = ERR_OK;
    for (uint32_t i = 0; i < mf->n_file; i++)
        for (uint32_t k = 0; k < SAMPLES && !rc; k++) {
            uint64_t size = mf->files[i].size_bytes, n = size < SAMPLE_BYTES ? size : SAMPLE_BYTES;
            rc = file_read(&mf->files[i], (size - n) / (SAMPLES - 1) * k, bytes, n, false, e);
            XXH3_128bits_update(a, bytes, n);
            XXH3_128bits_update(b, bytes, n);
        }
    XXH3_128bits_update(a, mf->heads[0], mf->gguf.data_offset);
    XXH3_128bits_update(b, mf->heads[0], mf->gguf.data_offset);
    XXH128_hash_t x = XXH3_128bits_digest(a), y = XXH3_128bits_digest(b);
    XXH3_freeState(a);
    XXH3_freeState(b);
    snprintf(out, 65, "%016llx%016llx%016llx%016llx", (unsigned long long)x.high64, (unsigned long long)x.low64,
             (unsigned long long)y.high64, (unsigned long long)y.low64);
    return rc;
}

/* Fill-in-the-middle tokens: by the file's keys, else by their usual texts. */
static void find_fim(const struct gguf *g, struct model *m) {
    static const char *const keys[3][2] = {{"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"},
                                           {"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"},
                                           {"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"}};
    static const char *const texts[][3] = {{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
                                           {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},
                                           {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
                                           {"<PRE>", "<SUF>", "<MID>"},
                                           {"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"},
                                           {"<\xef\xbd\x9c"
                                            "fim\xe2\x96\x81"
                                            "begin\xef\xbd\x9c>",
                                            "<\xef\xbd\x9c"
                                            "fim\xe2\x96\x81"
                                            "hole\xef\xbd\x9c>",
                                            "<\xef\xbd\x9c"
                                            "fim\xe2\x96\x81"
                                            "end\xef\xbd\x9c>"}};
    for (int i = 0; i < 3; i++) {
        uint32_t id;
        m->fim[i] = gguf_get_u32(g, keys[i][0], &id) || gguf_get_u32(g, keys[i][1], &id) ? (int32_t)id : -1;
        for (size_t k = 0; k < sizeof texts / sizeof *texts && m->fim[i] < 0; k++)
            m->fim[i] = tokenizer_find(m->tokenizer, texts[k][i], strlen(texts[k][i]));
    }
    m->inserts = m->fim[0] >= 0 && m->fim[1] >= 0 && m->fim[2] >= 0;
}

static json_t *capabilities_of(const struct model *m) {
    if (m->embeds) return json_pack("[s]", "embedding");
    json_t *c = json_pack("[s]", "completion");
    if (m->calls_tools) json_array_append_new(c, json_string("tools"));
    if (m->thinks) json_array_append_new(c, json_string("thinking"));
    if (m->inserts) json_array_append_new(c, json_string("insert"));
    return c;
}

static void find_abilities(struct model *m, const struct gguf *g) {
    char key[256];
    uint32_t pooling = 0;
    const struct chat_info *ci = chat_info(m->chat);
    m->embeds = gguf_get_u32(g, arch_key(g, "pooling_type", key), &pooling);
    m->pool = pooling == 3 ? BATCH_EMBED_LAST : BATCH_EMBED_MEAN;
    m->thinks = ci->caps & CHAT_THINKING;
    m->calls_tools = ci->caps & CHAT_TOOLS;
    m->think = (struct think_tags){ci->think_open, ci->think_close};
    m->form = tool_form_detect(ci->source, strlen(ci->source));
    find_fim(g, m);
}

static uint32_t grant_ctx(const struct gguf *g, uint32_t asked) {
    char key[256];
    uint32_t trained = DEFAULT_CTX;
    gguf_get_u32(g, arch_key(g, "context_length", key), &trained);
    uint32_t most = asked ? asked : DEFAULT_CTX;
    return trained < most ? trained : most;
}

static int read_open(struct model *m, const struct model_file *mf, uint32_t n_ctx, struct err *e) {
    char key[256];
    const struct gguf *g = &mf->gguf;
    m->size_bytes = mf->size_bytes;
    m->n_param = count_params(g);
    m->n_ctx = grant_ctx(g, n_ctx);
    int rc = tokenizer_new(g, &m->tokenizer, e);
    if (!rc) rc = chat_open(g, &m->chat, e);
    if (!rc) rc = digest_of(mf, m->digest, e);
    if (rc) return rc;
    find_abilities(m, g);
    m->details = details_of(g, m->n_param, m->n_ctx);
    m->capabilities = capabilities_of(m);
    m->info = catalog_info(g, false);
    if (!m->details || !m->capabilities || !m->info) return err_set(e, ERR_NOMEM, "no memory for the description of '%s'", m->path);
    json_object_set_new(m->info, arch_key(g, "context_length", key), json_integer(m->n_ctx));
    return ERR_OK;
}

int catalog_read(struct model *m, uint32_t n_ctx, struct err *e) {
    struct model_file *mf;
    struct stat st;
    int rc = model_file_open(m->path, &mf, e);
    if (rc) return rc;
    if (stat(m->path, &st) == 0) m->modified_ns = (int64_t)st.st_mtime * 1000000000;
    rc = read_open(m, mf, n_ctx, e);
    if (rc && e && !strstr(e->text, m->path)) err_prefix(e, "%s", m->path);
    model_file_close(mf);
    return rc;
}

void catalog_deinit(struct model *m) {
    json_decref(m->details);
    json_decref(m->capabilities);
    json_decref(m->info);
    chat_free(m->chat);
    tokenizer_free(m->tokenizer);
}
