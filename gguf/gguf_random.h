/* Random, well-formed tensor data of every supported type, for generated models and kernel tests.
 *
 * Values have mean 0 and about the standard deviation asked for. Blocks are made directly from random
 * quants and scales (nothing is quantized), every bit field varies, and all values are finite.
 * The same seed gives the same bytes on every machine. */
#pragma once
#include <stdint.h>

#include "gguf/dtype.h"
#include "runtime/rng.h"

/* n elements of type t (whole blocks) at dst, any alignment. */
void gguf_random_row(struct rng *r, enum dtype t, float std, void *dst, uint64_t n);
