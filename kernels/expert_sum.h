/* out[t,i] = sum over k of weights[t,k] * x[t,k,i], in the order of k: the experts' outputs put together.
 * x (n_tok, n_used, dim), weights (n_tok, n_used), out (n_tok, dim). Bytes moved: 4 n_tok dim (n_used + 1). */
#pragma once
#include "kernels/op.h"

struct expert_sum_args {
    uint32_t n_tok, n_used, dim, pad;
};
ARGS_ASSERT(expert_sum_args, 16);

#ifndef __METAL_VERSION__
int expert_sum_encode(struct cmd *c, const struct expert_sum_args *a, struct ref out, struct ref x, struct ref weights,
                      struct err *e);
void expert_sum_ref(const struct expert_sum_args *a, const float *x, const float *weights, double *out);
#endif
