#include "kernels/add.h"

#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"
#include "runtime/metal.h"

int add_encode(struct cmd *c, const struct add_args *a, struct ref out, struct ref x, struct ref b, struct err *e) {
    if (a->n_b == 0 || a->n % a->n_b)
        return err_set(e, ERR_ARG, "add: %u elements are not a whole number of rows of %u", a->n, a->n_b);
    const struct operand v[] = {
        {"out", out, op_bytes(4, a->n, 1, 1)}, {"a", x, op_bytes(4, a->n, 1, 1)}, {"b", b, op_bytes(4, a->n_b, 1, 1)}};
    if (op_on_metal(c)) {
        const struct mtl_const alias = {0, MTL_CONST_UINT, op_in_place(out, x) ? 1 : op_in_place(out, b) ? 2 : 0};
        const struct mtl_call call = {.kernel = "add", .consts = &alias, .n_const = 1, .args = a, .args_bytes = sizeof *a,
                                      .groups = {elem_n_group(a->n), 1, 1}, .threads = {ELEM_THREADS, 1, 1}};
        return op_encode_metal(c, "add", &call, v, 3, e);
    }
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "add", &ops, e);
    if (rc) return rc;
    return op_encode_cpu(c, "add", ops->add, elem_n_item(a->n), 1, a, sizeof *a, v, 3, e);
}
