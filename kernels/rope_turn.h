/* RoPE of single heads on the CPU, once per instruction set: rope_cpu.c and kv_write_cpu.c share it, so that a key has
 * the same bits whichever of them turned it. A turner holds one token's cosines and sines; it lives in the worker's scratch. */
#pragma once
#include <math.h>

#include "kernels/cpu_ops.h"
#include "kernels/rope.h"
#include "kernels/simd.h"

struct rope_turner {
    const struct rope_args *a;
    double low, high, mscale; /* YaRN's ramp; m */
    double step;              /* freq_base^(-2 / n_rot) */
    float *cosv, *sinv;       /* n_rot / 2 each */
};

static inline double rope_yarn_dim(const struct rope_args *a, double beta) {
    return a->n_rot * log(a->n_ctx_orig / (2 * M_PI * beta)) / (2 * log((double)a->freq_base));
}

/* room: n_rot floats */
static inline void rope_turner_init(struct rope_turner *t, const struct rope_args *a, float *room) {
    *t = (struct rope_turner){.a = a, .mscale = (double)a->attn_factor, .cosv = room, .sinv = room + a->n_rot / 2};
    t->step = a->n_rot ? pow((double)a->freq_base, -2.0 / a->n_rot) : 1;
    if (a->ext_factor == 0) return;
    t->low = fmax(0, floor(rope_yarn_dim(a, (double)a->beta_fast)));
    t->high = fmin(a->n_rot - 1.0, ceil(rope_yarn_dim(a, (double)a->beta_slow)));
    t->mscale = (double)a->attn_factor * (1 - 0.1 * log((double)a->freq_scale));
}

static inline double rope_yarn_mix(const struct rope_turner *t, uint32_t i) {
    if (t->a->ext_factor == 0) return 0;
    double ramp = (i - t->low) / fmax(0.001, t->high - t->low);
    return (double)t->a->ext_factor * (1 - fmin(1, fmax(0, ramp)));
}

/* Cosines and sines of one token, both stretched. freq_i is a product of i factors: off by
 * i * 2^-53, which a position of a million turns into 1e-8 at most. */
static inline void rope_turner_set(struct rope_turner *t, int32_t pos, const float *factors) {
    double freq = 1, scale = (double)t->a->freq_scale;
    for (uint32_t i = 0; i < t->a->n_rot / 2; i++, freq *= t->step) {
        double extrap = pos * freq / (factors ? (double)factors[i] : 1), mix = rope_yarn_mix(t, i);
        double angle = scale * extrap * (1 - mix) + extrap * mix;
        t->cosv[i] = (float)(cos(angle) * t->mscale);
        t->sinv[i] = (float)(sin(angle) * t->mscale);
    }
}

/* The compiler vectorizes this one: pairs lie side by side. */
static inline void rope_turn_normal(float *x, const float *cosv, const float *sinv, uint32_t n_pair) {
    for (uint32_t i = 0; i < n_pair; i++) {
        float u = x[2 * i], v = x[2 * i + 1];
        x[2 * i] = u * cosv[i] - v * sinv[i];
        x[2 * i + 1] = u * sinv[i] + v * cosv[i];
    }
}

static inline void rope_turn_neox(float *x, const float *cosv, const float *sinv, uint32_t n_pair) {
    for (uint32_t i = 0; i < n_pair; i += VF_N) {
        uint32_t left = n_pair - i;
        vf u = vf_load_left(x + i, left), v = vf_load_left(x + n_pair + i, left);
        vf co = vf_load_left(cosv + i, left), si = vf_load_left(sinv + i, left);
        vf_store_left(x + i, vf_sub(vf_mul(u, co), vf_mul(v, si)), left);
        vf_store_left(x + n_pair + i, vf_add(vf_mul(u, si), vf_mul(v, co)), left);
    }
}

static inline void rope_turn_head(const struct rope_turner *t, float *head) {
    if (t->a->mode == ROPE_NORMAL) rope_turn_normal(head, t->cosv, t->sinv, t->a->n_rot / 2);
    else rope_turn_neox(head, t->cosv, t->sinv, t->a->n_rot / 2);
}
