/* Writing GGUF: metadata and tensor directory are collected, then the head and the tensors' data
 * go to a sink in order, so that a file of any size is written in constant memory.
 *
 *     gguf_writer_init(&w); gguf_put_str(&w, "general.architecture", "llama"); ...
 *     gguf_put_tensor(&w, "token_embd.weight", DT_F32, 2, dims); ...
 *     gguf_write_head(&w, sink, ctx, &e); gguf_write_data(&w, rows, size, &e); ... gguf_write_end(&w, &e);
 *
 * Memory failures while collecting stick and surface in gguf_write_head. Names and keys are not
 * checked: tests write broken files with this too. No I/O of its own. One owner, one thread. */
#pragma once
#include "gguf/gguf.h"

/* Takes n bytes; false when it cannot. */
typedef bool gguf_sink(void *ctx, const void *bytes, size_t n);

struct gguf_bytes {
    uint8_t *p;
    size_t n, cap;
    bool nomem;
};

struct gguf_writer {
    uint32_t version, alignment; /* 3 and 32; an alignment set before the first tensor is written as metadata */
    struct gguf_bytes kv, dir;
    struct gguf_bytes sizes; /* uint64_t per tensor */
    uint64_t n_kv, n_tensor;
    uint64_t offset; /* of the next tensor in the data section */
    gguf_sink *sink;
    void *ctx;
    uint64_t at_tensor, at_bytes; /* how far the data has come */
};

void gguf_writer_init(struct gguf_writer *w);
void gguf_writer_deinit(struct gguf_writer *w);

/* Any key and value, for arrays the bytes as a->data has them (also to copy what was parsed). */
void gguf_put_kv(struct gguf_writer *w, const struct gguf_kv *kv);
void gguf_put_int(struct gguf_writer *w, const char *key, enum gguf_type type, int64_t value);
void gguf_put_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_put_f32(struct gguf_writer *w, const char *key, float value);
void gguf_put_f64(struct gguf_writer *w, const char *key, double value);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_put_str(struct gguf_writer *w, const char *key, const char *value);
/* n scalars of `type` as they lie in memory. */
void gguf_put_arr(struct gguf_writer *w, const char *key, enum gguf_type type, const void *data, uint64_t n);
void gguf_put_arr_str(struct gguf_writer *w, const char *key, const struct gguf_str *s, uint64_t n);
/* The three keys of part `no` (0-based) of a split model. */
void gguf_put_split(struct gguf_writer *w, uint32_t no, uint32_t count, uint64_t n_tensor_total);

/* Whole blocks per row (checked). Data follow in the order of these calls. */
void gguf_put_tensor(struct gguf_writer *w, const char *name, enum dtype type, uint32_t n_dims, const uint64_t *dims);

int gguf_write_head(struct gguf_writer *w, gguf_sink *sink, void *ctx, struct err *e);
/* The next bytes of tensor data; padding between tensors is added. */
int gguf_write_data(struct gguf_writer *w, const void *bytes, uint64_t n, struct err *e);
/* Checks that all data came. */
int gguf_write_end(struct gguf_writer *w, struct err *e);
