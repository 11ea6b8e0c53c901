/* Private to matmul and matmul_id: some rows of one weight matrix times a list of tokens.
 *
 * The list is given as pointers, so that tokens of one expert need not lie side by side. Each instruction set has
 * one implementation, mm_rows; it chooses between matrix-vector and matrix-matrix form, which give the same
 * bits (matmul.h). */
#pragma once
#include "kernels/cpu_ops.h"
#include "kernels/matmul.h"

#define MM_ITEM_ROWS 64 /* of W per work item; their packed panel and an activation tile fit in L1 */
#define MM_TOK 512      /* tokens at once; their partial sums and activations stay in L2 */

struct mm_job {
    enum dtype type;
    uint32_t n_in, n_tok;
    uint64_t row_bytes;
    const unsigned char *w;       /* row 0 */
    const float *bias;            /* or NULL */
    const unsigned char *const *x; /* n_tok <= MM_TOK rows in matmul_act_fmt's format */
    float *const *y;              /* n_tok rows: y[t][o] */
};

/* Callers keep the two lists at the start of a worker's scratch. */
#define MM_LIST_BYTES (2 * MM_TOK * sizeof(void *))

/* Rows begin..end-1. scratch: MM_SCRATCH_BYTES, 64-byte aligned. */
typedef void mm_rows_fn(const struct mm_job *j, uint32_t begin, uint32_t end, unsigned char *scratch);
#define MM_SCRATCH_BYTES (1u << 20)
_Static_assert(MM_LIST_BYTES + MM_SCRATCH_BYTES <= CPU_SCRATCH_BYTES, "scratch");
extern mm_rows_fn mm_rows_scalar, mm_rows_avx2, mm_rows_avx512, mm_rows_neon, mm_rows_neon_i8mm;

#if defined(ISA_avx512)
#define ISA_ENUM CPU_AVX512
#elif defined(ISA_avx2)
#define ISA_ENUM CPU_AVX2
#elif defined(ISA_neon_i8mm)
#define ISA_ENUM CPU_NEON_I8MM
#elif defined(ISA_neon)
#define ISA_ENUM CPU_NEON
#else
#define ISA_ENUM CPU_SCALAR
#endif

/* Of few tokens a product is bound by memory. Then four rows are computed at a time, a quarter of the range apart, so
 * that each is a stream of consecutive bytes as long as the range allows: hardware prefetchers follow those. */
static inline uint32_t mm_quarter(uint32_t begin, uint32_t end) { return (end - begin + 3) / 4; }

int matmul_check_weights(const char *op, uint32_t w_type, uint32_t n_in, struct err *e);
/* And that w holds all rows. */
int matmul_check_w(const char *op, const struct matmul_args *a, struct ref w, struct err *e);
