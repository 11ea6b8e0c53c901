/* out[i] = cap * tanh(x[i] / cap), cap > 0. out may be x. Bytes moved: 8 n. */
#pragma once
#include "kernels/op.h"

struct softcap_args {
    uint32_t n;
    float cap;
};
ARGS_ASSERT(softcap_args, 8);

#ifndef __METAL_VERSION__
int softcap_encode(struct cmd *c, const struct softcap_args *a, struct ref out, struct ref x, struct err *e);
void softcap_ref(const struct softcap_args *a, const float *x, double *out);
#endif
