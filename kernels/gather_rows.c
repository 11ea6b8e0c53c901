#include "kernels/gather_rows.h"

#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

int gather_rows_encode(struct cmd *c, const struct gather_rows_args *a, struct ref out, struct ref x,
                       struct ref row_ids, struct err *e) {
    const struct operand v[] = {{"out", out, op_bytes(4, a->n_out, a->dim, 1)},
                                {"x", x, op_bytes(4, a->n_row, a->dim, 1)},
                                {"row_ids", row_ids, op_bytes(4, a->n_out, 1, 1)}};
    if (op_on_metal(c)) { /* 4 elements a thread */
        const struct mtl_call call = {.kernel = "gather_rows", .args = a, .args_bytes = sizeof *a,
                                      .groups = {op_div_up(a->dim, 4 * 64), a->n_out, 1}, .threads = {64, 1, 1}};
        return op_encode_metal(c, "gather_rows", &call, v, 3, e);
    }
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "gather_rows", &ops, e);
    if (rc) return rc;
    return op_encode_cpu(c, "gather_rows", ops->gather_rows, a->n_out, 1, a, sizeof *a, v, 3, e);
}
