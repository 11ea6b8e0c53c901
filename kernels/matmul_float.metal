/* matmul for weights in F32, F16 and BF16; the kernels are in matmul_vec.metal.h and matmul_mat.metal.h. */
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;
#include "kernels/matmul_kernels.metal.h"

MATMUL(F32, float)
MATMUL(F16, half)
MATMUL(BF16, half)
