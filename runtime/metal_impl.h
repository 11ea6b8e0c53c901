/* What the files of the metal device share; private to them. */
#pragma once
#include "runtime/device_impl.h"
#include "runtime/metal.h"
#include "runtime/mtl.h"

#define METAL_MAX_IN_FLIGHT 256 /* command buffers that have not been waited for; also the queue's limit */
#define METAL_MAX_IN_LIST 128   /* command buffers of one list */

/* A device buffer: what struct buf's native points to. */
struct metal_buf {
    id mtl;
    void *own;      /* memory that is ours to free; NULL: Metal's */
    uint32_t index; /* in metal_residency.bufs and .ids */
    uint32_t set;   /* residency set it is in */
};

/* Every live buffer, kept resident as a whole: kernels reach buffers through tables of addresses too, which
 * Metal cannot see. macOS decides residency per set, so they are spread over a few. */
struct metal_residency {
    id sets[MTL_MAX_RESIDENCY_SETS];
    uint64_t set_bytes[MTL_MAX_RESIDENCY_SETS];
    uint32_t n_set;
    bool has_sets; /* macOS 15; otherwise useResources: for every encoder */
    bool changed;
    uint64_t used_ns;
    struct metal_buf **bufs;
    id *ids; /* bufs[i]->mtl */
    uint32_t n, cap;
};

int metal_residency_add(struct metal_residency *r, id device, id queue, struct metal_buf *b, uint64_t bytes,
                        struct err *e);
void metal_residency_remove(struct metal_residency *r, struct metal_buf *b, uint64_t bytes);
void metal_residency_before_encoding(struct metal_residency *r, id encoder);
void metal_residency_before_commit(struct metal_residency *r);
void metal_residency_deinit(struct metal_residency *r, id queue);

struct metal_pipeline {
    uint64_t hash;
    char *kernel;
    struct mtl_const consts[MTL_MAX_CONST];
    uint32_t n_const;
    id state;
    struct metal_pipeline_info info;
};

/* The libraries, one for each of kernel_sources and NULL until needed, and the pipelines made
 * from them: open addressing by hash, at most half full. */
struct metal_pipelines {
    id *libraries;
    struct metal_pipeline **slots;
    uint32_t n, cap;
    uint64_t compile_ns;
};

int metal_pipelines_init(struct metal_pipelines *p, struct err *e);
void metal_pipelines_deinit(struct metal_pipelines *p);
int metal_pipelines_get(struct metal_pipelines *p, id device, const char *kernel, const struct mtl_const *consts,
                        uint32_t n_const, const struct metal_pipeline **out, struct err *e);

struct metal_cmd {
    struct cmd base;
    bool open;
    void *pool;                    /* of autoreleased objects, from begin to commit */
    id buffers[METAL_MAX_IN_LIST]; /* ours; the last one is being encoded, none is committed */
    uint32_t n_buffer;
    id encoder;                    /* of the last buffer; NULL between */
    id pipeline;                   /* the encoder's */
    uint32_t tg_bytes, n_call;     /* the encoder's */
    struct err err;                /* what failed in begin, reported by the first call that can */
};

struct metal_flight {
    id buffer;
    uint64_t fence; /* of its list */
};

struct metal_device {
    struct device base;
    id device, queue, event, order, dummy;
    bool order_used; /* `order`, the MTLFence, has been updated by committed work */
    bool dead;       /* the system refuses this process: no list runs any more */
    struct metal_options opt;
    struct metal_pipelines pipelines;
    struct metal_residency residency;
    struct metal_cmd cmd;
    uint64_t fence;  /* the last one handed out */
    uint64_t ended;  /* lists up to this one have been waited for; read by any thread */
    struct metal_flight flights[METAL_MAX_IN_FLIGHT]; /* ring */
    uint32_t first, n_flight;
    uint64_t failed_from, failed_until; /* fences that report `failure`; 0: none */
    struct err failure;
    bool capturing;
    struct metal_stats stats;
    struct metal_info info;
};

static inline struct metal_device *metal_of(struct device *d) { return (struct metal_device *)d; }
