/* Private to matmul_avx512: blocks of every quantized type, of four rows at once: part r (128 bits) of a register
 * holds row r, so that one operation serves four rows and sums over lanes stay within a part.
 *
 * q[c] are elements 16c.. as unsigned bytes: the stored number, or for codes and signed bytes that number plus a
 * zero point (type_zero). */
#pragma once
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "gguf/blocks.h"
#include "gguf/dtype.h"

/* Address checks of fully unrolled tiles make a compiler work for many minutes; the address sanitizer covers them. */
#define MM_UNCHECKED no_sanitize("alignment", "bounds", "null", "object-size", "pointer-overflow")
#define MM_INLINE static inline __attribute__((always_inline, unused, MM_UNCHECKED))

struct rows4 { /* one block of each of four rows */
    const unsigned char *p[4];
};

struct scales4 {           /* int16 per sub-block, 8 per part and register; 32-element sub-blocks fill the first */
    __m512i sc[2], min[2]; /* min only for types that have it */
};

MM_INLINE int type_zero(enum dtype t) { /* what an unsigned q stands above zero */
    switch (t) {
    case DT_Q4_0: return 8;
    case DT_Q5_0: return 16;
    case DT_Q8_0: case DT_IQ4_NL: case DT_IQ4_XS: return 128;
    case DT_Q3_K: return 4;
    case DT_Q6_K: return 32;
    case DT_MXFP4: return 12;
    default: return 0;
    }
}
MM_INLINE int type_has_min(enum dtype t) {
    return t == DT_Q4_1 || t == DT_Q5_1 || t == DT_Q2_K || t == DT_Q4_K || t == DT_Q5_K;
}
MM_INLINE int type_sub_block(enum dtype t) { return t == DT_Q2_K || t == DT_Q3_K || t == DT_Q6_K ? 16 : 32; }


MM_INLINE __m128i load128(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
MM_INLINE __m512i mask8(int m) { return _mm512_set1_epi8((char)m); }
MM_INLINE __m512i and8(__m512i v, int m) { return _mm512_and_si512(v, mask8(m)); }
/* (a & mask) | b, and (a & mask) | (b & ~mask) */
MM_INLINE __m512i and_or(__m512i a, __m512i mask, __m512i b) { return _mm512_ternarylogic_epi32(a, mask, b, 0xea); }
MM_INLINE __m512i choose(__m512i mask, __m512i a, __m512i b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xca); }
/* Towards higher bits when n > 0. What crosses bytes must be masked off. */
MM_INLINE __m512i shift(__m512i v, int n) {
    return n > 0 ? _mm512_slli_epi32(v, (unsigned)n) : n < 0 ? _mm512_srli_epi32(v, (unsigned)-n) : v;
}
/* 16 bytes at offset off of each row's block. */
MM_INLINE __m512i load4(const struct rows4 *w, size_t off) {
    __m512i v = _mm512_castsi128_si512(load128(w->p[0] + off));
    v = _mm512_inserti32x4(v, load128(w->p[1] + off), 1);
    v = _mm512_inserti32x4(v, load128(w->p[2] + off), 2);
    return _mm512_inserti32x4(v, load128(w->p[3] + off), 3);
}

/* ---- 256-element blocks: 16 registers of quants */

MM_INLINE void unpack_q4_k(const struct rows4 *w, __m512i q[16]) {
    for (int i = 0; i < 8; i++) {
        __m512i v = load4(w, offsetof(struct block_q4_K, qs) + 16 * (size_t)i);
        q[i / 2 * 4 + i % 2] = and8(v, 15), q[i / 2 * 4 + 2 + i % 2] = and8(shift(v, -4), 15);
    }
}

MM_INLINE void unpack_q5_k(const struct rows4 *w, __m512i q[16]) {
    const __m512i high[2] = {load4(w, offsetof(struct block_q5_K, qh)), load4(w, offsetof(struct block_q5_K, qh) + 16)};
    for (int i = 0; i < 8; i++) {
        __m512i v = load4(w, offsetof(struct block_q5_K, qs) + 16 * (size_t)i);
        int g = i / 2 * 2; /* bits g and g + 1 of high go to bit 4 */
        q[2 * g + i % 2] = and_or(v, mask8(15), and8(shift(high[i % 2], 4 - g), 16));
        q[2 * g + 2 + i % 2] = and_or(shift(v, -4), mask8(15), and8(shift(high[i % 2], 3 - g), 16));
    }
}

MM_INLINE void unpack_q6_k(const struct rows4 *w, __m512i q[16]) {
    for (int h = 0; h < 2; h++) {
        size_t ql = 64 * (size_t)h, qh = offsetof(struct block_q6_K, qh) + 32 * (size_t)h;
        const __m512i high[2] = {load4(w, qh), load4(w, qh + 16)};
        for (int i = 0; i < 4; i++) { /* elements 16i.. and 64 + 16i.. of this half */
            __m512i v = load4(w, ql + 16 * (size_t)i), *o = q + 8 * h + i;
            o[0] = choose(mask8(15), v, and8(shift(high[i % 2], i < 2 ? 4 : 2), 0x30));
            o[4] = choose(mask8(15), shift(v, -4), and8(shift(high[i % 2], i < 2 ? 0 : -2), 0x30));
        }
    }
}

