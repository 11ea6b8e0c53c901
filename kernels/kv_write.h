/* Keys and values of a step into the pool of a layer: k (n_tok, n_head_kv, head_dim), v (n_tok, n_head_kv,
 * head_dim_v), f32; slots u32 (n_tok), slot = block * block_tok + index in the block.
 * The pools: K (n_block, n_head_kv, block_tok, head_dim), V (n_block, n_head_kv, block_tok, head_dim_v), rows of
 *   F16: rounded to nearest, values beyond the largest F16 become that (65504), never infinity
 *   Q8_0: blocks of 32: d = max|x| / 127 as F16, q = x / d rounded
 * With a rope, k is turned on its way (kernels/rope.h): the pool gets what rope and then kv_write would leave there.
 * Two tokens of a step never have the same slot. A slot outside the pool is left alone (callers refuse such). */
#pragma once
#include "kernels/rope.h"

struct kv_write_args {
    uint32_t n_tok, n_head_kv, head_dim, head_dim_v;
    uint32_t block_tok, n_block;
    uint32_t dtype; /* DT_F16 or DT_Q8_0, both pools */
    uint32_t pad;
};
ARGS_ASSERT(kv_write_args, 32);

/* What the kernels get. Without a rope n_rot is 0. */
struct kv_write_cpu_args {
    struct kv_write_args kv;
    struct rope_args rope;
};
ARGS_ASSERT(kv_write_cpu_args, 80);
struct kv_write_metal_args {
    struct kv_write_args kv;
    struct rope_metal_args rope;
};
ARGS_ASSERT(kv_write_metal_args, 32 + sizeof(struct rope_metal_args));

#ifndef __METAL_VERSION__
/* Bytes of a row of dim elements in a pool; 0 when the pool cannot hold such rows. */
uint64_t kv_row_bytes(uint32_t dtype, uint32_t dim);

int kv_write_encode(struct cmd *c, const struct kv_write_args *a, struct ref k_pool, struct ref v_pool, struct ref k,
                    struct ref v, struct ref slots, struct err *e);
/* Its n_tok, n_head and head_dim are those of k; pos i32 (n_tok). */
int kv_write_rope_encode(struct cmd *c, const struct kv_write_args *a, const struct rope_args *rope, struct ref k_pool,
                         struct ref v_pool, struct ref k, struct ref v, struct ref slots, struct ref pos,
                         struct ref freq_factors, struct err *e);

/* What the pool's rows must hold, as exact values, and by how much each may be off, when x is off by off. want and
 * limit are (n_block, n_head_kv, block_tok, dim); only written slots are set. For keys dim is head_dim. */
void kv_write_ref(const struct kv_write_args *a, uint32_t dim, const double *x, const double *off, const uint32_t *slots,
                  double *want, double *limit);
#endif
