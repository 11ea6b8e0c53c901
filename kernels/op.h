/* What every op's header and encoder share.
 *
 * An op is <op>.h (argument struct, formula, shapes), <op>.c (validates and encodes), <op>_cpu.c
 * (CPU kernel, once per instruction set), <op>_ref.c (the scalar oracle in double) and
 * <op>_check.c (its cases for hy kernels-test). Argument structs have fixed-width fields because Metal Shading
 * Language reads the same headers; everything else in them is hidden from it.
 * Tensors are contiguous, the last dimension of a shape (a, b, c) is the fastest; activations are f32. */
#pragma once
#ifdef __METAL_VERSION__
#define ARGS_ASSERT(type, bytes) static_assert(sizeof(struct type) == (bytes), #type " has another size on the host")
#else
#include "runtime/device.h"
#define ARGS_ASSERT(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type " has another size in kernels")

struct cpu_ops;
struct cpu_call;
struct cpu_worker;

/* One operand of an op, in the order in which kernels are bound. */
struct operand {
    const char *name;
    struct ref ref;
    uint64_t bytes; /* that the op touches */
    bool optional;  /* the ref may be absent */
};

/* a * b * c * d, or UINT64_MAX (larger than any buffer) when that overflows. */
uint64_t op_bytes(uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* The CPU kernels for c's device; ERR_UNSUPPORTED when it is no CPU device. */
int op_cpu(struct cmd *c, const char *op, const struct cpu_ops **ops, struct err *e);

/* Checks each operand (present, in its buffer, aligned to 4 bytes): ERR_ARG with a sentence. */
int op_check(const char *op, const struct operand *v, uint32_t n, struct err *e);

/* op_check, then appends fn over n_item items to the CPU's list. */
int op_encode_cpu(struct cmd *c, const char *op, void (*fn)(const struct cpu_call *, uint32_t, uint32_t, struct cpu_worker *),
                  uint32_t n_item, uint32_t grain, const void *args, size_t args_bytes, const struct operand *v,
                  uint32_t n, struct err *e);

struct mtl_call;
static inline bool op_on_metal(struct cmd *c) { return device_kind(cmd_device(c)) == DEVICE_METAL; }
/* op_check, then appends the call, with the operands as its buffers, to the Metal list. */
int op_encode_metal(struct cmd *c, const char *op, const struct mtl_call *call, const struct operand *v, uint32_t n,
                    struct err *e);

static inline uint32_t op_div_up(uint32_t n, uint32_t by) { return n / by + (n % by != 0); }
/* Kernels may not have two arguments that overlap: one that works in place is told so instead. */
static inline bool op_in_place(struct ref out, struct ref in) { return out.buf == in.buf && out.off == in.off; }
#endif
