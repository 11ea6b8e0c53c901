#include "kernels/rms_norm.h"

#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

static int encode_metal(struct cmd *c, const struct rms_norm_args *a, const struct operand *v, struct err *e) {
    const struct mtl_const consts[] = {{0, MTL_CONST_BOOL, op_in_place(v[0].ref, v[1].ref)},
                                       {1, MTL_CONST_BOOL, v[2].ref.buf != NULL},
                                       {2, MTL_CONST_BOOL, v[3].ref.buf != NULL}};
    struct mtl_call call = {.consts = consts, .n_const = 3, .args = a, .args_bytes = sizeof *a};
    if (a->dim <= RMS_NORM_SIMD_DIM) {
        call.kernel = "rms_norm_heads";
        call.groups[0] = op_div_up(a->n_row, RMS_NORM_ROWS);
        call.threads[0] = 32 * RMS_NORM_ROWS;
    } else {
        uint32_t n = 32 * op_div_up(a->dim, 4 * 32);
        call.kernel = "rms_norm";
        call.groups[0] = a->n_row;
        call.threads[0] = n < 1024 ? n : 1024;
    }
    call.groups[1] = call.groups[2] = call.threads[1] = call.threads[2] = 1;
    return op_encode_metal(c, "rms_norm", &call, v, 4, e);
}

int rms_norm_encode(struct cmd *c, const struct rms_norm_args *a, struct ref out, struct ref x, struct ref y, struct ref weight,
                    struct err *e) {
    if (a->dim == 0) return err_set(e, ERR_ARG, "rms_norm: rows of 0 elements have no norm");
    if (y.buf && op_in_place(out, x)) return err_set(e, ERR_ARG, "rms_norm: out is x, which has to keep the sum with y");
    uint64_t bytes = op_bytes(4, a->n_row, a->dim, 1);
    const struct operand v[] = {{"out", out, bytes}, {"x", x, bytes}, {"weight", weight, op_bytes(4, a->dim, 1, 1), true},
                                {"y", y, bytes, true}};
    if (op_on_metal(c)) return encode_metal(c, a, v, e);
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "rms_norm", &ops, e);
    if (rc) return rc;
    uint32_t grain = a->dim < 1024 ? 1024 / a->dim : 1; /* heads are short rows */
    return op_encode_cpu(c, "rms_norm", ops->rms_norm, a->n_row, grain, a, sizeof *a, v, 4, e);
}
