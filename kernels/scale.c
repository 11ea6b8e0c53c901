#include "kernels/scale.h"

#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"

int scale_encode(struct cmd *c, const struct scale_args *a, struct ref out, struct ref x, struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "scale", &ops, e);
    if (rc) return rc;
    const struct operand v[] = {{"out", out, op_bytes(4, a->n, 1, 1)}, {"x", x, op_bytes(4, a->n, 1, 1)}};
    return op_encode_cpu(c, "scale", ops->scale, elem_n_item(a->n), 1, a, sizeof *a, v, 2, e);
}
