#include "kernels/cpu_ops.h"

#define TABLE(isa, op) .op = ISA_CAT2(op, isa),
#define DECLARE(isa, op) cpu_fn ISA_CAT2(op, isa);

#define X(op) DECLARE(scalar, op)
CPU_OPS(X)
#undef X
#define X(op) TABLE(scalar, op)
static const struct cpu_ops scalar_ops = {CPU_OPS(X)};
#undef X

#if defined(__x86_64__)
#define X(op) DECLARE(avx2, op) DECLARE(avx512, op)
CPU_OPS(X)
#undef X
#define X(op) TABLE(avx2, op)
static const struct cpu_ops avx2_ops = {CPU_OPS(X)};
#undef X
#define X(op) TABLE(avx512, op)
static const struct cpu_ops avx512_ops = {CPU_OPS(X)};
#undef X
#elif defined(__aarch64__)
#define X(op) DECLARE(neon, op) DECLARE(neon_i8mm, op)
CPU_OPS(X)
#undef X
#define X(op) TABLE(neon, op)
static const struct cpu_ops neon_ops = {CPU_OPS(X)};
#undef X
#define X(op) TABLE(neon_i8mm, op)
static const struct cpu_ops neon_i8mm_ops = {CPU_OPS(X)};
#undef X
#endif

const struct cpu_ops *cpu_ops(enum cpu_isa isa) {
    switch (isa) {
#if defined(__x86_64__)
    case CPU_AVX2: return &avx2_ops;
    case CPU_AVX512: return &avx512_ops;
#elif defined(__aarch64__)
    case CPU_NEON: return &neon_ops;
    case CPU_NEON_I8MM: return &neon_i8mm_ops;
#endif
    default: return &scalar_ops;
    }
}
