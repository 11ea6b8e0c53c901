/* Little-endian numbers in files of hy's own, written and read at a moving place. */
#pragma once
#include <stdint.h>

static inline void bytes_store(unsigned char **p, uint64_t v, int n_byte) {
    for (int i = 0; i < n_byte; i++) *(*p)++ = (unsigned char)(v >> 8 * i);
}

static inline uint64_t bytes_load(const unsigned char **p, int n_byte) {
    uint64_t v = 0;
    for (int i = 0; i < n_byte; i++) v |= (uint64_t)*(*p)++ << 8 * i;
    return v;
}
