/* Argument structs of the sample kernels, shared by C and Metal. */
#pragma once
#ifndef __METAL_VERSION__
#include <stdint.h>
#define SAMPLE_ASSERT(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#else
#define SAMPLE_ASSERT(type, bytes) static_assert(sizeof(struct type) == (bytes), #type)
#endif

struct sample_args {
    uint32_t n_row, dim;
    float eps;
    uint32_t pad;
};
SAMPLE_ASSERT(sample_args, 16);

struct sample_gemm_args {
    uint32_t m, n, k, pad;
};
SAMPLE_ASSERT(sample_gemm_args, 16);
