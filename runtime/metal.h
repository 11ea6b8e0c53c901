/* The device `metal`: hand-written kernels run by Apple's Metal, or by soft Metal on Linux.
 *
 * A list is one or more command buffers, each with one concurrent compute encoder; cmd_barrier becomes a memory
 * barrier between dispatches. A list longer than `split_calls` continues in a further command buffer, so that no
 * single one meets the watchdog; metal_flush hands over what is encoded so far, and the GPU starts on it while
 * the host encodes on. Buffers are shared and untracked, so a fence chains each encoder to the one before.
 *
 * Invariants: a list's fence is the value of a shared event, signalled by its last command buffer; fences
 * complete in order. A command buffer that fails makes every fence handed out until the failure was seen fail
 * with the same sentence; lists committed later run again, unless the system removed the device.
 * A .metal file is compiled when the first of its kernels is needed (runtime/kernel_source.h); pipelines are kept
 * per kernel and constants until the device closes.
 * Threads: as device.h says; metal_fence_done may be called from any.
 * Ownership: command buffers do not retain what they use: a buffer dies only behind its last fence. */
#pragma once
#include "runtime/device.h"

/* A function constant: `constant T name [[function_constant(index)]]`. bits is the value as the type stores it. */
enum mtl_const_type { MTL_CONST_BOOL, MTL_CONST_INT, MTL_CONST_UINT, MTL_CONST_FLOAT };
struct mtl_const {
    uint32_t index;
    enum mtl_const_type type;
    uint32_t bits;
};

#define MTL_MAX_CONST 16
#define MTL_MAX_BIND 30

struct mtl_call {
    const char *kernel;
    const struct mtl_const *consts;
    uint32_t n_const;
    const void *args;      /* buffer(0), copied */
    size_t args_bytes;
    const struct ref *bind; /* buffer(1).. in order; an absent one is bound to a dummy of 256 bytes */
    uint32_t n_bind;
    uint32_t groups[3], threads[3]; /* threadgroups, and threads of each; an empty grid runs nothing */
    uint32_t tg_bytes;     /* of threadgroup(0); rounded up to 16 */
};

/* Appends a call to the list. Finds or makes the pipeline; ERR_DEVICE with the compiler's text when it cannot. */
int mtl_encode(struct cmd *c, const struct mtl_call *call, struct err *e);

/* What is known of a pipeline once it is made; threads and memory are limits of this kernel on this chip. */
struct metal_pipeline_info {
    uint32_t max_threads, simd_width, tg_static_bytes;
};
/* Makes the pipeline ahead of its first use. out may be NULL. */
int metal_pipeline(struct device *d, const char *kernel, const struct mtl_const *consts, uint32_t n_const,
                   struct metal_pipeline_info *out, struct err *e);

/* The compiler's full text for the last file or kernel that failed to compile in this process; "" when none did. */
const char *metal_compiler_text(void);

/* Hands over what the list holds so far, without a fence of its own. */
int metal_flush(struct cmd *c, struct err *e);

/* Whether the list of this fence has ended, well or not. Never blocks. */
void metal_buf_mark(struct buf *b, uint64_t off, uint64_t len, const char *what);
/* Makes memory of the caller (whole pages, buf->host and size) a buffer of the device; metal's part of buf_map. */
int metal_buf_wrap(struct device *d, const char *what, struct buf *buf, struct err *e);

bool metal_fence_done(struct device *d, uint64_t fence);

/* The address that kernels use for a buffer's first byte, for tables of pointers. */
uint64_t metal_gpu_address(const struct device *d, const struct buf *b);

struct metal_options {
    uint32_t split_calls; /* calls per command buffer; 0: 512 */
    uint32_t timeout_ms;  /* a list that has not ended after this long fails its wait; 0: 120000 */
};
void metal_set_options(struct device *d, const struct metal_options *o);

struct metal_stats {
    uint64_t n_list, n_cmd_buffer, n_call, n_barrier, n_pipeline;
    uint64_t gpu_ns;       /* time on the GPU of the lists waited for */
    uint64_t last_gpu_ns;  /* of the last one of them */
    uint64_t compile_ns;   /* library and pipelines */
    uint64_t buffer_bytes; /* alive now */
    uint32_t n_buffer;
};
void metal_get_stats(const struct device *d, struct metal_stats *out);

/* What the system says of the chip; working_set_bytes is what may be resident at once. */
struct metal_info {
    char name[64];
    uint64_t working_set_bytes, max_buffer_bytes;
    uint32_t apple_family; /* 7: M1, 8: M2, 9: M3 and M4, ... ; 0: unknown */
    uint32_t tg_memory_bytes, max_threads;
    bool residency_sets;   /* macOS 15 */
};
void metal_get_info(const struct device *d, struct metal_info *out);

/* Opens the system's device. HY_CAPTURE=file.gputrace in the environment records the first list that is waited
 * for (macOS; needs MTL_CAPTURE_ENABLED=1). ERR_DEVICE when there is no device. */
int metal_device_open(const struct device_options *opt, struct device **out, struct err *e);
