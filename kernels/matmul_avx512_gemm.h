/* Private to matmul_rows_cpu: the matrix-matrix form (matmul_avx512.h explains it). */
#pragma once
#include "kernels/matmul_avx512.h"

struct panel { /* 32 rows x 256 columns; index [..][half] has 16 rows */
    __m512i w[64][2];     /* 4 columns per lane, signed */
    __m512i start[32][2]; /* what the sum of a group of columns starts from */
    __m512i scale[16][2]; /* 256: int32 per sub-block. 32: d as float per block */
    __m512i min[8][2];    /* 256: pairs of int16. 32: m as float per block */
    __m512i shift[4][2];  /* 256: pairs of scale * (centre - zero) */
    float d[32], dmin[32];
};

struct gemm_scratch {
    struct panel panel[MM_ITEM_ROWS / PANEL];
    uint8_t x[TILE_TOK][256];           /* q + 128 */
    float minus_magic[TILE_TOK][8];     /* -1.5 * 2^23 * d_x */
    __m512i raw[4][16];                 /* while packing: [i][c] has columns 16c.. of rows i, 4 + i, 8 + i, 12 + i */
    float sum[MM_TOK][MM_ITEM_ROWS];
};

/* What is taken from unsigned quants, and how many columns go into one int16-sized sum (see above). */
MM_INLINE int centre_of(enum dtype t) { return t == DT_Q4_K ? 8 : t == DT_Q5_K ? 16 : type_zero(t); }
MM_INLINE int group_of(enum dtype t) {
    return t == DT_Q6_K ? 8 : t == DT_Q5_K || t == DT_Q3_K || t == DT_Q2_K ? 16 : 32;
}

/* ---- packing */

/* Quarter i of 16 rows at w (n_row of them real, others repeat the first). */
MM_INLINE struct rows4 quarter(const unsigned char *w, uint64_t row_bytes, uint32_t n_row, uint32_t i) {
    struct rows4 o;
    for (uint32_t p = 0; p < 4; p++) o.p[p] = w + (4 * p + i < n_row ? 4 * p + i : 0) * row_bytes;
    return o;
}

/* dst[c][half] = element c of the four, rows in order. */
MM_INLINE void pack4(const __m512i v[4], __m512i (*dst)[2], int half) {
    __m512i out[4];
    transpose4(v, out);
    for (int c = 0; c < 4; c++) dst[c][half] = out[c];
}

MM_INLINE void pack_quants(int group, int base, const struct gemm_scratch *s, struct panel *p, int half) {
    for (int c = 0; c < 16; c++) {
        const __m512i v[4] = {s->raw[0][c], s->raw[1][c], s->raw[2][c], s->raw[3][c]};
        pack4(v, &p->w[4 * c], half);
    }
    for (int g = 0; g < 256 / group; g++) {
        __m512i sum = _mm512_setzero_si512();
        for (int k = 0; k < group / 4; k++) sum = _mm512_dpbusd_epi32(sum, mask8(0x80), p->w[g * (group / 4) + k][half]);
        p->start[g][half] = _mm512_sub_epi32(_mm512_set1_epi32(base), sum);
    }
}

/* int16 scales of four quarters, 4 sub-blocks from 4h on, to int32 with the upper half 0 (IQ4_XS: the sign). */
MM_INLINE void pack_scales(enum dtype t, const struct scales4 s[4], int h, struct panel *p, int half) {
    __m512i v[4];
    for (int i = 0; i < 4; i++) {
        __m512i sc = s[i].sc[h / 2], zero = _mm512_setzero_si512();
        if (t == DT_IQ4_XS) zero = _mm512_srai_epi16(sc, 15);
        v[i] = h % 2 ? _mm512_unpackhi_epi16(sc, zero) : _mm512_unpacklo_epi16(sc, zero);
    }
    pack4(v, &p->scale[4 * h], half);
}

