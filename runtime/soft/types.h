/* The structs behind soft Metal's classes (soft.h lists which belongs to which), and what its files share. */
#pragma once
#include "runtime/soft/soft.h"

struct soft_string {
    struct soft_object o;
    size_t len;
    char *text; /* NULL between alloc and init */
};

struct soft_error {
    struct soft_object o;
    NSInteger code;
    id domain, text;
};

struct soft_array {
    struct soft_object o;
    NSUInteger n;
    id *v; /* retained */
};

struct soft_device {
    struct soft_object o;
};

struct soft_compile_options {
    struct soft_object o;
    bool safe_math;
    NSUInteger language;
};

struct soft_library {
    struct soft_object o;
    const struct soft_file *file;
};

struct soft_constants {
    struct soft_object o;
    uint32_t n;
    struct soft_value v[SOFT_N_CONST];
    uint32_t type[SOFT_N_CONST]; /* MTLDataType of v[i] */
};

/* A function, and a pipeline made of it. */
struct soft_function {
    struct soft_object o;
    const struct soft_kernel *k;
    uint32_t n_value, tg_static_bytes;
    struct soft_value values[SOFT_N_CONST];
};

struct soft_buffer {
    struct soft_object o;
    unsigned char *bytes;
    uint64_t length;
    bool is_private, no_copy;
    char label[48];
    NSRange *parts; /* (n_part) by debug markers: parts that the host fills on their own; sorted, apart from each other */
    uint32_t n_part, cap_part;
    atomic_uint_fast64_t writer; /* serial of the last encoder that ran and may have written it */
    atomic_bool device_writes;   /* a command that may write it was encoded */
};

struct soft_event {
    struct soft_object o;
    pthread_mutex_t lock;
    pthread_cond_t raised;
    uint64_t value;
};

struct soft_fence {
    struct soft_object o;
    atomic_uint_fast64_t serial; /* of the last encoder that updated it; 0: none */
};

struct soft_residency {
    struct soft_object o;
    id *v; /* not retained: hy takes out what it frees */
    uint32_t n, cap; /* with v under one lock of all sets */
};

enum soft_op_kind {
    OP_ENCODER, OP_DISPATCH, OP_BARRIER, OP_COPY, OP_FILL, OP_UPDATE_FENCE, OP_WAIT_FENCE, OP_SIGNAL, OP_WAIT
};

struct soft_bind {
    id buffer;      /* NULL: bytes */
    uint64_t offset, length;
    void *bytes;    /* setBytes: a copy of its own */
};

struct soft_op {
    enum soft_op_kind kind;
    bool concurrent;         /* OP_ENCODER */
    id object, object2;      /* pipeline, fence, event, buffers of a copy or fill */
    uint64_t a, b, size;     /* offsets, value */
    struct soft_bind *binds; /* OP_DISPATCH: SOFT_N_BUFFER of them */
    uint32_t tg[SOFT_N_THREADGROUP];
    uint32_t groups[3], threads[3];
};

struct soft_engine;
struct soft_watch;

struct soft_queue {
    struct soft_object o;
    struct soft_engine *engine;
};

struct soft_commands {
    struct soft_object o;
    struct soft_engine *engine;
    struct soft_commands *next; /* in the engine's order */
    bool retains, committed, enqueued;
    id open_encoder;            /* not retained */
    struct soft_op *ops;
    uint32_t n_op, cap_op;
    struct soft_watch *watches; /* what the host must not change until it has run */
    uint32_t n_watch, cap_watch;
    NSInteger refused;          /* a command that validation refuses: what the buffer fails with */
    char why[400];
    uint64_t known;             /* serial up to which everything has ended when it was committed */
    pthread_mutex_t lock;       /* status, error, times */
    pthread_cond_t changed;
    NSUInteger status;
    id error;
    double gpu_start, gpu_end;
};

struct soft_encoder {
    struct soft_object o;
    struct soft_commands *commands; /* retained */
    bool ended;
    id pipeline;
    struct soft_bind binds[SOFT_N_BUFFER];
    uint32_t tg[SOFT_N_THREADGROUP];
};

void soft_ops_free(struct soft_commands *c);

/* Runs the commands on the calling thread. 0, or an MTLCommandBufferError with the reason in c->why. */
NSInteger soft_run_commands(struct soft_commands *c);
uint64_t soft_serial_done(void); /* of the newest encoder that has ended */

void soft_event_raise(struct soft_event *e, uint64_t value);
bool soft_event_await(struct soft_event *e, uint64_t value, uint64_t ms);

/* Remembers what the dispatches from first_op to the next wait for an event read and the device never writes. */
/* Where the marked part around offset ends; the buffer's end where none is. */
uint64_t soft_part_end(const struct soft_buffer *b, uint64_t offset);
void soft_reuse_watch(struct soft_commands *c, uint32_t first_op);
/* The dispatches before end_op have run: 0, or an error with the reason in c->why when the host changed what they read. */
NSInteger soft_reuse_check(struct soft_commands *c, uint32_t end_op);
/* The buffers in the queue's residency sets, to be freed by the caller; NULL: none. */
id *soft_resident(struct soft_engine *g, uint32_t *n);
/* Appends a set's buffers to all. */
void soft_residency_list(id set, id **all, uint32_t *n);
