/* simd.h without instruction set extensions: 4 lanes as the compiler's generic vectors, which become
 * whatever the target's baseline has (SSE2, plain registers...). vf_fma rounds twice. */
#pragma once
#include <math.h>

#define VF_N 4
#define VF_N_REG 16
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vf_int __attribute__((vector_size(16)));

VF_INLINE vf vf_load(const float *p) {
    vf a;
    memcpy(&a, p, sizeof a);
    return a;
}
VF_INLINE void vf_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
VF_INLINE vf vf_set1(float a) { return (vf){a, a, a, a}; }
VF_INLINE vf vf_zero(void) { return (vf){0}; }
VF_INLINE vf vf_add(vf a, vf b) { return a + b; }
VF_INLINE vf vf_sub(vf a, vf b) { return a - b; }
VF_INLINE vf vf_mul(vf a, vf b) { return a * b; }
VF_INLINE vf vf_div(vf a, vf b) { return a / b; }
VF_INLINE vf vf_sqrt(vf a) { return (vf){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])}; }
VF_INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
VF_INLINE vf vf_select(vf_int mask, vf x, vf y) { return (vf)((mask & (vf_int)x) | (~mask & (vf_int)y)); }
VF_INLINE vf vf_max(vf a, vf b) { return vf_select((vf_int)(a > b), a, b); }
VF_INLINE vf vf_min(vf a, vf b) { return vf_select((vf_int)(a < b), a, b); }
VF_INLINE vf vf_lt(vf a, vf b, vf x, vf y) { return vf_select((vf_int)(a < b), x, y); }
VF_INLINE vf vf_round(vf a) { /* adding 1.5 * 2^23 leaves no bits for a fraction */
    vf big = vf_set1(12582912.0f);
    return (a + big) - big;
}
VF_INLINE vf vf_pow2(vf_int n) { return (vf)((n + 127) << 23); }
VF_INLINE vf vf_scale2(vf x, vf n) { /* in two steps: 2^n alone may not be a float */
    vf_int i = (vf_int)(n + vf_set1(12582912.0f)) - 0x4b400000, half = i >> 1;
    return x * vf_pow2(half) * vf_pow2(i - half);
}

VF_INLINE vf vf_load_n(const float *p, uint32_t n) {
    vf a = {0};
    memcpy(&a, p, n * 4);
    return a;
}
VF_INLINE void vf_store_n(float *p, vf a, uint32_t n) { memcpy(p, &a, n * 4); }

VF_INLINE vf vf_load_f16_n(const void *p, uint32_t n) {
    uint16_t t[4] = {0};
    memcpy(t, p, n * 2);
    return (vf){f16_to_f32(t[0]), f16_to_f32(t[1]), f16_to_f32(t[2]), f16_to_f32(t[3])};
}
VF_INLINE vf vf_load_f16(const void *p) { return vf_load_f16_n(p, 4); }
VF_INLINE void vf_store_f16(void *p, vf a) {
    uint16_t t[4] = {f16_from_f32(a[0]), f16_from_f32(a[1]), f16_from_f32(a[2]), f16_from_f32(a[3])};
    memcpy(p, t, sizeof t);
}
VF_INLINE vf vf_set1_f16(uint16_t h) { return vf_set1(f16_to_f32(h)); }
VF_INLINE vf vf_load_bf16(const void *p) {
    uint16_t t[4];
    memcpy(t, p, sizeof t);
    return (vf){bf16_to_f32(t[0]), bf16_to_f32(t[1]), bf16_to_f32(t[2]), bf16_to_f32(t[3])};
}
VF_INLINE vf vf_load_i8(const int8_t *p) { return (vf){p[0], p[1], p[2], p[3]}; }

VF_INLINE float vf_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
VF_INLINE float vf_hmax(vf a) {
    float x = a[0] > a[2] ? a[0] : a[2], y = a[1] > a[3] ? a[1] : a[3];
    return x > y ? x : y;
}

VF_INLINE void vf_transpose(vf r[VF_N]) {
    vf a = r[0], b = r[1], c = r[2], d = r[3];
    for (int i = 0; i < 4; i++) r[i] = (vf){a[i], b[i], c[i], d[i]};
}
