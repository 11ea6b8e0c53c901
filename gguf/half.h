/* Half-precision numbers as bits: F16 (IEEE binary16) and BF16 (the upper half of a binary32).
 *
 * Widening is exact. Narrowing rounds to nearest, ties to even; what is too large becomes infinity.
 * A NaN stays a NaN (made quiet, payload kept as far as it fits). Subnormals are honoured. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline uint32_t f32_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float f32_from_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline float f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, mant = h & 0x3ff;
    if (exp == 0) { /* zero or subnormal: mant * 2^-24, exact in binary32 */
        float f = (float)mant * 0x1p-24f;
        return f32_from_bits(sign | f32_bits(f));
    }
    if (exp == 31) return f32_from_bits(sign | 0x7f800000 | mant << 13 | (mant ? 0x400000 : 0));
    return f32_from_bits(sign | (exp + 112) << 23 | mant << 13);
}

static inline uint16_t f16_from_f32(float f) {
    uint32_t u = f32_bits(f), a = u & 0x7fffffff;
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x1ff));
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and above round to infinity */
    if (a < 0x38800000) { /* below 2^-14: adding 0.5 aligns the last kept bit with 2^-24 and rounds */
        return (uint16_t)(sign | (f32_bits(f32_from_bits(a) + 0.5f) - 0x3f000000));
    }
    a += 0xfff + (a >> 13 & 1); /* half of the last kept bit, ties to even */
    return (uint16_t)(sign | (a - 0x38000000) >> 13);
}

static inline float bf16_to_f32(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    return f32_from_bits((u & 0x7fffffff) > 0x7f800000 ? u | 0x400000 : u);
}

static inline uint16_t bf16_from_f32(float f) {
    uint32_t u = f32_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
