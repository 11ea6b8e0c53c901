/* Lookup and typed reads over a parsed directory, and the index behind them. */
#include <xxhash.h>

#include "gguf/gguf_impl.h"
#include "gguf/half.h"

const uint8_t gguf_type_bytes[GGUF_N_TYPES] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2,  [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4,
    [GGUF_BOOL] = 1, [GGUF_STR] = 8, [GGUF_ARR] = 12, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

struct gguf_shown gguf_show(struct gguf_str s) {
    struct gguf_shown out;
    char *w = out.text;
    *w++ = '\'';
    for (uint64_t i = 0; i < s.len && i < 80; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= ' ' && c < 127 && c != '\\' && c != '\'') *w++ = (char)c;
        else w += snprintf(w, 5, "\\x%02x", c);
    }
    snprintf(w, 5, s.len > 80 ? "...'" : "'");
    return out;
}

static uint64_t load_bits(const uint8_t *p, enum gguf_type t) {
    switch (gguf_type_bytes[t]) {
    case 1: return p[0];
    case 2: return (uint64_t)(p[0] | p[1] << 8);
    case 4: return gguf_load_u32(p);
    default: return gguf_load_u64(p);
    }
}

int64_t gguf_load_i64(const uint8_t *p, enum gguf_type t) {
    uint64_t u = load_bits(p, t);
    if (t == GGUF_I8) return (int8_t)u;
    if (t == GGUF_I16) return (int16_t)u;
    if (t == GGUF_I32) return (int32_t)u;
    return (int64_t)u;
}

double gguf_load_f64(const uint8_t *p, enum gguf_type t) {
    uint64_t u = load_bits(p, t);
    if (t == GGUF_F32) return (double)f32_from_bits((uint32_t)u);
    if (t == GGUF_F64) {
        double f;
        memcpy(&f, &u, sizeof f);
        return f;
    }
    if (t == GGUF_U64) return (double)u;
    return (double)gguf_load_i64(p, t);
}

struct gguf_str gguf_key_name(const struct gguf *g, uint32_t i) { return g->kv[i].key; }

struct gguf_str gguf_tensor_name(const struct gguf *g, uint32_t i) {
    return (struct gguf_str){g->tensors[i].name, strlen(g->tensors[i].name)};
}

bool gguf_index_init(struct gguf_index *x, uint64_t n, struct arena *a) {
    if (n > (uint64_t)1 << 30) return false;
    uint64_t n_slot = 8;
    while (n_slot < n * 2) n_slot *= 2;
    x->slots = arena_array(a, n_slot, sizeof *x->slots);
    x->mask = (uint32_t)(n_slot - 1);
    return x->slots != NULL;
}

/* The slot that holds s, or the empty one where it belongs. Slots hold entry + 1; 0 is empty. */
static uint32_t *index_slot(const struct gguf_index *x, const struct gguf *g, gguf_name_fn *name_of,
                            struct gguf_str s) {
    for (uint32_t k = (uint32_t)XXH3_64bits(s.p, s.len);; k++) {
        uint32_t *slot = &x->slots[k & x->mask];
        if (*slot == 0) return slot;
        struct gguf_str have = name_of(g, *slot - 1);
        if (have.len == s.len && memcmp(have.p, s.p, s.len) == 0) return slot;
    }
}

bool gguf_index_add(struct gguf_index *x, const struct gguf *g, gguf_name_fn *name_of, uint32_t i) {
    uint32_t *slot = index_slot(x, g, name_of, name_of(g, i));
    if (*slot != 0) return false;
    *slot = i + 1;
    return true;
}

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key) {
    if (!g->key_index.slots) return NULL;
    uint32_t slot = *index_slot(&g->key_index, g, gguf_key_name, (struct gguf_str){key, strlen(key)});
    return slot ? &g->kv[slot - 1] : NULL;
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name) {
    if (!g->tensor_index.slots) return NULL;
    uint32_t slot = *index_slot(&g->tensor_index, g, gguf_tensor_name, (struct gguf_str){name, strlen(name)});
    return slot ? &g->tensors[slot - 1] : NULL;
}

