#include "kernels/kv_write.h"

#include <math.h>

#include "gguf/dtype.h"

static double block_top(const double *x) {
    double top = 0;
    for (int i = 0; i < 32; i++) {
        double v = fabs(x[i]);
        if (v > top) top = v; /* fmax here crashes gcc 12's vectorizer on 64-bit ARM */
    }
    return top;
}

static double limit_f16(double want, double off) {
    /* half a unit in the last of 11 bits, and half the smallest subnormal */
    return off + (fabs(want) + off) * 0x1p-11 + 0x1p-25;
}

static double limit_q8(const double *x, const double *off, uint32_t i) {
    /* q is off by 1/2 (and a little, from rounding x / d in f32), d by 2^-11 of itself or
     * half a subnormal F16, which up to 127 steps multiply */
    double d = (block_top(x + i / 32 * 32) + block_top(off + i / 32 * 32)) / 127;
    return off[i] + d * 0.5001 + 127 * (d * 0x1p-11 + 0x1p-25);
}

void kv_write_ref(const struct kv_write_args *a, uint32_t dim, const double *x, const double *off, const uint32_t *slots,
                  double *want, double *limit) {
    for (uint64_t t = 0; t < a->n_tok; t++)
        for (uint64_t h = 0; h < a->n_head_kv; h++, x += dim, off += dim) {
            uint64_t block = slots[t] / a->block_tok, in_block = slots[t] % a->block_tok;
            uint64_t at = ((block * a->n_head_kv + h) * a->block_tok + in_block) * dim;
            if (block >= a->n_block) continue;
            for (uint32_t i = 0; i < dim; i++) {
                want[at + i] = a->dtype == DT_F16 ? fmax(-65504, fmin(65504, x[i])) : x[i];
                limit[at + i] = a->dtype == DT_F16 ? limit_f16(want[at + i], off[i]) : limit_q8(x, off, i);
            }
        }
}
