#include "kernels/attention.h"

#include "kernels/cpu_ops.h"
#include "kernels/kv_write.h"

#define SPLIT_MAX_TOK 4u /* steps of more tokens have enough work items without splitting the context */
#define TILE_ROWS 64u    /* query rows that share a converted chunk of keys */

static uint32_t ceil_div(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

static int check_args(const struct attention_args *a, struct err *e) {
    if (a->n_head == 0 || a->n_head_kv == 0 || a->n_head % a->n_head_kv)
        return err_set(e, ERR_ARG, "attention: %u query heads cannot share %u kv heads", a->n_head, a->n_head_kv);
    if (a->n_head / a->n_head_kv > ATTENTION_MAX_GROUP || a->head_dim > ATTENTION_MAX_HEAD_DIM ||
        a->head_dim_v > ATTENTION_MAX_HEAD_DIM)
        return err_set(e, ERR_UNSUPPORTED, "attention: heads of %u and %u elements, %u per kv head; at most %u and %u",
                       a->head_dim, a->head_dim_v, a->n_head / a->n_head_kv, ATTENTION_MAX_HEAD_DIM, ATTENTION_MAX_GROUP);
    if (!kv_row_bytes(a->dtype, a->head_dim) || !kv_row_bytes(a->dtype, a->head_dim_v))
        return err_set(e, ERR_UNSUPPORTED, "attention: heads of %u and %u elements cannot be kept in this type of KV; use --kv f16",
                       a->head_dim, a->head_dim_v);
    if (a->block_tok == 0 || a->n_block == 0 || a->n_seq == 0)
        return err_set(e, ERR_ARG, "attention: an empty KV pool (%u blocks of %u tokens, %u sequences)", a->n_block,
                       a->block_tok, a->n_seq);
    if (a->n_pos_max > op_bytes(a->table_stride, a->block_tok, 1, 1))
        return err_set(e, ERR_ARG, "attention: %u positions do not fit tables of %u blocks of %u", a->n_pos_max,
                       a->table_stride, a->block_tok);
    return ERR_OK;
}

/* How the step is cut into work items. Results do not depend on it. */
static void plan(struct attention_args *a, bool have_work) {
    uint32_t tile = TILE_ROWS / (a->n_head / a->n_head_kv), few = ceil_div(a->n_tok, 8);
    a->tile_tok = tile < few ? tile : few;
    if (a->tile_tok == 0) a->tile_tok = 1;
    bool split = have_work && a->n_tok <= SPLIT_MAX_TOK;
    a->n_segment = split ? ceil_div(a->n_pos_max, ATTENTION_SEGMENT) : 1;
    if (a->n_segment == 0) a->n_segment = 1;
}

uint64_t attention_work_bytes(const struct attention_args *a) {
    uint32_t n_segment = ceil_div(a->n_pos_max, ATTENTION_SEGMENT);
    if (n_segment < 2) return 0;
    uint32_t n_tok = a->n_tok < SPLIT_MAX_TOK ? a->n_tok : SPLIT_MAX_TOK;
    return op_bytes(op_bytes(4, n_tok, a->n_head, 1), n_segment, a->head_dim_v + 2, 1);
}

int attention_encode(struct cmd *c, const struct attention_args *args, struct ref out, struct ref q, struct ref k_pool,
                     struct ref v_pool, struct ref tables, struct ref seqs, struct ref pos, struct ref sinks,
                     struct ref work, struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "attention", &ops, e);
    if (!rc) rc = check_args(args, e);
    if (rc) return rc;
    struct attention_args a = *args;
    plan(&a, work.buf != NULL);
    uint64_t rows = op_bytes(a.n_block, a.n_head_kv, a.block_tok, 1);
    const struct operand v[] = {{"out", out, op_bytes(4, a.n_tok, a.n_head, a.head_dim_v)},
                                {"q", q, op_bytes(4, a.n_tok, a.n_head, a.head_dim)},
                                {"the key pool", k_pool, op_bytes(rows, kv_row_bytes(a.dtype, a.head_dim), 1, 1)},
                                {"the value pool", v_pool, op_bytes(rows, kv_row_bytes(a.dtype, a.head_dim_v), 1, 1)},
                                {"tables", tables, op_bytes(4, a.n_seq, a.table_stride, 1)},
                                {"seqs", seqs, op_bytes(4, a.n_tok, 1, 1)},
                                {"pos", pos, op_bytes(4, a.n_tok, 1, 1)},
                                {"sinks", sinks, op_bytes(4, a.n_head, 1, 1), true},
                                {"work", work, a.n_segment > 1 ? attention_work_bytes(&a) : 0, true}};
    uint32_t n_item = ceil_div(a.n_tok, a.tile_tok) * a.n_head_kv * a.n_segment;
    rc = op_encode_cpu(c, "attention", ops->attention, n_item, 1, &a, sizeof a, v, 9, e);
    if (rc || a.n_segment == 1) return rc;
    cmd_barrier(c);
    return op_encode_cpu(c, "attention", ops->attention_merge, a.n_tok * a.n_head_kv, 1, &a, sizeof a, v, 9, e);
}
