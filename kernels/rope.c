#include "kernels/rope.h"

#include "kernels/cpu_ops.h"

static int check_args(const struct rope_args *a, struct err *e) {
    if (a->n_rot % 2 || a->n_rot > a->head_dim)
        return err_set(e, ERR_ARG, "rope: cannot rotate %u of %u elements; it takes an even number, at most all",
                       a->n_rot, a->head_dim);
    if (a->n_rot > ROPE_MAX_ROT)
        return err_set(e, ERR_UNSUPPORTED, "rope: %u rotated elements per head, at most %u are supported", a->n_rot,
                       ROPE_MAX_ROT);
    if (a->mode > ROPE_NEOX) return err_set(e, ERR_ARG, "rope: there is no mode %u", a->mode);
    if (!(a->freq_base > 0) || !(a->freq_scale > 0))
        return err_set(e, ERR_ARG, "rope: base %g and scale %g must be positive", (double)a->freq_base,
                       (double)a->freq_scale);
    if (a->ext_factor != 0 && (a->n_ctx_orig == 0 || !(a->beta_fast > 0) || !(a->beta_slow > 0) || a->freq_base == 1))
        return err_set(e, ERR_ARG, "rope: YaRN needs the original context and positive betas (have %u, %g, %g)",
                       a->n_ctx_orig, (double)a->beta_fast, (double)a->beta_slow);
    return ERR_OK;
}

int rope_encode(struct cmd *c, const struct rope_args *a, struct ref x, struct ref pos, struct ref freq_factors,
                struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "rope", &ops, e);
    if (!rc) rc = check_args(a, e);
    if (rc) return rc;
    const struct operand v[] = {{"x", x, op_bytes(4, a->n_tok, a->n_head, a->head_dim)},
                                {"pos", pos, op_bytes(4, a->n_tok, 1, 1)},
                                {"freq_factors", freq_factors, op_bytes(4, a->n_rot / 2, 1, 1), true}};
    return op_encode_cpu(c, "rope", ops->rope, a->n_tok, 1, a, sizeof *a, v, 3, e);
}
