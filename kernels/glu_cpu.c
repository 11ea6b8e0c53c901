#include "kernels/glu.h"
#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"
#include "kernels/simd.h"

VF_INLINE vf glu_vf(uint32_t act, vf gate, vf up) {
    return vf_mul(act == GLU_SILU ? vf_silu(gate) : vf_gelu_tanh(gate), up);
}

VF_INLINE void glu_span(uint32_t act, float *out, const float *gate, const float *up, uint64_t n) {
    for (uint64_t i = 0; i < n; i += VF_N)
        vf_store_left(out + i, glu_vf(act, vf_load_left(gate + i, n - i), vf_load_left(up + i, n - i)), n - i);
}

void ISA_FN(glu)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct glu_args *a = (const struct glu_args *)c->args;
    uint64_t i = elem_begin(begin), n = elem_end(end - 1, a->n) - i;
    float *out = (float *)c->bind[0] + i;
    const float *gate = (const float *)c->bind[1] + i, *up = (const float *)c->bind[2] + i;
    if (a->act == GLU_SILU) glu_span(GLU_SILU, out, gate, up, n);
    else glu_span(GLU_GELU_TANH, out, gate, up, n);
}
