/* matmul for weights in super-blocks of 256; the kernels are in matmul_vec.metal.h and matmul_mat.metal.h. */
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;
#include "kernels/matmul_kernels.metal.h"

#define HALF(T) MATMUL(T, half)
W_SUPER(HALF)
