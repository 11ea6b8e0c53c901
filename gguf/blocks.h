/* Quantization blocks as they lie in the file, one struct each, for C and for Metal Shading Language.
 *
 * A row of a tensor is an array of blocks. Scales are F16 bits kept as uint16_t (as_type<half> in MSL,
 * f16_to_f32 in C), little-endian. Structs have no padding and at most 2-byte alignment, as file offsets do.
 * Below, "x[i] =" gives element i of the block; lo(b) and hi(b) are the nibbles of a byte. */
#pragma once
#ifndef __METAL_VERSION__
#include <stdint.h>
#define BLOCK_ASSERT(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type " has another size in files")
#else
#define BLOCK_ASSERT(type, bytes) static_assert(sizeof(struct type) == (bytes), #type " has another size in files")
#endif

#define QK 32   /* elements of a small block */
#define QK_K 256 /* elements of a super-block (the K and IQ4_XS types) */

/* In the 32-element 4-bit and 5-bit types byte j holds element j (lo) and element j + 16 (hi);
 * bit i of qh, read as a 32-bit little-endian number, is bit 4 of element i. */

struct block_q4_0 { /* x[i] = d * (q - 8) */
    uint16_t d;
    uint8_t qs[16];
};
BLOCK_ASSERT(block_q4_0, 18);

struct block_q4_1 { /* x[i] = d * q + m */
    uint16_t d, m;
    uint8_t qs[16];
};
BLOCK_ASSERT(block_q4_1, 20);

struct block_q5_0 { /* x[i] = d * (q - 16) */
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
};
BLOCK_ASSERT(block_q5_0, 22);

struct block_q5_1 { /* x[i] = d * q + m */
    uint16_t d, m;
    uint8_t qh[4];
    uint8_t qs[16];
};
BLOCK_ASSERT(block_q5_1, 24);

struct block_q8_0 { /* x[i] = d * q */
    uint16_t d;
    int8_t qs[32];
};
BLOCK_ASSERT(block_q8_0, 34);

/* 16 groups of 16: x[i] = d * lo(scales[g]) * q - dmin * hi(scales[g]), g = i / 16.
 * q has 2 bits: elements 128h + 32s + j are bits 2s.. of qs[32h + j]. */
struct block_q2_K {
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d, dmin;
};
BLOCK_ASSERT(block_q2_K, 84);

/* 16 groups of 16: x[i] = d * (scale[g] - 32) * (q - 4), q = 2 bits of qs as in Q2_K plus bit 2 from hmask:
 * bit i / 32 of hmask[i % 32]. scale[g] has 6 bits: its low 4 are lo (g < 8) or hi of scales[g % 8], its
 * high 2 are bits 2 * (g / 4) of scales[8 + g % 4]. */
struct block_q3_K {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    uint16_t d;
};
BLOCK_ASSERT(block_q3_K, 110);

/* 8 groups of 32: x[i] = d * scale[g] * q - dmin * min[g]. Elements 64p + j and 64p + 32 + j are lo and
 * hi of qs[32p + j]. 6-bit scales and mins: for g < 4 the low 6 bits of scales[g] and of scales[4 + g]; for
 * g >= 4 lo and hi of scales[4 + g], with the top 2 bits of scales[g - 4] and of scales[g] above them. */
struct block_q4_K {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qs[128];
};
BLOCK_ASSERT(block_q4_K, 144);

struct block_q5_K { /* as Q4_K; bit 4 of element i is bit i / 32 of qh[i % 32] */
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
};
BLOCK_ASSERT(block_q5_K, 176);

/* 16 groups of 16: x[i] = d * scales[g] * (q - 32). In each half h of 128, element 32s + j has its low
 * 4 bits in ql[64h + 32 * (s % 2) + j] (lo for s < 2, hi above) and its high 2 in bits 2s of qh[32h + j]. */
struct block_q6_K {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
};
BLOCK_ASSERT(block_q6_K, 210);

struct block_iq4_nl { /* x[i] = d * IQ4_CODES[q], nibbles as in Q4_0 */
    uint16_t d;
    uint8_t qs[16];
};
BLOCK_ASSERT(block_iq4_nl, 18);

/* 8 groups of 32: x[i] = d * (scale[g] - 32) * IQ4_CODES[q], nibbles as in Q4_0 within a group; scale[g] is
 * lo (g even) or hi of scales_l[g / 2], with bits 2g of scales_h above. */
struct block_iq4_xs {
    uint16_t d;
    uint16_t scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
};
BLOCK_ASSERT(block_iq4_xs, 136);

struct block_mxfp4 { /* x[i] = 2^(e - 128) * MXFP4_CODES[q], nibbles as in Q4_0 */
    uint8_t e;
    uint8_t qs[16];
};
BLOCK_ASSERT(block_mxfp4, 17);

/* Initialisers of int8_t[16]. MXFP4's are twice the E2M1 values, hence 2^(e - 128) and not 2^(e - 127). */
#define IQ4_CODES {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
#define MXFP4_CODES {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
