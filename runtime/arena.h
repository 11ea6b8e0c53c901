/* Arenas: memory with one lifetime (a model, a sequence, a command), freed at once.
 *
 * An arena grows in chunks; what it hands out is zeroed, aligned to 16 bytes and stays
 * where it is until arena_deinit. Not thread-safe: an arena has one owner. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* handed out so far, over all chunks */
    size_t limit_bytes;         /* refuse to grow past this; 0 means no limit */
};

void arena_init(struct arena *a, size_t limit_bytes);
void arena_deinit(struct arena *a);

/* Zeroed memory, or NULL when the system or the limit refuses. A size of 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t size_bytes);

/* n * size_bytes with the multiplication checked. */
void *arena_array(struct arena *a, size_t n, size_t size_bytes);

/* A NUL-terminated copy of len bytes. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
