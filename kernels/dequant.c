#include "kernels/dequant.h"

#include <math.h>
#include <string.h>

#include "gguf/blocks.h"
#include "gguf/half.h"
#include "runtime/err.h"

static const int8_t iq4_codes[16] = IQ4_CODES;
static const int8_t mxfp4_codes[16] = MXFP4_CODES;

/* Element i of 32 packed nibbles. */
static int nibble(const uint8_t *qs, int i) { return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4; }
static int bit(const uint8_t *p, int i) { return p[i / 8] >> i % 8 & 1; }

static void decode_f32(const float *b, double *y) { *y = *b; }
static void decode_f16(const uint16_t *b, double *y) { *y = f16_to_f32(*b); }
static void decode_bf16(const uint16_t *b, double *y) { *y = bf16_to_f32(*b); }

static void decode_q4_0(const struct block_q4_0 *b, double *y) {
    double d = f16_to_f32(b->d);
    for (int i = 0; i < QK; i++) y[i] = d * (nibble(b->qs, i) - 8);
}

static void decode_q4_1(const struct block_q4_1 *b, double *y) {
    double d = f16_to_f32(b->d), m = f16_to_f32(b->m);
    for (int i = 0; i < QK; i++) y[i] = d * nibble(b->qs, i) + m;
}

static void decode_q5_0(const struct block_q5_0 *b, double *y) {
    double d = f16_to_f32(b->d);
    for (int i = 0; i < QK; i++) y[i] = d * ((nibble(b->qs, i) | bit(b->qh, i) << 4) - 16);
}

static void decode_q5_1(const struct block_q5_1 *b, double *y) {
    double d = f16_to_f32(b->d), m = f16_to_f32(b->m);
    for (int i = 0; i < QK; i++) y[i] = d * (nibble(b->qs, i) | bit(b->qh, i) << 4) + m;
}

static void decode_q8_0(const struct block_q8_0 *b, double *y) {
    double d = f16_to_f32(b->d);
    for (int i = 0; i < QK; i++) y[i] = d * b->qs[i];
}

/* The 2-bit part of element i in Q2_K and Q3_K. */
static int crumb(const uint8_t *qs, int i) { return qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3; }

static void decode_q2_K(const struct block_q2_K *b, double *y) {
    double d = f16_to_f32(b->d), dmin = f16_to_f32(b->dmin);
    for (int i = 0; i < QK_K; i++) {
        int s = b->scales[i / 16];
        y[i] = d * (s & 15) * crumb(b->qs, i) - dmin * (s >> 4);
    }
}

static int q3_K_scale(const uint8_t *s, int g) {
    int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4;
    return (low | (s[8 + g % 4] >> g / 4 * 2 & 3) << 4) - 32;
}

static void decode_q3_K(const struct block_q3_K *b, double *y) {
    double d = f16_to_f32(b->d);
    for (int i = 0; i < QK_K; i++) {
        int high = b->hmask[i % 32] >> i / 32 & 1;
        y[i] = d * q3_K_scale(b->scales, i / 16) * ((crumb(b->qs, i) | high << 2) - 4);
    }
}

static int q4_K_scale(const uint8_t *s, int g) {
    return g < 4 ? s[g] & 63 : (s[4 + g] & 15) | s[g - 4] >> 6 << 4;
}

static int q4_K_min(const uint8_t *s, int g) {
    return g < 4 ? s[4 + g] & 63 : s[4 + g] >> 4 | s[g] >> 6 << 4;
}

/* The nibble of element i in Q4_K and Q5_K. */
static int pair_nibble(const uint8_t *qs, int i) { return qs[i / 64 * 32 + i % 32] >> i % 64 / 32 * 4 & 15; }

static void decode_q4_K(const struct block_q4_K *b, double *y) {
    double d = f16_to_f32(b->d), dmin = f16_to_f32(b->dmin);
    for (int i = 0; i < QK_K; i++)
        y[i] = d * q4_K_scale(b->scales, i / 32) * pair_nibble(b->qs, i) - dmin * q4_K_min(b->scales, i / 32);
}

static void decode_q5_K(const struct block_q5_K *b, double *y) {
    double d = f16_to_f32(b->d), dmin = f16_to_f32(b->dmin);
    for (int i = 0; i < QK_K; i++) {
        int q = pair_nibble(b->qs, i) | (b->qh[i % 32] >> i / 32 & 1) << 4;
        y[i] = d * q4_K_scale(b->scales, i / 32) * q - dmin * q4_K_min(b->scales, i / 32);
    }
}

