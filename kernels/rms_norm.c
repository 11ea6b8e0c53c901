#include "kernels/rms_norm.h"

#include "kernels/cpu_ops.h"

int rms_norm_encode(struct cmd *c, const struct rms_norm_args *a, struct ref out, struct ref x, struct ref weight,
                    struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "rms_norm", &ops, e);
    if (rc) return rc;
    if (a->dim == 0) return err_set(e, ERR_ARG, "rms_norm: rows of 0 elements have no norm");
    uint64_t bytes = op_bytes(4, a->n_row, a->dim, 1);
    const struct operand v[] = {{"out", out, bytes}, {"x", x, bytes}, {"weight", weight, op_bytes(4, a->dim, 1, 1), true}};
    uint32_t grain = a->dim < 1024 ? 1024 / a->dim : 1; /* heads are short rows */
    return op_encode_cpu(c, "rms_norm", ops->rms_norm, a->n_row, grain, a, sizeof *a, v, 3, e);
}
