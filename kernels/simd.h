/* A vector of floats as wide as the instruction set has it, so that a kernel is written once.
 *
 * For files that the build compiles per instruction set (*_cpu.c, -DISA_<set>=1). The operations,
 * per lane, each rounded once:
 *   vf_load, vf_store (unaligned), vf_set1, vf_zero, vf_add, vf_sub, vf_mul, vf_div, vf_sqrt
 *   vf_fma(a, b, c)   a * b + c; rounded once where the set has it (all but scalar)
 *   vf_max, vf_min    when a lane of either is NaN: b, or NaN
 *   vf_lt(a, b, x, y) a < b ? x : y
 *   vf_round          to nearest, ties to even, for |x| < 2^22
 *   vf_scale2(x, n)   x * 2^n for integral n in [-126, 129] (infinity where it must be)
 *   vf_load_f16, vf_load_bf16, vf_load_i8, vf_set1_f16, vf_store_f16    as gguf/half.h converts
 *   vf_transpose(r)   r[i] lane j <-> r[j] lane i, for VF_N vectors
 *   vf_sum, vf_hmax   over lanes, as a fixed tree: lane i with lane i + VF_N/2 first, and so on
 * Tails: vf_load_n and vf_store_n touch n <= VF_N elements; the lanes beyond are 0 when loaded.
 * Nothing here depends on alignment or on neighbours, so equal inputs give equal bits anywhere. */
#pragma once
#include <stdint.h>
#include <string.h>

#include "gguf/half.h"

#define VF_INLINE static inline __attribute__((always_inline, unused))

#if defined(ISA_avx512)
#include "kernels/simd_avx512.h"
#elif defined(ISA_avx2)
#include "kernels/simd_avx2.h"
#elif defined(ISA_neon)
#include "kernels/simd_neon.h"
#else
#include "kernels/simd_scalar.h"
#endif

/* The next vector of an array with `left` elements to go: whole, or its tail. */
VF_INLINE vf vf_load_left(const float *p, uint64_t left) {
    return left >= VF_N ? vf_load(p) : vf_load_n(p, (uint32_t)left);
}
VF_INLINE void vf_store_left(float *p, vf a, uint64_t left) {
    if (left >= VF_N) vf_store(p, a);
    else vf_store_n(p, a, (uint32_t)left);
}

VF_INLINE uint32_t vf_round_up(uint32_t n) { return (n + VF_N - 1) / VF_N * VF_N; }

/* e^x within 1.5 ulp (2^-23 relative); 0 below -87.3 (where results would be subnormal, which is slow and
 * helps nobody), infinity above 88.73; NaN stays.
 * x = n ln 2 + r, |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r) with q minimax, relative error 3.1e-9. */
VF_INLINE vf vf_exp(vf x) {
    const vf low = vf_set1(-87.3f);
    vf y = vf_min(vf_set1(89.0f), vf_max(low, x));
    vf n = vf_round(vf_mul(y, vf_set1(1.4426950216f)));
    vf r = vf_fma(n, vf_set1(-0.693115234375f), y); /* 12 bits of ln 2: the product is exact */
    r = vf_fma(n, vf_set1(-3.194618329871446e-05f), r);
    vf q = vf_fma(vf_set1(0.001381453825160861f), r, vf_set1(0.00836874540620514f));
    q = vf_fma(q, r, vf_set1(0.04166838899254799f));
    q = vf_fma(q, r, vf_set1(0.1666652113199234f));
    q = vf_fma(q, r, vf_set1(0.4999999403953552f));
    y = vf_scale2(vf_add(vf_set1(1.0f), vf_fma(vf_mul(r, r), q, r)), n);
    return vf_lt(x, low, vf_zero(), y);
}

/* tanh x within 3 ulp. Below 0.625 an odd minimax polynomial, relative error 4.4e-9; else 1 - 2 / (e^2|x| + 1). */
VF_INLINE vf vf_tanh(vf x) {
    vf z = vf_mul(x, x), a = vf_max(vf_sub(vf_zero(), x), x);
    vf p = vf_fma(vf_set1(-0.005704985465854406f), z, vf_set1(0.02063908614218235f));
    p = vf_fma(p, z, vf_set1(-0.05373971536755562f));
    p = vf_fma(p, z, vf_set1(0.13331441581249237f));
    p = vf_fma(p, z, vf_set1(-0.3333328068256378f));
    vf small = vf_fma(vf_mul(p, z), x, x);
    vf e = vf_exp(vf_add(a, a));
    vf big = vf_sub(vf_set1(1.0f), vf_div(vf_set1(2.0f), vf_add(e, vf_set1(1.0f))));
    big = vf_lt(x, vf_zero(), vf_sub(vf_zero(), big), big);
    return vf_lt(a, vf_set1(0.625f), small, big);
}

/* x * sigmoid(x) and ggml's tanh form of gelu. */
VF_INLINE vf vf_silu(vf x) {
    return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_zero(), x))));
}

VF_INLINE vf vf_gelu_tanh(vf x) {
    vf x2 = vf_mul(x, x);
    vf t = vf_mul(vf_mul(vf_set1(0.79788456080286535588f), x), vf_fma(vf_set1(0.044715f), x2, vf_set1(1.0f)));
    return vf_mul(vf_mul(vf_set1(0.5f), x), vf_add(vf_set1(1.0f), vf_tanh(t)));
}
