/* Gated activation: out[i] = act(gate[i]) * up[i], all (n_tok, dim). out may be gate or up.
 *   silu(x) = x / (1 + e^-x)
 *   gelu_tanh(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * x * (1 + 0.044715 x^2)))
 * Bytes moved: 12 n_tok dim. */
#pragma once
#include "kernels/op.h"

enum glu_act { GLU_SILU, GLU_GELU_TANH };

struct glu_args {
    uint32_t n; /* n_tok * dim */
    uint32_t act;
};
ARGS_ASSERT(glu_args, 8);

#ifndef __METAL_VERSION__
int glu_encode(struct cmd *c, const struct glu_args *a, struct ref out, struct ref gate, struct ref up, struct err *e);
double glu_ref_act(uint32_t act, double x);
/* By how much out may be off of what exact arithmetic makes of gate and up. */
double glu_ref_limit(uint32_t act, enum device_kind d, double gate, double up, double out);
void glu_ref(const struct glu_args *a, const float *gate, const float *up, double *out);
#endif
