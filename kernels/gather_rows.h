/* out[i,:] = x[row_ids[i],:]: the rows whose logits are wanted. x (n_row, dim), row_ids i32 (n_out), out (n_out, dim).
 * An id outside 0..n_row-1 gives a row of zeros. out must not overlap x. Bytes moved: 8 n_out dim. */
#pragma once
#include "kernels/op.h"

struct gather_rows_args {
    uint32_t n_out, n_row, dim, pad;
};
ARGS_ASSERT(gather_rows_args, 16);

#ifndef __METAL_VERSION__
int gather_rows_encode(struct cmd *c, const struct gather_rows_args *a, struct ref out, struct ref x,
                       struct ref row_ids, struct err *e);
void gather_rows_ref(const struct gather_rows_args *a, const float *x, const int32_t *row_ids, double *out);
#endif
