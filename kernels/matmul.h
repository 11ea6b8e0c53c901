/* y = x W^T + bias: x (n_tok, n_in) in the format matmul_act_fmt asks for, W (n_out, n_in) rows of blocks as they lie
 * in the file, bias (n_out) f32 or absent, y (n_tok, n_out) f32.
 *
 * Invariant: on one instruction set the bits of y[t][o] depend on row t of x and row o of W alone, not on n_tok,
 * threads or chunking. So there is one order of arithmetic, which the matrix-vector and matrix-matrix paths share:
 *   256-element types  acc = fma(d_x, fma(-dmin, (float)msum, d * (float)isum), acc)   per block, k ascending;
 *   32-element types   acc = fma(d, (float)isum * d_x, acc), then for _1 types acc = fma(m, d_x * sum_x, acc);
 *   F32, F16, BF16     lane j sums the products of k = j (mod lanes) with fma, then a fixed tree over the lanes.
 * isum = sum over sub-blocks of scale * sum (q_w - zero) * q_x and msum = sum of min * sum q_x are exact int32.
 *
 * Metal has two forms with an order each (matmul_metal.h): bits depend on n_tok in so far as it chooses the form.
 *
 * Error limit against exact arithmetic on f32 x, per value (matmul_ref gives it): the quantization of x moves a
 * product by at most |w_k| * d_x / 2 (d_x: the scale of k's block), and each of the n float steps rounds by
 * at most 2^-24 of the magnitudes that it has summed. */
#pragma once
#include "kernels/act_quant.h"

struct matmul_args {
    uint32_t n_tok, n_in, n_out;
    uint32_t w_type; /* enum dtype */
};
ARGS_ASSERT(matmul_args, 16);

#ifndef __METAL_VERSION__
#include "gguf/dtype.h"
#include "runtime/cpu.h"

/* The format of x for weights of type w. An instruction set may ask for its own; today all want the same. */
enum act_fmt matmul_act_fmt(enum dtype w, enum cpu_isa isa);

/* The format of x for weights of type w on this device: f32 on Metal. */
enum act_fmt matmul_x_fmt(const struct device *d, enum dtype w);

/* w: row 0, at any even address; its rows are contiguous. */
int matmul_encode(struct cmd *c, const struct matmul_args *a, struct ref y, struct ref x, struct ref w, struct ref bias,
                  struct err *e);

/* The oracle: y and its error limit (either may be NULL) in double from f32 x, for x later quantized to fmt. */
void matmul_ref(const struct matmul_args *a, enum act_fmt fmt, const float *x, const void *w, const float *bias,
                double *y, double *limit);
#endif
