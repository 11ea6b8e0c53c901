#include <math.h>
#include <string.h>

#include "gguf/blocks.h"
#include "kernels/dequant.h"
#include "kernels/matmul.h"

/* The largest error that rounding x to fmt may bring to each element of one row: half a step. */
static void rounding_of_x(enum act_fmt fmt, const float *x, uint32_t n, double *step) {
    uint32_t block = fmt == ACT_Q8_256 ? 256 : fmt == ACT_Q8_32 ? 32 : 1;
    for (uint32_t b = 0; b < n; b += block) {
        double amax = 0;
        for (uint32_t i = b; i < b + block; i++) amax = fmax(amax, fabs((double)x[i]));
        double s = fmt == ACT_F32 ? 0 : amax / 127 / 2 * (1 + 0x1p-12);
        for (uint32_t i = b; i < b + block; i++) step[i] = s;
    }
}

/* What a row of w would be if all its quants were 0: the part of a value that the kernels sum apart, for the types
 * that have a minimum; 0 for the others. */
static void row_minimum(enum dtype t, const unsigned char *row, double *min, uint32_t n, unsigned char *copy) {
    const struct dtype_info *d = dtype_info((uint32_t)t);
    memset(min, 0, n * sizeof *min);
    if (t != DT_Q4_1 && t != DT_Q5_1 && t != DT_Q2_K && t != DT_Q4_K && t != DT_Q5_K) return;
    memcpy(copy, row, dtype_bytes(t, n));
    for (unsigned char *b = copy; b < copy + dtype_bytes(t, n); b += d->block_bytes) switch (t) {
        case DT_Q4_1: memset(((struct block_q4_1 *)b)->qs, 0, 16); break;
        case DT_Q5_1: memset(((struct block_q5_1 *)b)->qh, 0, 20); break;
        case DT_Q2_K: memset(((struct block_q2_K *)b)->qs, 0, 64); break;
        case DT_Q4_K: memset(((struct block_q4_K *)b)->qs, 0, 128); break;
        default: memset(((struct block_q5_K *)b)->qh, 0, 160); break;
        }
    dequant_row_f64(t, copy, min, n);
}

void matmul_ref(const struct matmul_args *a, enum act_fmt fmt, const float *x, const void *w, const float *bias,
                double *y, double *limit) {
    enum dtype t = (enum dtype)a->w_type;
    uint64_t row_bytes = dtype_bytes(t, a->n_in);
    double *row = malloc(a->n_in * sizeof(double)), *min = malloc(a->n_in * sizeof(double));
    double *step = malloc((uint64_t)a->n_in * a->n_tok * sizeof(double) + 1);
    unsigned char *copy = malloc(row_bytes);
    CHECK(row && min && step && copy);
    for (uint64_t i = 0; i < a->n_tok; i++) rounding_of_x(fmt, x + i * a->n_in, a->n_in, step + i * a->n_in);
    /* Float steps that a value passes through: at most 3 per block; or per element of a lane (there are at least 4)
     * 2, and 4 when the lanes are added. Then the bias. */
    uint32_t block = fmt == ACT_Q8_256 ? 256 : fmt == ACT_Q8_32 ? 32 : 1;
    double rounding = (block == 1 ? 2.0 * (a->n_in / 4 + 1) + 5 : 3.0 * (a->n_in / block) + 1) * 0x1p-24;
    for (uint64_t o = 0; o < a->n_out; o++) {
        const unsigned char *src = (const unsigned char *)w + o * row_bytes;
        dequant_row_f64(t, src, row, a->n_in);
        row_minimum(t, src, min, a->n_in, copy);
        for (uint64_t i = 0; i < a->n_tok; i++) {
            const float *xi = x + i * a->n_in;
            double sum = bias ? bias[o] : 0, moved = 0, mag = fabs(sum);
            for (uint32_t k = 0; k < a->n_in; k++) {
                double s = step[i * a->n_in + k];
                sum += row[k] * xi[k];
                moved += fabs(row[k]) * s;
                mag += (fabs(row[k] - min[k]) + fabs(min[k])) * (fabs((double)xi[k]) + s);
            }
            if (y) y[i * a->n_out + o] = sum;
            if (limit) limit[i * a->n_out + o] = moved + rounding * mag + 0x1p-126;
        }
    }
    free(copy), free(step), free(min), free(row);
}
