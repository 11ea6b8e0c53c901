/* Rotary position embedding, in place: x (n_tok, n_head, head_dim), pos i32 (n_tok).
 *
 * The first n_rot elements of each head are n_rot/2 pairs; pair i is turned by the angle a_i and stretched by m:
 *   (u, v) -> m * (u cos a_i - v sin a_i, u sin a_i + v cos a_i)
 * normal: pair i is elements 2i, 2i+1; neox: elements i, i + n_rot/2. The rest of the head stays.
 *   e_i = pos * freq_base^(-2i / n_rot) / freq_factors[i]     (freq_factors f32 (n_rot/2), optional: 1)
 *   a_i = freq_scale * e_i, m = attn_factor                   (without YaRN: ext_factor 0)
 * YaRN (ext_factor > 0) keeps fast pairs at e_i and slows slow ones:
 *   dim(b) = n_rot * ln(n_ctx_orig / (2 pi b)) / (2 ln freq_base)
 *   low = max(0, floor(dim(beta_fast))), high = min(n_rot - 1, ceil(dim(beta_slow)))
 *   mix_i = ext_factor * (1 - clamp((i - low) / max(0.001, high - low), 0, 1))
 *   a_i = freq_scale * e_i * (1 - mix_i) + e_i * mix_i, m = attn_factor * (1 + 0.1 ln(1 / freq_scale))
 * Angles, cosines and sines are computed in double once per token and rounded to f32. */
#pragma once
#include "kernels/op.h"

#define ROPE_MAX_ROT 4096u

enum rope_mode { ROPE_NORMAL, ROPE_NEOX };

struct rope_args {
    uint32_t n_tok, n_head, head_dim, n_rot;
    uint32_t mode;
    float freq_base, freq_scale;
    float ext_factor, attn_factor, beta_fast, beta_slow;
    uint32_t n_ctx_orig; /* the context before it was stretched; YaRN only */
};
ARGS_ASSERT(rope_args, 48);

/* What the Metal kernel gets: the turns per position of each pair as a fraction of 2^64, all scaling in it. */
#define ROPE_METAL_MAX_PAIR 256u
#define ROPE_HEADS 8u /* heads that one thread turns */
struct rope_metal_args {
    uint32_t n_head, head_dim, n_rot, mode;
    float stretch; /* m */
    uint32_t pad;
    uint64_t turn[ROPE_METAL_MAX_PAIR];
};
ARGS_ASSERT(rope_metal_args, 24 + 8 * ROPE_METAL_MAX_PAIR);

#ifndef __METAL_VERSION__
int rope_encode(struct cmd *c, const struct rope_args *a, struct ref x, struct ref pos, struct ref freq_factors,
                struct err *e);
int rope_check_args(const struct rope_args *a, struct err *e);
/* ERR_UNSUPPORTED when the pairs are too many for Metal. */
int rope_metal_fill(const struct rope_args *a, struct rope_metal_args *out, struct err *e);
/* ref: what comes out; limit: by how much a device may be off. */
void rope_ref_limit(const struct rope_args *a, enum device_kind d, const float *x, double *limit);
void rope_ref(const struct rope_args *a, const float *x, const int32_t *pos, const float *freq_factors, double *out);
#endif
