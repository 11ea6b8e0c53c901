/* simd.h for NEON with FP16 conversions (every 64-bit ARM): 4 lanes. */
#pragma once
#include <arm_neon.h>

#define VF_N 4
#define VF_N_REG 32
typedef float32x4_t vf;

VF_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
VF_INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
VF_INLINE vf vf_set1(float a) { return vdupq_n_f32(a); }
VF_INLINE vf vf_zero(void) { return vdupq_n_f32(0); }
VF_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
VF_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
VF_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
VF_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
VF_INLINE vf vf_sqrt(vf a) { return vsqrtq_f32(a); }
VF_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
VF_INLINE vf vf_max(vf a, vf b) { return vmaxq_f32(a, b); }
VF_INLINE vf vf_min(vf a, vf b) { return vminq_f32(a, b); }
VF_INLINE vf vf_lt(vf a, vf b, vf x, vf y) { return vbslq_f32(vcltq_f32(a, b), x, y); }
VF_INLINE vf vf_round(vf a) { return vrndnq_f32(a); }
VF_INLINE vf vf_pow2(int32x4_t n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23)); }
VF_INLINE vf vf_scale2(vf x, vf n) { /* in two steps: 2^n alone may not be a float */
    int32x4_t i = vcvtq_s32_f32(n), half = vshrq_n_s32(i, 1);
    return vmulq_f32(vmulq_f32(x, vf_pow2(half)), vf_pow2(vsubq_s32(i, half)));
}

VF_INLINE vf vf_load_n(const float *p, uint32_t n) {
    float t[4] = {0};
    memcpy(t, p, n * 4);
    return vf_load(t);
}
VF_INLINE void vf_store_n(float *p, vf a, uint32_t n) {
    float t[4];
    vf_store(t, a);
    memcpy(p, t, n * 4);
}

VF_INLINE vf vf_load_f16(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
VF_INLINE void vf_store_f16(void *p, vf a) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a))); }
VF_INLINE vf vf_load_f16_n(const void *p, uint32_t n) {
    uint16_t t[4] = {0};
    memcpy(t, p, n * 2);
    return vf_load_f16(t);
}
VF_INLINE vf vf_set1_f16(uint16_t h) { return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))); }
VF_INLINE vf vf_load_bf16(const void *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
VF_INLINE vf vf_load_i8(const int8_t *p) {
    int32_t w;
    memcpy(&w, p, 4);
    int16x8_t h = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(w)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(h)));
}

VF_INLINE float vf_sum(vf a) {
    float32x2_t h = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}
VF_INLINE float vf_hmax(vf a) { return vmaxvq_f32(a); }

VF_INLINE void vf_transpose(vf r[VF_N]) {
    float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}
