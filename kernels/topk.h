/* The k best of each row of logits: x f32 (n_row, n) -> ids i32 (n_row, k), values f32 (n_row, k), in falling order.
 * Equal values (+0 and -0 are equal) by rising id, NaN after everything. k = 1 is the argmax. Exact: values are copies.
 * Metal: slices of TOPK_SLICE values are sorted, the k best of each are sorted again until one slice is left. */
#pragma once
#include "kernels/op.h"

#define TOPK_MAX 256u
#define TOPK_SLICE 2048u  /* sorted by one threadgroup; 8 bytes of its memory each */
#define TOPK_THREADS 256u

struct topk_args {
    uint32_t n_row, n, k;
    /* Set by topk_encode: what one pass of the Metal kernel sorts. */
    uint32_t n_in;   /* values per row that come in: n, then what the pass before left */
    uint32_t n_slice; /* per row */
    uint32_t size;   /* a power of two: of one slice */
};
ARGS_ASSERT(topk_args, 24);

#ifndef __METAL_VERSION__
/* Bytes of work for these shapes, 8-byte aligned, on every device; 0 when none is needed. */
uint64_t topk_work_bytes(const struct topk_args *a);

/* work may be absent when topk_work_bytes is 0, and on the CPU. */
int topk_encode(struct cmd *c, const struct topk_args *a, struct ref ids, struct ref values, struct ref x, struct ref work,
                struct err *e);
void topk_ref(const struct topk_args *a, const float *x, int32_t *ids, double *values);
#endif
