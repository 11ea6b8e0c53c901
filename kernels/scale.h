/* out[i] = x[i] * factor. out may be x. Bytes moved: 8 n. One rounding. */
#pragma once
#include "kernels/op.h"

struct scale_args {
    uint32_t n;
    float factor;
};
ARGS_ASSERT(scale_args, 8);

#ifndef __METAL_VERSION__
int scale_encode(struct cmd *c, const struct scale_args *a, struct ref out, struct ref x, struct err *e);
void scale_ref(const struct scale_args *a, const float *x, double *out);
#endif
