/* The first half of a gated FFN: y = act(x Wg^T + bg) * (x Wu^T + bu), both matrices of one type and shape; x, biases and
 * y as in matmul.h, the activations in glu.h.
 *
 * Metal, few tokens: one kernel, and no row goes through memory between. Else the three ops, which
 * need room for the second product. The bits are those of the three ops. */
#pragma once
#include "kernels/glu.h"
#include "kernels/matmul.h"

struct matmul_glu_args {
    uint32_t n_tok, n_in, n_out;
    uint32_t w_type; /* enum dtype */
    uint32_t act;    /* enum glu_act */
};
ARGS_ASSERT(matmul_glu_args, 20);

#ifndef __METAL_VERSION__
struct matmul_glu_side {
    struct ref w, bias; /* bias may be absent */
};

/* room: (n_tok, n_out) f32, its content undefined afterwards. */
int matmul_glu_encode(struct cmd *c, const struct matmul_glu_args *a, struct ref y, struct ref room, struct ref x,
                      const struct matmul_glu_side *gate, const struct matmul_glu_side *up, struct err *e);
#endif
