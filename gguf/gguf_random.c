#include "gguf/gguf_random.h"

#include <math.h>
#include <string.h>

#include "gguf/blocks.h"
#include "gguf/half.h"
#include "runtime/err.h"

static void random_bytes(struct rng *r, void *dst, size_t n) {
    unsigned char *p = dst;
    for (; n > 0; n -= n < 8 ? n : 8, p += 8) {
        uint64_t u = rng_next(r);
        memcpy(p, &u, n < 8 ? n : 8);
    }
}

/* An integer in lo..hi. */
static int pick(struct rng *r, int lo, int hi) {
    return lo + (int)((rng_next(r) >> 32) * (uint64_t)(hi - lo + 1) >> 32);
}

/* A block scale: `unit`, give or take a quarter, of either sign, so that an uneven range of
 * quants (-8..7) does not give all weights the same bias. */
static float scale(struct rng *r, float unit) {
    uint64_t u = rng_next(r);
    float s = unit * (0.75f + (float)(u >> 40) * 0x1p-25f);
    return u & 1 ? -s : s;
}

static int clamp(int x, int lo, int hi) { return x < lo ? lo : x > hi ? hi : x; }

/* The numbers by which std is divided are the standard deviations of the integer parts under uniform quants. */

static void fill_q4_0(struct rng *r, float std, struct block_q4_0 *b) {
    b->d = f16_from_f32(scale(r, std / 4.6f));
}

static void fill_q4_1(struct rng *r, float std, struct block_q4_1 *b) {
    float d = scale(r, std / 4.6f);
    b->d = f16_from_f32(d);
    b->m = f16_from_f32(-d * (7.0f + rng_uniform(r)));
}

static void fill_q5_0(struct rng *r, float std, struct block_q5_0 *b) {
    b->d = f16_from_f32(scale(r, std / 9.2f));
}

static void fill_q5_1(struct rng *r, float std, struct block_q5_1 *b) {
    float d = scale(r, std / 9.2f);
    b->d = f16_from_f32(d);
    b->m = f16_from_f32(-d * (15.0f + rng_uniform(r)));
}

static void fill_q8_0(struct rng *r, float std, struct block_q8_0 *b) {
    b->d = f16_from_f32(scale(r, std / 74.0f));
}

static void fill_q2_K(struct rng *r, float std, struct block_q2_K *b) {
    float d = scale(r, std / 11.5f);
    for (int g = 0; g < 16; g++) {
        int s = pick(r, 4, 15), m = clamp(s + pick(r, -1, 1), 0, 15);
        b->scales[g] = (uint8_t)(s | m << 4);
    }
    b->d = f16_from_f32(d);
    b->dmin = f16_from_f32(d * 1.5f); /* the mean quant: minimum and scale cancel on average */
}

static void fill_q3_K(struct rng *r, float std, struct block_q3_K *b) {
    b->d = f16_from_f32(scale(r, std / 43.0f));
}

static void fill_q4_scales(struct rng *r, uint8_t *scales) {
    int s[8], m[8];
    for (int g = 0; g < 8; g++) {
        s[g] = pick(r, 8, 63);
        m[g] = clamp(s[g] + pick(r, -3, 3), 0, 63);
    }
    for (int g = 0; g < 4; g++) {
        scales[g] = (uint8_t)(s[g] | s[g + 4] >> 4 << 6);
        scales[g + 4] = (uint8_t)(m[g] | m[g + 4] >> 4 << 6);
        scales[g + 8] = (uint8_t)((s[g + 4] & 15) | (m[g + 4] & 15) << 4);
    }
}

static void fill_q4_K(struct rng *r, float std, struct block_q4_K *b) {
    float d = scale(r, std / 182.0f);
    fill_q4_scales(r, b->scales);
    b->d = f16_from_f32(d);
    b->dmin = f16_from_f32(d * 7.5f);
}

