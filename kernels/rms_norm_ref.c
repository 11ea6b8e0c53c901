#include "kernels/rms_norm.h"

#include <math.h>

void rms_norm_ref(const struct rms_norm_args *a, const float *x, const float *y, const float *weight, double *sum, double *out) {
    for (uint64_t r = 0, at = 0; r < a->n_row; r++, at += a->dim) {
        double squares = 0;
        for (uint32_t i = 0; i < a->dim; i++) {
            out[at + i] = (double)x[at + i] + (y ? (double)y[at + i] : 0);
            if (y) sum[at + i] = out[at + i];
            squares += out[at + i] * out[at + i];
        }
        double inv = 1 / sqrt(squares / a->dim + (double)a->eps);
        for (uint32_t i = 0; i < a->dim; i++) out[at + i] *= inv * (weight ? (double)weight[i] : 1);
    }
}
