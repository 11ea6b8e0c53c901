/* clang rounds float to bfloat by a call that the C library support of gcc before 13 lacks. The result travels in the low
 * half of the register of a float, on x86-64 and on aarch64. */
#include <stdint.h>
#include <string.h>

float __truncsfbf2(float f) __attribute__((weak));
float __truncsfbf2(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    u = (u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : (u + 0x7fffu + (u >> 16 & 1)) >> 16;
    memcpy(&f, &u, sizeof u);
    return f;
}
