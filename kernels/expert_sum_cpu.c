#include "kernels/expert_sum.h"
#include "kernels/cpu_ops.h"
#include "kernels/simd.h"

void ISA_FN(expert_sum)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct expert_sum_args *a = (const struct expert_sum_args *)c->args;
    for (uint64_t t = begin; t < end; t++) {
        float *out = (float *)c->bind[0] + t * a->dim;
        const float *x = (const float *)c->bind[1] + t * a->n_used * a->dim;
        const float *weights = (const float *)c->bind[2] + t * a->n_used;
        for (uint32_t i = 0; i < a->dim; i += VF_N) {
            vf s = vf_zero();
            for (uint64_t k = 0; k < a->n_used; k++)
                s = vf_fma(vf_set1(weights[k]), vf_load_left(x + k * a->dim + i, a->dim - i), s);
            vf_store_left(out + i, s, a->dim - i);
        }
    }
}
