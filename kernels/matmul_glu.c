#include "kernels/matmul_glu.h"

#include "kernels/matmul_metal.h"
#include "kernels/matmul_rows.h"

/* The products side by side, then the activation in place. */
static int encode_apart(struct cmd *c, const struct matmul_glu_args *a, struct ref y, struct ref room, struct ref x,
                        const struct matmul_glu_side *gate, const struct matmul_glu_side *up, struct err *e) {
    const struct matmul_args product = {a->n_tok, a->n_in, a->n_out, a->w_type};
    const struct glu_args glu = {a->n_tok * a->n_out, a->act};
    int rc = matmul_encode(c, &product, y, x, gate->w, gate->bias, e);
    if (!rc) rc = matmul_encode(c, &product, room, x, up->w, up->bias, e);
    if (rc) return rc;
    cmd_barrier(c);
    return glu_encode(c, &glu, y, y, room, e);
}

static int encode_fused(struct cmd *c, const struct matmul_glu_args *a, struct ref y, struct ref x,
                        const struct matmul_glu_side *gate, const struct matmul_glu_side *up, struct err *e) {
    const struct matmul_args product = {a->n_tok, a->n_in, a->n_out, a->w_type};
    uint64_t bias_bytes = op_bytes(a->n_out, 4, 1, 1);
    const struct operand v[] = {{"y", y, op_bytes(a->n_tok, a->n_out, 4, 1)}, {"x", x, op_bytes(a->n_tok, a->n_in, 4, 1)},
                                {"the gate's bias", gate->bias, bias_bytes, true}, {"the up bias", up->bias, bias_bytes, true}};
    int rc = op_check("matmul_glu", v, 4, e);
    if (!rc) rc = matmul_check_w("matmul_glu", &product, gate->w, e);
    if (!rc) rc = matmul_check_w("matmul_glu", &product, up->w, e);
    if (rc) return rc;
    const struct ref bind[] = {y, x, gate->w, up->w, gate->bias, up->bias};
    return matmul_glu_metal(c, a, bind, e);
}

int matmul_glu_encode(struct cmd *c, const struct matmul_glu_args *a, struct ref y, struct ref room, struct ref x,
                      const struct matmul_glu_side *gate, const struct matmul_glu_side *up, struct err *e) {
    if (a->act > GLU_GELU_TANH) return err_set(e, ERR_ARG, "matmul_glu: there is no activation %u", a->act);
    if (op_on_metal(c) && !matmul_metal_is_mat(a->n_tok)) return encode_fused(c, a, y, x, gate, up, e);
    return encode_apart(c, a, y, room, x, gate, up, e);
}
