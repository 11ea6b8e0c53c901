#include "kernels/add.h"

void add_ref(const struct add_args *a, const float *x, const float *b, double *out) {
    for (uint32_t i = 0; i < a->n; i++) out[i] = (double)x[i] + (double)b[i % a->n_b];
}