/* A block of 16 rows into half `half` of a panel. */
MM_INLINE void pack256(enum dtype t, struct gemm_scratch *s, struct panel *p, int half, const unsigned char *w,
                       uint64_t row_bytes, uint32_t n_row) {
    struct scales4 sc[4];
    const int n_reg = type_sub_block(t) == 16 ? 2 : 1;
    for (uint32_t i = 0; i < 4; i++) {
        struct rows4 rows = quarter(w, row_bytes, n_row, i);
        __m512i q[16];
        unpack256(t, &rows, q);
        for (int c = 0; c < 16; c++) s->raw[i][c] = _mm512_sub_epi8(q[c], mask8(centre_of(t)));
        unpack_scales(t, &rows, &sc[i]);
        float d[16];
        _mm512_storeu_ps(d, block_scales(t, &rows));
        for (int r = 0; r < 4; r++) {
            p->d[16 * half + 4 * r + (int)i] = d[4 * r + scale_lane(t)];
            if (type_has_min(t)) p->dmin[16 * half + 4 * r + (int)i] = d[4 * r + scale_lane(t) + 1];
        }
    }
    pack_quants(group_of(t), 0, s, p, half);
    for (int h = 0; h < 2 * n_reg; h++) pack_scales(t, sc, h, p, half);
    for (int h = 0; h < n_reg && type_has_min(t); h++) {
        const __m512i v[4] = {sc[0].min[h], sc[1].min[h], sc[2].min[h], sc[3].min[h]};
        pack4(v, &p->min[4 * h], half);
    }
    if (centre_of(t) == type_zero(t)) return;
    __m512i v[4], by = _mm512_set1_epi16((short)(centre_of(t) - type_zero(t)));
    for (int i = 0; i < 4; i++) v[i] = _mm512_mullo_epi16(sc[i].sc[0], by);
    pack4(v, p->shift, half);
}

MM_INLINE void pack32(enum dtype t, struct gemm_scratch *s, struct panel *p, int half, const unsigned char *w,
                      uint64_t row_bytes, uint32_t n_row, uint32_t n_block, uint32_t block_bytes) {
    for (uint32_t i = 0; i < 4; i++) {
        struct rows4 rows = quarter(w, row_bytes, n_row, i);
        for (uint32_t b = 0; b < n_block; b++) {
            __m512i q[2];
            unpack32(t, &rows, q);
            for (uint32_t c = 0; c < 2; c++) s->raw[i][2 * b + c] = _mm512_sub_epi8(q[c], mask8(type_zero(t)));
            float *d = (float *)&p->scale[b][half], *m = (float *)&p->min[b][half];
            for (uint32_t r = 0; r < 4; r++) {
                d[4 * r + i] = t == DT_MXFP4 ? scale_e8m0(*rows.p[r]) : load_f16(rows.p[r]);
                if (type_has_min(t)) m[4 * r + i] = load_f16(rows.p[r] + 2);
            }
            advance(&rows, block_bytes);
        }
    }
    pack_quants(32, MAGIC, s, p, half);
}

/* ---- tiles: 32 rows x n tokens, n a constant */

MM_INLINE __m512i four_x(const uint8_t *p) { /* 4 columns of one token in every lane */
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

MM_INLINE void tile_dot(int n, int first, int count, const struct panel *p, const uint8_t (*x)[256], __m512i dot[][2]) {
#pragma GCC unroll 8
    for (int k = first; k < first + count; k++) {
        __m512i w0 = p->w[k][0], w1 = p->w[k][1];
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) {
            __m512i xv = four_x(x[i] + 4 * k);
            dot[i][0] = _mm512_dpbusd_epi32(dot[i][0], xv, w0);
            dot[i][1] = _mm512_dpbusd_epi32(dot[i][1], xv, w1);
        }
    }
}

/* acc += sum over pairs of sub-blocks: coef * (sums of q_x) */
MM_INLINE void tile_sums(int n, int n_pair, const __m512i coef[][2], const int16_t *const *sums, __m512i acc[][2]) {
    for (int i = 0; i < n_pair; i++)
#pragma GCC unroll 6
        for (int k = 0; k < n; k++) {
            __m512i s = four_x((const uint8_t *)(sums[k] + 2 * i));
            acc[k][0] = _mm512_dpwssd_epi32(acc[k][0], s, coef[i][0]);
            acc[k][1] = _mm512_dpwssd_epi32(acc[k][1], s, coef[i][1]);
        }
}

