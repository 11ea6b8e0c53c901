/* Shapes of the Metal forms of matmul and matmul_id, shared by the host and the kernels.
 *
 * There are two forms. Vec: a simdgroup computes a few rows of W for all tokens of x, in float; W is read once, as
 * it comes from memory. Mat: a threadgroup of MM_MAT_THREADS computes a tile of MM_MAT_ROWS rows by MM_MAT_TOK tokens with
 * simdgroup matrices; W is decoded once per tile. A value's bits depend on its row of x and of W and on the form alone. */
#pragma once
#include "kernels/matmul_glu.h"
#include "kernels/matmul_id.h"

#ifndef __METAL_VERSION__
/* matmul_encode and matmul_id_encode on Metal, once the operands are known to fit. bind: y, x, w, bias. */
int matmul_metal(struct cmd *c, const struct matmul_args *a, const struct ref *bind, struct err *e);
/* bind: y, x, table, lists or ids, bias. */
int matmul_id_metal(struct cmd *c, const struct matmul_id_args *a, const struct ref *bind, bool listed, struct err *e);

/* The fused matmul_glu_encode, for tokens of the vec form. bind: y, x, gate, up, gate's bias, up's bias. */
int matmul_glu_metal(struct cmd *c, const struct matmul_glu_args *a, const struct ref *bind, struct err *e);

/* Which form n_tok tokens go by. */
bool matmul_metal_is_mat(uint32_t n_tok);
/* Adds to limit (of matmul_ref for f32 x) what the mat form may be off because it rounds W and x to half. */
void matmul_metal_limit(const struct matmul_args *a, const float *x, const void *w, double *limit);
#endif

#define MM_VEC_SIMD 2  /* simdgroups of a threadgroup */
#define MM_VEC_MAX 8   /* tokens of the largest vec kernel */
/* Rows of W per simdgroup: they share what is loaded of x. With many tokens registers set the limit. */
#define MM_VEC_ROWS(n_tok) ((n_tok) <= 2 ? 4 : 2)

#define MM_MAT_THREADS 128
#define MM_MAT_ROWS 64
#define MM_MAT_TOK 32
#define MM_MAT_K 32    /* columns decoded at a time */
/* Threadgroup memory: the two input tiles, then in their place the result in float. */
#define MM_MAT_TILE_BYTES(elem_bytes) ((MM_MAT_ROWS + MM_MAT_TOK) * MM_MAT_K * (elem_bytes))
#define MM_MAT_OUT_BYTES (MM_MAT_ROWS * MM_MAT_TOK * 4)

/* Lists of slots by expert: `head` (n: how many tiles), matmul_id_tile_max tiles, then slot numbers, those of an expert
 * together and rising. A tile is at most MM_MAT_TOK slots of one expert, first.. in the slot numbers. */
#define MM_LIST_THREADS 256
#define MM_LIST_EXPERTS 1024
struct matmul_id_tile {
    uint32_t expert, first, n, pad;
};
ARGS_ASSERT(matmul_id_tile, 16);

/* Each expert's slots fill whole tiles and at most one more; and a tile holds a slot. */
static inline uint32_t matmul_id_tile_max(uint32_t n_slot, uint32_t n_expert) {
    uint32_t n = n_slot / MM_MAT_TOK + n_expert;
    return n < n_slot ? n : n_slot;
}
