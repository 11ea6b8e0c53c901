/* Private to matmul_rows_cpu: F32, F16 and BF16 weights, the same code for every instruction set.
 *
 * Products are summed per lane along a row; a tile of 4 rows x up to 6 tokens keeps its sums in registers, so that
 * one token and many go through the same arithmetic. BF16 weights are widened: on Sapphire Rapids vdpbf16ps does 1.4e9
 * instructions per second (45 GMAC/s), vfmadd 5.6e9 (90 GMAC/s). */
#pragma once
#include "kernels/matmul_rows.h"
#include "kernels/simd.h"

#if VF_N_REG >= 32
#define FLOAT_TOK 6
#else
#define FLOAT_TOK 2
#endif

/* Columns k.. of a row of weights, n of them (a whole vector when n is VF_N). */
VF_INLINE vf load_w(enum dtype t, const unsigned char *row, uint64_t k, uint32_t n) {
    if (n < VF_N) {
        float tail[VF_N] = {0};
        for (uint32_t i = 0; i < n; i++) {
            uint16_t h;
            if (t == DT_F32) memcpy(&tail[i], row + 4 * (k + i), 4);
            else memcpy(&h, row + 2 * (k + i), 2), tail[i] = t == DT_F16 ? f16_to_f32(h) : bf16_to_f32(h);
        }
        return vf_load(tail);
    }
    switch (t) {
    case DT_F16: return vf_load_f16(row + 2 * k);
    case DT_BF16: return vf_load_bf16(row + 2 * k);
    default: return vf_load((const float *)(const void *)(row + 4 * k));
    }
}

VF_INLINE void float_step(enum dtype t, int n, const unsigned char *const *w, const unsigned char *const *x, uint64_t k,
                          uint32_t count, vf acc[4][FLOAT_TOK]) {
    vf wv[4];
    for (int r = 0; r < 4; r++) {
        wv[r] = load_w(t, w[r], k, count);
        if (n == 1) __builtin_prefetch(w[r] + (t == DT_F32 ? 4 : 2) * k + 2048);
    }
#pragma GCC unroll 6
    for (int i = 0; i < n; i++) {
        const float *p = (const float *)(const void *)x[i] + k;
        vf xv = count == VF_N ? vf_load(p) : vf_load_n(p, count);
        for (int r = 0; r < 4; r++) acc[r][i] = vf_fma(wv[r], xv, acc[r][i]);
    }
}

/* Rows row, row + gap, ... below end. */
VF_INLINE void float_tile(enum dtype t, int n, const struct mm_job *j, uint32_t tok, uint32_t row, uint32_t gap, uint32_t end) {
    const unsigned char *w[4], *const *x = j->x + tok;
    vf acc[4][FLOAT_TOK];
    for (uint32_t r = 0; r < 4; r++) w[r] = j->w + (uint64_t)(row + r * gap < end ? row + r * gap : row) * j->row_bytes;
    for (int r = 0; r < 4; r++)
        for (int i = 0; i < n; i++) acc[r][i] = vf_zero();
    uint32_t k = 0;
    for (; k + VF_N <= j->n_in; k += VF_N) float_step(t, n, w, x, k, VF_N, acc);
    if (k < j->n_in) float_step(t, n, w, x, k, j->n_in - k, acc);
    for (uint32_t r = 0, o = row; r < 4 && o < end; r++, o += gap)
        for (int i = 0; i < n; i++) {
            float v = vf_sum(acc[r][i]);
            j->y[tok + (uint32_t)i][o] = j->bias ? v + j->bias[o] : v;
        }
}

VF_INLINE void float_tokens(enum dtype t, const struct mm_job *j, uint32_t tok, uint32_t stop, uint32_t row, uint32_t gap,
                            uint32_t end) {
    for (; tok + FLOAT_TOK <= stop; tok += FLOAT_TOK) float_tile(t, FLOAT_TOK, j, tok, row, gap, end);
#if FLOAT_TOK > 4
    for (; tok + 4 <= stop; tok += 4) float_tile(t, 4, j, tok, row, gap, end);
    for (; tok + 2 <= stop; tok += 2) float_tile(t, 2, j, tok, row, gap, end);
#endif
    for (; tok < stop; tok++) float_tile(t, 1, j, tok, row, gap, end);
}

/* Rows outside, tokens inside: four rows stay in L1 while the activations of some tokens pass from L2. */
static void float_rows(enum dtype t, const struct mm_job *j, uint32_t begin, uint32_t end) {
    uint64_t fit = ((uint64_t)512 << 10) / (4ull * j->n_in); /* tokens whose activations take 512 KB */
    uint32_t group = fit < FLOAT_TOK ? FLOAT_TOK : fit > MM_TOK ? MM_TOK : (uint32_t)fit / FLOAT_TOK * FLOAT_TOK;
    uint32_t gap = mm_quarter(begin, end);
    for (uint32_t tok = 0; tok < j->n_tok; tok += group)
        for (uint32_t row = begin; row < begin + gap; row++) {
            uint32_t stop = j->n_tok - tok < group ? j->n_tok : tok + group;
            switch (t) {
            case DT_F16: float_tokens(DT_F16, j, tok, stop, row, gap, end); break;
            case DT_BF16: float_tokens(DT_BF16, j, tok, stop, row, gap, end); break;
            default: float_tokens(DT_F32, j, tok, stop, row, gap, end); break;
            }
        }
}
