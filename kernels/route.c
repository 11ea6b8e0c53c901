#include "kernels/route.h"

#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

int route_encode(struct cmd *c, const struct route_args *a, struct ref ids, struct ref weights, struct ref logits,
                 struct err *e) {
    if (a->n_used == 0 || a->n_used > a->n_expert)
        return err_set(e, ERR_ARG, "route: cannot choose %u of %u experts", a->n_used, a->n_expert);
    if (a->n_expert > ROUTE_MAX_EXPERT)
        return err_set(e, ERR_UNSUPPORTED, "route: %u experts, at most %u are supported", a->n_expert, ROUTE_MAX_EXPERT);
    uint64_t out_bytes = op_bytes(4, a->n_tok, a->n_used, 1);
    const struct operand v[] = {{"ids", ids, out_bytes}, {"weights", weights, out_bytes},
                                {"logits", logits, op_bytes(4, a->n_tok, a->n_expert, 1)}};
    if (op_on_metal(c)) {
        const struct mtl_call call = {.kernel = "route", .args = a, .args_bytes = sizeof *a,
                                      .groups = {op_div_up(a->n_tok, ROUTE_ROWS), 1, 1}, .threads = {32 * ROUTE_ROWS, 1, 1}};
        return op_encode_metal(c, "route", &call, v, 3, e);
    }
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "route", &ops, e);
    if (rc) return rc;
    return op_encode_cpu(c, "route", ops->route, a->n_tok, 4, a, sizeof *a, v, 3, e);
}
