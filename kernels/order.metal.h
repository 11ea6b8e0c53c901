/* The order of logits that selections use: larger first, +0 and -0 equal, NaN after everything. */
#pragma once
#include <metal_stdlib>

/* Unsigned numbers in the order of the floats; 0 for NaN and for nothing else. */
static inline uint order_key(float x) {
    if (metal::isnan(x)) return 0;
    const uint bits = x == 0 ? 0 : as_type<uint>(x);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
