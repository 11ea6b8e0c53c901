/* Tensor element types: the ids of the file format, block sizes and names. One table. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum dtype { /* ids in the file */
    DT_F32 = 0, DT_F16 = 1, DT_Q4_0 = 2, DT_Q4_1 = 3, DT_Q5_0 = 6, DT_Q5_1 = 7, DT_Q8_0 = 8,
    DT_Q2_K = 10, DT_Q3_K = 11, DT_Q4_K = 12, DT_Q5_K = 13, DT_Q6_K = 14,
    DT_IQ4_NL = 20, DT_IQ4_XS = 23, DT_BF16 = 30, DT_MXFP4 = 39,
    DT_MAX = 40,
};

struct dtype_info {
    const char *name;     /* "Q4_K" */
    uint32_t block_elems; /* elements per block; a row is a whole number of blocks */
    uint32_t block_bytes;
    bool supported;       /* hy computes with it; others are known by size only, or unknown (name NULL) */
};

/* Never NULL; an unknown id gives an entry with name NULL. */
const struct dtype_info *dtype_info(uint32_t id);

/* Bytes of n elements (a whole number of blocks). */
static inline uint64_t dtype_bytes(enum dtype t, uint64_t n) {
    const struct dtype_info *d = dtype_info((uint32_t)t);
    return n / d->block_elems * d->block_bytes;
}

/* The dtype with that name (case-insensitive), or -1. */
int dtype_from_name(const char *name);
