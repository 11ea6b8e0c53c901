/* Private to matmul_plain: blocks of every quantized type as signed bytes and integer scales in memory.
 *
 * Loops of fixed length over bytes, which compilers turn into vector code where there is some. */
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

MM_INLINE float scale_e8m0(uint8_t e) { return f32_from_bits(e < 2 ? 0x200000u << e : (uint32_t)(e - 1) << 23); }

/* 32 nibbles: 16 low, then 16 high */
MM_INLINE void nibbles32(const uint8_t *qs, int8_t *q, int minus) {
    for (int i = 0; i < 16; i++) q[i] = (int8_t)((qs[i] & 15) - minus), q[i + 16] = (int8_t)((qs[i] >> 4) - minus);
}
MM_INLINE void codes32(const uint8_t *qs, int8_t *q, const int8_t *table) {
    for (int i = 0; i < 16; i++) q[i] = table[qs[i] & 15], q[i + 16] = table[qs[i] >> 4];
}
MM_INLINE void fifth_bits(const uint8_t *qh, int8_t *q) {
    for (int i = 0; i < 32; i++) q[i] = (int8_t)(q[i] + (qh[i / 8] >> i % 8 & 1) * 16);
}

MM_INLINE void plain_unpack32(enum dtype t, const unsigned char *p, struct plain32 *o) {
    o->m = 0;
    o->d = t == DT_MXFP4 ? scale_e8m0(*p) : f16_to_f32(*(const uint16_t *)(const void *)p);
    if (type_has_min(t)) o->m = f16_to_f32(*(const uint16_t *)(const void *)(p + 2));
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

MM_INLINE void k_scales(const uint8_t *s, struct plain256 *o) {
    for (int g = 0; g < 8; g++) {
        int sc = g < 4 ? s[g] & 63 : (s[4 + g] & 15) | s[g - 4] >> 6 << 4;
        int mn = g < 4 ? s[4 + g] & 63 : s[4 + g] >> 4 | s[g] >> 6 << 4;
        o->sc[2 * g] = o->sc[2 * g + 1] = (int16_t)sc;
        o->min[2 * g] = o->min[2 * g + 1] = (int16_t)mn;
    }
}

MM_INLINE void pair_nibbles(const uint8_t *qs, int8_t *q) {
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < 32; i++) {
            q[64 * p + i] = (int8_t)(qs[32 * p + i] & 15);
            q[64 * p + 32 + i] = (int8_t)(qs[32 * p + i] >> 4);
        }
}

/* 2 bits of each byte, and, unless high is NULL, one of high above them; minus what they stand above zero */
MM_INLINE void crumbs(const uint8_t *qs, const uint8_t *high, int8_t *q) {
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++) {
            int v = qs[g / 4 * 32 + i] >> g % 4 * 2 & 3;
            q[32 * g + i] = (int8_t)(high ? v + (high[i] >> g & 1) * 4 - 4 : v);
        }
}

MM_INLINE void plain_q6_k(const struct block_q6_K *b, struct plain256 *o) {
    for (int h = 0; h < 2; h++)
        for (int s = 0; s < 4; s++)
            for (int i = 0; i < 32; i++) {
                int low = b->ql[64 * h + 32 * (s % 2) + i] >> s / 2 * 4 & 15, high = b->qh[32 * h + i] >> 2 * s & 3;
                o->q[128 * h + 32 * s + i] = (int8_t)((low | high << 4) - 32);
            }
    for (int g = 0; g < 16; g++) o->sc[g] = b->scales[g];
    o->d = f16_to_f32(b->d);
}

MM_INLINE void plain_q3_k(const struct block_q3_K *b, struct plain256 *o) {
    crumbs(b->qs, b->hmask, o->q);
    for (int g = 0; g < 16; g++) {
        int low = g < 8 ? b->scales[g] & 15 : b->scales[g - 8] >> 4;
        o->sc[g] = (int16_t)((low | (b->scales[8 + g % 4] >> g / 4 * 2 & 3) << 4) - 32);
    }
    o->d = f16_to_f32(b->d);
}

MM_INLINE void plain_iq4_xs(const struct block_iq4_xs *b, struct plain256 *o) {
    for (int g = 0; g < 8; g++) {
        codes32(b->qs + 16 * g, o->q + 32 * g, codes_iq4);
        int sc = (b->scales_l[g / 2] >> g % 2 * 4 & 15) | (b->scales_h >> 2 * g & 3) << 4;
        o->sc[2 * g] = o->sc[2 * g + 1] = (int16_t)(sc - 32);
    }
    o->d = f16_to_f32(b->d);
}

MM_INLINE void plain_unpack256(enum dtype t, const unsigned char *p, struct plain256 *o) {
    switch (t) {
    case DT_Q4_K: {
        const struct block_q4_K *b = (const void *)p;
        pair_nibbles(b->qs, o->q);
        k_scales(b->scales, o);
        o->d = f16_to_f32(b->d), o->dmin = f16_to_f32(b->dmin);
        break;
    }
    case DT_Q5_K: {
        const struct block_q5_K *b = (const void *)p;
        pair_nibbles(b->qs, o->q);
        for (int g = 0; g < 8; g++)
            for (int i = 0; i < 32; i++) o->q[32 * g + i] = (int8_t)(o->q[32 * g + i] + (b->qh[i] >> g & 1) * 16);
        k_scales(b->scales, o);
        o->d = f16_to_f32(b->d), o->dmin = f16_to_f32(b->dmin);
        break;
    }
    case DT_Q2_K: {
        const struct block_q2_K *b = (const void *)p;
        crumbs(b->qs, NULL, o->q);
        for (int g = 0; g < 16; g++) o->sc[g] = b->scales[g] & 15, o->min[g] = b->scales[g] >> 4;
        o->d = f16_to_f32(b->d), o->dmin = f16_to_f32(b->dmin);
        break;
    }
    case DT_Q6_K: plain_q6_k((const void *)p, o); break;
    case DT_Q3_K: plain_q3_k((const void *)p, o); break;
    default: plain_iq4_xs((const void *)p, o); break;
    }
}
