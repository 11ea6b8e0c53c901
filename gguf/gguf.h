/* GGUF: the file format as pure functions over bytes.
 *
 * gguf_parse turns the head of a file (metadata and tensor directory, never tensor data)
 * into a struct gguf. It does no I/O: the caller gives it a prefix of the file and the file's
 * true size. Strings and arrays are not copied: they point into the caller's bytes, which
 * must outlive the struct gguf; directories live in the caller's arena.
 * Untrusted input: every count, length and offset is checked before use, and each refusal is one
 * sentence that names the file, key or tensor.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gguf/dtype.h"
#include "runtime/arena.h"
#include "runtime/err.h"

#define GGUF_MAX_DIMS 4
#define GGUF_MAX_KEY_BYTES 65535
#define GGUF_MAX_NAME_BYTES 255
#define GGUF_MAX_DEPTH 8 /* arrays in arrays */
#define GGUF_MAX_FILES 1000

enum gguf_type { /* values in the file */
    GGUF_U8 = 0, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
    GGUF_STR, GGUF_ARR, GGUF_U64, GGUF_I64, GGUF_F64,
    GGUF_N_TYPES,
};

struct gguf_str {
    const char *p; /* not NUL-terminated; may hold any bytes */
    uint64_t len;
};

struct gguf_arr {
    enum gguf_type type; /* of the elements; GGUF_ARR for nested arrays */
    uint64_t n;
    const uint8_t *data; /* first element as the file has it (unaligned, little-endian) */
    uint64_t size_bytes; /* of all elements */
};

struct gguf_kv {
    struct gguf_str key;
    enum gguf_type type;
    union {
        uint64_t u; /* U8..U64, BOOL */
        int64_t i;  /* I8..I64 */
        double f;   /* F32, F64 */
        struct gguf_str s;
        struct gguf_arr a;
    };
};

struct gguf_tensor {
    const char *name; /* NUL-terminated copy in the arena; no NUL inside */
    uint32_t n_dims;
    uint64_t dims[GGUF_MAX_DIMS]; /* dims[0] is the contiguous one (a row's length); unused dims are 1 */
    enum dtype type;
    uint32_t file;       /* which part of a split model */
    uint64_t offset;     /* absolute, in that file */
    uint64_t size_bytes; /* exact data length */
};

struct gguf_index { /* open hash of names to positions; private */
    uint32_t *slots;
    uint32_t mask;
};

struct gguf {
    uint32_t version;
    uint32_t alignment; /* of tensor data: a power of two, 8 or more as the format demands */
    uint64_t data_offset; /* absolute offset where tensor data begins (of file 0 after a merge) */
    uint64_t n_kv;
    struct gguf_kv *kv;
    uint64_t n_tensor;
    struct gguf_tensor *tensors; /* file order */
    uint64_t tensors_cap;        /* room in it once parts are merged; private */
    uint32_t n_file;             /* 1 unless split */
    struct gguf_index key_index, tensor_index;
};

/* Parses the first len bytes of a file of file_size bytes. `name` is used in messages only.
 * ERR_SHORT with len < file_size means: give more bytes (at least *need bytes when need is not
 * NULL) and call again; asking for twice as much each time keeps the whole linear. ERR_SHORT with
 * len == file_size means the head is cut off; tensor data beyond file_size is ERR_FORMAT. */
int gguf_parse(const void *bytes, uint64_t len, uint64_t file_size, const char *name, struct arena *a,
               struct gguf *out, uint64_t *need, struct err *e);

/* Split models: the number of parts that file 0 announces (split.count; 1 when not split), checked. */
int gguf_split_count(const struct gguf *g, const char *name, uint32_t *n, struct err *e);

/* Writes into out the path of part `index` (0-based) of a model whose part 0 is at `path`
 * ("...-00001-of-0000N.gguf"). Fails when `path` is not named like the first part. */
int gguf_split_path(const char *path, uint32_t index, uint32_t n, char *out, size_t out_bytes, struct err *e);

/* Adds part `index` to g (parsed from part 0): its tensors, checked for duplicates, split.no and count. */
int gguf_split_add(struct gguf *g, const struct gguf *part, uint32_t index, const char *name, struct arena *a,
                   struct err *e);

/* Lookup; NULL when absent. */
const struct gguf_kv *gguf_find(const struct gguf *g, const char *key);
const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name);

/* Typed reads. Each returns true and fills *out when the key exists and its value fits (any
 * integer type that holds the value counts; bool for bool); false when absent or of another kind. */
bool gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out);
bool gguf_get_u64(const struct gguf *g, const char *key, uint64_t *out);
bool gguf_get_f32(const struct gguf *g, const char *key, float *out);
bool gguf_get_bool(const struct gguf *g, const char *key, bool *out);
bool gguf_get_str(const struct gguf *g, const char *key, struct gguf_str *out);
/* The element type must be `type`; GGUF_N_TYPES takes any. */
bool gguf_get_arr(const struct gguf *g, const char *key, enum gguf_type type, struct gguf_arr *out);

/* Element i of an array of integers / floats / bools (widened), i < a->n. */
uint64_t gguf_arr_u64(const struct gguf_arr *a, uint64_t i);
int64_t gguf_arr_i64(const struct gguf_arr *a, uint64_t i);
double gguf_arr_f64(const struct gguf_arr *a, uint64_t i);

/* Iterates an array of strings (or of arrays): *pos starts at 0; false after the last. */
bool gguf_arr_next_str(const struct gguf_arr *a, uint64_t *pos, struct gguf_str *out);
bool gguf_arr_next_arr(const struct gguf_arr *a, uint64_t *pos, struct gguf_arr *out);
