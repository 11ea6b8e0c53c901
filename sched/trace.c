#include "sched/trace.h"

#include <stdlib.h>

int trace_init(struct trace *t, uint32_t cap, struct err *e) {
    uint32_t n = 1;
    while (n < cap && n < 1u << 30) n *= 2;
    *t = (struct trace){.events = calloc(n, sizeof *t->events), .cap = n};
    return t->events ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for a trace of %u events", n);
}

void trace_deinit(struct trace *t) {
    free(t->events);
    *t = (struct trace){0};
}

void trace_add(struct trace *t, const struct trace_event *ev) {
    if (!t) return;
    t->events[atomic_fetch_add_explicit(&t->n, 1, memory_order_relaxed) % t->cap] = *ev;
}

const char *trace_kind_name(enum trace_kind k) {
    static const char *const names[N_TRACE_KINDS] = {"step", "compute", "wait", "read", "hit", "miss", "evict", "predict", "useful"};
    return names[k];
}
