/* Private to matmul_rows_cpu: quantized weights times few 8-bit activations (scalar: times any number). Four rows
 * are unpacked at a time, block by block, and meet every token; matmul_gemm.h is for many.
 *
 * The order of arithmetic is that of matmul.h; only the integer sums differ by instruction set. */
#pragma once
#if defined(ISA_avx2)
#include <immintrin.h>
#elif defined(ISA_neon)
#include <arm_neon.h>
#endif

#include "kernels/matmul_rows.h"
#include "kernels/unpack_plain.h"

typedef int32_t i32x4 __attribute__((vector_size(16))); /* one element per row */
typedef float f32x4 __attribute__((vector_size(16)));

#if defined(ISA_avx2)
#include "kernels/matmul_avx2.h"
#elif defined(ISA_neon)
#include "kernels/matmul_neon.h"
#else
/* sum of q_w * q_x over 32 elements */
MM_INLINE i32x4 dot32(const struct plain32 w[4], const int8_t *x) {
    i32x4 s = {0};
    for (int r = 0; r < 4; r++)
        for (int i = 0; i < 32; i++) s[r] += w[r].q[i] * x[i];
    return s;
}
/* sum of sc[i / 16] * q_w * q_x over 256 elements */
MM_INLINE i32x4 dot256(const struct plain256 w[4], const int8_t *x) {
    i32x4 s = {0};
    for (int r = 0; r < 4; r++)
        for (int g = 0; g < 16; g++) {
            int sub = 0;
            for (int i = 16 * g; i < 16 * g + 16; i++) sub += w[r].q[i] * x[i];
            s[r] += w[r].sc[g] * sub;
        }
    return s;
}
/* sum of min * (sum of q_x) over 16 sub-blocks */
MM_INLINE i32x4 dot_min(const struct plain256 w[4], const int16_t *sums) {
    i32x4 s = {0};
    for (int r = 0; r < 4; r++)
        for (int g = 0; g < 16; g++) s[r] += w[r].min[g] * sums[g];
    return s;
}
MM_INLINE f32x4 fused(f32x4 a, f32x4 b, f32x4 c) { return a * b + c; }
#endif

MM_INLINE f32x4 to_f32(i32x4 v) { return __builtin_convertvector(v, f32x4); }
MM_INLINE f32x4 all(float v) { return (f32x4){v, v, v, v}; }

MM_INLINE void plain_block256(enum dtype t, const struct mm_job *j, const unsigned char *const *w, uint32_t block,
                              f32x4 *acc) {
    struct plain256 b[4];
    for (int r = 0; r < 4; r++) plain_unpack256(t, w[r], &b[r]);
    f32x4 d = {b[0].d, b[1].d, b[2].d, b[3].d}, minus = {0};
    if (type_has_min(t)) minus = (f32x4){-b[0].dmin, -b[1].dmin, -b[2].dmin, -b[3].dmin};
    for (uint32_t k = 0; k < j->n_tok; k++) {
        const struct act_q8_256 *x = (const struct act_q8_256 *)(const void *)j->x[k] + block;
        f32x4 v = d * to_f32(dot256(b, x->q));
        if (type_has_min(t)) v = fused(minus, to_f32(dot_min(b, x->sum16)), v);
        acc[k] = fused(all(x->d), v, acc[k]);
    }
}

MM_INLINE void plain_block32(enum dtype t, const struct mm_job *j, const unsigned char *const *w, uint32_t block,
                             f32x4 *acc) {
    struct plain32 b[4];
    for (int r = 0; r < 4; r++) plain_unpack32(t, w[r], &b[r]);
    f32x4 d = {b[0].d, b[1].d, b[2].d, b[3].d}, m = {b[0].m, b[1].m, b[2].m, b[3].m};
    uint32_t at = block % 8;
    for (uint32_t k = 0; k < j->n_tok; k++) {
        const struct act_q8_32 *x = (const struct act_q8_32 *)(const void *)j->x[k] + block / 8;
        acc[k] = fused(d, to_f32(dot32(b, x->q + 32 * at)) * all(x->d[at]), acc[k]);
        if (type_has_min(t)) acc[k] = fused(m, all(x->dsum[at]), acc[k]);
    }
}

/* The rows row, row + gap, ... below end. */
MM_INLINE void plain_four(enum dtype t, const struct mm_job *j, uint32_t row, uint32_t gap, uint32_t end, f32x4 *acc) {
    const struct dtype_info *info = dtype_info((uint32_t)t);
    const unsigned char *w[4];
    for (uint32_t r = 0; r < 4; r++) w[r] = j->w + (uint64_t)(row + r * gap < end ? row + r * gap : row) * j->row_bytes;
    memset(acc, 0, j->n_tok * sizeof *acc);
    for (uint32_t b = 0; b < j->n_in / info->block_elems; b++) {
        if (info->block_elems == 256) plain_block256(t, j, w, b, acc);
        else plain_block32(t, j, w, b, acc);
        for (int r = 0; r < 4; r++) w[r] += info->block_bytes;
    }
    for (uint32_t k = 0; k < j->n_tok; k++)
        for (uint32_t r = 0, o = row; r < 4 && o < end; r++, o += gap)
            j->y[k][o] = j->bias ? acc[k][r] + j->bias[o] : acc[k][r];
}

MM_INLINE void plain_rows(enum dtype t, const struct mm_job *j, uint32_t begin, uint32_t end, unsigned char *scratch) {
    uint32_t gap = mm_quarter(begin, end);
    for (uint32_t row = begin; row < begin + gap; row++) plain_four(t, j, row, gap, end, (f32x4 *)(void *)scratch);
}
