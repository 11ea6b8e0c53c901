/* Private to matmul_gemm: tiles of 16 rows x 4 tokens with AVX2.
 *
 * vpmaddubsw multiplies an unsigned byte by a signed one and saturates sums of two products to int16. So
 * - weights of the types with a minimum are unsigned, and x is signed;
 * - other weights of at most 6 bits are signed, x + 128 is unsigned, and the sums start from -128 * sum(w);
 * - as many products are added in int16 as surely fit (group_units), before vpmaddwd widens and scales them:
 *       0..15   times +-127   2 * 8 * 15 * 127 = 30480      -8..7    times 0..255   2 * 8 * 8 * 255 = 32640
 *       0..31   times +-127   2 * 4 * 31 * 127 = 31496      -16..15  times 0..255   2 * 4 * 16 * 255 = 32640
 *                                                           -32..31  times 0..255   2 * 2 * 32 * 255 = 32640
 * - weights of 8 bits are int16, as is x, for vpmaddwd. IQ4_XS, whose codes have 8 bits, takes its scales into
 *   them: 32 * 127 * 256 * 127 < 2^31. */
#pragma once

MM_INLINE int panel_int16(enum dtype t) { return t == DT_Q8_0 || t == DT_IQ4_NL || t == DT_IQ4_XS; }
MM_INLINE int type_start(enum dtype t) { return !type_has_min(t) && !panel_int16(t); }
MM_INLINE int group_units(enum dtype t) {
    if (panel_int16(t)) return 16;
    return t == DT_Q6_K ? 2 : t == DT_Q4_K || t == DT_Q4_0 || t == DT_Q4_1 ? 8 : 4;
}
/* Up to this many tokens matmul_plain is faster (Sapphire Rapids, one thread, 2048 columns). */
#ifndef PLAIN_TOK
#define PLAIN_TOK(t) (panel_int16(t) ? 9 : 5)
#endif
MM_INLINE int unit_columns(enum dtype t) { return panel_int16(t) ? 2 : 4; }

/* ---- packing */

static const int8_t ones[256] = {[0 ... 255] = 1};

MM_INLINE int32_t lane_scale(int16_t v) { return (int32_t)((uint16_t)v * 0x10001u); }
MM_INLINE void store_start(i32x4 sum, int32_t *p) { sum *= -128, memcpy(p, &sum, 16); }

/* n columns of four rows, from column `first` of the panel on; sc has a scale for 16 columns. */
GEMM_INLINE void pack_quants(enum dtype t, struct panel *p, uint32_t row, uint32_t first, const int8_t *const q[4],
                             const int16_t *const sc[4], uint32_t n) {
    if (!panel_int16(t)) {
        pack_units(p, row, first / 4, (const void *const *)q, n / 4);
        return;
    }
    int16_t v[4][256];
    for (int r = 0; r < 4; r++)
        for (uint32_t i = 0; i < n; i += 16) {
            __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(q[r] + i)));
            if (sc) w = _mm256_mullo_epi16(w, _mm256_set1_epi16(sc[r][i / 16]));
            _mm256_storeu_si256((__m256i *)(v[r] + i), w);
        }
    const void *const rows[4] = {v[0], v[1], v[2], v[3]};
    pack_units(p, row, first / 2, rows, n / 2);
}

#define X_ROW (sizeof(((struct tile_x *)0)->q) / TILE_TOK)

MM_INLINE void load_token(enum dtype t, const int8_t *q, uint32_t i, struct tile_x *x) {
    uint8_t *to = x->q + i * X_ROW;
    for (int k = 0; k < 256; k += 32) {
        __m256i v = load256(q + k);
        if (panel_int16(t)) {
            _mm256_store_si256((__m256i *)(to + 2 * k), _mm256_cvtepi8_epi16(_mm256_castsi256_si128(v)));
            _mm256_store_si256((__m256i *)(to + 2 * k + 32), _mm256_cvtepi8_epi16(_mm256_extracti128_si256(v, 1)));
        } else
            _mm256_store_si256((__m256i *)(to + k), type_start(t) ? _mm256_xor_si256(v, _mm256_set1_epi8(-128)) : v);
    }
}

/* ---- tiles: [token][half of the rows] */

