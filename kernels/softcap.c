#include "kernels/softcap.h"

#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"

int softcap_encode(struct cmd *c, const struct softcap_args *a, struct ref out, struct ref x, struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "softcap", &ops, e);
    if (rc) return rc;
    if (!(a->cap > 0)) return err_set(e, ERR_ARG, "softcap: the cap is %g, it must be positive", (double)a->cap);
    const struct operand v[] = {{"out", out, op_bytes(4, a->n, 1, 1)}, {"x", x, op_bytes(4, a->n, 1, 1)}};
    return op_encode_cpu(c, "softcap", ops->softcap, elem_n_item(a->n), 1, a, sizeof *a, v, 2, e);
}