MM_INLINE void tile256(enum dtype t, int n, const struct panel *p, const uint8_t (*x)[256],
                       const struct act_q8_256 *const *xb, uint32_t block, float (*out)[MM_ITEM_ROWS]) {
    __m512i isum[TILE_TOK][2], dot[TILE_TOK][2];
    const int group = group_of(t), n_sum = 256 / group, sub16 = type_sub_block(t) == 16, has_min = type_has_min(t);
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) isum[i][0] = isum[i][1] = _mm512_setzero_si512();
#pragma GCC unroll 1
    for (int g = 0; g < n_sum; g++) {
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) dot[i][0] = p->start[g][0], dot[i][1] = p->start[g][1];
        tile_dot(n, g * (group / 4), group / 4, p, x, dot);
        const __m512i *sc = p->scale[g * group / type_sub_block(t)];
#pragma GCC unroll 6
        for (int i = 0; i < n; i++)
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++)
                isum[i][h] = t == DT_IQ4_XS ? add32(isum[i][h], _mm512_mullo_epi32(dot[i][h], sc[h]))
                                            : _mm512_dpwssd_epi32(isum[i][h], dot[i][h], sc[h]);
    }
    const int16_t *sums[TILE_TOK];
    for (int i = 0; i < n; i++) sums[i] = sub16 ? xb[i][block].sum16 : xb[i][block].sum32;
    if (centre_of(t) != type_zero(t)) tile_sums(n, 4, p->shift, sums, isum);
    if (has_min) {
        for (int i = 0; i < n; i++) dot[i][0] = dot[i][1] = _mm512_setzero_si512();
        tile_sums(n, sub16 ? 8 : 4, p->min, sums, dot);
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++)
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            __m512 v = _mm512_mul_ps(_mm512_loadu_ps(p->d + 16 * h), _mm512_cvtepi32_ps(isum[i][h]));
            if (has_min) v = _mm512_fnmadd_ps(_mm512_loadu_ps(p->dmin + 16 * h), _mm512_cvtepi32_ps(dot[i][h]), v);
            __m512 acc = _mm512_loadu_ps(out[i] + 16 * h);
            _mm512_storeu_ps(out[i] + 16 * h, _mm512_fmadd_ps(_mm512_set1_ps(xb[i][block].d), v, acc));
        }
}

MM_INLINE void tile32(int has_min, int n, const struct panel *p, const struct gemm_scratch *s,
                      const struct act_q8_32 *const *xb, uint32_t block, uint32_t n_block, float (*out)[MM_ITEM_ROWS]) {
    __m512i dot[TILE_TOK][2];
    __m512 acc[TILE_TOK][2];
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) acc[i][0] = _mm512_loadu_ps(out[i]), acc[i][1] = _mm512_loadu_ps(out[i] + 16);
#pragma GCC unroll 1
    for (uint32_t b = 0; b < n_block; b++) {
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) dot[i][0] = p->start[b][0], dot[i][1] = p->start[b][1];
        tile_dot(n, (int)b * 8, 8, p, s->x, dot);
#pragma GCC unroll 6
        for (int i = 0; i < n; i++) {
            __m512 dx = _mm512_set1_ps(xb[i][block].d[b]), minus = _mm512_set1_ps(s->minus_magic[i][b]);
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++) {
                __m512 v = _mm512_fmadd_ps(_mm512_castsi512_ps(dot[i][h]), dx, minus);
                acc[i][h] = _mm512_fmadd_ps(_mm512_castsi512_ps(p->scale[b][h]), v, acc[i][h]);
                if (has_min)
                    acc[i][h] = _mm512_fmadd_ps(_mm512_castsi512_ps(p->min[b][h]),
                                                _mm512_set1_ps(xb[i][block].dsum[b]), acc[i][h]);
            }
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) _mm512_storeu_ps(out[i], acc[i][0]), _mm512_storeu_ps(out[i] + 16, acc[i][1]);
}

/* ---- rows begin..end-1 times all tokens */

MM_INLINE void load_tile(bool wide, struct gemm_scratch *s, const unsigned char *const *x, uint32_t n, uint32_t group) {
    for (uint32_t i = 0; i < n; i++) {
        const int8_t *q = wide ? ((const struct act_q8_256 *)x[i])[group].q : ((const struct act_q8_32 *)x[i])[group].q;
        for (int v = 0; v < 4; v++)
            _mm512_storeu_si512(s->x[i] + 64 * v, _mm512_xor_si512(_mm512_loadu_si512(q + 64 * v), mask8(0x80)));
        if (wide) continue;
        __m256 d = _mm256_loadu_ps(((const struct act_q8_32 *)x[i])[group].d);
        _mm256_storeu_ps(s->minus_magic[i], _mm256_mul_ps(d, _mm256_set1_ps(-0x1.8p+23f)));
    }
}

