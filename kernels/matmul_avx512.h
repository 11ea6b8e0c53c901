/* Private to matmul_rows_cpu: quantized weights times 8-bit activations with AVX-512 VNNI.
 *
 * Matrix-vector (few tokens): four weight rows at a time, one in each 128-bit part of a register (unpack_avx512.h), so
 * that scales, sums over lanes and float steps are shared; an unpacked block meets all tokens. One token is bound by
 * memory: the four rows are four long streams (mm_quarter), prefetched AHEAD bytes. With adjacent rows one
 * core reads 13.5 GB/s of Q4_K, with streams 15.5, of the 15.8 that a plain read of four streams reaches.
 *
 * Matrix-matrix: for each 256 columns, up to 64 weight rows are unpacked into panels of 32 that fit in L1 and
 * meet every token; tiles are 32 rows x 6 tokens, one lane per row. vpdpbusd wants one unsigned operand: the
 * panel holds signed w - centre, the activation tile holds x + 128, and the sums start at -128 * sum(w - centre).
 *   32-element types: they start 1.5 * 2^23 higher, so that the int32 sum read as a float is that constant plus
 *   the sum; fma(sum, d_x, -constant * d_x) is then exactly the rounded product (the constant product is exact
 *   because d_x has two zero bits), one instruction less than converting.
 *   256-element types: `centre` and the number of columns per sum are chosen so that a sum fits in int16; then one
 *   vpdpwssd multiplies it by its sub-block's scale and adds. What centre differs from the type's own zero comes
 *   back as sum of scale * (centre - zero) * sum(q_x). IQ4_XS does not fit and pays for vpmulld. */
#pragma once
#include <stddef.h>

#include "gguf/half.h"
#include "kernels/matmul_rows.h"
#include "kernels/unpack_avx512.h"

#define MAGIC 0x4b400000 /* the bits of 1.5 * 2^23 */
#define AHEAD 2048 /* bytes to prefetch ahead in each of the four streams of rows */
#define TILE_TOK 6
#define PANEL 32 /* rows */

/* ---- what both forms share */

MM_INLINE __m512i add32(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }
MM_INLINE __m512i part_of_x(const void *p) { return _mm512_broadcast_i32x4(load128(p)); } /* 16 bytes for all rows */

/* 4x4 in every part: element i of out[c] = element c of v[i]. */
MM_INLINE void transpose4(const __m512i v[4], __m512i out[4]) {
    __m512i a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
    __m512i e = _mm512_unpacklo_epi32(v[2], v[3]), f = _mm512_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm512_unpacklo_epi64(a, e), out[1] = _mm512_unpackhi_epi64(a, e);
    out[2] = _mm512_unpacklo_epi64(b, f), out[3] = _mm512_unpackhi_epi64(b, f);
}

MM_INLINE float scale_e8m0(uint8_t e) { return f32_from_bits(e < 2 ? 0x200000u << e : (uint32_t)(e - 1) << 23); }
MM_INLINE float load_f16(const unsigned char *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}

/* ---- matrix-vector, 256-element types */

/* The scale of sub-block s in the low half of every element of its part. */
MM_INLINE __m512i spread_scale(const __m512i sc[2], int s, bool high_half) {
    int a = s % 8 * 2, b = a + 1, pair = a | b << 8, v = high_half ? pair << 16 | 0x8080 : (int)(0x80800000u | (unsigned)pair);
    return _mm512_shuffle_epi8(sc[s / 8], _mm512_set1_epi32(v));
}

/* sum of s[i] * (sum of q_x in sub-block i), over 4 elements of each part */
MM_INLINE __m512i dot_sums(enum dtype t, const __m512i s[2], const struct act_q8_256 *x) {
    if (type_sub_block(t) == 32) return _mm512_madd_epi16(s[0], part_of_x(x->sum32));
    return _mm512_dpwssd_epi32(_mm512_madd_epi16(s[0], part_of_x(x->sum16)), s[1], part_of_x(x->sum16 + 8));
}

/* Sums over each part: of a in elements 0 and 2, of b in 1 and 3. */
MM_INLINE __m512i sum_pair(__m512i a, __m512i b) {
    __m512i s = add32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    return add32(s, _mm512_shuffle_epi32(s, (_MM_PERM_ENUM)0x4e));
}
MM_INLINE __m512i sum_part(__m512i a) { /* in all elements */
    a = add32(a, _mm512_shuffle_epi32(a, (_MM_PERM_ENUM)0x4e));
    return add32(a, _mm512_shuffle_epi32(a, (_MM_PERM_ENUM)0xb1));
}

