#include "kernels/softcap.h"

#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"
#include "runtime/metal.h"

int softcap_encode(struct cmd *c, const struct softcap_args *a, struct ref out, struct ref x, struct err *e) {
    if (!(a->cap > 0)) return err_set(e, ERR_ARG, "softcap: the cap is %g, it must be positive", (double)a->cap);
    const struct operand v[] = {{"out", out, op_bytes(4, a->n, 1, 1)}, {"x", x, op_bytes(4, a->n, 1, 1)}};
    if (op_on_metal(c)) {
        const struct mtl_const alias = {0, MTL_CONST_BOOL, op_in_place(out, x)};
        const struct mtl_call call = {.kernel = "softcap", .consts = &alias, .n_const = 1, .args = a, .args_bytes = sizeof *a,
                                      .groups = {elem_n_group(a->n), 1, 1}, .threads = {ELEM_THREADS, 1, 1}};
        return op_encode_metal(c, "softcap", &call, v, 2, e);
    }
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "softcap", &ops, e);
    if (rc) return rc;
    return op_encode_cpu(c, "softcap", ops->softcap, elem_n_item(a->n), 1, a, sizeof *a, v, 2, e);
}
