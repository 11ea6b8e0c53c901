/* Private to matmul_plain: integer sums with AVX2. vpmaddubsw takes |w| and x with the sign of w, whose pairs
 * stay within 2 * 128 * 127 < 2^15. */
#pragma once
#include <immintrin.h>

MM_INLINE __m256i load256(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

MM_INLINE int sum8(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* 16 sums of two products */
MM_INLINE __m256i pairs32(const int8_t *w, const int8_t *x) {
    __m256i wv = load256(w);
    return _mm256_maddubs_epi16(_mm256_abs_epi8(wv), _mm256_sign_epi8(load256(x), wv));
}

MM_INLINE int dot32(const int8_t *w, const int8_t *x) {
    return sum8(_mm256_madd_epi16(pairs32(w, x), _mm256_set1_epi16(1)));
}

MM_INLINE int dot256(const struct plain256 *w, const int8_t *x) {
    __m256i s = _mm256_setzero_si256();
    for (int g = 0; g < 8; g++) { /* the two scales, one per half */
        __m256i sc = _mm256_set_m128i(_mm_set1_epi16(w->sc[2 * g + 1]), _mm_set1_epi16(w->sc[2 * g]));
        s = _mm256_add_epi32(s, _mm256_madd_epi16(pairs32(w->q + 32 * g, x + 32 * g), sc));
    }
    return sum8(s);
}

MM_INLINE int dot_min(const int16_t *min, const int16_t *sums) {
    return sum8(_mm256_madd_epi16(load256(min), load256(sums)));
}

MM_INLINE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
