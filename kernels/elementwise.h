/* Work items of the elementwise ops. CPU: item i is elements [i, i + 1) * ELEM_CHUNK. Metal: threadgroups of ELEM_THREADS
 * threads, ELEM_PER_THREAD elements each. */
#pragma once
#include <stdint.h>

#define ELEM_CHUNK 4096u
#define ELEM_THREADS 256u
#define ELEM_PER_THREAD 4u

static inline uint32_t elem_n_item(uint32_t n) { return n / ELEM_CHUNK + (n % ELEM_CHUNK != 0); }
static inline uint32_t elem_n_group(uint32_t n) {
    const uint32_t per_group = ELEM_THREADS * ELEM_PER_THREAD;
    return n / per_group + (n % per_group != 0);
}
static inline uint64_t elem_begin(uint32_t item) { return (uint64_t)item * ELEM_CHUNK; }
static inline uint64_t elem_end(uint32_t item, uint32_t n) {
    uint64_t end = ((uint64_t)item + 1) * ELEM_CHUNK;
    return end < n ? end : n;
}
