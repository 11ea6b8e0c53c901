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

/* Taking */

static int by_begin(const void *a, const void *b) {
    const struct trace_event *x = a, *y = b;
    if (x->t0_ns != y->t0_ns) return x->t0_ns < y->t0_ns ? -1 : 1;
    return (x->t1_ns < y->t1_ns) - (x->t1_ns > y->t1_ns); /* the longer first: a step before what it holds */
}

/* Where the last step ended that is not wanted; 0: all are. A ring that ran over holds an unknown part of its first step. */
static uint64_t cut_at(const struct trace_event *ev, uint64_t n, bool ran_over, uint32_t n_last, struct trace_log *out) {
    uint32_t n_step = 0, n_drop = ran_over ? 1 : 0, at = 0;
    for (uint64_t i = 0; i < n; i++) n_step += ev[i].kind == TRACE_STEP;
    if (n_last && n_step > n_last && n_step - n_last > n_drop) n_drop = n_step - n_last;
    out->n_step = n_step > n_drop ? n_step - n_drop : 0;
    for (uint64_t i = 0; i < n && n_drop; i++)
        if (ev[i].kind == TRACE_STEP && ++at == n_drop) return ev[i].t1_ns;
    return 0;
}

static void find_begin(struct trace_log *l, uint64_t cut) {
    for (uint64_t i = 0; i < l->n; i++) {
        if (l->events[i].kind != TRACE_STEP) continue;
        l->n_before = l->events[i].step;
        l->from_ns = cut ? cut : l->events[i].t0_ns;
        return;
    }
}

int trace_take(const struct trace *t, uint32_t n_last, struct trace_log *out, struct err *e) {
    uint64_t added = atomic_load(&t->n), n = added < t->cap ? added : t->cap, first = added - n;
    *out = (struct trace_log){.events = malloc((n ? n : 1) * sizeof *out->events), .lost_events = first};
    if (!out->events) return err_set(e, ERR_NOMEM, "no memory to sort a trace of %llu events", (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++) out->events[i] = t->events[(first + i) % t->cap];
    qsort(out->events, n, sizeof *out->events, by_begin);
    uint64_t cut = cut_at(out->events, n, first > 0, n_last, out);
    for (uint64_t i = 0; i < n; i++)
        if (out->events[i].t1_ns > cut) out->events[out->n++] = out->events[i];
    find_begin(out, cut);
    if (out->n_step) return ERR_OK;
    trace_log_free(out);
    if (first)
        return err_set(e, ERR_LIMIT, "a single step makes more events than the trace holds (%u); keep more, or trace a shorter prompt", t->cap);
    return err_set(e, ERR_LIMIT, "no step ran, so there is nothing to show");
}

void trace_log_free(struct trace_log *l) {
    free(l->events);
    *l = (struct trace_log){0};
}
