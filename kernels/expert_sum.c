#include "kernels/expert_sum.h"

#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

int expert_sum_encode(struct cmd *c, const struct expert_sum_args *a, struct ref out, struct ref x, struct ref weights,
                      struct err *e) {
    if (a->n_used == 0) return err_set(e, ERR_ARG, "expert_sum: no experts are used");
    const struct operand v[] = {{"out", out, op_bytes(4, a->n_tok, a->dim, 1)},
                                {"x", x, op_bytes(4, a->n_tok, a->n_used, a->dim)},
                                {"weights", weights, op_bytes(4, a->n_tok, a->n_used, 1)}};
    if (op_on_metal(c)) { /* 4 elements a thread */
        const struct mtl_call call = {.kernel = "expert_sum", .args = a, .args_bytes = sizeof *a,
                                      .groups = {op_div_up(a->dim, 4 * 64), a->n_tok, 1}, .threads = {64, 1, 1}};
        return op_encode_metal(c, "expert_sum", &call, v, 3, e);
    }
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "expert_sum", &ops, e);
    if (rc) return rc;
    return op_encode_cpu(c, "expert_sum", ops->expert_sum, a->n_tok, 1, a, sizeof *a, v, 3, e);
}
