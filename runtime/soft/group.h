/* The worker: everything that one OS thread needs to run threadgroups, one at a time.
 *
 * Owns the fibers' stacks, the lanes and simdgroups, and the threadgroup memory (the arena), all reused from group to
 * group. A worker is used by one OS thread at a time. */
#pragma once
#include <stdbool.h>

#include "runtime/soft/exec.h"
#include "runtime/soft/lane.h"

#define SOFT_STACK_BYTES ((size_t)256 << 10)
#define SOFT_GUARD_BYTES 64   /* between two objects in threadgroup memory, checked at the end of a group */
#define SOFT_ARENA_BYTES (SOFT_THREADGROUP_BYTES + (SOFT_N_TG_VARIABLE + SOFT_N_THREADGROUP + 1) * 2 * SOFT_GUARD_BYTES)

enum soft_order { SOFT_ASCENDING, SOFT_DESCENDING, SOFT_RANDOM };

struct soft_worker {
    struct soft_group group;
    struct soft_simd simd[SOFT_MAX_THREADS / SOFT_SIMD_WIDTH];
    struct soft_lane lane[SOFT_MAX_THREADS];
    _Alignas(64) unsigned char arena[SOFT_ARENA_BYTES];
    uint32_t arena_at;      /* bytes of the arena in use, guards included */
    uint32_t arena_counted; /* bytes that count against SOFT_THREADGROUP_BYTES */
    uint32_t n_guard, guard_at[SOFT_N_TG_VARIABLE + SOFT_N_THREADGROUP];
    unsigned char *stacks;  /* SOFT_MAX_THREADS of them, one mapping */
    uint32_t n_guarded;     /* stacks whose lowest page is protected */
    bool failed;
    char *error; /* the dispatch's; the first failure of this worker writes it */
    size_t error_bytes;
    struct soft_worker *link; /* free list */
};

struct soft_worker *soft_worker_new(void); /* NULL: out of memory */
/* Makes w ready for groups of dispatch d: threadgroup size, positions. */
void soft_worker_begin(struct soft_worker *w, const struct soft_dispatch *d, char *error, size_t error_bytes);
/* Runs threadgroup number g of the grid, x fastest. false: failed, the error text is written. */
bool soft_worker_run(struct soft_worker *w, uint32_t g);

/* From the environment; see exec.h. */
struct soft_config {
    enum soft_order order;
    uint64_t seed;
    unsigned char poison;
    uint32_t n_thread;
};
extern struct soft_config soft_config;

/* splitmix64 */
static inline uint64_t soft_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
