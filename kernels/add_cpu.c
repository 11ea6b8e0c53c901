#include "kernels/add.h"
#include "kernels/cpu_ops.h"
#include "kernels/elementwise.h"
#include "kernels/simd.h"

static void add_run(float *out, const float *x, const float *b, uint64_t n) {
    for (uint64_t i = 0; i < n; i += VF_N)
        vf_store_left(out + i, vf_add(vf_load_left(x + i, n - i), vf_load_left(b + i, n - i)), n - i);
}

void ISA_FN(add)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct add_args *a = (const struct add_args *)c->args;
    float *out = c->bind[0];
    const float *x = c->bind[1], *b = c->bind[2];
    uint64_t i = elem_begin(begin), stop = elem_end(end - 1, a->n);
    while (i < stop) {
        uint64_t at = i % a->n_b, n = a->n_b - at < stop - i ? a->n_b - at : stop - i;
        add_run(out + i, x + i, b + at, n);
        i += n;
    }
}