static void decode_q6_K(const struct block_q6_K *b, double *y) {
    double d = f16_to_f32(b->d);
    for (int i = 0; i < QK_K; i++) {
        int half = i / 128, s = i % 128 / 32, j = i % 32;
        int low = b->ql[half * 64 + s % 2 * 32 + j] >> s / 2 * 4 & 15;
        int high = b->qh[half * 32 + j] >> s * 2 & 3;
        y[i] = d * b->scales[i / 16] * ((low | high << 4) - 32);
    }
}

static void decode_iq4_nl(const struct block_iq4_nl *b, double *y) {
    double d = f16_to_f32(b->d);
    for (int i = 0; i < QK; i++) y[i] = d * iq4_codes[nibble(b->qs, i)];
}

static void decode_iq4_xs(const struct block_iq4_xs *b, double *y) {
    double d = f16_to_f32(b->d);
    for (int i = 0; i < QK_K; i++) {
        int g = i / 32;
        int scale = (b->scales_l[g / 2] >> g % 2 * 4 & 15) | (b->scales_h >> g * 2 & 3) << 4;
        y[i] = d * (scale - 32) * iq4_codes[nibble(b->qs + g * 16, i % 32)];
    }
}

static void decode_mxfp4(const struct block_mxfp4 *b, double *y) {
    double d = ldexp(1.0, b->e - 128);
    for (int i = 0; i < QK; i++) y[i] = d * mxfp4_codes[nibble(b->qs, i)];
}

union any_block {
    float f32;
    uint16_t f16, bf16;
    struct block_q4_0 q4_0;
    struct block_q4_1 q4_1;
    struct block_q5_0 q5_0;
    struct block_q5_1 q5_1;
    struct block_q8_0 q8_0;
    struct block_q2_K q2_K;
    struct block_q3_K q3_K;
    struct block_q4_K q4_K;
    struct block_q5_K q5_K;
    struct block_q6_K q6_K;
    struct block_iq4_nl iq4_nl;
    struct block_iq4_xs iq4_xs;
    struct block_mxfp4 mxfp4;
};

static void decode_block(enum dtype t, const union any_block *b, double *y) {
    switch (t) {
    case DT_F32: decode_f32(&b->f32, y); return;
    case DT_F16: decode_f16(&b->f16, y); return;
    case DT_BF16: decode_bf16(&b->bf16, y); return;
    case DT_Q4_0: decode_q4_0(&b->q4_0, y); return;
    case DT_Q4_1: decode_q4_1(&b->q4_1, y); return;
    case DT_Q5_0: decode_q5_0(&b->q5_0, y); return;
    case DT_Q5_1: decode_q5_1(&b->q5_1, y); return;
    case DT_Q8_0: decode_q8_0(&b->q8_0, y); return;
    case DT_Q2_K: decode_q2_K(&b->q2_K, y); return;
    case DT_Q3_K: decode_q3_K(&b->q3_K, y); return;
    case DT_Q4_K: decode_q4_K(&b->q4_K, y); return;
    case DT_Q5_K: decode_q5_K(&b->q5_K, y); return;
    case DT_Q6_K: decode_q6_K(&b->q6_K, y); return;
    case DT_IQ4_NL: decode_iq4_nl(&b->iq4_nl, y); return;
    case DT_IQ4_XS: decode_iq4_xs(&b->iq4_xs, y); return;
    case DT_MXFP4: decode_mxfp4(&b->mxfp4, y); return;
    case DT_MAX: break;
    }
    check_failed(__FILE__, __LINE__, "a supported type");
}

/* Decodes block k of src; returns how many elements that is. */
static uint32_t decode_at(enum dtype t, const void *src, uint64_t k, double *y) {
    const struct dtype_info *info = dtype_info((uint32_t)t);
    union any_block b; /* a copy: src may be unaligned */
    memcpy(&b, (const unsigned char *)src + k * info->block_bytes, info->block_bytes);
    decode_block(t, &b, y);
    return info->block_elems;
}

void dequant_row_f64(enum dtype t, const void *src, double *dst, uint64_t n) {
    CHECK(dtype_info((uint32_t)t)->supported && n % dtype_info((uint32_t)t)->block_elems == 0);
    for (uint64_t i = 0, k = 0; i < n; k++) i += decode_at(t, src, k, dst + i);
}

void dequant_row(enum dtype t, const void *src, float *dst, uint64_t n) {
    CHECK(dtype_info((uint32_t)t)->supported && n % dtype_info((uint32_t)t)->block_elems == 0);
    double y[QK_K];
    for (uint64_t i = 0, k = 0; i < n; k++) {
        uint32_t m = decode_at(t, src, k, y);
        for (uint32_t j = 0; j < m; j++) dst[i + j] = (float)y[j];
        i += m;
    }
}
