/* Expert routing: logits (n_tok, n_expert) -> ids i32 (n_tok, n_used), weights f32 (n_tok, n_used).
 * The n_used largest logits in falling order, the lower id first among equals. Weights:
 *   p = softmax over all experts, or over the chosen ones (ROUTE_SOFTMAX_CHOSEN);
 *   divided by the sum of the chosen ones' (ROUTE_RENORM); times scale. */
#pragma once
#include "kernels/op.h"

#define ROUTE_MAX_EXPERT 4096u
#define ROUTE_ROWS 4u /* tokens per threadgroup of the Metal kernel */

enum route_flags { ROUTE_RENORM = 1, ROUTE_SOFTMAX_CHOSEN = 2 };

struct route_args {
    uint32_t n_tok, n_expert, n_used;
    uint32_t flags;
    float scale;
    uint32_t pad;
};
ARGS_ASSERT(route_args, 24);

#ifndef __METAL_VERSION__
int route_encode(struct cmd *c, const struct route_args *a, struct ref ids, struct ref weights, struct ref logits,
                 struct err *e);
void route_ref(const struct route_args *a, const float *logits, int32_t *ids, double *weights);
#endif
