/* What a trace adds up to: where the time of each step went, what was read, how the cache did.
 *
 * A step's period begins when the step before ended, so that what lies between steps (choosing the token, writing it) counts too,
 * and periods add up to the whole run. A period's time is compute + stall + other + between, exactly. Several readers read at
 * once, so times are lengths of unions of intervals. All functions are pure. */
#pragma once
#include "sched/trace.h"

struct trace_span {
    uint64_t a, b; /* [a, b) */
};

/* Sorts, joins what touches or overlaps, drops what is empty; in place. Returns how many are left. */
uint64_t trace_spans_join(struct trace_span *s, uint64_t n);
/* The part of [a, b) that joined spans cover, and that both of two sets cover. */
uint64_t trace_spans_len(const struct trace_span *s, uint64_t n, uint64_t a, uint64_t b);
uint64_t trace_spans_common(const struct trace_span *s, uint64_t n, const struct trace_span *t, uint64_t m, uint64_t a, uint64_t b);

struct trace_sum {
    uint32_t step, n_step; /* the first step's number, and how many are in the sum */
    uint64_t n_tok;
    uint64_t t0_ns, t1_ns; /* the period, of single steps */
    uint64_t time_ns, compute_ns, stall_ns, other_ns, between_ns;
    uint64_t idle_stall_ns; /* of the stall: no reader read (it had, and the step was still to notice) */
    uint64_t io_ns;        /* at least one reader read, */
    uint64_t overlap_ns;   /* and the device computed */
    uint64_t read_bytes;   /* of pieces whose read ended in the period */
    uint64_t n_hit, n_miss, n_evict, n_predict, n_useful;
    uint64_t n_unforeseen; /* misses of experts that were not being read yet */
};

/* One sum per step of the log, into out (n_step). */
int trace_sum_steps(const struct trace_log *l, struct trace_sum *out, struct err *e);
void trace_sum_add(struct trace_sum *total, const struct trace_sum *s);

/* Ratios; below 0 when there is nothing to divide by. */
double trace_sum_hit_rate(const struct trace_sum *s);
double trace_sum_precision(const struct trace_sum *s); /* of experts read on a guess: those that were used */
double trace_sum_recall(const struct trace_sum *s);    /* of uses of experts that would have been missing: those that a guess foresaw */
/* The share of the disk's rate (bytes per second) that the period made use of. */
double trace_sum_disk_share(const struct trace_sum *s, double disk_rate);
/* The least time there is for these reads and this compute, over the time that it took: max(bytes / rate, compute) / time. */
double trace_sum_bound(const struct trace_sum *s, double disk_rate);

struct trace_layer_sum {
    uint64_t compute_ns, stall_ns, read_bytes, n_hit, n_miss;
};

/* Per layer, into out (n_layer), over those of the n_step periods that `use` (n_step) marks. */
void trace_sum_layers(const struct trace_log *l, const struct trace_sum *steps, const bool *use, uint32_t n_layer,
                      struct trace_layer_sum *out);

enum trace_verdict {
    TRACE_RESIDENT, /* nothing was read */
    TRACE_COMPUTE_BOUND,
    TRACE_DISK_BOUND,
    TRACE_IN_TURN,    /* more compute than stalls, but many of both */
    TRACE_HOST_BOUND, /* neither: most of the time is the program's own */
};
enum trace_verdict trace_sum_verdict(const struct trace_sum *s);
