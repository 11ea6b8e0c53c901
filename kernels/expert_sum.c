#include "kernels/expert_sum.h"

#include "kernels/cpu_ops.h"

int expert_sum_encode(struct cmd *c, const struct expert_sum_args *a, struct ref out, struct ref x, struct ref weights,
                      struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "expert_sum", &ops, e);
    if (rc) return rc;
    if (a->n_used == 0) return err_set(e, ERR_ARG, "expert_sum: no experts are used");
    const struct operand v[] = {{"out", out, op_bytes(4, a->n_tok, a->dim, 1)},
                                {"x", x, op_bytes(4, a->n_tok, a->n_used, a->dim)},
                                {"weights", weights, op_bytes(4, a->n_tok, a->n_used, 1)}};
    return op_encode_cpu(c, "expert_sum", ops->expert_sum, a->n_tok, 1, a, sizeof *a, v, 3, e);
}
