/* The CPU kernels by instruction set.
 *
 * Each kernels/<op>_cpu.c is compiled once per instruction set with -DISA=<set>; it names its
 * functions ISA_FN(op), and cpu_ops.c collects them into one table per set.
 * CPU_OPS is the one list: a new CPU kernel is one line here. */
#pragma once
#include "runtime/cpu.h"

#define CPU_OPS(X)                                                                                 \
    X(embed) X(rms_norm) X(rope) X(kv_write) X(attention) X(attention_merge) X(glu) X(add)         \
    X(scale) X(softcap) X(route) X(expert_sum) X(gather_rows) X(topk) X(act_quant) X(matmul) X(matmul_id)

struct cpu_ops {
#define X(op) cpu_fn *op;
    CPU_OPS(X)
#undef X
};

/* The table for the instruction set of an open CPU device. */
const struct cpu_ops *cpu_ops(enum cpu_isa isa);

#define ISA_CAT2(a, b) a##_##b
#define ISA_CAT(a, b) ISA_CAT2(a, b)
#define ISA_FN(name) ISA_CAT(name, ISA) /* rms_norm -> rms_norm_avx2 */

#ifdef ISA /* the functions that this instruction set's files define */
#define X(op) cpu_fn ISA_FN(op);
CPU_OPS(X)
#undef X
#endif