MM_INLINE void unpack_q2_k(const struct rows4 *w, __m512i q[16]) {
    for (int i = 0; i < 4; i++) {
        __m512i v = load4(w, offsetof(struct block_q2_K, qs) + 16 * (size_t)i);
        for (int s = 0; s < 4; s++) q[i / 2 * 8 + 2 * s + i % 2] = and8(shift(v, -2 * s), 3);
    }
}

MM_INLINE void unpack_q3_k(const struct rows4 *w, __m512i q[16]) {
    const __m512i high[2] = {load4(w, 0), load4(w, 16)};
    for (int i = 0; i < 4; i++) {
        __m512i v = load4(w, offsetof(struct block_q3_K, qs) + 16 * (size_t)i);
        for (int s = 0; s < 4; s++) /* bit 4 * (i / 2) + s of high goes to bit 2 */
            q[i / 2 * 8 + 2 * s + i % 2] =
                and_or(shift(v, -2 * s), mask8(3), and8(shift(high[i % 2], 2 - (i / 2 * 4 + s)), 4));
    }
}

static const int8_t codes_iq4[16] = IQ4_CODES, codes_mxfp4[16] = MXFP4_CODES;

/* table[low nibble] + zero, as unsigned bytes */
MM_INLINE __m512i lookup(const int8_t *table, int zero, __m512i nibbles) {
    __m128i t = _mm_add_epi8(load128(table), _mm_set1_epi8((char)zero));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), and8(nibbles, 15));
}

MM_INLINE void unpack_iq4_xs(const struct rows4 *w, __m512i q[16]) {
    for (int i = 0; i < 8; i++) {
        __m512i v = load4(w, offsetof(struct block_iq4_xs, qs) + 16 * (size_t)i);
        q[2 * i] = lookup(codes_iq4, 128, v), q[2 * i + 1] = lookup(codes_iq4, 128, shift(v, -4));
    }
}

MM_INLINE void unpack256(enum dtype t, const struct rows4 *w, __m512i q[16]) {
    switch (t) {
    case DT_Q4_K: unpack_q4_k(w, q); break;
    case DT_Q5_K: unpack_q5_k(w, q); break;
    case DT_Q6_K: unpack_q6_k(w, q); break;
    case DT_Q2_K: unpack_q2_k(w, q); break;
    case DT_Q3_K: unpack_q3_k(w, q); break;
    default: unpack_iq4_xs(w, q); break;
    }
}

/* Bytes of each part widened to int16: the low 8, the high 8. */
MM_INLINE void widen_unsigned(__m512i v, __m512i out[2]) {
    out[0] = _mm512_unpacklo_epi8(v, _mm512_setzero_si512()), out[1] = _mm512_unpackhi_epi8(v, _mm512_setzero_si512());
}
MM_INLINE void widen_signed(__m512i v, __m512i out[2]) {
    out[0] = _mm512_srai_epi16(_mm512_unpacklo_epi8(v, v), 8), out[1] = _mm512_srai_epi16(_mm512_unpackhi_epi8(v, v), 8);
}
MM_INLINE __m512i parts32(int a, int b, int c, int d) { return _mm512_broadcast_i32x4(_mm_set_epi32(d, c, b, a)); }

/* From the first 16 bytes: d and dmin, then 12 bytes a, b, c of 6-bit scales and mins (gguf/blocks.h). */
MM_INLINE void scales_q4_k(const struct rows4 *w, struct scales4 *o) {
    __m512i v = load4(w, 0);
    __m512i ab = _mm512_srlv_epi32(_mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xa5), parts32(0, 2, 0, 2)); /* a a b b */
    __m512i c = _mm512_srlv_epi32(_mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xff), parts32(0, 0, 0, 4));
    const int six = 0x3f3f3f3f, two = 0x30303030, four = 0x0f0f0f0f;
    ab = _mm512_and_si512(ab, parts32(six, two, six, two));
    __m512i both[2];
    widen_unsigned(and_or(c, parts32(0, four, 0, four), ab), both);
    o->sc[0] = both[0], o->min[0] = both[1];
}

MM_INLINE void scales_q3_k(const struct rows4 *w, struct scales4 *o) {
    __m512i v = load4(w, offsetof(struct block_q3_K, scales) - 4); /* ., a, b, c */
    __m512i low = _mm512_srlv_epi32(_mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x99), parts32(0, 0, 4, 4)); /* a b a b */
    __m512i c = _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xff);
    __m512i high = _mm512_rolv_epi32(c, parts32(4, 2, 0, 30)); /* bits 0-1, 2-3, 4-5, 6-7 of each byte to 4-5 */
    v = and_or(low, mask8(15), and8(high, 0x30));
    widen_signed(_mm512_sub_epi8(v, mask8(32)), o->sc);
}

