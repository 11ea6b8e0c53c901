/* act_quant: plain loops of fixed length, which compilers turn into vector code for every instruction set.
 * All sets give the same bytes. */
#include <math.h>

#include "gguf/half.h"
#include "kernels/act_quant.h"
#include "kernels/cpu_ops.h"

#define INLINE static inline __attribute__((always_inline))

/* Quantizes n elements (a constant) to q and returns the scale. */
INLINE float quantize(const float *restrict x, int8_t *restrict q, int n) {
    const int32_t *bits = (const int32_t *)x;
    int32_t amax = 0; /* as bits, so that a NaN is the largest and reaches the scale */
    for (int i = 0; i < n; i++) {
        int32_t a = bits[i] & 0x7fffffff;
        amax = a > amax ? a : amax;
    }
    float d = f32_from_bits(f32_bits(f32_from_bits((uint32_t)amax) / 127.0f) & ~3u);
    float inverse = d > 0 ? 1.0f / d : 0.0f;
    if (inverse > 0x1p+126f) inverse = d = 0; /* subnormal input: nothing */
    for (int i = 0; i < n; i++) {
        float v = __builtin_rintf(x[i] * inverse);
        v = v < 127.0f ? v : 127.0f; /* a NaN becomes 127 */
        v = v > -127.0f ? v : -127.0f;
        q[i] = (int8_t)(int32_t)v;
    }
    return d;
}

INLINE int sum_of(const int8_t *q, int n) {
    int s = 0;
    for (int i = 0; i < n; i++) s += q[i];
    return s;
}

static void q8_256(const float *x, struct act_q8_256 *y) {
    y->d = quantize(x, y->q, 256);
    for (int i = 0; i < 16; i++) y->sum16[i] = (int16_t)sum_of(y->q + 16 * i, 16);
    for (int i = 0; i < 8; i++) y->sum32[i] = (int16_t)(y->sum16[2 * i] + y->sum16[2 * i + 1]);
    for (int i = 0; i < 3; i++) y->pad[i] = 0;
}

static void q8_32(const float *x, struct act_q8_32 *y, uint32_t n) {
    if (n < 256) *y = (struct act_q8_32){0};
    for (uint32_t b = 0; b < n / 32; b++) {
        y->d[b] = quantize(x + 32 * b, y->q + 32 * b, 32);
        y->sum[b] = sum_of(y->q + 32 * b, 32);
        y->dsum[b] = y->d[b] * (float)y->sum[b];
        y->pad[b] = 0;
    }
}

static void quant_row(enum act_fmt fmt, const float *x, void *y, uint32_t dim) {
    if (fmt == ACT_Q8_256)
        for (uint32_t i = 0; i < dim; i += 256) q8_256(x + i, (struct act_q8_256 *)y + i / 256);
    if (fmt == ACT_Q8_32)
        for (uint32_t i = 0; i < dim; i += 256)
            q8_32(x + i, (struct act_q8_32 *)y + i / 256, dim - i < 256 ? dim - i : 256);
}

/* bind: y, x */
void ISA_FN(act_quant)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct act_quant_args *a = (const void *)c->args;
    enum act_fmt fmt = (enum act_fmt)a->fmt;
    uint64_t bytes = act_bytes(fmt, a->dim);
    for (uint64_t r = begin; r < end; r++)
        quant_row(fmt, (const float *)c->bind[1] + r * a->dim, (unsigned char *)c->bind[0] + r * bytes, a->dim);
}
