/* Private to matmul_rows_cpu: quantized weights times 8-bit activations, for the instruction sets without
 * panels of their own. Four rows are unpacked at a time, block by block, and meet every token.
 *
 * The order of arithmetic is that of matmul.h; only the integer sums differ by instruction set. */
#pragma once
#include "kernels/matmul_rows.h"
#include "kernels/unpack_plain.h"

#if defined(ISA_avx2)
#include "kernels/matmul_avx2.h"
#elif defined(ISA_neon)
#include "kernels/matmul_neon.h"
#else
/* sum of q_w * q_x over 32 elements */
MM_INLINE int dot32(const int8_t *w, const int8_t *x) {
    int s = 0;
    for (int i = 0; i < 32; i++) s += w[i] * x[i];
    return s;
}
/* sum of sc[i / 16] * q_w * q_x over 256 elements */
MM_INLINE int dot256(const struct plain256 *w, const int8_t *x) {
    int s = 0;
    for (int g = 0; g < 16; g++) {
        int sub = 0;
        for (int i = 0; i < 16; i++) sub += w->q[16 * g + i] * x[16 * g + i];
        s += w->sc[g] * sub;
    }
    return s;
}
MM_INLINE int dot_min(const int16_t *min, const int16_t *sums) { /* 16 each */
    int s = 0;
    for (int g = 0; g < 16; g++) s += min[g] * sums[g];
    return s;
}
MM_INLINE float fused(float a, float b, float c) { return a * b + c; }
#endif

MM_INLINE void plain_block256(enum dtype t, const struct mm_job *j, const unsigned char *const *w, uint32_t n_row,
                              uint32_t block, float (*acc)[4]) {
    struct plain256 b[4];
    for (uint32_t r = 0; r < n_row; r++) plain_unpack256(t, w[r], &b[r]);
    for (uint32_t k = 0; k < j->n_tok; k++) {
        const struct act_q8_256 *x = (const struct act_q8_256 *)(const void *)j->x[k] + block;
        for (uint32_t r = 0; r < n_row; r++) {
            float v = b[r].d * (float)dot256(&b[r], x->q);
            if (type_has_min(t)) v = fused(-b[r].dmin, (float)dot_min(b[r].min, x->sum16), v);
            acc[k][r] = fused(x->d, v, acc[k][r]);
        }
    }
}

MM_INLINE void plain_block32(enum dtype t, const struct mm_job *j, const unsigned char *const *w, uint32_t n_row,
                             uint32_t block, float (*acc)[4]) {
    struct plain32 b[4];
    for (uint32_t r = 0; r < n_row; r++) plain_unpack32(t, w[r], &b[r]);
    for (uint32_t k = 0; k < j->n_tok; k++) {
        const struct act_q8_32 *x = (const struct act_q8_32 *)(const void *)j->x[k] + block / 8;
        for (uint32_t r = 0; r < n_row; r++) {
            float v = (float)dot32(b[r].q, x->q + 32 * (block % 8)) * x->d[block % 8];
            acc[k][r] = fused(b[r].d, v, acc[k][r]);
            if (type_has_min(t)) acc[k][r] = fused(b[r].m, x->dsum[block % 8], acc[k][r]);
        }
    }
}

static void plain_rows(enum dtype t, const struct mm_job *j, uint32_t begin, uint32_t end, unsigned char *scratch) {
    const struct dtype_info *info = dtype_info((uint32_t)t);
    float(*acc)[4] = (float(*)[4])(void *)scratch;
    for (uint32_t row = begin; row < end; row += 4) {
        uint32_t n_row = end - row < 4 ? end - row : 4;
        const unsigned char *w[4];
        for (uint32_t r = 0; r < n_row; r++) w[r] = j->w + (uint64_t)(row + r) * j->row_bytes;
        memset(acc, 0, j->n_tok * sizeof *acc);
        for (uint32_t b = 0; b < j->n_in / info->block_elems; b++) {
            if (info->block_elems == 256) plain_block256(t, j, w, n_row, b, acc);
            else plain_block32(t, j, w, n_row, b, acc);
            for (uint32_t r = 0; r < n_row; r++) w[r] += info->block_bytes;
        }
        for (uint32_t k = 0; k < j->n_tok; k++)
            for (uint32_t r = 0; r < n_row; r++)
                j->y[k][row + r] = j->bias ? acc[k][r] + j->bias[row + r] : acc[k][r];
    }
}
