#include "kernels/glu.h"

#include <math.h>

#include "kernels/check.h"

double glu_ref_act(uint32_t act, double x) {
    if (act == GLU_SILU) return x / (1 + exp(-x));
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * x * (1 + 0.044715 * x * x)));
}

void glu_ref(const struct glu_args *a, const float *gate, const float *up, double *out) {
    for (uint32_t i = 0; i < a->n; i++) out[i] = glu_ref_act(a->act, (double)gate[i]) * (double)up[i];
}

/* silu: e^-x, the sum, the quotient, the product (1 each): on the CPU 6 eps of the result. Where e^-x
 * leaves the range (x < -88.7) the result becomes 0 instead of less than 1e-36 |up|.
 * gelu: the argument t takes 4 roundings and then tanh; in 1 + tanh that is tanh's own + 4 |t| sech^2 t < 2 eps of 1, not of
 * the sum, so x up / 2 scales it; the products add 4 eps of the result. */
double glu_ref_limit(uint32_t act, enum device_kind d, double gate, double up, double out) {
    double half = fabs(gate * up) / 2, rest = fabs(up) * 1e-36;
    if (act == GLU_SILU) return fabs(out) * (check_exp_eps(d) + 3) * CHECK_EPS + rest;
    return (fabs(out) * 4 + half * (check_tanh_eps(d) + 2)) * CHECK_EPS;
}
