#include "kernels/rope.h"

#include <math.h>

#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

int rope_check_args(const struct rope_args *a, struct err *e) {
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

static double yarn_dim(const struct rope_args *a, double beta) {
    return a->n_rot * log(a->n_ctx_orig / (2 * M_PI * beta)) / (2 * log((double)a->freq_base));
}

/* Turns per position as a fraction of 2^64: whole turns fall off. Accurate to 2^-53 of itself per factor of freq. */
static uint64_t turn_fraction(double radians) {
    double turns = radians / (2 * M_PI);
    return (uint64_t)ldexp(turns - floor(turns), 64);
}

int rope_metal_fill(const struct rope_args *a, struct rope_metal_args *out, struct err *e) {
    if (a->n_rot / 2 > ROPE_METAL_MAX_PAIR)
        return err_set(e, ERR_UNSUPPORTED, "rope: %u rotated elements per head, at most %u are supported on metal", a->n_rot,
                       2 * ROPE_METAL_MAX_PAIR);
    double low = 0, high = 0, freq = 1, step = a->n_rot ? pow((double)a->freq_base, -2.0 / a->n_rot) : 1;
    *out = (struct rope_metal_args){.n_head = a->n_head, .head_dim = a->head_dim, .n_rot = a->n_rot, .mode = a->mode,
                                    .stretch = a->attn_factor};
    if (a->ext_factor != 0) {
        low = fmax(0, floor(yarn_dim(a, (double)a->beta_fast)));
        high = fmin(a->n_rot - 1.0, ceil(yarn_dim(a, (double)a->beta_slow)));
        out->stretch = (float)((double)a->attn_factor * (1 - 0.1 * log((double)a->freq_scale)));
    }
    for (uint32_t i = 0; i < a->n_rot / 2; i++, freq *= step) {
        double ramp = fmin(1, fmax(0, (i - low) / fmax(0.001, high - low))), mix = (double)a->ext_factor * (1 - ramp);
        out->turn[i] = turn_fraction(freq * ((double)a->freq_scale * (1 - mix) + mix));
    }
    return ERR_OK;
}

static int encode_metal(struct cmd *c, const struct rope_args *a, const struct operand *v, struct err *e) {
    struct rope_metal_args args;
    int rc = rope_metal_fill(a, &args, e);
    if (rc) return rc;
    const struct mtl_const has_factors = {0, MTL_CONST_BOOL, v[2].ref.buf != NULL};
    const struct mtl_call call = {
        .kernel = "rope", .consts = &has_factors, .n_const = 1, .args = &args, .args_bytes = sizeof args,
        .groups = {op_div_up(a->n_rot / 2, 64), a->n_tok, op_div_up(a->n_head, ROPE_HEADS)}, .threads = {64, 1, 1}};
    return op_encode_metal(c, "rope", &call, v, 3, e);
}

int rope_encode(struct cmd *c, const struct rope_args *a, struct ref x, struct ref pos, struct ref freq_factors,
                struct err *e) {
    int rc = rope_check_args(a, e);
    if (rc) return rc;
    const struct operand v[] = {{"x", x, op_bytes(4, a->n_tok, a->n_head, a->head_dim)},
                                {"pos", pos, op_bytes(4, a->n_tok, 1, 1)},
                                {"freq_factors", freq_factors, op_bytes(4, a->n_rot / 2, 1, 1), true}};
    if (op_on_metal(c)) return encode_metal(c, a, v, e);
    const struct cpu_ops *ops;
    rc = op_cpu(c, "rope", &ops, e);
    if (rc) return rc;
    return op_encode_cpu(c, "rope", ops->rope, a->n_tok, 1, a, sizeof *a, v, 3, e);
}
