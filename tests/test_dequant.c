/* Scalar decoding: F16 and BF16 conversions exhaustively, each block type against values derived by hand
 * from the format's formula, and float against double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gguf/blocks.h"
#include "gguf/gguf_random.h"
#include "gguf/half.h"
#include "kernels/dequant.h"

#define F16_ONE 0x3c00
#define F16_TWO 0x4000
#define F16_HALF 0x3800
#define F16_THREE 0x4200

/* The value of F16 bits, from the definition. */
static double f16_value(uint16_t h) {
    int exp = h >> 10 & 31, mant = h & 0x3ff;
    double v = exp == 0 ? ldexp(mant, -24) : exp == 31 ? (mant ? (double)NAN : (double)INFINITY) : ldexp(1024 + mant, exp - 25);
    return h & 0x8000 ? -v : v;
}

static void f16_widens_exactly_and_back(void **state) {
    for (uint32_t u = 0; u < 65536; u++) {
        uint16_t h = (uint16_t)u;
        float f = f16_to_f32(h);
        double v = f16_value(h);
        if (isnan(v)) {
            assert_true(isnan(f) && isnan(f16_to_f32(f16_from_f32(f))));
            assert_int_equal(f16_from_f32(f), h | 0x200);
            continue;
        }
        assert_true((double)f == v && !!signbit(f) == h >> 15);
        assert_int_equal(f16_from_f32(f), h);
    }
}

