#include "kernels/act_quant.h"

#include <math.h>
#include <string.h>

#include "gguf/half.h"
#include "kernels/cpu_ops.h"

uint64_t act_bytes(enum act_fmt fmt, uint32_t dim) {
    uint64_t n_group = ((uint64_t)dim + 255) / 256;
    switch (fmt) {
    case ACT_F32: return (uint64_t)dim * 4;
    case ACT_Q8_32: return n_group * sizeof(struct act_q8_32);
    case ACT_Q8_256: return n_group * sizeof(struct act_q8_256);
    }
    CHECK(!"act_fmt");
    return 0;
}

int act_quant_encode(struct cmd *c, const struct act_quant_args *a, struct ref y, struct ref x, struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "act_quant", &ops, e);
    if (rc) return rc;
    if (a->fmt < ACT_Q8_32 || a->fmt > ACT_Q8_256)
        return err_set(e, ERR_ARG, "act_quant: %u is no format of rows to write", a->fmt);
    uint32_t unit = a->fmt == ACT_Q8_32 ? 32 : 256;
    if (a->dim == 0 || a->dim % unit)
        return err_set(e, ERR_ARG, "act_quant: rows of %u are not whole blocks of %u", a->dim, unit);
    const struct operand v[] = {
        {"y", y, op_bytes(a->n_row, act_bytes((enum act_fmt)a->fmt, a->dim), 1, 1), false},
        {"x", x, op_bytes(a->n_row, a->dim, 4, 1), false},
    };
    uint32_t grain = 1 + 4096 / a->dim; /* about 16 KB of x */
    return op_encode_cpu(c, "act_quant", ops->act_quant, a->n_row, grain, a, sizeof *a, v, 2, e);
}

/* Quantizes n elements to q and returns the scale. */
static float quantize_ref(const float *x, int8_t *q, int n) {
    uint32_t amax = 0; /* as bits, so that a NaN is the largest */
    for (int i = 0; i < n; i++) {
        uint32_t a = f32_bits(x[i]) & 0x7fffffff;
        if (a > amax) amax = a;
    }
    float d = f32_from_bits(f32_bits(f32_from_bits(amax) / 127.0f) & ~3u);
    float inverse = d > 0 ? 1.0f / d : 0.0f;
    if (inverse > 0x1p+126f) inverse = d = 0; /* subnormal input: nothing */
    for (int i = 0; i < n; i++) q[i] = (int8_t)fmaxf(-127.0f, fminf(127.0f, rintf(x[i] * inverse)));
    return d;
}

static void q8_256_ref(const float *x, struct act_q8_256 *y) {
    memset(y, 0, sizeof *y);
    y->d = quantize_ref(x, y->q, 256);
    for (int i = 0; i < 256; i++) {
        y->sum16[i / 16] = (int16_t)(y->sum16[i / 16] + y->q[i]);
        y->sum32[i / 32] = (int16_t)(y->sum32[i / 32] + y->q[i]);
    }
}

static void q8_32_ref(const float *x, struct act_q8_32 *y, uint32_t n) {
    memset(y, 0, sizeof *y);
    for (uint32_t b = 0; b < n / 32; b++) {
        y->d[b] = quantize_ref(x + 32 * b, y->q + 32 * b, 32);
        for (int i = 0; i < 32; i++) y->sum[b] += y->q[32 * b + (uint32_t)i];
        y->dsum[b] = y->d[b] * (float)y->sum[b];
    }
}

void act_quant_row_ref(enum act_fmt fmt, const float *x, void *y, uint32_t dim) {
    if (fmt == ACT_F32) memcpy(y, x, (size_t)dim * 4);
    if (fmt == ACT_Q8_256)
        for (uint32_t i = 0; i < dim; i += 256) q8_256_ref(x + i, (struct act_q8_256 *)y + i / 256);
    if (fmt == ACT_Q8_32)
        for (uint32_t i = 0; i < dim; i += 256)
            q8_32_ref(x + i, (struct act_q8_32 *)y + i / 256, dim - i < 256 ? dim - i : 256);
}
