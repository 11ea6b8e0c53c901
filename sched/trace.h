/* What happened when: events of reads, waits, compute and the expert cache, for hy trace and the summary.
 *
 * A trace is a ring of events of fixed size, allocated once: the last `cap` events stay. Times are clock_ns. An engine without
 * a trace pays one test of a pointer per event. A log is what a trace holds when it is over, cut to whole steps and sorted.
 *
 * Threads: trace_add from any thread (readers add their reads); trace_take when no reader is left, after hy_close. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

enum trace_kind {
    TRACE_STEP,     /* a whole step; n: tokens */
    TRACE_COMPUTE,  /* a stretch of ops of one layer on the device; n: first op */
    TRACE_WAIT,     /* the step stood still for a read; bytes: of the unit it waited for */
    TRACE_READ,     /* one piece from disk; lane: the reader; n: enum read_priority */
    TRACE_HIT,      /* an expert that was there (instant); n: enum expert_why it had been read */
    TRACE_MISS,     /* an expert that had to be read (instant); n: the same of a read under way, else EXPERT_DEMAND */
    TRACE_EVICT,    /* an expert that made room (instant) */
    TRACE_PREDICT,  /* an expert read ahead on a guess (instant) */
    TRACE_USEFUL,   /* a guess that was then used (instant) */
    N_TRACE_KINDS,
};

#define TRACE_NO_EXPERT UINT16_MAX

struct trace_event {
    uint64_t t0_ns, t1_ns; /* equal for instants */
    uint64_t bytes;
    uint32_t step;         /* counted from 0 since the engine opened */
    uint32_t n;
    uint16_t layer, expert;
    uint8_t kind, lane;
    uint8_t part;          /* streamed dense tensors: 0 gate, 1 up, 2 down */
};

struct trace {
    struct trace_event *events; /* (cap) */
    uint32_t cap;               /* a power of two */
    atomic_ullong n;            /* ever added; event i lies at i % cap */
};

int trace_init(struct trace *t, uint32_t cap, struct err *e);
void trace_deinit(struct trace *t);
void trace_add(struct trace *t, const struct trace_event *ev); /* t NULL: nothing */
const char *trace_kind_name(enum trace_kind k);

struct trace_log {
    struct trace_event *events; /* (n) by rising t0_ns; owned */
    uint64_t n;
    uint32_t n_step;            /* whole steps among them */
    uint64_t lost_events;       /* that the ring had no room for */
    uint32_t n_before;          /* steps before the first one here: lost, or not among the last that were asked for */
    uint64_t from_ns;           /* when the step before ended, or the first here began */
};

/* The last n_last whole steps (0: all that are there). A step of which events were lost is left out, and so is
 * all that ended before the steps kept. ERR_LIMIT when no whole step is there. */
int trace_take(const struct trace *t, uint32_t n_last, struct trace_log *out, struct err *e);
void trace_log_free(struct trace_log *l);