MM_INLINE void scales_iq4_xs(const struct rows4 *w, struct scales4 *o) {
    __m512i v = load4(w, 0); /* d, scales_h; scales_l */
    const __m512i count = _mm512_broadcast_i32x4(_mm_set_epi16(28, 24, 20, 16, 12, 8, 4, 0));
    /* words: scale g's low nibble is bits 4g of scales_l, its high bits are bits 2g of scales_h */
    __m512i pick = _mm512_broadcast_i32x4(_mm_set_epi8(7, 6, 7, 6, 7, 6, 7, 6, 5, 4, 5, 4, 5, 4, 5, 4));
    __m512i l = _mm512_srlv_epi16(_mm512_shuffle_epi8(v, pick), _mm512_and_si512(count, _mm512_set1_epi16(15)));
    __m512i hp = _mm512_broadcast_i32x4(_mm_set_epi8(3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2));
    __m512i h = _mm512_srlv_epi16(_mm512_shuffle_epi8(v, hp), _mm512_srli_epi16(count, 1));
    h = _mm512_slli_epi16(_mm512_and_si512(h, _mm512_set1_epi16(3)), 4);
    o->sc[0] = _mm512_sub_epi16(and_or(l, _mm512_set1_epi16(15), h), _mm512_set1_epi16(32));
}

MM_INLINE void unpack_scales(enum dtype t, const struct rows4 *w, struct scales4 *o) {
    switch (t) {
    case DT_Q4_K: case DT_Q5_K: scales_q4_k(w, o); break;
    case DT_Q6_K: widen_signed(load4(w, offsetof(struct block_q6_K, scales)), o->sc); break;
    case DT_Q3_K: scales_q3_k(w, o); break;
    case DT_Q2_K: {
        __m512i v = load4(w, 0);
        widen_unsigned(and8(v, 15), o->sc), widen_unsigned(and8(shift(v, -4), 15), o->min);
        break;
    }
    default: scales_iq4_xs(w, o); break;
    }
}

/* d of each row as floats in element scale_lane(t) of its part, and dmin in the element after it. */
MM_INLINE int scale_lane(enum dtype t) { return t == DT_Q2_K ? 2 : t == DT_Q3_K || t == DT_Q6_K ? 3 : 0; }
MM_INLINE __m512 block_scales(enum dtype t, const struct rows4 *w) {
    const size_t end = t == DT_Q2_K ? 84 : t == DT_Q3_K ? 110 : 210; /* the scales are last; else first */
    const bool first = scale_lane(t) == 0;
    __m512i v = load4(w, first ? 0 : end - 16);
    v = _mm512_permutexvar_epi64(first ? _mm512_set_epi64(0, 0, 0, 0, 6, 4, 2, 0) : _mm512_set_epi64(0, 0, 0, 0, 7, 5, 3, 1), v);
    return _mm512_cvtph_ps(_mm512_castsi512_si256(v));
}

/* ---- 32-element blocks: 2 registers of quants */

/* q + 16 where a bit of qh (in each part at byte `at` of v) is set; elements 16c.. */
MM_INLINE __m512i fifth_bit(__m512i q, __m512i v, int at, int c) {
    char lo = (char)(at + 2 * c), hi = (char)(at + 2 * c + 1);
    __m128i pick = _mm_set_epi8(hi, hi, hi, hi, hi, hi, hi, hi, lo, lo, lo, lo, lo, lo, lo, lo);
    __m512i bits = _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(pick));
    __mmask64 m = _mm512_test_epi8_mask(bits, _mm512_set1_epi64((long long)0x8040201008040201ull));
    return _mm512_mask_add_epi8(q, m, q, mask8(16));
}

MM_INLINE size_t quants_offset32(enum dtype t) {
    switch (t) {
    case DT_MXFP4: return offsetof(struct block_mxfp4, qs);
    case DT_Q4_1: return offsetof(struct block_q4_1, qs);
    case DT_Q5_0: return offsetof(struct block_q5_0, qs);
    case DT_Q5_1: return offsetof(struct block_q5_1, qs);
    default: return 2;
    }
}

MM_INLINE void unpack32(enum dtype t, const struct rows4 *w, __m512i q[2]) {
    const size_t qs = quants_offset32(t);
    __m512i v = load4(w, qs);
    if (t == DT_Q8_0) {
        q[0] = _mm512_xor_si512(v, mask8(0x80)), q[1] = _mm512_xor_si512(load4(w, qs + 16), mask8(0x80));
        return;
    }
    if (t == DT_IQ4_NL || t == DT_MXFP4) {
        const int8_t *table = t == DT_MXFP4 ? codes_mxfp4 : codes_iq4;
        q[0] = lookup(table, type_zero(t), v), q[1] = lookup(table, type_zero(t), shift(v, -4));
        return;
    }
    q[0] = and8(v, 15), q[1] = and8(shift(v, -4), 15);
    if (t == DT_Q5_0 || t == DT_Q5_1) {
        __m512i header = load4(w, 0);
        for (int c = 0; c < 2; c++) q[c] = fifth_bit(q[c], header, t == DT_Q5_0 ? 2 : 4, c);
    }
}
