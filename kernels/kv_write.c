#include "kernels/kv_write.h"

#include "gguf/dtype.h"
#include "kernels/cpu_ops.h"

uint64_t kv_row_bytes(uint32_t dtype, uint32_t dim) {
    bool known = dtype == DT_F16 || dtype == DT_Q8_0;
    return known && dim % dtype_info(dtype)->block_elems == 0 ? dtype_bytes((enum dtype)dtype, dim) : 0;
}

int kv_write_encode(struct cmd *c, const struct kv_write_args *a, struct ref k_pool, struct ref v_pool, struct ref k,
                    struct ref v, struct ref slots, struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "kv_write", &ops, e);
    if (rc) return rc;
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
    return op_encode_cpu(c, "kv_write", ops->kv_write, a->n_tok, 1, a, sizeof *a, operands, 5, e);
}
