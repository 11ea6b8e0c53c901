/* A matrix product per expert: y[t,k,:] = W_e x + bias[e,:] with e = ids[t,k].
 *
 * x is (n_tok, n_in) when x_per_slot is 0, else (n_tok, n_used, n_in), in the format matmul_act_fmt asks for; y (n_tok,
 * n_used, n_out) f32; ids (n_tok, n_used) int32 in 0..n_expert-1; table (n_expert) the u64 host address of
 * each expert's row 0 (only the entries that ids names are read, and only while the call runs, so a cache may move
 * experts between calls); bias (n_expert, n_out) f32 or absent.
 * Tokens are grouped by expert, so an expert's weights are read once per call; values are those of matmul, bit for
 * bit. An id out of range is a bug of the caller (checked; Metal leaves its row of y as it is).
 *
 * On Metal the table holds device addresses (metal_gpu_address), and for many tokens the product goes by lists of slots by
 * expert, which are made once per routing and serve every product with the same n_tok, n_used, n_expert and ids:
 * where matmul_id_lists_bytes is not 0, call matmul_id_lists_encode, a barrier, and matmul_id_listed_encode.
 * matmul_id_encode alone is right for any shape, and slow for many tokens. */
#pragma once
#include "kernels/matmul.h"

struct matmul_id_args {
    uint32_t n_tok, n_in, n_out;
    uint32_t w_type; /* enum dtype */
    uint32_t n_expert, n_used;
    uint32_t x_per_slot;
    uint32_t pad;
};
ARGS_ASSERT(matmul_id_args, 32);

#ifndef __METAL_VERSION__
int matmul_id_encode(struct cmd *c, const struct matmul_id_args *a, struct ref y, struct ref x, struct ref table,
                     struct ref ids, struct ref bias, struct err *e);

/* Bytes of the lists; 0 when this device or this number of tokens has no use for them. */
uint64_t matmul_id_lists_bytes(const struct device *d, const struct matmul_id_args *a);
/* Metal only, like the lists. */
int matmul_id_lists_encode(struct cmd *c, const struct matmul_id_args *a, struct ref lists, struct ref ids, struct err *e);
int matmul_id_listed_encode(struct cmd *c, const struct matmul_id_args *a, struct ref y, struct ref x, struct ref table,
                            struct ref lists, struct ref bias, struct err *e);
#endif
