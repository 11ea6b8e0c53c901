#include "gguf/gguf_write.h"

#include <stdlib.h>
#include <string.h>

#include "gguf/half.h"

static void add(struct gguf_bytes *b, const void *data, size_t n) {
    if (b->nomem || n == 0) return;
    if (n > b->cap - b->n) {
        size_t cap = (b->n + n) * 2;
        uint8_t *p = realloc(b->p, cap);
        if (!p) {
            b->nomem = true;
            return;
        }
        b->p = p;
        b->cap = cap;
    }
    memcpy(b->p + b->n, data, n);
    b->n += n;
}

/* The low n bytes of v, little-endian. */
static void add_num(struct gguf_bytes *b, uint64_t v, size_t n) {
    uint8_t p[8];
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(v >> 8 * i);
    add(b, p, n);
}

static void add_str(struct gguf_bytes *b, struct gguf_str s) {
    add_num(b, s.len, 8);
    add(b, s.p, s.len);
}

static struct gguf_str str(const char *s) { return (struct gguf_str){s, strlen(s)}; }

void gguf_writer_init(struct gguf_writer *w) { *w = (struct gguf_writer){.version = 3, .alignment = 32}; }

void gguf_writer_deinit(struct gguf_writer *w) {
    free(w->kv.p);
    free(w->dir.p);
    free(w->sizes.p);
    gguf_writer_init(w);
}

static uint64_t f64_bits(double f) {
    uint64_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static void add_value(struct gguf_bytes *b, const struct gguf_kv *kv) {
    switch (kv->type) {
    case GGUF_U8: case GGUF_I8: case GGUF_BOOL: add_num(b, kv->u, 1); return;
    case GGUF_U16: case GGUF_I16: add_num(b, kv->u, 2); return;
    case GGUF_U32: case GGUF_I32: add_num(b, kv->u, 4); return;
    case GGUF_U64: case GGUF_I64: add_num(b, kv->u, 8); return;
    case GGUF_F32: add_num(b, f32_bits((float)kv->f), 4); return;
    case GGUF_F64: add_num(b, f64_bits(kv->f), 8); return;
    case GGUF_STR: add_str(b, kv->s); return;
    case GGUF_ARR:
        add_num(b, kv->a.type, 4);
        add_num(b, kv->a.n, 8);
        add(b, kv->a.data, kv->a.size_bytes);
        return;
    case GGUF_N_TYPES: break;
    }
    check_failed(__FILE__, __LINE__, "a value type");
}

void gguf_put_kv(struct gguf_writer *w, const struct gguf_kv *kv) {
    add_str(&w->kv, kv->key);
    add_num(&w->kv, kv->type, 4);
    add_value(&w->kv, kv);
    w->n_kv++;
}

void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_type type, int64_t value) {
    gguf_put_kv(w, &(struct gguf_kv){.key = str(key), .type = type, .i = value});
}
void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value) { gguf_put_int(w, key, GGUF_U32, value); }
void gguf_put_f32(struct gguf_writer *w, const char *key, float value) {
    gguf_put_kv(w, &(struct gguf_kv){.key = str(key), .type = GGUF_F32, .f = (double)value});
}
void gguf_put_f64(struct gguf_writer *w, const char *key, double value) {
    gguf_put_kv(w, &(struct gguf_kv){.key = str(key), .type = GGUF_F64, .f = value});
}
void gguf_put_bool(struct gguf_writer *w, const char *key, bool value) { gguf_put_int(w, key, GGUF_BOOL, value); }
void gguf_put_str(struct gguf_writer *w, const char *key, const char *value) {
    gguf_put_kv(w, &(struct gguf_kv){.key = str(key), .type = GGUF_STR, .s = str(value)});
}

