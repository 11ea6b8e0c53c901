/* A thread of a threadgroup as a fiber, and how lanes of a simdgroup meet.
 *
 * Shared by the executor (C) and by every kernel (C++): a switch between fibers is inlined where it happens, which is
 * what makes it cheap (2 ns; a call and return would defeat the processor's return predictor).
 *
 * Invariants. The lanes of a simdgroup form a ring and run one after the other: a lane that has to wait
 * resumes its successor. Every wait of a simdgroup (a "meeting") is for all of its lanes at one source
 * position, so when the last lane arrives all others wait at that very meeting, and a resumed lane never has to look
 * whether its condition holds. A simdgroup whose lanes all wait at a threadgroup barrier passes to the next simdgroup
 * in the same way. Lanes that arrive at different positions, or that end while others wait, are an error.
 *
 * A threadgroup, its lanes and its memory belong to one OS thread from start to end. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define SOFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SOFT_ASAN 1
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct soft_kernel;
struct soft_dispatch;
struct soft_group;
struct soft_simd;

/* Where in the source a lane is. */
struct soft_site {
    const char *file;
    const char *what; /* "simd_sum", "the end of the kernel" */
    uint32_t line, column;
};

/* The processor's state of a fiber that does not run: what is not listed is dead across a switch. */
struct soft_context {
    void *sp, *fp, *bx, *pc; /* offsets known to the assembly below */
#ifdef SOFT_ASAN
    void *fake_stack;
    const void *stack;
    size_t stack_bytes;
#endif
};

struct soft_lane {
    struct soft_context at;
    struct soft_lane *next; /* in the simdgroup's ring */
    struct soft_simd *simd;
    struct soft_group *group;
    uint32_t lane;     /* thread_index_in_simdgroup */
    uint32_t index;    /* thread_index_in_threadgroup */
    uint32_t position[3]; /* thread_position_in_threadgroup */
    uint32_t trail;    /* hash of the matrix operations passed, compared at each meeting */
};

#define SOFT_LANE_BYTES 16 /* the largest value that lanes exchange */

struct soft_simd {
    uint32_t n_lane, arrived;
    uint32_t generation; /* meetings held */
    uint32_t trail;      /* of the first lane to arrive */
    struct soft_site site; /* of the meeting that is being waited for */
    uint32_t index;      /* simdgroup_index_in_threadgroup */
    uint32_t leader;     /* the lane that owns all simdgroup matrices */
    uint32_t epoch[2];   /* simdgroup barriers passed, for threadgroup and for device memory */
    struct soft_lane *resume; /* who runs first when this simdgroup is resumed */
    struct soft_simd *next;   /* in the threadgroup's ring */
    /* What lanes brought to the last two meetings, and what was made of it. */
    unsigned char slot[2][32 * SOFT_LANE_BYTES] __attribute__((aligned(64)));
    unsigned char result[2][SOFT_LANE_BYTES] __attribute__((aligned(16)));
};

#define SOFT_N_TG_VARIABLE 32

struct soft_group {
    const struct soft_dispatch *dispatch;
    uint32_t position[3]; /* threadgroup_position_in_grid */
    uint32_t size[3];     /* threads_per_threadgroup: smaller at the edges of a dispatchThreads grid */
    uint32_t full_size[3]; /* dispatch_threads_per_threadgroup */
    uint32_t groups[3];   /* threadgroups_per_grid */
    uint32_t grid[3];     /* threads_per_grid */
    uint32_t n_thread, n_simd;
    uint32_t arrived;     /* simdgroups at the threadgroup barrier */
    uint32_t epoch[2];    /* threadgroup barriers passed, for threadgroup and for device memory */
    struct soft_site site;
    struct soft_context home; /* the scheduler that started the group */
    void *tg_argument[31];
    void *tg_variable[SOFT_N_TG_VARIABLE]; /* threadgroup variables of the kernel, made by the first thread to pass */
};

extern __thread struct soft_lane *soft_self __attribute__((tls_model("initial-exec")));

/* The last lane of a simdgroup came to a threadgroup barrier (flags: 1 device, 2 threadgroup memory) or to its end:
 * the context to go on with, NULL when this lane may go on. */
struct soft_context *soft_group_arrive(struct soft_lane *l, struct soft_site site, uint32_t flags);
void *soft_tg_variable(struct soft_group *g, uint32_t id, size_t bytes, size_t align, struct soft_site site);
/* Stop the dispatch with an error; the fibers of the group are abandoned. */
void soft_bad_lane(struct soft_lane *l, uint32_t lane, struct soft_site site) __attribute__((noreturn));
void soft_diverged(struct soft_lane *l, struct soft_site site) __attribute__((noreturn));

#ifdef SOFT_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack, const void *stack, size_t bytes);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **old_stack, size_t *old_bytes);
#endif

static inline __attribute__((always_inline)) void soft_switch(struct soft_context *from, struct soft_context *to) {
#ifdef SOFT_ASAN
    struct soft_context *self = from; /* the registers below hold the resumer's values afterwards */
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
#endif
#if defined(__x86_64__)
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rsp, 0(%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "movq %%rbx, 16(%0)\n\t"
                     "movq %%rax, 24(%0)\n\t"
                     "movq 0(%1), %%rsp\n\t"
                     "movq 8(%1), %%rbp\n\t"
                     "movq 16(%1), %%rbx\n\t"
                     "jmpq *24(%1)\n"
                     "1:"
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2",
                       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15",
#ifdef __AVX512F__
                       "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",
                       "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#endif
                       "memory", "cc");
#elif defined(__aarch64__)
    register struct soft_context *a __asm__("x0") = from;
    register struct soft_context *b __asm__("x1") = to;
    __asm__ volatile("adr x2, 1f\n\t"
                     "mov x3, sp\n\t"
                     "stp x3, x29, [x0]\n\t"
                     "stp x19, x2, [x0, 16]\n\t"
                     "ldp x3, x29, [x1]\n\t"
                     "ldp x19, x2, [x1, 16]\n\t"
                     "mov sp, x3\n\t"
                     "br x2\n"
                     "1:"
                     : "+r"(a), "+r"(b)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
                       "x17", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3",
                       "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18",
                       "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory",
                       "cc");
#else
#error "soft Metal switches fibers on x86-64 and aarch64 only"
#endif
#ifdef SOFT_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
}

static inline __attribute__((always_inline)) void soft_resume(struct soft_lane *l, struct soft_lane *next) {
    soft_self = next;
    soft_switch(&l->at, &next->at);
}

/* l has come to a meeting; 1 when it is the last lane and the meeting can be held. */
static inline __attribute__((always_inline)) int soft_arrive(struct soft_lane *l, struct soft_site site) {
    struct soft_simd *s = l->simd;
    if (s->arrived == 0) {
        s->site = site;
        s->trail = l->trail;
    } else if (__builtin_expect(s->site.line != site.line || s->site.column != site.column || s->site.file != site.file ||
                                    s->trail != l->trail, 0)) {
        soft_diverged(l, site);
    }
    return ++s->arrived == s->n_lane;
}

static inline __attribute__((always_inline)) void soft_held(struct soft_simd *s) {
    s->arrived = 0;
    s->generation++;
}

#ifdef __cplusplus
}
#endif
