#include "kernels/rope.h"

#include <math.h>

static double pair_dim(const struct rope_args *a, float beta) {
    return a->n_rot * log(a->n_ctx_orig / (2 * M_PI * (double)beta)) / (2 * log((double)a->freq_base));
}

static double ramp(const struct rope_args *a, uint32_t i) {
    double low = floor(pair_dim(a, a->beta_fast)), high = ceil(pair_dim(a, a->beta_slow));
    if (low < 0) low = 0;
    if (high > a->n_rot - 1.0) high = a->n_rot - 1.0;
    double width = high - low > 0.001 ? high - low : 0.001, y = (i - low) / width;
    return 1 - (y < 0 ? 0 : y > 1 ? 1 : y);
}

static double angle(const struct rope_args *a, int32_t pos, uint32_t i, const float *freq_factors, double *mscale) {
    double extrap = pos * pow((double)a->freq_base, -2.0 * i / a->n_rot);
    if (freq_factors) extrap /= (double)freq_factors[i];
    double interp = extrap * (double)a->freq_scale;
    *mscale = (double)a->attn_factor;
    if (a->ext_factor == 0) return interp;
    double mix = ramp(a, i) * (double)a->ext_factor;
    *mscale *= 1 + 0.1 * log(1 / (double)a->freq_scale);
    return interp * (1 - mix) + extrap * mix;
}

void rope_ref(const struct rope_args *a, const float *x, const int32_t *pos, const float *freq_factors, double *out) {
    for (uint64_t t = 0; t < a->n_tok; t++)
        for (uint64_t h = 0; h < a->n_head; h++, x += a->head_dim, out += a->head_dim) {
            for (uint32_t i = 0; i < a->head_dim; i++) out[i] = (double)x[i];
            for (uint32_t i = 0; i < a->n_rot / 2; i++) {
                uint32_t iu = a->mode == ROPE_NORMAL ? 2 * i : i, iv = a->mode == ROPE_NORMAL ? 2 * i + 1 : i + a->n_rot / 2;
                double m, g = angle(a, pos[t], i, freq_factors, &m), u = (double)x[iu], v = (double)x[iv];
                out[iu] = m * (u * cos(g) - v * sin(g));
                out[iv] = m * (u * sin(g) + v * cos(g));
            }
        }
}
