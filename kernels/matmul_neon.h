/* Private to matmul_plain: integer sums with the dot-product instructions of Armv8.2. */
#pragma once
#include <arm_neon.h>

MM_INLINE int dot32(const int8_t *w, const int8_t *x) {
    int32x4_t s = vdotq_s32(vdupq_n_s32(0), vld1q_s8(w), vld1q_s8(x));
    return vaddvq_s32(vdotq_s32(s, vld1q_s8(w + 16), vld1q_s8(x + 16)));
}

MM_INLINE int dot256(const struct plain256 *w, const int8_t *x) {
    int32x4_t s = vdupq_n_s32(0);
    for (int g = 0; g < 16; g++) {
        int32x4_t dot = vdotq_s32(vdupq_n_s32(0), vld1q_s8(w->q + 16 * g), vld1q_s8(x + 16 * g));
        s = vmlaq_n_s32(s, dot, w->sc[g]);
    }
    return vaddvq_s32(s);
}

MM_INLINE int dot_min(const int16_t *min, const int16_t *sums) {
    int32x4_t s = vdupq_n_s32(0);
    for (int i = 0; i < 16; i += 4) s = vmlal_s16(s, vld1_s16(min + i), vld1_s16(sums + i));
    return vaddvq_s32(s);
}

MM_INLINE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
