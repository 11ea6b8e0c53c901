/* Private to matmul_plain: integer sums with the dot-product instructions of Armv8.2. */
#pragma once

/* The sums over lanes of four registers. */
MM_INLINE i32x4 sum_lanes(const int32x4_t v[4]) {
    return (i32x4)vpaddq_s32(vpaddq_s32(v[0], v[1]), vpaddq_s32(v[2], v[3]));
}

MM_INLINE int32x4_t dot16(int32x4_t s, const int8_t *w, const int8_t *x) { return vdotq_s32(s, vld1q_s8(w), vld1q_s8(x)); }

MM_INLINE i32x4 dot32(const struct plain32 w[4], const int8_t *x) {
    int32x4_t v[4];
    for (int r = 0; r < 4; r++) v[r] = dot16(dot16(vdupq_n_s32(0), w[r].q, x), w[r].q + 16, x + 16);
    return sum_lanes(v);
}

MM_INLINE i32x4 dot256(const struct plain256 w[4], const int8_t *x) {
    int32x4_t v[4];
    for (int r = 0; r < 4; r++) {
        v[r] = vdupq_n_s32(0);
        for (int g = 0; g < 16; g++)
            v[r] = vmlaq_n_s32(v[r], dot16(vdupq_n_s32(0), w[r].q + 16 * g, x + 16 * g), w[r].sc[g]);
    }
    return sum_lanes(v);
}

MM_INLINE i32x4 dot_min(const struct plain256 w[4], const int16_t *sums) {
    int32x4_t v[4];
    for (int r = 0; r < 4; r++) {
        v[r] = vdupq_n_s32(0);
        for (int i = 0; i < 16; i += 4) v[r] = vmlal_s16(v[r], vld1_s16(w[r].min + i), vld1_s16(sums + i));
    }
    return sum_lanes(v);
}

MM_INLINE f32x4 fused(f32x4 a, f32x4 b, f32x4 c) {
    return (f32x4)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