/* One block of four rows times one block of n tokens. acc is valid in element scale_lane(t) of each row's part. */
MM_INLINE void vec256_block(enum dtype t, int n, const struct rows4 *w, const struct act_q8_256 *const *x, uint32_t block,
                            __m512 *acc) {
    const int per_sub = type_sub_block(t) / 16, n_sub = 16 / per_sub;
    __m512i q[16], sum[4], odd[4]; /* two chains of additions */
    struct scales4 s;
    unpack256(t, w, q);
    unpack_scales(t, w, &s);
    for (int k = 0; k < n; k++) sum[k] = odd[k] = _mm512_setzero_si512();
#pragma GCC unroll 16
    for (int i = 0; i < n_sub; i++) {
        __m512i sc = spread_scale(s.sc, i, t == DT_IQ4_XS);
        if (t == DT_IQ4_XS) sc = _mm512_srai_epi32(sc, 16);
        for (int k = 0; k < n; k++) {
            __m512i dot = _mm512_setzero_si512();
            for (int c = i * per_sub; c < (i + 1) * per_sub; c++)
                dot = _mm512_dpbusd_epi32(dot, q[c], part_of_x(x[k][block].q + 16 * c));
            __m512i *to = i % 2 ? &odd[k] : &sum[k];
            *to = t == DT_IQ4_XS ? add32(*to, _mm512_mullo_epi32(dot, sc)) : _mm512_dpwssd_epi32(*to, dot, sc);
        }
    }
    __m512 d = block_scales(t, w);
    for (int k = 0; k < n; k++) {
        sum[k] = add32(sum[k], odd[k]);
        if (type_zero(t))
            sum[k] = _mm512_sub_epi32(sum[k], shift(dot_sums(t, s.sc, &x[k][block]), __builtin_ctz((unsigned)type_zero(t))));
        __m512 v, dx = _mm512_set1_ps(x[k][block].d);
        if (type_has_min(t)) {
            v = _mm512_cvtepi32_ps(sum_pair(sum[k], dot_sums(t, s.min, &x[k][block])));
            v = _mm512_fnmadd_ps(_mm512_movehdup_ps(d), _mm512_movehdup_ps(v), _mm512_mul_ps(d, v));
        } else
            v = _mm512_mul_ps(d, _mm512_cvtepi32_ps(sum_part(sum[k])));
        acc[k] = _mm512_fmadd_ps(dx, v, acc[k]);
    }
}

/* ---- matrix-vector, 32-element types: element i of a part is block i of four */

/* The floats at byte off of blocks first..first+3. */
MM_INLINE __m512 gather_scales(enum dtype t, const struct rows4 *w, uint32_t block_bytes, size_t off) {
    __m512i row = _mm512_setzero_si512();
    row = _mm512_inserti32x4(row, _mm_set1_epi32((int)(w->p[1] - w->p[0])), 1);
    row = _mm512_inserti32x4(row, _mm_set1_epi32((int)(w->p[2] - w->p[0])), 2);
    row = _mm512_inserti32x4(row, _mm_set1_epi32((int)(w->p[3] - w->p[0])), 3);
    int b = (int)block_bytes;
    __m512i v = _mm512_i32gather_epi32(add32(row, parts32(0, b, 2 * b, 3 * b)), w->p[0] + off, 1);
    if (t != DT_MXFP4) return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
    v = _mm512_and_si512(v, _mm512_set1_epi32(0xff)); /* as scale_e8m0 */
    __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(v, _mm512_set1_epi32(1)), 23);
    __mmask16 small = _mm512_cmplt_epi32_mask(v, _mm512_set1_epi32(2));
    return _mm512_castsi512_ps(_mm512_mask_sllv_epi32(normal, small, _mm512_set1_epi32(0x200000), v));
}

/* zero * sum of q_x for four blocks */
MM_INLINE __m512i zero_sums(enum dtype t, const int32_t *sum) {
    __m512i s = part_of_x(sum);
    if (t == DT_MXFP4) return add32(shift(s, 2), shift(s, 3)); /* 12 */
    return shift(s, __builtin_ctz((unsigned)type_zero(t)));
}

/* Four blocks (first, first + 1, ...) of four rows times n tokens; w is at the first. acc is valid in element 3. */
MM_INLINE void vec32_blocks(enum dtype t, int n, uint32_t block_bytes, const struct rows4 *w,
                            const struct act_q8_32 *const *x, uint32_t group, int first, __m512 *acc) {
    __m512i dot[4][4];
    for (int b = 0; b < 4; b++) {
        struct rows4 at = *w;
        for (int r = 0; r < 4; r++) at.p[r] += (uint32_t)b * block_bytes;
        __m512i q[2];
        unpack32(t, &at, q);
        for (int k = 0; k < n; k++) {
            const int8_t *xq = x[k][group].q + 32 * (first + b);
            dot[k][b] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q[0], part_of_x(xq));
            dot[k][b] = _mm512_dpbusd_epi32(dot[k][b], q[1], part_of_x(xq + 16));
        }
    }
    __m512 d = gather_scales(t, w, block_bytes, 0), m = d;
    if (type_has_min(t)) m = gather_scales(t, w, block_bytes, 2);
    for (int k = 0; k < n; k++) {
        const struct act_q8_32 *xb = &x[k][group];
        __m512i c[4];
        transpose4(dot[k], c);
        __m512i s = add32(add32(c[0], c[1]), add32(c[2], c[3]));
        if (type_zero(t)) s = _mm512_sub_epi32(s, zero_sums(t, xb->sum + first));
        __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(s), _mm512_castsi512_ps(part_of_x(xb->d + first)));
        __m512 dsum = _mm512_castsi512_ps(part_of_x(xb->dsum + first));
        for (int b = 0; b < 4; b++) { /* the running sum moves from block to block */
            acc[k] = _mm512_fmadd_ps(d, v, _mm512_permute_ps(acc[k], 0x93));
            if (type_has_min(t)) acc[k] = _mm512_fmadd_ps(m, dsum, acc[k]);
        }
    }
}

