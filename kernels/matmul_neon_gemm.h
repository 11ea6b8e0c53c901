/* Private to matmul_gemm: tiles of 8 rows x 4 tokens with the dot products of Armv8.2 or the 2x2 products of I8MM.
 *
 * Dot products: a register has 4 columns of 4 rows; a lane of x, 4 columns of one token, meets all rows.
 * I8MM: a register has 8 columns of 2 rows, x 8 columns of 2 tokens; the sums are (row 0, token 0), (row 0, token 1),
 * (row 1, token 0), (row 1, token 1) and are sorted by token at the end. Scales are there twice for it.
 * Both: sums[4 * pair of tokens ..] are four registers, which only tile_dot and by_token tell apart. */
#pragma once

#define PLAIN_TOK(t) 4

MM_INLINE int type_start(enum dtype t) { return 0; } /* all products are signed */
MM_INLINE void store_start(i32x4 sum, int32_t *p) {}
MM_INLINE int32_t lane_scale(int16_t v) { return v; }
static const int8_t ones[256];

MM_INLINE void pack_quants(enum dtype t, struct panel *p, uint32_t row, uint32_t first, const int8_t *const q[4],
                           const int16_t *const sc[4], uint32_t n) {
    pack_units(p, row, first / W_UNIT, (const void *const *)q, n / W_UNIT);
}

#ifdef __ARM_FEATURE_MATMUL_INT8
MM_INLINE void load_token(enum dtype t, const int8_t *q, uint32_t i, struct tile_x *x) {
    for (uint32_t k = 0; k < 32; k++) memcpy(x->q + 32 * k + 8 * i, q + 8 * k, 8);
}

/* Adds the products of n columns from `first` on: sums[4 * pair + pair of rows]. */
GEMM_INLINE void tile_dot(const struct panel *p, const struct tile_x *x, int first, int n, int32x4_t sums[8]) {
#pragma GCC unroll 4
    for (int k = 0; k < n / 8; k++) {
        const int8_t *xq = (const int8_t *)x->q + 4 * first + 32 * k, (*wq)[8] = p->w[first / 8 + k];
        int8x16_t x0 = vld1q_s8(xq), x1 = vld1q_s8(xq + 16);
#pragma GCC unroll 4
        for (int r = 0; r < 4; r++) {
            int8x16_t w = vld1q_s8(wq[2 * r]);
            sums[r] = vmmlaq_s32(sums[r], w, x0), sums[4 + r] = vmmlaq_s32(sums[4 + r], w, x1);
        }
    }
}
MM_INLINE int32x4_t tile_scale(const int32_t *sc, int i) { return vld1q_s32(sc + 4 * (i % 4)); }

/* The sums of half h of the rows for token i. */
MM_INLINE int32x4_t by_token(const int32x4_t sums[8], int i, int h) {
    const int32x4_t *s = sums + 4 * (i / 2) + 2 * h;
    return i % 2 ? vuzp2q_s32(s[0], s[1]) : vuzp1q_s32(s[0], s[1]);
}
#else
MM_INLINE void load_token(enum dtype t, const int8_t *q, uint32_t i, struct tile_x *x) { memcpy(x->q + 256 * i, q, 256); }

#define DOT_LANE(lane)                                                                                              \
    do {                                                                                                            \
        int8x16_t w0 = vld1q_s8(wq[lane][0]), w1 = vld1q_s8(wq[lane][4]);                                           \
        _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) {                                                       \
            sums[2 * i] = vdotq_laneq_s32(sums[2 * i], w0, xv[i], lane);                                            \
            sums[2 * i + 1] = vdotq_laneq_s32(sums[2 * i + 1], w1, xv[i], lane);                                    \
        }                                                                                                           \
    } while (0)

