#include "kernels/gather_rows.h"

#include "kernels/cpu_ops.h"

int gather_rows_encode(struct cmd *c, const struct gather_rows_args *a, struct ref out, struct ref x,
                       struct ref row_ids, struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "gather_rows", &ops, e);
    if (rc) return rc;
    const struct operand v[] = {{"out", out, op_bytes(4, a->n_out, a->dim, 1)},
                                {"x", x, op_bytes(4, a->n_row, a->dim, 1)},
                                {"row_ids", row_ids, op_bytes(4, a->n_out, 1, 1)}};
    return op_encode_cpu(c, "gather_rows", ops->gather_rows, a->n_out, 1, a, sizeof *a, v, 3, e);
}
