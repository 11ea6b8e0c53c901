/* The angles of RoPE, and the turns, on Metal; for rope.metal and kv_write.metal.
 *
 * Angles are counted in turns and never leave integers: the host gives each pair's turns per position as a fraction of
 * 2^64, the product with the position wraps around at whole turns, and the top 2 bits of what is left (rounded) are the
 * quadrant. The rest, at most 1/8 turn, becomes a float and a float that it lacks. The angle is off by less
 * than 1e-9 for positions up to a million (the host's double frequencies, 2^-53 each, are what is left of it; freq_factors
 * add 2^-60), cosine and sine by less than 0.9 * 2^-24. Then a product, a fma and, with m != 1, a product. */
#pragma once
#include <metal_stdlib>
#include "kernels/rope.h"
using namespace metal;

constant bool has_factors [[function_constant(0)]];

/* The upper 64 bits of a * b, at most 2 too small. */
static inline ulong high_product(ulong a, ulong b) {
    const ulong a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
    return a1 * b1 + ((a1 * b0) >> 32) + ((a0 * b1) >> 32);
}

/* turn / f for f > 0: f is m * 2^e with m in [1, 2), and 1 / m is summed up from three floats, each the quotient of what
 * the ones before left over (exact by fma). */
static inline ulong divide_turn(ulong turn, float f) {
    const uint bits = as_type<uint>(f);
    const int e = (int)(bits >> 23 & 255) - 127;
    const float m = as_type<float>((bits & 0x7fffff) | 0x3f800000);
    const float g0 = 1.0f / m, r0 = fma(-m, g0, 1.0f), g1 = r0 / m, r1 = fma(-m, g1, r0), g2 = r1 / m;
    const float unit = 9223372036854775808.0f; // 2^63
    const ulong inverse = (ulong)(g0 * unit) + (ulong)(long)(g1 * unit) + (ulong)(long)(g2 * unit);
    const ulong quotient = high_product(turn, inverse);
    if (e >= 0) return e > 62 ? 0 : quotient >> e << 1;
    return e < -62 ? 0 : quotient << 1 << -e;
}

/* (cos, sin) of an angle in turns / 2^64. */
static inline float2 cos_sin(ulong turn) {
    const uint t = (uint)(turn >> 32), quadrant = (t + 0x20000000u) >> 30;
    const int rest = (int)(t - (quadrant << 30)); // -2^29 .. 2^29
    const float radian = 0x1.921fb6p-30f, radian_lo = -0x1.777a5cp-55f; // 2 pi / 2^32
    const float small = (float)(rest & 255), big = (float)(rest - (rest & 255)); // both exact
    const float r = big * radian, y = r * r;
    const float lack = fma(big, radian, -r) + fma(big, radian_lo, small * radian);
    // Interpolated at the Chebyshev points of y in [0, (pi/4)^2]: off by less than 2^-27.
    const float s0 = r * y * fma(fma(-0.000195878657f, y, 0.00833274815f), y, -0.166666647f);
    const float h = 0.5f * y, w = 1.0f - h;
    const float c0 = ((1.0f - w) - h) + y * y * fma(fma(2.45479169e-05f, y, -0.00138883029f), y, 0.0416666647f);
    const float s = r + fma(lack, w + c0, s0), c = w + fma(-lack, r + s0, c0);
    const float2 turned = quadrant & 1 ? float2(-s, c) : float2(c, s);
    return quadrant & 2 ? -turned : turned;
}

/* (cos, sin) of pair i at a position, both stretched. */
static inline float2 turn_of(constant rope_metal_args &a, uint i, int pos, device const float *freq_factors) {
    ulong turn = a.turn[i];
    if (has_factors) turn = divide_turn(turn, freq_factors[i]);
    return cos_sin(turn * (ulong)(long)pos) * a.stretch;
}

static inline float turned_first(float p, float q, float2 cs) { return fma(p, cs.x, -(q * cs.y)); }
static inline float turned_second(float p, float q, float2 cs) { return fma(p, cs.y, q * cs.x); }

/* Element j of a head, turned. */
static inline float turned(constant rope_metal_args &a, device const float *head, uint j, int pos, device const float *freq_factors) {
    if (j >= a.n_rot) return head[j];
    const uint n_pair = a.n_rot / 2, i = a.mode == ROPE_NORMAL ? j / 2 : j % n_pair;
    const uint u = a.mode == ROPE_NORMAL ? 2 * i : i, v = a.mode == ROPE_NORMAL ? 2 * i + 1 : i + n_pair;
    const float2 cs = turn_of(a, i, pos, freq_factors);
    return j == u ? turned_first(head[u], head[v], cs) : turned_second(head[u], head[v], cs);
}
