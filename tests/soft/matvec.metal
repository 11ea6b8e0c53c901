// y[r] = sum_i w[r,i] x[i]; NR rows per simdgroup, types by template, shape by function constant.
#include <metal_stdlib>
#include "gguf/blocks.h"
#include "tests/soft/sample.h"
using namespace metal;

constant bool add_bias [[function_constant(0)]];
constant uint n_simd [[function_constant(1)]];
constant float scale [[function_constant(2)]];

static inline float block_dot(device const block_q4_0 *b, device const float *x) {
    float sum = 0;
    for (uint j = 0; j < 16; j++) {
        uchar q = b->qs[j];
        sum += x[j] * ((float)(q & 15) - 8) + x[j + 16] * ((float)(q >> 4) - 8);
    }
    return sum * (float)as_type<half>(b->d);
}

template <typename block, int NR>
kernel void sample_matvec(constant sample_args &a [[buffer(0)]], device float *y [[buffer(1)]], device const block *w [[buffer(2)]],
                          device const float *x [[buffer(3)]], device const float *bias [[buffer(4)]],
                          uint group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]],
                          ushort sg [[simdgroup_index_in_threadgroup]]) {
    const uint first = (group * n_simd + sg) * NR;
    const uint n_block = a.dim / 32;
    float sum[NR] = {0};
    for (uint ib = lane; ib < n_block; ib += 32)
        for (int r = 0; r < NR && first + r < a.n_row; r++) sum[r] += block_dot(w + (ulong)(first + r) * n_block + ib, x + ib * 32);
    for (int r = 0; r < NR; r++) {
        float total = simd_sum(sum[r]);
        if (lane == 0 && first + r < a.n_row) y[first + r] = total * (is_function_constant_defined(scale) ? scale : 1) + (add_bias ? bias[first + r] : 0);
    }
}

#define MATVEC(rows)                                                                                                               \
    template [[host_name("sample_matvec_q4_0_r" #rows)]] kernel void sample_matvec<block_q4_0, rows>(                               \
        constant sample_args &, device float *, device const block_q4_0 *, device const float *, device const float *, uint, ushort, \
        ushort);
MATVEC(1)
MATVEC(4)
