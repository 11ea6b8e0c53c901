#include "kernels/scale.h"
#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"
#include "kernels/simd.h"

void ISA_FN(scale)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct scale_args *a = (const struct scale_args *)c->args;
    float *out = c->bind[0];
    const float *x = c->bind[1];
    const vf factor = vf_set1(a->factor);
    uint64_t stop = elem_end(end - 1, a->n);
    for (uint64_t i = elem_begin(begin); i < stop; i += VF_N)
        vf_store_left(out + i, vf_mul(vf_load_left(x + i, stop - i), factor), stop - i);
}