/* Element `lane` of each part. */
MM_INLINE __m128 collect(__m512 v, int lane) {
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(_mm512_add_epi32(_mm512_set1_epi32(lane), _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0)), v));
}

/* One block of four rows, for a last group that is not whole. acc has an element per row. */
MM_INLINE void vec32_one(enum dtype t, int n, const struct rows4 *w, const struct act_q8_32 *const *x, uint32_t group,
                         int b, __m128 *acc) {
    __m512i q[2];
    float d[4], m[4];
    unpack32(t, w, q);
    for (int r = 0; r < 4; r++) {
        d[r] = t == DT_MXFP4 ? scale_e8m0(*w->p[r]) : load_f16(w->p[r]);
        m[r] = type_has_min(t) ? load_f16(w->p[r] + 2) : 0;
    }
    for (int k = 0; k < n; k++) {
        const struct act_q8_32 *xb = &x[k][group];
        __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q[0], part_of_x(xb->q + 32 * b));
        dot = sum_part(_mm512_dpbusd_epi32(dot, q[1], part_of_x(xb->q + 32 * b + 16)));
        dot = _mm512_sub_epi32(dot, _mm512_set1_epi32(type_zero(t) * xb->sum[b]));
        __m128 v = _mm_mul_ps(collect(_mm512_cvtepi32_ps(dot), 0), _mm_set1_ps(xb->d[b]));
        acc[k] = _mm_fmadd_ps(_mm_loadu_ps(d), v, acc[k]);
        if (type_has_min(t)) acc[k] = _mm_fmadd_ps(_mm_loadu_ps(m), _mm_set1_ps(xb->dsum[b]), acc[k]);
    }
}

/* ---- matrix-vector, rows begin..end-1 times n (a constant) tokens from `tok` on */

MM_INLINE void prefetch(const unsigned char *p, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)p + i, _MM_HINT_T0);
}

MM_INLINE void advance(struct rows4 *w, uint32_t bytes) {
    for (int r = 0; r < 4; r++) w->p[r] += bytes;
}

/* acc[token] has an element for each of the rows row, row + step, ... */
MM_INLINE void vec_store(const struct mm_job *j, int n, uint32_t tok, uint32_t row, uint32_t step, uint32_t end,
                         const __m128 *acc) {
    for (int k = 0; k < n; k++) {
        float v[4];
        _mm_storeu_ps(v, acc[k]);
        for (uint32_t r = 0, o = row; r < 4 && o < end; r++, o += step)
            j->y[tok + (uint32_t)k][o] = j->bias ? v[r] + j->bias[o] : v[r];
    }
}

MM_INLINE void vec_rows(enum dtype t, bool wide, int n, const struct mm_job *j, uint32_t tok, uint32_t begin, uint32_t end) {
    const uint32_t block_bytes = dtype_info(t)->block_bytes, group_bytes = wide ? block_bytes : 8 * block_bytes;
    const uint32_t n_group = j->n_in / 256, step = mm_quarter(begin, end);
    const struct act_q8_256 *const *x256 = (const struct act_q8_256 *const *)(j->x + tok);
    const struct act_q8_32 *const *x32 = (const struct act_q8_32 *const *)(j->x + tok);
    for (uint32_t row = begin; row < begin + step; row++) {
        struct rows4 w;
        __m512 acc[4];
        __m128 y[4];
        for (uint32_t r = 0; r < 4; r++) w.p[r] = j->w + (row + r * step < end ? row + r * step : row) * j->row_bytes;
        for (int k = 0; k < n; k++) acc[k] = _mm512_setzero_ps();
        for (uint32_t g = 0; g < n_group; g++) {
            for (int r = 0; r < 4; r++) prefetch(w.p[r] + AHEAD, group_bytes);
            if (wide) {
                vec256_block(t, n, &w, x256, g, acc);
                advance(&w, block_bytes);
            } else
                for (int first = 0; first < 8; first += 4) {
                    vec32_blocks(t, n, block_bytes, &w, x32, g, first, acc);
                    advance(&w, 4 * block_bytes);
                }
        }
        for (int k = 0; k < n; k++) y[k] = collect(acc[k], wide ? scale_lane(t) : 3);
        for (uint32_t b = 0; !wide && b < j->n_in % 256 / 32; b++) {
            vec32_one(t, n, &w, x32, n_group, (int)b, y);
            advance(&w, block_bytes);
        }
        vec_store(j, n, tok, row, step, end, y);
    }
}
