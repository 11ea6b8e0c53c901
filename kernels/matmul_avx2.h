/* Private to matmul_plain: integer sums with AVX2. vpmaddubsw takes |w| and x with the sign of w, whose pairs
 * stay within 2 * 128 * 127 < 2^15. */
#pragma once

MM_INLINE __m256i load256(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

/* What 16-byte stores have just written: a 32-byte load would wait for them to leave the store buffer. */
MM_INLINE __m256i load_halves(const void *p) {
    return _mm256_set_m128i(_mm_loadu_si128((const __m128i *)p + 1), _mm_loadu_si128((const __m128i *)p));
}

/* The sums over lanes of four registers. */
MM_INLINE i32x4 sum_lanes(const __m256i v[4]) {
    __m256i s = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    return (i32x4)_mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
}

/* 16 sums of two products */
MM_INLINE __m256i pairs32(const int8_t *w, const int8_t *x) {
    __m256i wv = load_halves(w);
    return _mm256_maddubs_epi16(_mm256_abs_epi8(wv), _mm256_sign_epi8(load256(x), wv));
}

MM_INLINE i32x4 dot32(const struct plain32 w[4], const int8_t *x) {
    __m256i v[4];
    for (int r = 0; r < 4; r++) v[r] = _mm256_madd_epi16(pairs32(w[r].q, x), _mm256_set1_epi16(1));
    return sum_lanes(v);
}

MM_INLINE i32x4 dot256(const struct plain256 w[4], const int8_t *x) {
    __m256i v[4];
    for (int r = 0; r < 4; r++) {
        v[r] = _mm256_setzero_si256();
        for (int g = 0; g < 8; g++) { /* the two scales, one per half */
            __m256i sc = _mm256_set_m128i(_mm_set1_epi16(w[r].sc[2 * g + 1]), _mm_set1_epi16(w[r].sc[2 * g]));
            v[r] = _mm256_add_epi32(v[r], _mm256_madd_epi16(pairs32(w[r].q + 32 * g, x + 32 * g), sc));
        }
    }
    return sum_lanes(v);
}

MM_INLINE i32x4 dot_min(const struct plain256 w[4], const int16_t *sums) {
    __m256i v[4], s = load256(sums);
    for (int r = 0; r < 4; r++) v[r] = _mm256_madd_epi16(load_halves(w[r].min), s);
    return sum_lanes(v);
}

MM_INLINE f32x4 fused(f32x4 a, f32x4 b, f32x4 c) { return (f32x4)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c); }