MM_INLINE __m256i add32(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
MM_INLINE __m256i four_x(const void *p) { /* 4 bytes of one token in every lane */
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}
MM_INLINE __m256i products(enum dtype t, __m256i w, __m256i x) {
    if (panel_int16(t)) return _mm256_madd_epi16(w, x);
    return type_start(t) ? _mm256_maddubs_epi16(x, w) : _mm256_maddubs_epi16(w, x);
}

/* Compilers would first compute all products and then add them as a tree, which takes far more registers than exist. */
MM_INLINE __m256i in_order(__m256i v) {
    __asm__("" : "+x"(v));
    return v;
}

/* The products of one group from unit `first` on. */
GEMM_INLINE void tile_dot(enum dtype t, const struct panel *p, const struct tile_x *x, int first, __m256i dot[TILE_TOK][2]) {
#pragma GCC unroll 16
    for (int k = first; k < first + group_units(t); k++) {
        __m256i w[2] = {load256(p->w[k]), load256(p->w[k][8])};
#pragma GCC unroll 4
        for (int i = 0; i < TILE_TOK; i++) {
            __m256i xv = four_x(x->q + (size_t)i * X_ROW + 4 * k);
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++) {
                __m256i v = products(t, w[h], xv);
                if (k > first) v = panel_int16(t) ? add32(dot[i][h], v) : _mm256_add_epi16(dot[i][h], v);
                dot[i][h] = in_order(v);
            }
        }
    }
}

/* sum of min * (sum of q_x) */
GEMM_INLINE __m256i tile_min(enum dtype t, const struct panel *p, const struct act_q8_256 *x, int h) {
    const int16_t *sums = type_sub_block(t) == 16 ? x->sum16 : x->sum32;
    __m256i s = _mm256_setzero_si256();
    const int n_pair = 128 / type_sub_block(t);
#pragma GCC unroll 8
    for (int i = 0; i < n_pair; i++)
        s = add32(s, _mm256_madd_epi16(load256(p->min[i][8 * h]), four_x(sums + 2 * i)));
    return s;
}

GEMM_INLINE void tile256(enum dtype t, const struct panel *p, const struct tile_x *x, float *out) {
    const int n_unit = 256 / unit_columns(t);
    __m256i isum[TILE_TOK][2];
#pragma GCC unroll 4
    for (int i = 0; i < TILE_TOK; i++)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) isum[i][h] = type_start(t) ? load256(p->start[0] + 8 * h) : _mm256_setzero_si256();
#pragma GCC unroll 1
    for (int k = 0; k < n_unit; k += group_units(t)) {
        __m256i dot[TILE_TOK][2];
        tile_dot(t, p, x, k, dot);
        const int32_t *sc = p->scale[k / (type_sub_block(t) / 4) * (type_sub_block(t) / 16)];
#pragma GCC unroll 4
        for (int i = 0; i < TILE_TOK; i++)
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++)
                isum[i][h] = add32(isum[i][h], panel_int16(t) ? dot[i][h] : _mm256_madd_epi16(dot[i][h], load256(sc + 8 * h)));
    }
#pragma GCC unroll 4
    for (int i = 0; i < TILE_TOK; i++) {
        const struct act_q8_256 *xb = x->block[i];
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            __m256 v = _mm256_mul_ps(_mm256_loadu_ps(p->d[0] + 8 * h), _mm256_cvtepi32_ps(isum[i][h]));
            if (type_has_min(t))
                v = _mm256_fnmadd_ps(_mm256_loadu_ps(p->m[0] + 8 * h), _mm256_cvtepi32_ps(tile_min(t, p, xb, h)), v);
            float *y = out + i * GEMM_ROWS + 8 * h;
            _mm256_storeu_ps(y, _mm256_fmadd_ps(_mm256_set1_ps(xb->d), v, _mm256_loadu_ps(y)));
        }
    }
}

GEMM_INLINE void tile32(enum dtype t, const struct panel *p, const struct tile_x *x, uint32_t n_block, float *out) {
#pragma GCC unroll 1
    for (uint32_t b = 0; b < n_block; b++) {
        __m256i isum[TILE_TOK][2], dot[TILE_TOK][2];
        const int n_unit = 32 / unit_columns(t);
#pragma GCC unroll 2
        for (int k = 0; k < n_unit; k += group_units(t)) {
            tile_dot(t, p, x, (int)b * n_unit + k, dot);
#pragma GCC unroll 4
            for (int i = 0; i < TILE_TOK; i++)
#pragma GCC unroll 2
                for (int h = 0; h < 2; h++) {
                    __m256i v = panel_int16(t) ? dot[i][h] : _mm256_madd_epi16(dot[i][h], _mm256_set1_epi16(1));
                    if (k) v = add32(v, isum[i][h]);
                    else if (type_start(t)) v = add32(v, load256(p->start[b] + 8 * h));
                    isum[i][h] = v;
                }
        }
#pragma GCC unroll 4
        for (int i = 0; i < TILE_TOK; i++) {
            const struct act_q8_32 *xb = x->block[i];
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++) {
                float *y = out + i * GEMM_ROWS + 8 * h;
                __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(isum[i][h]), _mm256_set1_ps(xb->d[b]));
                __m256 acc = _mm256_fmadd_ps(_mm256_loadu_ps(p->d[b] + 8 * h), v, _mm256_loadu_ps(y));
                if (type_has_min(t)) acc = _mm256_fmadd_ps(_mm256_loadu_ps(p->m[b] + 8 * h), _mm256_set1_ps(xb->dsum[b]), acc);
                _mm256_storeu_ps(y, acc);
            }
        }
    }
}
