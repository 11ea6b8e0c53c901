#include "runtime/arena.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)64 * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size_bytes, used_bytes;
    _Alignas(16) unsigned char data[];
};

void arena_init(struct arena *a, size_t limit_bytes) {
    *a = (struct arena){.limit_bytes = limit_bytes};
}

void arena_deinit(struct arena *a) {
    struct arena_chunk *c = a->chunks;
    while (c) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
    arena_init(a, a->limit_bytes);
}

static struct arena_chunk *chunk_new(struct arena *a, size_t need_bytes) {
    size_t size = need_bytes > CHUNK_BYTES / 4 ? need_bytes : CHUNK_BYTES;
    if (size > SIZE_MAX - sizeof(struct arena_chunk)) return NULL;
    struct arena_chunk *c = calloc(1, sizeof *c + size);
    if (!c) return NULL;
    c->size_bytes = size;
    if (a->chunks && size == need_bytes && size != CHUNK_BYTES) { /* keep filling the open chunk */
        c->next = a->chunks->next;
        a->chunks->next = c;
    } else {
        c->next = a->chunks;
        a->chunks = c;
    }
    return c;
}

void *arena_alloc(struct arena *a, size_t size_bytes) {
    if (size_bytes > SIZE_MAX / 2) return NULL;
    size_bytes = (size_bytes + 15) & ~(size_t)15;
    if (a->limit_bytes && size_bytes > a->limit_bytes - a->used_bytes) return NULL;
    struct arena_chunk *c = a->chunks;
    if (!c || c->size_bytes - c->used_bytes < size_bytes) c = chunk_new(a, size_bytes);
    if (!c) return NULL;
    void *p = c->data + c->used_bytes;
    c->used_bytes += size_bytes;
    a->used_bytes += size_bytes;
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t size_bytes) {
    size_t total;
    if (__builtin_mul_overflow(n, size_bytes, &total)) return NULL;
    return arena_alloc(a, total);
}

char *arena_strndup(struct arena *a, const char *s, size_t len) {
    if (len == SIZE_MAX) return NULL;
    char *p = arena_alloc(a, len + 1);
    if (p && len) memcpy(p, s, len);
    return p;
}
