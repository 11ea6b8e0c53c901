/* The cache folder: small files that make later runs better and that anyone may delete (profiles, statistics).
 *
 * $HY_CACHE_DIR; else $XDG_CACHE_HOME/hy; else ~/Library/Caches/hy on macOS and ~/.cache/hy elsewhere; made for its user alone
 * (0700) when something is first written. Without a home there is no cache: reads find nothing, writes say so.
 * A file is replaced as a whole: a reader sees the old or the new one, never a part. Names are the caller's, one path
 * component each. Threads: any. */
#pragma once
#include <stddef.h>

#include "runtime/err.h"

/* Where the file of that name lies; ERR_NOT_FOUND when there is no cache folder (or the path is longer than cap). */
int cache_path(const char *name, char *out, size_t cap, struct err *e);

/* The whole file, NUL-terminated behind *n bytes; the caller frees. ERR_NOT_FOUND, ERR_LIMIT beyond `most` bytes, ERR_IO. */
int cache_read(const char *name, size_t most, char **bytes, size_t *n, struct err *e);
int cache_write(const char *name, const void *bytes, size_t n, struct err *e);
