/* Random weights of every type, for checks and benchmarks: all bits of the quants and integer scales are random,
 * the float scales are normal numbers that keep values of the order of 1. */
#pragma once
#include "gguf/blocks.h"
#include "gguf/dtype.h"
#include "gguf/half.h"

static inline uint32_t random_next(uint64_t *state) { /* an LCG with a permuted output */
    uint64_t s = *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((s ^ s >> 22) >> (22 + (s >> 61)));
}
static inline float random_f32(uint64_t *state, float lo, float hi) {
    return lo + (hi - lo) * ((float)(random_next(state) >> 8) * 0x1p-24f);
}

/* n elements, whole blocks, at dst (any alignment of 2). */
static inline void random_weights(enum dtype t, void *dst, uint64_t n, uint64_t *state) {
    const struct dtype_info *d = dtype_info((uint32_t)t);
    unsigned char *p = dst, *end = p + dtype_bytes(t, n);
    for (; p < end; p += d->block_bytes) {
        if (t == DT_F32 || t == DT_F16 || t == DT_BF16) {
            float f = random_f32(state, -1, 1);
            uint16_t h = t == DT_F16 ? f16_from_f32(f) : bf16_from_f32(f);
            memcpy(p, t == DT_F32 ? (void *)&f : (void *)&h, d->block_bytes);
            continue;
        }
        for (uint32_t i = 0; i < d->block_bytes; i++) p[i] = (unsigned char)(random_next(state) >> 8);
        uint16_t scale[2] = {f16_from_f32(random_f32(state, -1, 1) / 64), f16_from_f32(random_f32(state, -1, 1) / 64)};
        switch (t) {
        case DT_MXFP4: *p = (unsigned char)(120 + *p % 8); break;
        case DT_Q4_1: case DT_Q5_1: case DT_Q4_K: case DT_Q5_K: memcpy(p, scale, 4); break;
        case DT_Q2_K: memcpy(p + 80, scale, 4); break;
        case DT_Q3_K: memcpy(p + 108, scale, 2); break;
        case DT_Q6_K: memcpy(p + 208, scale, 2); break;
        default: memcpy(p, scale, 2); break;
        }
    }
}
