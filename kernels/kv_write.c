#include "kernels/kv_write.h"

#include "gguf/dtype.h"
#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

uint64_t kv_row_bytes(uint32_t dtype, uint32_t dim) {
    bool known = dtype == DT_F16 || dtype == DT_Q8_0;
    return known && dim % dtype_info(dtype)->block_elems == 0 ? dtype_bytes((enum dtype)dtype, dim) : 0;
}

static int encode_metal(struct cmd *c, const struct kv_write_args *a, const struct operand *v, struct err *e) {
    uint32_t dim = a->head_dim > a->head_dim_v ? a->head_dim : a->head_dim_v;
    uint64_t pieces = op_bytes(a->n_tok, a->n_head_kv, op_div_up(dim, 4), 1);
    if (pieces > UINT32_MAX / 2) return err_set(e, ERR_UNSUPPORTED, "kv_write: %u tokens are too many for one step", a->n_tok);
    const struct mtl_call call = {.kernel = a->dtype == DT_F16 ? "kv_write_f16" : "kv_write_q8_0", .args = a,
                                  .args_bytes = sizeof *a, .groups = {op_div_up((uint32_t)pieces, 128), 2, 1},
                                  .threads = {128, 1, 1}};
    return op_encode_metal(c, "kv_write", &call, v, 5, e);
}

int kv_write_encode(struct cmd *c, const struct kv_write_args *a, struct ref k_pool, struct ref v_pool, struct ref k,
                    struct ref v, struct ref slots, struct err *e) {
    uint64_t k_row = kv_row_bytes(a->dtype, a->head_dim), v_row = kv_row_bytes(a->dtype, a->head_dim_v);
    if (!k_row || !v_row)
        return err_set(e, ERR_UNSUPPORTED, "kv_write: heads of %u and %u elements cannot be kept as %s; use --kv f16",
                       a->head_dim, a->head_dim_v, dtype_info(a->dtype)->name ? dtype_info(a->dtype)->name : "this type");
    uint64_t rows = op_bytes(a->n_block, a->n_head_kv, a->block_tok, 1);
    const struct operand operands[] = {{"the key pool", k_pool, op_bytes(rows, k_row, 1, 1)},
                                       {"the value pool", v_pool, op_bytes(rows, v_row, 1, 1)},
                                       {"k", k, op_bytes(4, a->n_tok, a->n_head_kv, a->head_dim)},
                                       {"v", v, op_bytes(4, a->n_tok, a->n_head_kv, a->head_dim_v)},
                                       {"slots", slots, op_bytes(4, a->n_tok, 1, 1)}};
    if (op_on_metal(c)) return encode_metal(c, a, operands, e);
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "kv_write", &ops, e);
    if (rc) return rc;
    return op_encode_cpu(c, "kv_write", ops->kv_write, a->n_tok, 1, a, sizeof *a, operands, 5, e);
}
