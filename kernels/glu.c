#include "kernels/glu.h"

#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"

int glu_encode(struct cmd *c, const struct glu_args *a, struct ref out, struct ref gate, struct ref up, struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "glu", &ops, e);
    if (rc) return rc;
    if (a->act > GLU_GELU_TANH) return err_set(e, ERR_ARG, "glu: there is no activation %u", a->act);
    uint64_t bytes = op_bytes(4, a->n, 1, 1);
    const struct operand v[] = {{"out", out, bytes}, {"gate", gate, bytes}, {"up", up, bytes}};
    return op_encode_cpu(c, "glu", ops->glu, elem_n_item(a->n), 1, a, sizeof *a, v, 3, e);
}
