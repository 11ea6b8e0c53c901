/* RMS norm of rows: out[r,i] = x[r,i] / sqrt(mean_i(x[r,i]^2) + eps) * weight[i], all (n_row, dim).
 * With y, x is a residual stream: first x += y, which is kept, then the norm of that.
 * For q and k norms a row is a head: n_row = n_tok * n_head, dim = head_dim. y and weight (1) are optional.
 * Without y, out may be x. The sum is accumulated in f32 over many lanes. Bytes moved: 8 n_row dim, 16 with y. */
#pragma once
#include "kernels/op.h"

struct rms_norm_args {
    uint32_t n_row, dim;
    float eps;
    uint32_t pad;
};
ARGS_ASSERT(rms_norm_args, 16);

/* How the Metal kernels share the work. */
#define RMS_NORM_SIMD_DIM 512u /* longest row that one simdgroup takes alone */
#define RMS_NORM_ROWS 4u       /* such rows per threadgroup */

#ifndef __METAL_VERSION__
int rms_norm_encode(struct cmd *c, const struct rms_norm_args *a, struct ref out, struct ref x, struct ref y, struct ref weight,
                    struct err *e);
/* sum is what x becomes; NULL without y. */
void rms_norm_ref(const struct rms_norm_args *a, const float *x, const float *y, const float *weight, double *sum, double *out);
#endif
