/* Soft Metal's processor: runs one dispatch of one kernel on the CPU, to completion.
 *
 * Kernels are .metal files compiled at build time (tools/scan_kernels.c, runtime/soft/msl.h). Each thread of a
 * threadgroup is a fiber; a threadgroup runs on one OS thread, several threadgroups run at once on a
 * persistent pool in which the caller takes part. A simdgroup is 32 threads.
 *
 * Environment, read once: HY_SOFT_ORDER=asc|desc|random:SEED the order of threads, simdgroups and threadgroups;
 * HY_SOFT_POISON=BYTE what threadgroup memory holds before anybody writes it (default 0x7f);
 * HY_SOFT_THREADS=N OS threads. Correct kernels give the same bits under every one of them.
 *
 * Threads: every function may be called from any thread at any time; two dispatches that run at
 * the same time share nothing but the buffers that both name. All tables are constant. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SOFT_N_BUFFER 31
#define SOFT_N_THREADGROUP 31
#define SOFT_SIMD_WIDTH 32
#define SOFT_MAX_THREADS 1024
#define SOFT_THREADGROUP_BYTES 32768
#define SOFT_N_CONST 64 /* function constants of one file */

struct soft_lane;

enum soft_space { SOFT_DEVICE, SOFT_CONSTANT, SOFT_THREADGROUP };

/* One [[buffer(i)]] or [[threadgroup(i)]] argument, as the kernel declares it. */
struct soft_slot {
    uint8_t space;     /* enum soft_space; SOFT_THREADGROUP slots number apart from buffers */
    uint8_t index;     /* i */
    uint8_t read_only; /* const or constant: the kernel cannot write it */
    uint8_t reference; /* one object (constant args &a), not an array */
    uint32_t size, align; /* of the pointed-to type; size 0: void */
    const char *name;
};

/* A [[function_constant(i)]] of the kernel's file. set() stores into the calling thread's copy; NULL: undefined. */
struct soft_const {
    const char *name;
    uint32_t index;
    uint32_t type; /* an MTLDataType: Float 3, Half 16, Int 29, UInt 33, Short 37, UShort 41, Char 45, UChar 49, Bool 53 */
    uint32_t size;
    void (*set)(const void *value);
};

struct soft_file;
struct soft_kernel {
    const char *name;     /* host name */
    const char *function; /* as written: "matvec<block_q4_0, 4>" */
    const struct soft_file *file;
    uint32_t line;
    uint32_t max_threads; /* [[max_total_threads_per_threadgroup]], else SOFT_MAX_THREADS */
    const struct soft_slot *slots;
    uint32_t n_slot;
    void (*entry)(const struct soft_lane *);
    uint32_t (*static_bytes)(void); /* threadgroup memory that the kernel declares itself */
};

/* One .metal file: its kernels, and the text that newLibraryWithSource is to be given for them. */
struct soft_file {
    const char *path; /* "kernels/rms_norm.metal" */
    const char *text; /* self-contained source, NUL-terminated; the same bytes as in kernel_sources */
    size_t text_bytes;
    const struct soft_kernel *kernels;
    uint32_t n_kernel;
    const struct soft_const *consts;
    uint32_t n_const;
};

/* Made by tools/scan_kernels.c. */
extern const struct soft_file *const soft_files[];
extern const uint32_t soft_n_file;

const struct soft_kernel *soft_kernel_find(const char *name);
/* The file whose text is exactly this; NULL: the source is not one that was compiled in. */
const struct soft_file *soft_file_find(const char *text, size_t text_bytes);
/* The slot of k with this index, among buffers or among threadgroup arguments; NULL: k has none. */
const struct soft_slot *soft_slot_find(const struct soft_kernel *k, int threadgroup, uint32_t index);

/* One function constant of a pipeline: defined, and its value's bytes (size as in soft_const). */
struct soft_value {
    uint32_t index;
    unsigned char bytes[16];
};

struct soft_dispatch {
    const struct soft_kernel *k;
    void *buf[SOFT_N_BUFFER];    /* addresses after the offset; NULL: not set */
    uint64_t len[SOFT_N_BUFFER]; /* bytes from there to the buffer's end */
    uint32_t tg_len[SOFT_N_THREADGROUP];
    uint32_t groups[3];          /* threadgroups per grid */
    uint32_t threads[3];         /* threads per threadgroup */
    uint32_t grid[3];            /* dispatchThreads: threads per grid, edge groups are cut; all 0: groups * threads */
    const struct soft_value *values; /* constants of the pipeline; those not listed are undefined */
    uint32_t n_value;
};

/* Runs the dispatch. 0, or -1 with a sentence in error that names the kernel and the slot or source line: a missing
 * or misaligned argument, too little or too much threadgroup memory, lanes that diverged at a barrier or simd operation. */
int soft_run(const struct soft_dispatch *d, char *error, size_t error_bytes);

/* Sets what HY_SOFT_ORDER and HY_SOFT_POISON set, after the first dispatch and while none runs; NULL: the default.
 * -1: not understood, nothing is set. For tests. */
int soft_configure(const char *order, const char *poison);

#ifdef __cplusplus
}
#endif
