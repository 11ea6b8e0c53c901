/* Activations in the form that the weights they meet want on the CPU: f32 as they are, or 8-bit blocks.
 *
 * y = act_quant(x), x f32 (n_row, dim), y n_row rows of act_bytes(fmt, dim). 8-bit rows come in groups of 256
 * elements (structs below; 64-byte multiples, so that rows stay aligned). A block's scale is amax / 127, its
 * quants are x / scale rounded to nearest even and lie in -127..127: |x - scale * q| <= scale / 2.
 * In Q8_32 the last group may hold fewer than 8 blocks; what is missing is zero with scale 0.
 * Scales have their last two mantissa bits cleared, so that 1.5 * 2^23 * scale is exact (matmul_avx512.h says why).
 * A NaN or an infinity in x makes its block's scale NaN or infinite, and so every result that it enters NaN. */
#pragma once
#include "kernels/op.h"

enum act_fmt { ACT_F32, ACT_Q8_32, ACT_Q8_256 };

struct act_q8_256 {    /* one block of 256 */
    int8_t q[256];
    int16_t sum16[16]; /* of q, per 16 elements */
    int16_t sum32[8];  /* per 32 */
    float d;
    uint32_t pad[3];
};
ARGS_ASSERT(act_q8_256, 320);

struct act_q8_32 {     /* eight blocks of 32 */
    int8_t q[256];
    float d[8];
    float dsum[8];     /* d * sum */
    int32_t sum[8];    /* of q */
    uint32_t pad[8];
};
ARGS_ASSERT(act_q8_32, 384);

struct act_quant_args {
    uint32_t n_row, dim, fmt, pad;
};
ARGS_ASSERT(act_quant_args, 16);

#ifndef __METAL_VERSION__
/* Bytes of one row; dim is a multiple of 32 (Q8_32) or 256 (Q8_256). */
uint64_t act_bytes(enum act_fmt fmt, uint32_t dim);

/* fmt is not ACT_F32: those rows need no op. x (n_row, dim) f32; y must not overlap x. */
int act_quant_encode(struct cmd *c, const struct act_quant_args *a, struct ref y, struct ref x, struct err *e);

/* The same for one row in plain C, for oracles and tests. */
void act_quant_row_ref(enum act_fmt fmt, const float *x, void *y, uint32_t dim);
#endif
