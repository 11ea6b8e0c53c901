#include "kernels/attention.h"

#include "gguf/dtype.h"
#include "kernels/cpu_ops.h"
#include "kernels/kv_write.h"
#include "runtime/metal.h"

#define SPLIT_MAX_TOK 4u /* steps of more tokens have enough work items without splitting the context */
#define TILE_ROWS 64u    /* query rows that share a converted chunk of keys */

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
    uint32_t tile = TILE_ROWS / (a->n_head / a->n_head_kv), few = op_div_up(a->n_tok, 8);
    a->tile_tok = tile < few ? tile : few;
    if (a->tile_tok == 0) a->tile_tok = 1;
    bool split = have_work && a->n_tok <= SPLIT_MAX_TOK;
    a->n_segment = split ? op_div_up(a->n_pos_max, ATTENTION_SEGMENT) : 1;
    if (a->n_segment == 0) a->n_segment = 1;
}

uint64_t attention_work_bytes(const struct attention_args *a) {
    uint32_t n_segment = op_div_up(a->n_pos_max, ATTENTION_SEGMENT);
    if (n_segment < 2) return 0;
    uint32_t n_tok = a->n_tok < SPLIT_MAX_TOK ? a->n_tok : SPLIT_MAX_TOK;
    return op_bytes(op_bytes(4, n_tok, a->n_head, 1), n_segment, a->head_dim_v + 2, 1);
}

/* The prompt form pays where tokens of a sequence share its keys; a step of single tokens has at most n_seq of them. */
bool attention_metal_is_prompt(const struct attention_args *a) {
    return a->n_tok >= ATTENTION_PROMPT_MIN_TOK && a->n_tok > 2 * a->n_seq;
}

struct metal_consts {
    struct mtl_const v[5];
};

static struct metal_consts metal_consts(const struct attention_args *a, const struct operand *v) {
    bool wide = a->dtype == DT_F16 && a->head_dim % 8 == 0 && a->head_dim_v % 8 == 0 && v[2].ref.off % 16 == 0 &&
                v[3].ref.off % 16 == 0;
    return (struct metal_consts){{{0, MTL_CONST_UINT, a->head_dim}, {1, MTL_CONST_UINT, a->head_dim_v},
                                  {2, MTL_CONST_UINT, a->block_tok}, {3, MTL_CONST_BOOL, wide},
                                  {4, MTL_CONST_BOOL, v[7].ref.buf != NULL}}};
}

static int encode_prompt(struct cmd *c, const struct attention_args *a, uint32_t dim, const struct operand *v, struct err *e) {
    static const char *const kernels[2][3] = {
        {"attention_prompt_f16_1", "attention_prompt_f16_2", "attention_prompt_f16_4"},
        {"attention_prompt_q8_0_1", "attention_prompt_q8_0_2", "attention_prompt_q8_0_4"}};
    uint32_t i = dim <= 128 ? 0 : dim <= 256 ? 1 : 2;
    struct metal_consts k = metal_consts(a, v);
    uint64_t rows = op_bytes(a->n_tok, a->n_head / a->n_head_kv, 1, 1);
    if (rows > INT32_MAX) return err_set(e, ERR_UNSUPPORTED, "attention: %u tokens are too many for one step", a->n_tok);
    const struct mtl_call call = {
        .kernel = kernels[a->dtype == DT_Q8_0][i], .consts = k.v, .n_const = 5, .args = a, .args_bytes = sizeof *a,
        .groups = {op_div_up((uint32_t)rows, ATTENTION_PROMPT_ROWS), a->n_head_kv, 1}, .threads = {128u << i, 1, 1}};
    return op_encode_metal(c, "attention", &call, v, 8, e);
}

/* v: out, q, K, V, tables, seqs, pos, sinks, work */
static int encode_decode(struct cmd *c, const struct attention_args *a, uint32_t dim, const struct operand *v, struct err *e) {
    static const char *const kernels[2][2][3] = {
        {{"attention_decode_f16_1_1", "attention_decode_f16_2_1", "attention_decode_f16_4_1"},
         {"attention_decode_f16_1_2", "attention_decode_f16_2_2", "attention_decode_f16_4_2"}},
        {{"attention_decode_q8_0_1_1", "attention_decode_q8_0_2_1", "attention_decode_q8_0_4_1"},
         {"attention_decode_q8_0_1_2", "attention_decode_q8_0_2_2", "attention_decode_q8_0_4_2"}}};
    uint32_t group = a->n_head / a->n_head_kv, i = group > 2 ? 2 : group - 1; /* 1, 2 or 4 heads at a time */
    struct metal_consts k = metal_consts(a, v);
    const struct operand w[] = {v[0], v[8], v[1], v[2], v[3], v[4], v[5], v[6], v[7]};
    const struct mtl_call decode = {
        .kernel = kernels[a->dtype == DT_Q8_0][dim > 256][i], .consts = k.v, .n_const = 5, .args = a, .args_bytes = sizeof *a,
        .groups = {a->n_head_kv * op_div_up(group, 1u << i), a->n_tok, a->n_segment},
        .threads = {32 * ATTENTION_DECODE_SG, 1, 1}};
    int rc = op_encode_metal(c, "attention", &decode, w, 9, e);
    if (rc || a->n_segment == 1) return rc;
    cmd_barrier(c);
    const struct operand parts[] = {v[0], v[8], v[7]};
    const struct mtl_call merge = {.kernel = "attention_merge", .consts = k.v, .n_const = 5, .args = a, .args_bytes = sizeof *a,
                                   .groups = {a->n_head, a->n_tok, 1}, .threads = {32 * ATTENTION_DECODE_SG, 1, 1}};
    return op_encode_metal(c, "attention", &merge, parts, 3, e);
}

static int encode_metal(struct cmd *c, const struct attention_args *a, const struct operand *v, struct err *e) {
    uint32_t dim = a->head_dim > a->head_dim_v ? a->head_dim : a->head_dim_v;
    if (op_bytes(a->n_block, a->n_head_kv, a->block_tok, 1) > UINT32_MAX)
        return err_set(e, ERR_UNSUPPORTED, "attention: a pool of %u blocks of %u tokens has too many rows; use a smaller context",
                       a->n_block, a->block_tok);
    return attention_metal_is_prompt(a) ? encode_prompt(c, a, dim, v, e) : encode_decode(c, a, dim, v, e);
}

int attention_encode(struct cmd *c, const struct attention_args *args, struct ref out, struct ref q, struct ref k_pool,
                     struct ref v_pool, struct ref tables, struct ref seqs, struct ref pos, struct ref sinks,
                     struct ref work, struct err *e) {
    int rc = check_args(args, e);
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
    if (op_on_metal(c)) return encode_metal(c, &a, v, e);
    const struct cpu_ops *ops;
    rc = op_cpu(c, "attention", &ops, e);
    if (rc) return rc;
    uint32_t n_item = op_div_up(a.n_tok, a.tile_tok) * a.n_head_kv * a.n_segment;
    rc = op_encode_cpu(c, "attention", ops->attention, n_item, 1, &a, sizeof a, v, 9, e);
    if (rc || a.n_segment == 1) return rc;
    cmd_barrier(c);
    return op_encode_cpu(c, "attention", ops->attention_merge, a.n_tok * a.n_head_kv, 1, &a, sizeof a, v, 9, e);
}
