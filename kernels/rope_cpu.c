#include "kernels/rope.h"

#include <math.h>

#include "kernels/cpu_ops.h"
#include "kernels/simd.h"

struct yarn {
    double low, high, mscale;
};

static double yarn_dim(const struct rope_args *a, double beta) {
    return a->n_rot * log(a->n_ctx_orig / (2 * M_PI * beta)) / (2 * log((double)a->freq_base));
}

static struct yarn yarn_init(const struct rope_args *a) {
    if (a->ext_factor == 0) return (struct yarn){.mscale = (double)a->attn_factor};
    return (struct yarn){
        .low = fmax(0, floor(yarn_dim(a, (double)a->beta_fast))),
        .high = fmin(a->n_rot - 1.0, ceil(yarn_dim(a, (double)a->beta_slow))),
        .mscale = (double)a->attn_factor * (1 - 0.1 * log((double)a->freq_scale)),
    };
}

static double yarn_mix(const struct rope_args *a, const struct yarn *y, uint32_t i) {
    if (a->ext_factor == 0) return 0;
    double ramp = (i - y->low) / fmax(0.001, y->high - y->low);
    return (double)a->ext_factor * (1 - fmin(1, fmax(0, ramp)));
}

/* Cosines and sines of one token, both stretched. freq_i is a product of i factors: off by
 * i * 2^-53, which a position of a million turns into 1e-8 at most. */
static void rope_table(const struct rope_args *a, const struct yarn *y, double step, int32_t pos, const float *factors,
                       float *cosv, float *sinv) {
    double freq = 1;
    for (uint32_t i = 0; i < a->n_rot / 2; i++, freq *= step) {
        double extrap = pos * freq / (factors ? (double)factors[i] : 1), mix = yarn_mix(a, y, i);
        double angle = (double)a->freq_scale * extrap * (1 - mix) + extrap * mix;
        cosv[i] = (float)(cos(angle) * y->mscale);
        sinv[i] = (float)(sin(angle) * y->mscale);
    }
}

/* The compiler vectorizes this one: pairs lie side by side. */
static void turn_normal(float *x, const float *cosv, const float *sinv, uint32_t n_pair) {
    for (uint32_t i = 0; i < n_pair; i++) {
        float u = x[2 * i], v = x[2 * i + 1];
        x[2 * i] = u * cosv[i] - v * sinv[i];
        x[2 * i + 1] = u * sinv[i] + v * cosv[i];
    }
}

static void turn_neox(float *x, const float *cosv, const float *sinv, uint32_t n_pair) {
    for (uint32_t i = 0; i < n_pair; i += VF_N) {
        uint32_t left = n_pair - i;
        vf u = vf_load_left(x + i, left), v = vf_load_left(x + n_pair + i, left);
        vf co = vf_load_left(cosv + i, left), si = vf_load_left(sinv + i, left);
        vf_store_left(x + i, vf_sub(vf_mul(u, co), vf_mul(v, si)), left);
        vf_store_left(x + n_pair + i, vf_add(vf_mul(u, si), vf_mul(v, co)), left);
    }
}

void ISA_FN(rope)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct rope_args *a = (const struct rope_args *)c->args;
    uint32_t n_pair = a->n_rot / 2;
    float *cosv = (float *)w->scratch, *sinv = cosv + n_pair;
    struct yarn y = yarn_init(a);
    double step = n_pair ? pow((double)a->freq_base, -2.0 / a->n_rot) : 1;
    for (uint64_t t = begin; t < end; t++) {
        rope_table(a, &y, step, ((const int32_t *)c->bind[1])[t], c->bind[2], cosv, sinv);
        float *x = (float *)c->bind[0] + t * a->n_head * a->head_dim;
        for (uint32_t h = 0; h < a->n_head; h++, x += a->head_dim) {
            if (a->mode == ROPE_NORMAL) turn_normal(x, cosv, sinv, n_pair);
            else turn_neox(x, cosv, sinv, n_pair);
        }
    }
}
