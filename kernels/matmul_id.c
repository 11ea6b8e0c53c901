#include "kernels/matmul_id.h"

#include "kernels/cpu_ops.h"
#include "kernels/matmul_rows.h"

int matmul_id_encode(struct cmd *c, const struct matmul_id_args *a, struct ref y, struct ref x, struct ref table,
                     struct ref ids, struct ref bias, struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "matmul_id", &ops, e);
    if (!rc) rc = matmul_check_weights("matmul_id", a->w_type, a->n_in, e);
    if (rc) return rc;
    enum act_fmt fmt = matmul_act_fmt((enum dtype)a->w_type, cpu_isa_of(cmd_device(c)));
    uint64_t n_slot = op_bytes(a->n_tok, a->n_used, 1, 1), n_x = a->x_per_slot ? n_slot : a->n_tok;
    const struct operand v[] = {
        {"y", y, op_bytes(n_slot, a->n_out, 4, 1), false},
        {"x", x, op_bytes(n_x, act_bytes(fmt, a->n_in), 1, 1), false},
        {"table", table, op_bytes(a->n_expert, 8, 1, 1), false},
        {"ids", ids, op_bytes(n_slot, 4, 1, 1), false},
        {"bias", bias, op_bytes(a->n_expert, a->n_out, 4, 1), true},
    };
    uint32_t n_chunk = (a->n_out + MM_ITEM_ROWS - 1) / MM_ITEM_ROWS;
    uint64_t n_item = (n_slot < a->n_expert ? n_slot : a->n_expert) * n_chunk;
    if (n_slot > UINT32_MAX || n_item > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "matmul_id: %u tokens are too many for one call", a->n_tok);
    return op_encode_cpu(c, "matmul_id", ops->matmul_id, (uint32_t)n_item, 1, a, sizeof *a, v, 5, e);
}
