/* What the files of the parser share: name indexes, safe printing of names, raw reads. Private to gguf/. */
#pragma once
#include <string.h>

#include "gguf/gguf.h"

/* How an index finds the name of entry i. */
typedef struct gguf_str gguf_name_fn(const struct gguf *g, uint32_t i);
gguf_name_fn gguf_key_name, gguf_tensor_name;

/* An empty index with room for n names; false when memory is out or n is beyond 2^30. */
bool gguf_index_init(struct gguf_index *x, uint64_t n, struct arena *a);
/* Adds entry i under its name; false when the name is there already. */
bool gguf_index_add(struct gguf_index *x, const struct gguf *g, gguf_name_fn *name_of, uint32_t i);

/* Text from a file made safe to print: quotes, escapes for all but printable ASCII, cut at 80 bytes. */
struct gguf_shown {
    char text[80 * 4 + 8];
};
struct gguf_shown gguf_show(struct gguf_str s);
static inline struct gguf_shown gguf_show_c(const char *s) { return gguf_show((struct gguf_str){s, strlen(s)}); }

/* Bytes of one element; for strings and arrays the least it can take. */
extern const uint8_t gguf_type_bytes[GGUF_N_TYPES];

static inline uint32_t gguf_load_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t gguf_load_u64(const uint8_t *p) {
    return (uint64_t)gguf_load_u32(p) | (uint64_t)gguf_load_u32(p + 4) << 32;
}
/* A scalar of type t (not STR, ARR) as a signed (sign-extended) or floating number. */
int64_t gguf_load_i64(const uint8_t *p, enum gguf_type t);
double gguf_load_f64(const uint8_t *p, enum gguf_type t);
