/* What hy trace shows of a run, in every form: a table, JSON of the sums, Chrome's trace events, a page.
 *
 * trace_view_make adds up; the writers only print. A writer returns without an error of its own: whoever opened the FILE asks
 * ferror. Names may hold any bytes; what is written is valid UTF-8, and harmless inside a page. */
#pragma once
#include <stdio.h>

#include "sched/hy.h"
#include "sched/trace_sum.h"

struct trace_view {
    char model[256], device[128], mode[64];
    uint32_t n_layer, n_expert;
    uint64_t budget_bytes, total_bytes, file_bytes; /* of the memory plan */
    double disk_rate;              /* bytes per second; 0: not known */
    bool disk_given;               /* the user said so; else it was measured, */
    double disk_measured;          /* as this, if the run itself was not faster */
    struct trace_log log;
    struct trace_sum *steps;       /* (log.n_step) */
    struct trace_sum prompt, gen;  /* steps of many tokens, and of one */
    struct trace_layer_sum *layers; /* (n_layer) of the main steps */
    char verdict[32];              /* "disk", "compute", ... */
    char words[640];               /* the same in sentences */
};

/* The run's names and plan; while the engine is open. */
void trace_view_describe(struct trace_view *v, const struct hy_engine *en, const char *path);
/* Takes the trace over; after the engine was closed. */
int trace_view_make(struct trace_view *v, const struct trace *t, uint32_t n_last, struct err *e);
void trace_view_free(struct trace_view *v);

/* What the run is judged by: single tokens, or the prompt when nothing else ran. */
static inline const struct trace_sum *trace_view_main(const struct trace_view *v) { return v->gen.n_step ? &v->gen : &v->prompt; }

void trace_text(FILE *f, const struct trace_view *v);
void trace_json_sums(FILE *f, const struct trace_view *v); /* one line */
void trace_json_events(FILE *f, const struct trace_view *v);
void trace_html(FILE *f, const struct trace_view *v);