/* Between each pair of neighbours: just below the middle, the middle (to even), just above. */
static void f16_rounds_to_nearest_even(void **state) {
    for (uint16_t h = 0; h < 0x7bff; h++) {
        float mid = (float)((f16_value(h) + f16_value((uint16_t)(h + 1))) / 2);
        uint16_t even = h & 1 ? (uint16_t)(h + 1) : h;
        assert_int_equal(f16_from_f32(mid), even);
        assert_int_equal(f16_from_f32(-mid), even | 0x8000);
        assert_int_equal(f16_from_f32(nextafterf(mid, 0)), h);
        assert_int_equal(f16_from_f32(nextafterf(mid, INFINITY)), h + 1);
    }
    assert_int_equal(f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(f16_from_f32(65520), 0x7c00);
    assert_int_equal(f16_from_f32(3e38f), 0x7c00);
    assert_int_equal(f16_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(f16_from_f32(0x1p-149f), 0);
}

static void bf16_both_ways(void **state) {
    for (uint32_t u = 0; u < 65536; u++) {
        uint16_t h = (uint16_t)u;
        bool nan = (h & 0x7fff) > 0x7f80;
        assert_int_equal(f32_bits(bf16_to_f32(h)), u << 16 | (nan ? 0x400000u : 0));
        assert_int_equal(bf16_from_f32(f32_from_bits(u << 16)), nan ? h | 0x40 : h);
        if ((h & 0x7fff) >= 0x7f80) continue;
        assert_int_equal(bf16_from_f32(f32_from_bits(u << 16 | 0x7fff)), h);
        assert_int_equal(bf16_from_f32(f32_from_bits(u << 16 | 0x8000)), h + (h & 1));
        assert_int_equal(bf16_from_f32(f32_from_bits(u << 16 | 0x8001)), h + 1);
    }
    assert_true(isnan(bf16_to_f32(bf16_from_f32(f32_from_bits(0x7f800001)))));
}

/* Decodes one block and compares element i. */
static float y[QK_K];
static void decode(enum dtype t, const void *block) { dequant_row(t, block, y, dtype_info((uint32_t)t)->block_elems); }
#define IS(i, value) assert_float_equal(y[i], value, 0)

static void plain_types(void **state) {
    float f = -1.25f;
    decode(DT_F32, &f);
    IS(0, -1.25f);
    decode(DT_F16, &(uint16_t){0xc100});
    IS(0, -2.5f);
    decode(DT_BF16, &(uint16_t){0xbfa0});
    IS(0, -1.25f);
}

static void four_and_five_bits(void **state) {
    struct block_q4_0 a = {.d = F16_TWO, .qs = {[0] = 0x1f, [15] = 0x80}};
    decode(DT_Q4_0, &a);
    IS(0, 14);   /* 2 * (15 - 8) */
    IS(16, -14); /* 2 * (1 - 8) */
    IS(15, -16);
    IS(31, 0);
    struct block_q4_1 b = {.d = F16_TWO, .m = 0xbc00, .qs = {[3] = 0x5a}};
    decode(DT_Q4_1, &b);
    IS(3, 19); /* 2 * 10 - 1 */
    IS(19, 9);
    IS(0, -1);
    struct block_q5_0 c = {.d = F16_HALF, .qh = {0x02, 0, 0, 0x80}, .qs = {[1] = 0x03, [15] = 0xf0}};
    decode(DT_Q5_0, &c);
    IS(1, 1.5f);  /* (3 + 16 - 16) / 2 */
    IS(31, 7.5f); /* (15 + 16 - 16) / 2 */
    IS(17, -8);
    struct block_q5_1 d = {.d = F16_ONE, .m = F16_THREE, .qh = {0, 0, 0x01, 0}, .qs = {[0] = 0x21}};
    decode(DT_Q5_1, &d);
    IS(0, 4);
    IS(16, 21); /* 2 + 16 + 3 */
}

static void eight_bits_and_codes(void **state) {
    struct block_q8_0 a = {.d = F16_HALF, .qs = {[0] = -128, [31] = 127}};
    decode(DT_Q8_0, &a);
    IS(0, -64);
    IS(31, 63.5f);
    struct block_iq4_nl b = {.d = F16_TWO, .qs = {[2] = 0xf0, [3] = 0x78}};
    decode(DT_IQ4_NL, &b);
    IS(2, -254);
    IS(18, 226);
    IS(3, 2);
    IS(19, -20);
    struct block_mxfp4 c = {.e = 129, .qs = {[0] = 0x71, [5] = 0xf9}};
    decode(DT_MXFP4, &c);
    IS(0, 2);   /* 2^(129 - 128) * 1: E2M1 0.5 with scale 2^2 */
    IS(16, 24); /* 6.0 * 4 */
    IS(5, -2);
    IS(21, -24);
    c.e = 0;
    decode(DT_MXFP4, &c);
    IS(0, 0x1p-128f);
    c.e = 255;
    decode(DT_MXFP4, &c);
    IS(0, 0x1p127f);
}

static void q2_K(void **state) {
    struct block_q2_K b = {.d = F16_TWO, .dmin = F16_ONE};
    b.scales[0] = 0x53;  /* scale 3, min 5 */
    b.scales[15] = 0x2f; /* the last group: elements 240..255 */
    b.qs[0] = 0xe4;      /* elements 0, 32, 64, 96 are 0, 1, 2, 3 */
    b.qs[63] = 0xc0;     /* element 255 is 3 */
    b.scales[6] = 0x01;  /* 96..111 */
    decode(DT_Q2_K, &b);
    IS(0, -5);
    IS(1, -5);
    IS(32, 0); /* its group's scale is 0 */
    IS(96, 6); /* 2 * 1 * 3 */
    IS(255, 88); /* 2 * 15 * 3 - 2 */
}

static void q3_K(void **state) {
    struct block_q3_K b = {.d = F16_TWO};
    b.scales[0] = 0x1f; /* group 0 low 15, group 8 low 1 */
    b.scales[7] = 0x20; /* group 15 low 2 */
    b.scales[8] = 0x20; /* group 0 high 0, group 4 high 0, group 8 high 2, group 12 high 0 */
    b.scales[11] = 0xc0; /* group 15 high 3 */
    b.qs[0] = 0x03;     /* element 0: 3 */
    b.qs[32] = 0x01;    /* element 128: 1 */
    b.qs[63] = 0x80;    /* element 255: 2 */
    b.hmask[0] = 0x10;  /* element 128 has bit 2 */
    b.hmask[31] = 0x80; /* element 255 has bit 2 */
    decode(DT_Q3_K, &b);
    IS(0, 34);    /* 2 * (15 - 32) * (3 - 4) */
    IS(1, 136);   /* 2 * -17 * -4 */
    IS(128, 2);   /* 2 * (1 + 32 - 32) * (1 + 4 - 4) */
    IS(255, 72);  /* 2 * (2 + 48 - 32) * (2 + 4 - 4) */
    IS(16, 256);  /* 2 * -32 * -4 */
}

/* Scales and mins of Q4_K and Q5_K: group 0 is 33 and 18, group 4 is 0x25 and 0x1a, group 7 is 0x3f and 0x31. */
static const uint8_t k_scales[12] = {[0] = 33 | 2 << 6, [4] = 18 | 1 << 6, [8] = 0xa5, [3] = 3 << 6, [7] = 3 << 6,
                                     [11] = 0x1f};

static void q4_K(void **state) {
    struct block_q4_K b = {.d = F16_TWO, .dmin = F16_HALF};
    memcpy(b.scales, k_scales, 12);
    b.qs[0] = 0x0f;   /* element 0: 15 */
    b.qs[64] = 0x07;  /* element 128: 7 */
    b.qs[127] = 0x90; /* element 255: 9 */
    decode(DT_Q4_K, &b);
    IS(0, 981);      /* 2 * 33 * 15 - 18 / 2 */
    IS(1, -9);
    IS(128, 505);    /* 2 * 37 * 7 - 26 / 2 */
    IS(255, 1109.5f); /* 2 * 63 * 9 - 49 / 2 */
    IS(32, 0);
}

static void q5_K(void **state) {
    struct block_q5_K b = {.d = F16_ONE, .dmin = F16_ONE};
    memcpy(b.scales, k_scales, 12);
    b.qs[0] = 0x01;
    b.qh[0] = 0x11;  /* elements 0 and 128 */
    b.qh[31] = 0x80; /* element 255 */
    decode(DT_Q5_K, &b);
    IS(0, 543);   /* 33 * 17 - 18 */
    IS(128, 566); /* 37 * 16 - 26 */
    IS(255, 959); /* 63 * 16 - 49 */
    IS(1, -18);
}

static void q6_K(void **state) {
    struct block_q6_K b = {.d = F16_HALF};
    b.scales[0] = 2;
    b.scales[6] = -3;    /* 96..111 */
    b.scales[15] = -128; /* 240..255 */
    b.ql[0] = 0x0f;
    b.qh[0] = 0xc3;    /* element 0 high 3, element 96 high 3 */
    b.ql[32] = 0x50;   /* element 96 low 5 */
    b.ql[127] = 0xa0;  /* element 255 low 10 */
    b.qh[63] = 0x40;   /* element 255 high 1 */
    decode(DT_Q6_K, &b);
    IS(0, 31);       /* 63 - 32 */
    IS(1, -32);
    IS(96, -31.5f);  /* -1.5 * (53 - 32) */
    IS(255, 384);    /* -64 * (26 - 32) */
}

static void iq4_xs(void **state) {
    struct block_iq4_xs b = {.d = F16_ONE};
    b.scales_l[0] = 0x10 | 0x05; /* group 0 low 5, group 1 low 1 */
    b.scales_h = 2 | 3 << 2 | 1 << 14; /* group 0 high 2, group 1 high 3, group 7 high 1 */
    b.scales_l[3] = 0xf0;        /* group 7 low 15 */
    b.qs[0] = 0x0f;
    b.qs[16] = 0x80;
    b.qs[127] = 0x90;
    decode(DT_IQ4_XS, &b);
    IS(0, 565);     /* (37 - 32) * 113 */
    IS(16, -635);   /* 5 * -127 */
    IS(32, -2159);  /* (49 - 32) * -127 */
    IS(48, 17);     /* 17 * 1 */
    IS(255, -13);   /* (31 - 32) * 13 */
    IS(64, 4064);   /* -32 * -127 */
}

/* Float is the rounded double; unaligned sources work; generated data have the deviation asked for. */
static void float_is_rounded_double(void **state) {
    enum { N = 1 << 16 };
    unsigned char *src = malloc(N * 4 + 1);
    float *f = malloc(N * sizeof *f);
    double *d = malloc(N * sizeof *d);
    struct rng r;
    rng_seed(&r, 7);
    for (int t = 0; t < DT_MAX; t++) {
        if (!dtype_info((uint32_t)t)->supported) continue;
        double sum = 0, square = 0;
        gguf_random_row(&r, (enum dtype)t, 0.02f, src + 1, N);
        dequant_row((enum dtype)t, src + 1, f, N);
        dequant_row_f64((enum dtype)t, src + 1, d, N);
        for (int i = 0; i < N; i++) {
            assert_true(f[i] == (float)d[i]);
            sum += d[i];
            square += d[i] * d[i];
        }
        assert_true(fabs(sum / N) < 0.002);
        assert_true(fabs(sqrt(square / N) / 0.02 - 1) < 0.1);
    }
    free(src);
    free(f);
    free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_widens_exactly_and_back), cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_both_ways),              cmocka_unit_test(plain_types),
        cmocka_unit_test(four_and_five_bits),          cmocka_unit_test(eight_bits_and_codes),
        cmocka_unit_test(q2_K),                        cmocka_unit_test(q3_K),
        cmocka_unit_test(q4_K),                        cmocka_unit_test(q5_K),
        cmocka_unit_test(q6_K),                        cmocka_unit_test(iq4_xs),
        cmocka_unit_test(float_is_rounded_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
