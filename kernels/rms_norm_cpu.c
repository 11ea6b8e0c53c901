#include "kernels/rms_norm.h"
#include "kernels/cpu_ops.h"
#include "kernels/simd.h"

static void add_row(float *x, const float *y, uint32_t n) {
    for (uint32_t i = 0; i < n; i += VF_N)
        vf_store_left(x + i, vf_add(vf_load_left(x + i, n - i), vf_load_left(y + i, n - i)), n - i);
}

static float sum_squares(const float *x, uint32_t n) {
    vf s[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    uint32_t i = 0;
    for (; i + 4 * VF_N <= n; i += 4 * VF_N)
        for (uint32_t k = 0; k < 4; k++) {
            vf v = vf_load(x + i + k * VF_N);
            s[k] = vf_fma(v, v, s[k]);
        }
    for (; i < n; i += VF_N) {
        vf v = vf_load_left(x + i, n - i);
        s[0] = vf_fma(v, v, s[0]);
    }
    return vf_sum(vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
}

static void scale_row(float *out, const float *x, const float *weight, vf inv, uint32_t n) {
    for (uint32_t i = 0; i < n; i += VF_N) {
        vf v = vf_mul(vf_load_left(x + i, n - i), inv);
        if (weight) v = vf_mul(v, vf_load_left(weight + i, n - i));
        vf_store_left(out + i, v, n - i);
    }
}

void ISA_FN(rms_norm)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct rms_norm_args *a = (const struct rms_norm_args *)c->args;
    for (uint32_t r = begin; r < end; r++) {
        uint64_t at = (uint64_t)r * a->dim;
        float *x = (float *)c->bind[1] + at;
        if (c->bind[3]) add_row(x, (const float *)c->bind[3] + at, a->dim);
        vf mean = vf_set1(sum_squares(x, a->dim) / (float)a->dim + a->eps);
        scale_row((float *)c->bind[0] + at, x, c->bind[2], vf_div(vf_set1(1), vf_sqrt(mean)), a->dim);
    }
}