void gguf_put_arr(struct gguf_writer *w, const char *key, enum gguf_type type, const void *data, uint64_t n) {
    static const uint8_t width[GGUF_N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    CHECK(width[type] != 0);
    gguf_put_kv(w, &(struct gguf_kv){.key = str(key), .type = GGUF_ARR, .a = {type, n, data, n * width[type]}});
}

void gguf_put_arr_str(struct gguf_writer *w, const char *key, const struct gguf_str *s, uint64_t n) {
    struct gguf_bytes b = {0};
    for (uint64_t i = 0; i < n; i++) add_str(&b, s[i]);
    if (b.nomem) w->kv.nomem = true;
    else gguf_put_kv(w, &(struct gguf_kv){.key = str(key), .type = GGUF_ARR, .a = {GGUF_STR, n, b.p, b.n}});
    free(b.p);
}

void gguf_put_split(struct gguf_writer *w, uint32_t no, uint32_t count, uint64_t n_tensor_total) {
    gguf_put_int(w, "split.no", GGUF_U16, no);
    gguf_put_int(w, "split.count", GGUF_U16, count);
    gguf_put_int(w, "split.tensors.count", GGUF_I32, (int64_t)n_tensor_total);
}

static uint64_t align_up(const struct gguf_writer *w, uint64_t n) {
    return (n + w->alignment - 1) / w->alignment * w->alignment;
}

void gguf_put_tensor(struct gguf_writer *w, const char *name, enum dtype type, uint32_t n_dims, const uint64_t *dims) {
    CHECK(n_dims >= 1 && n_dims <= GGUF_MAX_DIMS && dims[0] % dtype_info((uint32_t)type)->block_elems == 0);
    uint64_t size = dtype_bytes(type, dims[0]);
    add_str(&w->dir, str(name));
    add_num(&w->dir, n_dims, 4);
    for (uint32_t d = 0; d < n_dims; d++) {
        add_num(&w->dir, dims[d], 8);
        if (d > 0) size *= dims[d];
    }
    add_num(&w->dir, type, 4);
    add_num(&w->dir, w->offset, 8);
    add(&w->sizes, &size, sizeof size);
    w->offset = align_up(w, w->offset + size);
    w->n_tensor++;
}

static int emit(struct gguf_writer *w, const void *bytes, size_t n, struct err *e) {
    if (n == 0 || w->sink(w->ctx, bytes, n)) return 0;
    return err_set(e, ERR_IO, "cannot write the model file");
}

static int emit_zeros(struct gguf_writer *w, uint64_t n, struct err *e) {
    static const uint8_t zeros[256];
    int code = 0;
    for (; n > 0 && code == 0; n -= n < sizeof zeros ? n : sizeof zeros)
        code = emit(w, zeros, n < sizeof zeros ? n : sizeof zeros, e);
    return code;
}

int gguf_write_head(struct gguf_writer *w, gguf_sink *sink, void *ctx, struct err *e) {
    if (w->alignment != 32) gguf_put_u32(w, "general.alignment", w->alignment);
    struct gguf_bytes head = {0};
    add(&head, "GGUF", 4);
    add_num(&head, w->version, 4);
    add_num(&head, w->n_tensor, 8);
    add_num(&head, w->n_kv, 8);
    w->sink = sink;
    w->ctx = ctx;
    int code = 0;
    if (head.nomem || w->kv.nomem || w->dir.nomem || w->sizes.nomem)
        code = err_set(e, ERR_NOMEM, "the metadata of the model to write does not fit in memory");
    uint64_t size = head.n + w->kv.n + w->dir.n;
    if (!code) code = emit(w, head.p, head.n, e);
    if (!code) code = emit(w, w->kv.p, w->kv.n, e);
    if (!code) code = emit(w, w->dir.p, w->dir.n, e);
    if (!code) code = emit_zeros(w, align_up(w, size) - size, e);
    free(head.p);
    return code;
}

static uint64_t tensor_size(const struct gguf_writer *w, uint64_t i) {
    uint64_t size;
    memcpy(&size, w->sizes.p + i * sizeof size, sizeof size);
    return size;
}

int gguf_write_data(struct gguf_writer *w, const void *bytes, uint64_t n, struct err *e) {
    const uint8_t *p = bytes;
    while (n > 0) {
        CHECK(w->at_tensor < w->n_tensor);
        uint64_t size = tensor_size(w, w->at_tensor), part = size - w->at_bytes < n ? size - w->at_bytes : n;
        int code = emit(w, p, part, e);
        p += part;
        n -= part;
        w->at_bytes += part;
        if (!code && w->at_bytes == size) {
            code = emit_zeros(w, align_up(w, size) - size, e);
            w->at_bytes = 0;
            w->at_tensor++;
        }
        if (code) return code;
    }
    return 0;
}

int gguf_write_end(struct gguf_writer *w, struct err *e) {
    if (w->at_tensor == w->n_tensor) return 0;
    return err_set(e, ERR_ARG, "the data of %llu of %llu tensors is missing",
                   (unsigned long long)(w->n_tensor - w->at_tensor), (unsigned long long)w->n_tensor);
}
