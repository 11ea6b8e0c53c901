#include "kernels/expert_sum.h"

void expert_sum_ref(const struct expert_sum_args *a, const float *x, const float *weights, double *out) {
    for (uint64_t t = 0; t < a->n_tok; t++)
        for (uint64_t i = 0; i < a->dim; i++) {
            double s = 0;
            for (uint64_t k = 0; k < a->n_used; k++)
                s += (double)weights[t * a->n_used + k] * (double)x[(t * a->n_used + k) * a->dim + i];
            out[t * a->dim + i] = s;
        }
}
