#include "kernels/glu.h"

#include <math.h>

static double act(uint32_t kind, double x) {
    if (kind == GLU_SILU) return x / (1 + exp(-x));
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * x * (1 + 0.044715 * x * x)));
}

void glu_ref(const struct glu_args *a, const float *gate, const float *up, double *out) {
    for (uint32_t i = 0; i < a->n; i++) out[i] = act(a->act, (double)gate[i]) * (double)up[i];
}
