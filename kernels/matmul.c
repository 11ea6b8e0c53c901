#include "kernels/matmul.h"

#include "kernels/cpu_ops.h"
#include "kernels/matmul_metal.h"
#include "kernels/matmul_rows.h"

enum act_fmt matmul_act_fmt(enum dtype w, enum cpu_isa isa) {
    switch (w) {
    case DT_Q2_K: case DT_Q3_K: case DT_Q4_K: case DT_Q5_K: case DT_Q6_K: case DT_IQ4_XS: return ACT_Q8_256;
    case DT_Q4_0: case DT_Q4_1: case DT_Q5_0: case DT_Q5_1: case DT_Q8_0: case DT_IQ4_NL: case DT_MXFP4: return ACT_Q8_32;
    default: return ACT_F32;
    }
}

enum act_fmt matmul_x_fmt(const struct device *d, enum dtype w) {
    return device_kind(d) == DEVICE_METAL ? ACT_F32 : matmul_act_fmt(w, cpu_isa_of(d));
}

int matmul_check_weights(const char *op, uint32_t w_type, uint32_t n_in, struct err *e) {
    const struct dtype_info *d = dtype_info(w_type);
    if (!d->name || !d->supported)
        return err_set(e, ERR_UNSUPPORTED, "%s: no kernel for weights of type %u (%s)", op, w_type, d->name ? d->name : "?");
    if (n_in == 0 || n_in % d->block_elems)
        return err_set(e, ERR_ARG, "%s: rows of %u elements are not whole %s blocks of %u", op, n_in, d->name, d->block_elems);
    return ERR_OK;
}

/* Weights lie as files have them: at even addresses. */
int matmul_check_w(const char *op, const struct matmul_args *a, struct ref w, struct err *e) {
    int rc = matmul_check_weights(op, a->w_type, a->n_in, e);
    if (rc) return rc;
    uint64_t need = op_bytes(dtype_bytes((enum dtype)a->w_type, a->n_in), a->n_out, 1, 1);
    if (!w.buf || w.off > w.buf->size_bytes || need > w.buf->size_bytes - w.off)
        return err_set(e, ERR_ARG, "%s: w needs %llu bytes that its buffer does not have", op, (unsigned long long)need);
    return ERR_OK;
}

int matmul_encode(struct cmd *c, const struct matmul_args *a, struct ref y, struct ref x, struct ref w, struct ref bias,
                  struct err *e) {
    int rc = matmul_check_w("matmul", a, w, e);
    if (rc) return rc;
    struct device *d = cmd_device(c);
    const struct operand v[] = {
        {"y", y, op_bytes(a->n_tok, a->n_out, 4, 1), false},
        {"x", x, op_bytes(a->n_tok, act_bytes(matmul_x_fmt(d, (enum dtype)a->w_type), a->n_in), 1, 1), false},
        {"bias", bias, op_bytes(a->n_out, 4, 1, 1), true},
    };
    rc = op_check("matmul", v, 3, e);
    if (rc) return rc;
    const struct ref bind[] = {y, x, w, bias};
    if (device_kind(d) == DEVICE_METAL) return matmul_metal(c, a, bind, e);
    /* Few tokens: long runs of rows, for the sake of prefetching, but still several per thread. */
    uint32_t n_thread = device_n_thread(d), grain = 1;
    uint32_t n_item = a->n_tok ? (a->n_out + MM_ITEM_ROWS - 1) / MM_ITEM_ROWS : 0;
    if (a->n_tok <= 8 && n_item / (8 * n_thread) > 1) grain = n_item / (8 * n_thread);
    cpu_encode(c, cpu_ops(cpu_isa_of(d))->matmul, n_item, grain, a, sizeof *a, bind, 4);
    return ERR_OK;
}
