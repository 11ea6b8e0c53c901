/* out[i] = a[i] + b[i % n_b]: sums of activations (n_b = n) and biases (n_b = a row's length).
 * out may be a or b (b only when n_b = n). Bytes moved: 12 n. One rounding. */
#pragma once
#include "kernels/op.h"

struct add_args {
    uint32_t n;   /* elements of a and out */
    uint32_t n_b; /* elements of b; divides n */
};
ARGS_ASSERT(add_args, 8);

#ifndef __METAL_VERSION__
int add_encode(struct cmd *c, const struct add_args *a, struct ref out, struct ref x, struct ref b, struct err *e);
void add_ref(const struct add_args *a, const float *x, const float *b, double *out);
#endif
