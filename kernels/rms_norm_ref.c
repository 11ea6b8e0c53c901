#include "kernels/rms_norm.h"

#include <math.h>

void rms_norm_ref(const struct rms_norm_args *a, const float *x, const float *weight, double *out) {
    for (uint32_t r = 0; r < a->n_row; r++, x += a->dim, out += a->dim) {
        double sum = 0;
        for (uint32_t i = 0; i < a->dim; i++) sum += (double)x[i] * (double)x[i];
        double inv = 1 / sqrt(sum / a->dim + (double)a->eps);
        for (uint32_t i = 0; i < a->dim; i++) out[i] = (double)x[i] * inv * (weight ? (double)weight[i] : 1);
    }
}
