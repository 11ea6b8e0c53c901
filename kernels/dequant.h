/* Decoding rows of weights to floating point, one scalar version per type: the oracle's decode.
 *
 * dequant_row_f64 is exact: in every supported type a value is a sum of at most two products that
 * a double holds exactly. dequant_row is that value rounded once to float, which is also what
 * float arithmetic in the order of the format's formula gives.
 * n is a whole number of blocks; t is a supported type (checked). src needs no alignment. */
#pragma once
#include <stdint.h>

#include "gguf/dtype.h"

void dequant_row(enum dtype t, const void *src, float *dst, uint64_t n);
void dequant_row_f64(enum dtype t, const void *src, double *dst, uint64_t n);
