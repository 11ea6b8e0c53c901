#include "kernels/kv_write.h"

#include "gguf/dtype.h"
#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

uint64_t kv_row_bytes(uint32_t dtype, uint32_t dim) {
    bool known = dtype == DT_F16 || dtype == DT_Q8_0;
    return known && dim % dtype_info(dtype)->block_elems == 0 ? dtype_bytes((enum dtype)dtype, dim) : 0;
}

static int encode_metal(struct cmd *c, const struct kv_write_args *a, const struct rope_args *rope, const struct operand *v,
                        uint32_t n, struct err *e) {
    uint32_t dim = a->head_dim > a->head_dim_v ? a->head_dim : a->head_dim_v;
    uint64_t pieces = op_bytes(a->n_tok, a->n_head_kv, op_div_up(dim, 4), 1);
    if (pieces > UINT32_MAX / 2) return err_set(e, ERR_UNSUPPORTED, "kv_write: %u tokens are too many for one step", a->n_tok);
    struct kv_write_metal_args args = {.kv = *a};
    int rc = rope ? rope_metal_fill(rope, &args.rope, e) : ERR_OK;
    if (rc) return rc;
    const struct mtl_const consts[] = {{0, MTL_CONST_BOOL, v[6].ref.buf != NULL}, {1, MTL_CONST_BOOL, rope != NULL}};
    const struct mtl_call call = {.kernel = a->dtype == DT_F16 ? "kv_write_f16" : "kv_write_q8_0", .consts = consts, .n_const = 2,
                                  .args = &args, .args_bytes = sizeof args, .groups = {op_div_up((uint32_t)pieces, 128), 2, 1},
                                  .threads = {128, 1, 1}};
    return op_encode_metal(c, "kv_write", &call, v, n, e);
}

static int check_args(const struct kv_write_args *a, const struct rope_args *rope, struct err *e) {
    if (!kv_row_bytes(a->dtype, a->head_dim) || !kv_row_bytes(a->dtype, a->head_dim_v))
        return err_set(e, ERR_UNSUPPORTED, "kv_write: heads of %u and %u elements cannot be kept as %s; use --kv f16",
                       a->head_dim, a->head_dim_v, dtype_info(a->dtype)->name ? dtype_info(a->dtype)->name : "this type");
    if (!rope) return ERR_OK;
    if (rope->n_tok != a->n_tok || rope->n_head != a->n_head_kv || rope->head_dim != a->head_dim)
        return err_set(e, ERR_ARG, "kv_write: rope is for %u tokens of %u heads of %u elements, k has %u of %u of %u", rope->n_tok,
                       rope->n_head, rope->head_dim, a->n_tok, a->n_head_kv, a->head_dim);
    if (a->head_dim > ROPE_MAX_ROT) /* a head lies in a worker's scratch while it is turned */
        return err_set(e, ERR_UNSUPPORTED, "kv_write: heads of %u elements, at most %u are turned", a->head_dim, ROPE_MAX_ROT);
    return rope_check_args(rope, e);
}

int kv_write_rope_encode(struct cmd *c, const struct kv_write_args *a, const struct rope_args *rope, struct ref k_pool,
                         struct ref v_pool, struct ref k, struct ref v, struct ref slots, struct ref pos,
                         struct ref freq_factors, struct err *e) {
    int rc = check_args(a, rope, e);
    if (rc) return rc;
    uint64_t rows = op_bytes(a->n_block, a->n_head_kv, a->block_tok, 1);
    const struct operand operands[] = {{"the key pool", k_pool, op_bytes(rows, kv_row_bytes(a->dtype, a->head_dim), 1, 1)},
                                       {"the value pool", v_pool, op_bytes(rows, kv_row_bytes(a->dtype, a->head_dim_v), 1, 1)},
                                       {"k", k, op_bytes(4, a->n_tok, a->n_head_kv, a->head_dim)},
                                       {"v", v, op_bytes(4, a->n_tok, a->n_head_kv, a->head_dim_v)},
                                       {"slots", slots, op_bytes(4, a->n_tok, 1, 1)},
                                       {"pos", pos, op_bytes(4, a->n_tok, 1, 1), !rope},
                                       {"freq_factors", freq_factors, rope ? op_bytes(4, rope->n_rot / 2, 1, 1) : 0, true}};
    if (op_on_metal(c)) return encode_metal(c, a, rope, operands, 7, e);
    const struct cpu_ops *ops;
    rc = op_cpu(c, "kv_write", &ops, e);
    if (rc) return rc;
    struct kv_write_cpu_args args = {.kv = *a};
    if (rope) args.rope = *rope;
    return op_encode_cpu(c, "kv_write", ops->kv_write, a->n_tok, 1, &args, sizeof args, operands, 7, e);
}

int kv_write_encode(struct cmd *c, const struct kv_write_args *a, struct ref k_pool, struct ref v_pool, struct ref k,
                    struct ref v, struct ref slots, struct err *e) {
    return kv_write_rope_encode(c, a, NULL, k_pool, v_pool, k, v, slots, (struct ref){0}, (struct ref){0}, e);
}