bool gguf_get_u64(const struct gguf *g, const char *key, uint64_t *out) {
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return false;
    switch (kv->type) {
    case GGUF_I8: case GGUF_I16: case GGUF_I32: case GGUF_I64:
        if (kv->i < 0) return false;
        break;
    case GGUF_U8: case GGUF_U16: case GGUF_U32: case GGUF_U64: break;
    default: return false;
    }
    *out = kv->u;
    return true;
}

bool gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out) {
    uint64_t u;
    if (!gguf_get_u64(g, key, &u) || u > UINT32_MAX) return false;
    *out = (uint32_t)u;
    return true;
}

bool gguf_get_f32(const struct gguf *g, const char *key, float *out) {
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv || (kv->type != GGUF_F32 && kv->type != GGUF_F64)) return false;
    *out = (float)kv->f;
    return true;
}

bool gguf_get_bool(const struct gguf *g, const char *key, bool *out) {
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv || kv->type != GGUF_BOOL) return false;
    *out = kv->u != 0;
    return true;
}

bool gguf_get_str(const struct gguf *g, const char *key, struct gguf_str *out) {
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv || kv->type != GGUF_STR) return false;
    *out = kv->s;
    return true;
}

bool gguf_get_arr(const struct gguf *g, const char *key, enum gguf_type type, struct gguf_arr *out) {
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv || kv->type != GGUF_ARR || (type != GGUF_N_TYPES && kv->a.type != type)) return false;
    *out = kv->a;
    return true;
}

static const uint8_t *element(const struct gguf_arr *a, uint64_t i) {
    CHECK(i < a->n && a->type != GGUF_STR && a->type != GGUF_ARR);
    return a->data + i * gguf_type_bytes[a->type];
}

uint64_t gguf_arr_u64(const struct gguf_arr *a, uint64_t i) { return (uint64_t)gguf_arr_i64(a, i); }
int64_t gguf_arr_i64(const struct gguf_arr *a, uint64_t i) {
    CHECK(a->type != GGUF_F32 && a->type != GGUF_F64);
    return gguf_load_i64(element(a, i), a->type);
}
double gguf_arr_f64(const struct gguf_arr *a, uint64_t i) { return gguf_load_f64(element(a, i), a->type); }

bool gguf_arr_next_str(const struct gguf_arr *a, uint64_t *pos, struct gguf_str *out) {
    CHECK(a->type == GGUF_STR);
    if (*pos >= a->size_bytes) return false;
    out->len = gguf_load_u64(a->data + *pos);
    out->p = (const char *)a->data + *pos + 8;
    *pos += 8 + out->len;
    return true;
}

/* Bytes of the elements of an array that begins at a->data and whose size is not known yet. */
static uint64_t measure(const struct gguf_arr *a) {
    uint64_t size = 0;
    if (a->type != GGUF_STR && a->type != GGUF_ARR) return a->n * gguf_type_bytes[a->type];
    for (uint64_t i = 0; i < a->n; i++) {
        const uint8_t *p = a->data + size;
        if (a->type == GGUF_STR) {
            size += 8 + gguf_load_u64(p);
        } else {
            struct gguf_arr sub = {(enum gguf_type)gguf_load_u32(p), gguf_load_u64(p + 4), p + 12, 0};
            size += 12 + measure(&sub);
        }
    }
    return size;
}

bool gguf_arr_next_arr(const struct gguf_arr *a, uint64_t *pos, struct gguf_arr *out) {
    CHECK(a->type == GGUF_ARR);
    if (*pos >= a->size_bytes) return false;
    const uint8_t *p = a->data + *pos;
    *out = (struct gguf_arr){(enum gguf_type)gguf_load_u32(p), gguf_load_u64(p + 4), p + 12, 0};
    out->size_bytes = measure(out);
    *pos += 12 + out->size_bytes;
    return true;
}
