#include "kernels/glu.h"

#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"
#include "runtime/metal.h"

int glu_encode(struct cmd *c, const struct glu_args *a, struct ref out, struct ref gate, struct ref up, struct err *e) {
    if (a->act > GLU_GELU_TANH) return err_set(e, ERR_ARG, "glu: there is no activation %u", a->act);
    uint64_t bytes = op_bytes(4, a->n, 1, 1);
    const struct operand v[] = {{"out", out, bytes}, {"gate", gate, bytes}, {"up", up, bytes}};
    if (op_on_metal(c)) {
        const struct mtl_const alias = {0, MTL_CONST_UINT, op_in_place(out, gate) ? 1 : op_in_place(out, up) ? 2 : 0};
        const struct mtl_call call = {.kernel = "glu", .consts = &alias, .n_const = 1, .args = a, .args_bytes = sizeof *a,
                                      .groups = {elem_n_group(a->n), 1, 1}, .threads = {ELEM_THREADS, 1, 1}};
        return op_encode_metal(c, "glu", &call, v, 3, e);
    }
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "glu", &ops, e);
    if (rc) return rc;
    return op_encode_cpu(c, "glu", ops->glu, elem_n_item(a->n), 1, a, sizeof *a, v, 3, e);
}
