/* Private to matmul_plain: blocks of every quantized type as signed bytes and integer scales in memory.
 *
 * Written with vectors of 16 bytes that compilers know on every machine; only tables need the instruction set. */
#pragma once
#include <string.h>

#include "gguf/blocks.h"
#include "gguf/dtype.h"
#include "gguf/half.h"

#define MM_INLINE static inline __attribute__((always_inline, unused))

struct plain256 { /* x[i] = d * sc[i / sub] * q[i] - dmin * min[i / sub], with sub 16 */
    int8_t q[256];
    int16_t sc[16], min[16];
    float d, dmin;
};

struct plain32 { /* x[i] = d * q[i] + m */
    int8_t q[32];
    float d, m;
};

static const int8_t codes_iq4[16] = IQ4_CODES, codes_mxfp4[16] = MXFP4_CODES;

MM_INLINE int type_has_min(enum dtype t) {
    return t == DT_Q4_1 || t == DT_Q5_1 || t == DT_Q2_K || t == DT_Q4_K || t == DT_Q5_K;
}

MM_INLINE float load_f16(const void *p) {
    uint16_t h;
    memcpy(&h, p, 2);
#if defined(ISA_avx2)
    return _cvtsh_ss(h);
#else
    return f16_to_f32(h);
#endif
}

MM_INLINE float scale_e8m0(uint8_t e) { return f32_from_bits(e < 2 ? 0x200000u << e : (uint32_t)(e - 1) << 23); }

typedef uint8_t u8x16 __attribute__((vector_size(16)));

MM_INLINE u8x16 load16(const void *p) {
    u8x16 v;
    memcpy(&v, p, 16);
    return v;
}
MM_INLINE void store16(int8_t *p, u8x16 v) { memcpy(p, &v, 16); }

/* table[i] for 16 indices below 16 */
MM_INLINE u8x16 lookup16(const int8_t *table, u8x16 i) {
#if defined(ISA_avx2)
    return (u8x16)_mm_shuffle_epi8((__m128i)load16(table), (__m128i)i);
#elif defined(ISA_neon)
    return (u8x16)vqtbl1q_u8((uint8x16_t)load16(table), (uint8x16_t)i);
#else
    u8x16 o = {0};
    for (int k = 0; k < 16; k++) o[k] = (uint8_t)table[i[k]];
    return o;
#endif
}

/* 32 nibbles: 16 low, then 16 high */
MM_INLINE void nibbles32(const uint8_t *qs, int8_t *q, int minus) {
    u8x16 v = load16(qs);
    store16(q, (v & 15) - (uint8_t)minus), store16(q + 16, (v >> 4) - (uint8_t)minus);
}
MM_INLINE void codes32(const uint8_t *qs, int8_t *q, const int8_t *table) {
    u8x16 v = load16(qs);
    store16(q, lookup16(table, v & 15)), store16(q + 16, lookup16(table, v >> 4));
}
MM_INLINE void fifth_bits(const uint8_t *qh, int8_t *q) { /* + 16 where bit i of qh is set */
    for (int h = 0; h < 2; h++) {
        uint64_t lo = 0x0101010101010101u * qh[2 * h], hi = 0x0101010101010101u * qh[2 * h + 1];
        const uint8_t b[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
        typedef uint64_t u64x2 __attribute__((vector_size(16)));
        u8x16 set = ((u8x16)(u64x2){lo, hi} & load16(b)) != 0; /* all ones where set */
        store16(q + 16 * h, load16(q + 16 * h) + (set & 16));
    }
}

MM_INLINE void plain_unpack32(enum dtype t, const unsigned char *p, struct plain32 *o) {
    o->m = 0;
    o->d = t == DT_MXFP4 ? scale_e8m0(*p) : load_f16(p);
    if (type_has_min(t)) o->m = load_f16(p + 2);
    switch (t) {
    case DT_Q8_0: memcpy(o->q, ((const struct block_q8_0 *)p)->qs, 32); break;
    case DT_Q4_0: nibbles32(((const struct block_q4_0 *)p)->qs, o->q, 8); break;
    case DT_Q4_1: nibbles32(((const struct block_q4_1 *)p)->qs, o->q, 0); break;
    case DT_Q5_0:
        nibbles32(((const struct block_q5_0 *)p)->qs, o->q, 16);
        fifth_bits(((const struct block_q5_0 *)p)->qh, o->q);
        break;
    case DT_Q5_1:
        nibbles32(((const struct block_q5_1 *)p)->qs, o->q, 0);
        fifth_bits(((const struct block_q5_1 *)p)->qh, o->q);
        break;
    case DT_IQ4_NL: codes32(((const struct block_iq4_nl *)p)->qs, o->q, codes_iq4); break;
    default: codes32(((const struct block_mxfp4 *)p)->qs, o->q, codes_mxfp4); break;
    }
}

MM_INLINE void twice(int16_t *p, int v) { /* the scale of a 32-element sub-block, for both its halves */
    p[0] = p[1] = (int16_t)v;
}

MM_INLINE void k_scales(const uint8_t *s, struct plain256 *o) {
    typedef uint32_t u32x4 __attribute__((vector_size(16)));
    typedef int16_t i16x16 __attribute__((vector_size(32)));
    uint32_t a, b, c;
    memcpy(&a, s, 4), memcpy(&b, s + 4, 4), memcpy(&c, s + 8, 4);
    u8x16 v = (u8x16)(u32x4){a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030),
                             b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)};
    u8x16 sc = __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    u8x16 mn = __builtin_shufflevector(v, v, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
    i16x16 wide_sc = __builtin_convertvector(sc, i16x16), wide_mn = __builtin_convertvector(mn, i16x16);
    memcpy(o->sc, &wide_sc, 32), memcpy(o->min, &wide_mn, 32);
}

