/* Reading many ranges of files into memory at once, with several threads.
 *
 * The ranges are cut into pieces of a few megabytes that reader threads take in order. The first failure stops all. */
#pragma once
#include "io/file.h"

struct load_range {
    const struct file *file;
    uint64_t offset, len;
    void *dst;
};

struct load_options {
    uint32_t n_reader; /* 1..16 */
    bool direct;
    /* Called from the calling thread about ten times a second; returning false cancels (ERR_CANCELLED). May be NULL. */
    bool (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
    void *ctx;
};

int load_ranges(const struct load_range *r, uint32_t n, const struct load_options *opt, struct err *e);
