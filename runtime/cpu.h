/* The CPU device: a list of calls run by a pool of threads.
 *
 * A call is a function over n_item work items. Workers take `grain` items at a time from the call's
 * counter, in any order and on any thread: what an item computes must not depend on that (this is
 * what makes results identical for every thread count). A call marked with a barrier starts
 * when all earlier calls of the list have ended; others may overlap.
 *
 * Kernels are plain C functions of type cpu_fn, compiled once per instruction set (kernels/cpu_ops.h). */
#pragma once
#include <stdatomic.h>

#include "runtime/device.h"

#define CPU_MAX_BIND 12
#define CPU_ARGS_BYTES 128
#define CPU_SCRATCH_BYTES ((size_t)5 << 18) /* per worker, 64-byte aligned, contents undefined at each call */

struct cpu_worker {
    uint32_t index, n_worker;
    unsigned char *scratch;
};

struct cpu_call;
/* Computes items begin..end-1 of the call. Must not block, allocate or fail. */
typedef void cpu_fn(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w);

struct cpu_call {
    cpu_fn *fn;
    uint32_t n_item, grain;
    bool barrier;
    void *bind[CPU_MAX_BIND]; /* resolved operand addresses, in the op's documented order */
    _Alignas(16) unsigned char args[CPU_ARGS_BYTES];
    _Alignas(64) atomic_uint next; /* next item to hand out */
};

/* Appends a call. bind is the operands in order; absent ones become NULL. n_item 0 is allowed (nothing runs). */
void cpu_encode(struct cmd *c, cpu_fn *fn, uint32_t n_item, uint32_t grain, const void *args, size_t args_bytes,
                const struct ref *bind, uint32_t n_bind);

/* Instruction sets that kernels are compiled for, best last. */
enum cpu_isa { CPU_SCALAR, CPU_NEON, CPU_NEON_I8MM, CPU_AVX2, CPU_AVX512, CPU_N_ISA };
enum cpu_isa cpu_isa_best(void);          /* what this machine runs */
enum cpu_isa cpu_isa_of(const struct device *d);
const char *cpu_isa_name(enum cpu_isa isa);