static void fill_q5_K(struct rng *r, float std, struct block_q5_K *b) {
    float d = scale(r, std / 365.0f);
    fill_q4_scales(r, b->scales);
    b->d = f16_from_f32(d);
    b->dmin = f16_from_f32(d * 15.5f);
}

static void fill_q6_K(struct rng *r, float std, struct block_q6_K *b) {
    b->d = f16_from_f32(scale(r, std / 1366.0f));
}

static void fill_iq4_nl(struct rng *r, float std, struct block_iq4_nl *b) {
    b->d = f16_from_f32(scale(r, std / 65.0f));
}

static void fill_iq4_xs(struct rng *r, float std, struct block_iq4_xs *b) {
    b->d = f16_from_f32(scale(r, std / 1200.0f));
}

/* Scales are powers of two: the two around the wanted one, mixed so that the mean square is right. */
static void fill_mxfp4(struct rng *r, float std, struct block_mxfp4 *b) {
    int exp;
    float m = frexpf(std / 5.85f, &exp); /* m in [0.5, 1) */
    float p_upper = (4 * m * m - 1) / 3;
    b->e = (uint8_t)clamp(127 + exp + (rng_uniform(r) < p_upper), 1, 254);
}

static float centred(uint32_t u, float std) { return ((float)(u >> 8) * 0x1p-24f - 0.5f) * 3.4641016f * std; }

static void fill_scalar(struct rng *r, enum dtype t, float std, unsigned char *dst, uint64_t n) {
    for (uint64_t i = 0; i < n; i += 2) {
        uint64_t u = rng_next(r);
        for (uint64_t j = i; j < i + 2 && j < n; j++, u >>= 32) {
            float f = centred((uint32_t)u, std);
            uint16_t h = t == DT_F16 ? f16_from_f32(f) : bf16_from_f32(f);
            if (t == DT_F32) memcpy(dst + j * 4, &f, 4);
            else memcpy(dst + j * 2, &h, 2);
        }
    }
}

union any_block {
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

/* Sets the scales of a block whose bytes are random. */
static void fill_block(struct rng *r, enum dtype t, float std, union any_block *b) {
    switch (t) {
    case DT_Q4_0: fill_q4_0(r, std, &b->q4_0); return;
    case DT_Q4_1: fill_q4_1(r, std, &b->q4_1); return;
    case DT_Q5_0: fill_q5_0(r, std, &b->q5_0); return;
    case DT_Q5_1: fill_q5_1(r, std, &b->q5_1); return;
    case DT_Q8_0: fill_q8_0(r, std, &b->q8_0); return;
    case DT_Q2_K: fill_q2_K(r, std, &b->q2_K); return;
    case DT_Q3_K: fill_q3_K(r, std, &b->q3_K); return;
    case DT_Q4_K: fill_q4_K(r, std, &b->q4_K); return;
    case DT_Q5_K: fill_q5_K(r, std, &b->q5_K); return;
    case DT_Q6_K: fill_q6_K(r, std, &b->q6_K); return;
    case DT_IQ4_NL: fill_iq4_nl(r, std, &b->iq4_nl); return;
    case DT_IQ4_XS: fill_iq4_xs(r, std, &b->iq4_xs); return;
    case DT_MXFP4: fill_mxfp4(r, std, &b->mxfp4); return;
    case DT_F32: case DT_F16: case DT_BF16: case DT_MAX: break;
    }
    check_failed(__FILE__, __LINE__, "a quantized type");
}

void gguf_random_row(struct rng *r, enum dtype t, float std, void *dst, uint64_t n) {
    const struct dtype_info *info = dtype_info((uint32_t)t);
    CHECK(info->supported && n % info->block_elems == 0);
    if (info->block_elems == 1) {
        fill_scalar(r, t, std, dst, n);
        return;
    }
    unsigned char *p = dst;
    for (uint64_t k = 0; k < n / info->block_elems; k++, p += info->block_bytes) {
        union any_block b;
        random_bytes(r, &b, info->block_bytes);
        fill_block(r, t, std, &b);
        memcpy(p, &b, info->block_bytes);
    }
}
