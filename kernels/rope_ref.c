#include "kernels/rope.h"

#include <math.h>

#include "kernels/check.h"

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

/* Cosine and sine are rounded once, products and sum too: 3 eps of m (|u| + |v|). The angle is
 * off by less than 1e-9 for positions up to a million (rope_turn.h, rope.metal.h). What is not rotated is exact.
 * Metal: cosine and sine are off by 0.9 eps of 1, by 1 of themselves more where m is not 1; then a product and
 * a fma: with u at most 0.9 + 2 |cos|, with v 0.9 + 2 |sin|, 3 again, and 4 with m. */
void rope_ref_limit(const struct rope_args *a, enum device_kind d, const float *x, double *limit) {
    double m = (double)a->attn_factor * (a->ext_factor != 0 ? 1 - 0.1 * log((double)a->freq_scale) : 1);
    double share = (d == DEVICE_METAL && m != 1 ? 4 : 3) * CHECK_EPS + 1e-9;
    for (uint64_t i = 0, n = (uint64_t)a->n_tok * a->n_head * a->head_dim; i < n; i++) {
        uint64_t in_head = i % a->head_dim, half = a->n_rot / 2;
        limit[i] = 0;
        if (in_head >= a->n_rot) continue;
        uint64_t partner = a->mode == ROPE_NORMAL ? in_head ^ 1 : in_head < half ? in_head + half : in_head - half;
        uint64_t other = i - in_head + partner;
        limit[i] = m * (fabs((double)x[i]) + fabs((double)x[other])) * share;
    }
}