MM_INLINE void tiles(enum dtype t, bool wide, int n, const struct mm_job *j, struct gemm_scratch *s, uint32_t tok,
                     uint32_t group, uint32_t n_block, uint32_t n_panel) {
    const unsigned char *const *x = j->x + tok;
    for (uint32_t i = 0; i < n_panel; i++) {
        float(*out)[MM_ITEM_ROWS] = (float(*)[MM_ITEM_ROWS])(s->sum[tok] + PANEL * i);
        if (wide) tile256(t, n, &s->panel[i], (const uint8_t (*)[256])s->x, (const struct act_q8_256 *const *)x, group, out);
        else tile32(type_has_min(t), n, &s->panel[i], s, (const struct act_q8_32 *const *)x, group, n_block, out);
    }
}

MM_INLINE void store_sums(const struct mm_job *j, uint32_t k, uint32_t begin, uint32_t n_row, const float *sum) {
    for (uint32_t r = 0; r < n_row; r += 16) {
        __mmask16 m = n_row - r < 16 ? (__mmask16)((1u << (n_row - r)) - 1) : 0xffff;
        __m512 v = _mm512_loadu_ps(sum + r);
        if (j->bias) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, j->bias + begin + r));
        _mm512_mask_storeu_ps(j->y[k] + begin + r, m, v);
    }
}

MM_INLINE void gemm_rows(enum dtype t, bool wide, const struct mm_job *j, uint32_t begin, uint32_t end,
                         struct gemm_scratch *s) {
    const uint32_t block_bytes = dtype_info(t)->block_bytes, group_bytes = wide ? block_bytes : 8 * block_bytes;
    const uint32_t n_group = (j->n_in + 255) / 256, n_row = end - begin, n_panel = (n_row + PANEL - 1) / PANEL;
    const uint32_t x_group_bytes = wide ? sizeof(struct act_q8_256) : sizeof(struct act_q8_32);
    memset(s->sum, 0, j->n_tok * sizeof s->sum[0]);
    for (uint32_t g = 0; g < n_group; g++) {
        uint32_t n_block = j->n_in - 256 * g < 256 ? j->n_in % 256 / 32 : 8;
        for (uint32_t r = 0; r < n_row; r += 16) {
            const unsigned char *w = j->w + (uint64_t)(begin + r) * j->row_bytes + (uint64_t)g * group_bytes;
            uint32_t n = n_row - r < 16 ? n_row - r : 16;
            struct panel *p = &s->panel[r / PANEL];
            if (wide) pack256(t, s, p, r / 16 & 1, w, j->row_bytes, n);
            else pack32(t, s, p, r / 16 & 1, w, j->row_bytes, n, n_block, block_bytes);
        }
        const unsigned char *next = j->w + (uint64_t)begin * j->row_bytes + (uint64_t)(g + 1) * group_bytes;
        for (uint32_t tok = 0; tok < j->n_tok;) {
            uint32_t left = j->n_tok - tok, n = left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            for (uint32_t r = n_row * tok / j->n_tok; r < n_row * (tok + n) / j->n_tok; r++)
                prefetch(next + r * j->row_bytes, group_bytes);
            load_tile(wide, s, j->x + tok, n, g);
            for (uint32_t k = tok + n; k < tok + n + TILE_TOK && k < j->n_tok; k++) /* the next tile, from L2 */
                prefetch(j->x[k] + g * x_group_bytes, x_group_bytes);
            switch (n) {
            case 6: tiles(t, wide, 6, j, s, tok, g, n_block, n_panel); break;
            case 4: tiles(t, wide, 4, j, s, tok, g, n_block, n_panel); break;
            case 2: tiles(t, wide, 2, j, s, tok, g, n_block, n_panel); break;
            default: tiles(t, wide, 1, j, s, tok, g, n_block, n_panel); break;
            }
            tok += n;
        }
    }
    for (uint32_t k = 0; k < j->n_tok; k++) store_sums(j, k, begin, n_row, s->sum[k]);
}
