#include "kernels/matmul_rows.h"

#include "kernels/matmul_float.h"

#if defined(ISA_avx512)
#include "kernels/matmul_avx512_gemm.h"

/* Up to this many tokens the matrix-vector form is faster (Sapphire Rapids, one thread, 2048 columns; at 8 tokens
 * Q4_K 100 against 75 GMAC/s, Q8_0 53 against 62). */
#define VEC_TOK(wide) ((wide) ? 8 : 4)

#define TYPE(t, wide)                                                                              \
    static __attribute__((noinline)) void vec1_##t(const struct mm_job *j, uint32_t tok, uint32_t b, uint32_t e) { \
        vec_rows(DT_##t, wide, 1, j, tok, b, e);                                                   \
    }                                                                                              \
    static __attribute__((noinline)) void vec2_##t(const struct mm_job *j, uint32_t tok, uint32_t b, uint32_t e) { \
        vec_rows(DT_##t, wide, 2, j, tok, b, e);                                                   \
    }                                                                                              \
    static __attribute__((noinline)) void vec4_##t(const struct mm_job *j, uint32_t tok, uint32_t b, uint32_t e) { \
        vec_rows(DT_##t, wide, 4, j, tok, b, e);                                                   \
    }                                                                                              \
    static __attribute__((noinline)) void gemm_##t(const struct mm_job *j, uint32_t b, uint32_t e, unsigned char *s) { \
        gemm_rows(DT_##t, wide, j, b, e, (struct gemm_scratch *)s);                                \
    }                                                                                              \
    static void rows_##t(const struct mm_job *j, uint32_t b, uint32_t e, unsigned char *s) {       \
        if (j->n_tok > VEC_TOK(wide)) {                                                                  \
            for (uint32_t r = b; r < e; r += MM_ITEM_ROWS)                                         \
                gemm_##t(j, r, e - r < MM_ITEM_ROWS ? e : r + MM_ITEM_ROWS, s);                    \
            return;                                                                                \
        }                                                                                          \
        uint32_t tok = 0;                                                                          \
        for (; tok + 4 <= j->n_tok; tok += 4) vec4_##t(j, tok, b, e);                              \
        if (tok + 2 <= j->n_tok) vec2_##t(j, tok, b, e), tok += 2;                                 \
        if (tok < j->n_tok) vec1_##t(j, tok, b, e);                                                \
    }
TYPE(Q4_0, false)
TYPE(Q4_1, false)
TYPE(Q5_0, false)
TYPE(Q5_1, false)
TYPE(Q8_0, false)
TYPE(IQ4_NL, false)
TYPE(MXFP4, false)
TYPE(Q2_K, true)
TYPE(Q3_K, true)
TYPE(Q4_K, true)
TYPE(Q5_K, true)
TYPE(Q6_K, true)
TYPE(IQ4_XS, true)

_Static_assert(sizeof(struct gemm_scratch) <= MM_SCRATCH_BYTES, "scratch");
#elif defined(ISA_avx2) || defined(ISA_neon)
#include "kernels/matmul_gemm.h"

#define TYPE(t)                                                                                                    \
    static __attribute__((noinline)) void gemm_##t(const struct mm_job *j, uint32_t b, uint32_t e, unsigned char *s) { \
        gemm_rows(DT_##t, j, b, e, (struct gemm_scratch *)(void *)s);                                              \
    }                                                                                                              \
    static void rows_##t(const struct mm_job *j, uint32_t b, uint32_t e, unsigned char *s) {                       \
        if (j->n_tok <= PLAIN_TOK(DT_##t)) plain_rows(DT_##t, j, b, e, s);                                                 \
        else for (uint32_t r = b; r < e; r += GEMM_ROWS) gemm_##t(j, r, e - r < GEMM_ROWS ? e : r + GEMM_ROWS, s); \
    }
TYPE(Q4_0)
TYPE(Q4_1)
TYPE(Q5_0)
TYPE(Q5_1)
TYPE(Q8_0)
TYPE(IQ4_NL)
TYPE(MXFP4)
TYPE(Q2_K)
TYPE(Q3_K)
TYPE(Q4_K)
TYPE(Q5_K)
TYPE(Q6_K)
TYPE(IQ4_XS)
#else
#include "kernels/matmul_plain.h"
#define X(t) static void rows_##t(const struct mm_job *j, uint32_t b, uint32_t e, unsigned char *s) { plain_rows(DT_##t, j, b, e, s); }
X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(IQ4_NL) X(MXFP4) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K) X(IQ4_XS)
#undef X
#endif

void ISA_FN(mm_rows)(const struct mm_job *j, uint32_t begin, uint32_t end, unsigned char *s) {
    switch (j->type) {
    case DT_F32: case DT_F16: case DT_BF16: float_rows(j->type, j, begin, end); break;
#define X(t) case DT_##t: rows_##t(j, begin, end, s); break;
    X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(IQ4_NL) X(MXFP4) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K) X(IQ4_XS)
#undef X
    default: CHECK(!"type");
    }
}
