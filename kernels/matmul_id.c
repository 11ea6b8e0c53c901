#include "kernels/matmul_id.h"

#include "kernels/cpu_ops.h"
#include "kernels/matmul_metal.h"
#include "kernels/matmul_rows.h"

/* Checks everything; `by` is what says which slots an expert has: ids or lists. bind becomes y, x, table, by, bias. */
static int check(struct cmd *c, const struct matmul_id_args *a, struct ref y, struct ref x, struct ref table,
                 struct operand by, struct ref bias, struct ref *bind, struct err *e) {
    int rc = matmul_check_weights("matmul_id", a->w_type, a->n_in, e);
    if (rc) return rc;
    enum act_fmt fmt = matmul_x_fmt(cmd_device(c), (enum dtype)a->w_type);
    uint64_t n_slot = op_bytes(a->n_tok, a->n_used, 1, 1), n_x = a->x_per_slot ? n_slot : a->n_tok;
    if (n_slot > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "matmul_id: %u tokens are too many for one call", a->n_tok);
    if (table.off % 8)
        return err_set(e, ERR_ARG, "matmul_id: table is at byte %llu, not a multiple of 8", (unsigned long long)table.off);
    const struct operand v[] = {
        {"y", y, op_bytes(n_slot, a->n_out, 4, 1), false},
        {"x", x, op_bytes(n_x, act_bytes(fmt, a->n_in), 1, 1), false},
        {"table", table, op_bytes(a->n_expert, 8, 1, 1), false},
        by,
        {"bias", bias, op_bytes(a->n_expert, a->n_out, 4, 1), true},
    };
    for (uint32_t i = 0; i < 5; i++) bind[i] = v[i].ref;
    return op_check("matmul_id", v, 5, e);
}

int matmul_id_encode(struct cmd *c, const struct matmul_id_args *a, struct ref y, struct ref x, struct ref table,
                     struct ref ids, struct ref bias, struct err *e) {
    struct ref bind[5];
    struct device *d = cmd_device(c);
    int rc = check(c, a, y, x, table, (struct operand){"ids", ids, op_bytes(a->n_tok, a->n_used, 4, 1)}, bias, bind, e);
    if (rc) return rc;
    if (device_kind(d) == DEVICE_METAL) return matmul_id_metal(c, a, bind, false, e);
    uint32_t n_slot = a->n_tok * a->n_used, n_chunk = (a->n_out + MM_ITEM_ROWS - 1) / MM_ITEM_ROWS;
    uint64_t n_item = (uint64_t)(n_slot < a->n_expert ? n_slot : a->n_expert) * n_chunk;
    if (n_item > UINT32_MAX)
        return err_set(e, ERR_LIMIT, "matmul_id: %u tokens are too many for one call", a->n_tok);
    cpu_encode(c, cpu_ops(cpu_isa_of(d))->matmul_id, (uint32_t)n_item, 1, a, sizeof *a, bind, 5);
    return ERR_OK;
}

int matmul_id_listed_encode(struct cmd *c, const struct matmul_id_args *a, struct ref y, struct ref x, struct ref table,
                            struct ref lists, struct ref bias, struct err *e) {
    struct ref bind[5];
    uint64_t bytes = matmul_id_lists_bytes(cmd_device(c), a);
    if (!bytes) return err_set(e, ERR_UNSUPPORTED, "matmul_id: %u tokens go by no lists on this device", a->n_tok);
    int rc = check(c, a, y, x, table, (struct operand){"lists", lists, bytes}, bias, bind, e);
    return rc ? rc : matmul_id_metal(c, a, bind, true, e);
}