MM_INLINE void pair_nibbles(const uint8_t *qs, int8_t *q) {
    for (int i = 0; i < 8; i++) {
        u8x16 v = load16(qs + 16 * i);
        store16(q + i / 2 * 64 + i % 2 * 16, v & 15), store16(q + i / 2 * 64 + 32 + i % 2 * 16, v >> 4);
    }
}

/* 2 bits of each byte, and, unless high is NULL, one of high above them; minus what they stand above zero */
MM_INLINE void crumbs(const uint8_t *qs, const uint8_t *high, int8_t *q) {
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i += 16) {
            u8x16 v = load16(qs + g / 4 * 32 + i) >> (uint8_t)(g % 4 * 2) & 3;
            if (high) v = v + ((load16(high + i) >> (uint8_t)g & 1) << 2) - 4;
            store16(q + 32 * g + i, v);
        }
}

MM_INLINE void plain_q6_k(const struct block_q6_K *b, struct plain256 *o) {
    for (int h = 0; h < 2; h++)
        for (int s = 0; s < 4; s++)
            for (int i = 0; i < 32; i += 16) {
                u8x16 low = load16(b->ql + 64 * h + 32 * (s % 2) + i), high = load16(b->qh + 32 * h + i);
                low = s < 2 ? low & 15 : low >> 4;
                store16(o->q + 128 * h + 32 * s + i, (low | (high >> (uint8_t)(2 * s) & 3) << 4) - 32);
            }
    for (int g = 0; g < 16; g++) o->sc[g] = b->scales[g];
    o->d = load_f16(&b->d);
}

MM_INLINE void plain_q3_k(const struct block_q3_K *b, struct plain256 *o) {
    crumbs(b->qs, b->hmask, o->q);
    for (int g = 0; g < 16; g++) {
        int low = g < 8 ? b->scales[g] & 15 : b->scales[g - 8] >> 4;
        o->sc[g] = (int16_t)((low | (b->scales[8 + g % 4] >> g / 4 * 2 & 3) << 4) - 32);
    }
    o->d = load_f16(&b->d);
}

MM_INLINE void plain_iq4_xs(const struct block_iq4_xs *b, struct plain256 *o) {
    for (int g = 0; g < 8; g++) {
        codes32(b->qs + 16 * g, o->q + 32 * g, codes_iq4);
        twice(&o->sc[2 * g], ((b->scales_l[g / 2] >> g % 2 * 4 & 15) | (b->scales_h >> 2 * g & 3) << 4) - 32);
    }
    o->d = load_f16(&b->d);
}

MM_INLINE void plain_unpack256(enum dtype t, const unsigned char *p, struct plain256 *o) {
    switch (t) {
    case DT_Q4_K: {
        const struct block_q4_K *b = (const void *)p;
        pair_nibbles(b->qs, o->q);
        k_scales(b->scales, o);
        o->d = load_f16(&b->d), o->dmin = load_f16(&b->dmin);
        break;
    }
    case DT_Q5_K: {
        const struct block_q5_K *b = (const void *)p;
        pair_nibbles(b->qs, o->q);
        for (int i = 0; i < 256; i += 16) {
            u8x16 high = load16(b->qh + i % 32) >> (uint8_t)(i / 32) & 1;
            store16(o->q + i, load16(o->q + i) + (high << 4));
        }
        k_scales(b->scales, o);
        o->d = load_f16(&b->d), o->dmin = load_f16(&b->dmin);
        break;
    }
    case DT_Q2_K: {
        const struct block_q2_K *b = (const void *)p;
        crumbs(b->qs, NULL, o->q);
        for (int g = 0; g < 16; g++) o->sc[g] = b->scales[g] & 15, o->min[g] = b->scales[g] >> 4;
        o->d = load_f16(&b->d), o->dmin = load_f16(&b->dmin);
        break;
    }
    case DT_Q6_K: plain_q6_k((const void *)p, o); break;
    case DT_Q3_K: plain_q3_k((const void *)p, o); break;
    default: plain_iq4_xs((const void *)p, o); break;
    }
}