/* Adds the products of n columns from `first` on: sums[2 * token + half of the rows]. */
GEMM_INLINE void tile_dot(const struct panel *p, const struct tile_x *x, int first, int n, int32x4_t sums[8]) {
#pragma GCC unroll 2
    for (int k = 0; k < n; k += 16) {
        const int8_t(*wq)[TILE_ROWS][W_UNIT] = p->w + (first + k) / 4;
        int8x16_t xv[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) xv[i] = vld1q_s8((const int8_t *)x->q + 256 * i + first + k);
        DOT_LANE(0);
        DOT_LANE(1);
        DOT_LANE(2);
        DOT_LANE(3);
    }
}
MM_INLINE int32x4_t tile_scale(const int32_t *sc, int i) { return vld1q_s32(sc + 4 * (i % 2)); }
MM_INLINE int32x4_t by_token(const int32x4_t sums[8], int i, int h) { return sums[2 * i + h]; }
#endif

/* sum of min * (sum of q_x) for half h of the rows */
GEMM_INLINE int32x4_t tile_min(enum dtype t, const struct panel *p, const struct act_q8_256 *x, int h) {
    const int16_t *sums = type_sub_block(t) == 16 ? x->sum16 : x->sum32;
    int32x4_t s = vdupq_n_s32(0);
    const int n_pair = 128 / type_sub_block(t);
#pragma GCC unroll 8
    for (int i = 0; i < n_pair; i++) {
        int16x4x2_t min = vld2_s16(p->min[i][4 * h]);
        s = vmlal_n_s16(vmlal_n_s16(s, min.val[0], sums[2 * i]), min.val[1], sums[2 * i + 1]);
    }
    return s;
}

GEMM_INLINE void tile256(enum dtype t, const struct panel *p, const struct tile_x *x, float *out) {
    int32x4_t isum[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) isum[i] = vdupq_n_s32(0);
#pragma GCC unroll 1
    for (int k = 0; k < 256; k += type_sub_block(t)) {
        int32x4_t dot[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) dot[i] = vdupq_n_s32(0);
        tile_dot(p, x, k, type_sub_block(t), dot);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) isum[i] = vmlaq_s32(isum[i], dot[i], tile_scale(p->scale[k / 16], i));
    }
#pragma GCC unroll 4
    for (int i = 0; i < TILE_TOK; i++) {
        const struct act_q8_256 *xb = x->block[i];
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            float32x4_t v = vmulq_f32(vld1q_f32(p->d[0] + 4 * h), vcvtq_f32_s32(by_token(isum, i, h)));
            if (type_has_min(t)) v = vfmsq_f32(v, vld1q_f32(p->m[0] + 4 * h), vcvtq_f32_s32(tile_min(t, p, xb, h)));
            float *y = out + i * GEMM_ROWS + 4 * h;
            vst1q_f32(y, vfmaq_f32(vld1q_f32(y), vdupq_n_f32(xb->d), v));
        }
    }
}

GEMM_INLINE void tile32(enum dtype t, const struct panel *p, const struct tile_x *x, uint32_t n_block, float *out) {
#pragma GCC unroll 1
    for (uint32_t b = 0; b < n_block; b++) {
        int32x4_t dot[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) dot[i] = vdupq_n_s32(0);
        tile_dot(p, x, 32 * (int)b, 32, dot);
#pragma GCC unroll 4
        for (int i = 0; i < TILE_TOK; i++) {
            const struct act_q8_32 *xb = x->block[i];
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++) {
                float *y = out + i * GEMM_ROWS + 4 * h;
                float32x4_t v = vmulq_f32(vcvtq_f32_s32(by_token(dot, i, h)), vdupq_n_f32(xb->d[b]));
                float32x4_t acc = vfmaq_f32(vld1q_f32(y), vld1q_f32(p->d[b] + 4 * h), v);
                if (type_has_min(t)) acc = vfmaq_f32(acc, vld1q_f32(p->m[b] + 4 * h), vdupq_n_f32(xb->dsum[b]));
                vst1q_f32(y, acc);
            }
        }
    }
}
