/* The kernels of one weight type. */
#pragma once
#include "kernels/matmul_glu.metal.h"
#include "kernels/matmul_mat.metal.h"

typedef decltype(matmul_vec<w_F32, 1>) matmul_vec_kernel;
typedef decltype(matmul_glu_vec<w_F32, 1>) matmul_glu_kernel;
typedef decltype(matmul_mat<w_F32, float>) matmul_mat_kernel;

#define MATMUL_VEC(T, n) template [[host_name("matmul_vec" #n "_" #T)]] kernel matmul_vec_kernel matmul_vec<w_##T, n>;
#define MATMUL_GLU(T, n) template [[host_name("matmul_glu" #n "_" #T)]] kernel matmul_glu_kernel matmul_glu_vec<w_##T, n>;
#define MATMUL_MAT(T, in) template [[host_name("matmul_mat_" #T)]] kernel matmul_mat_kernel matmul_mat<w_##T, in>;
#define MATMUL(T, in)                                                                              \
    MATMUL_VEC(T, 1) MATMUL_VEC(T, 2) MATMUL_VEC(T, 4) MATMUL_VEC(T, 8) MATMUL_MAT(T, in)           \
    MATMUL_GLU(T, 1) MATMUL_GLU(T, 2) MATMUL_GLU(T, 4) MATMUL_GLU(T, 8)
