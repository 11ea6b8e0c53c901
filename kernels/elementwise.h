/* Work items of the elementwise ops on the CPU: item i is elements [i, i + 1) * ELEM_CHUNK. */
#pragma once
#include <stdint.h>

#define ELEM_CHUNK 4096u

static inline uint32_t elem_n_item(uint32_t n) { return n / ELEM_CHUNK + (n % ELEM_CHUNK != 0); }
static inline uint64_t elem_begin(uint32_t item) { return (uint64_t)item * ELEM_CHUNK; }
static inline uint64_t elem_end(uint32_t item, uint32_t n) {
    uint64_t end = ((uint64_t)item + 1) * ELEM_CHUNK;
    return end < n ? end : n;
}
