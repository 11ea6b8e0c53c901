#include "sched/trace_sum.h"

#include <stdlib.h>

#include "sched/experts.h"

#define HIDDEN_SHARE 0.10 /* stalls below this share of the time are no bottleneck */

/* Spans */

static int by_begin(const void *a, const void *b) {
    const struct trace_span *x = a, *y = b;
    return x->a < y->a ? -1 : x->a > y->a;
}

uint64_t trace_spans_join(struct trace_span *s, uint64_t n) {
    uint64_t m = 0;
    qsort(s, n, sizeof *s, by_begin);
    for (uint64_t i = 0; i < n; i++) {
        if (s[i].a >= s[i].b) continue;
        if (m && s[i].a <= s[m - 1].b) s[m - 1].b = s[i].b > s[m - 1].b ? s[i].b : s[m - 1].b;
        else s[m++] = s[i];
    }
    return m;
}

/* The first span that ends after t. */
static uint64_t first_after(const struct trace_span *s, uint64_t n, uint64_t t) {
    uint64_t lo = 0, hi = n;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (s[mid].b > t) hi = mid;
        else lo = mid + 1;
    }
    return lo;
}

static uint64_t common(struct trace_span x, uint64_t a, uint64_t b) {
    uint64_t from = x.a > a ? x.a : a, to = x.b < b ? x.b : b;
    return to > from ? to - from : 0;
}

uint64_t trace_spans_len(const struct trace_span *s, uint64_t n, uint64_t a, uint64_t b) {
    uint64_t sum = 0;
    for (uint64_t i = first_after(s, n, a); i < n && s[i].a < b; i++) sum += common(s[i], a, b);
    return sum;
}

uint64_t trace_spans_common(const struct trace_span *s, uint64_t n, const struct trace_span *t, uint64_t m, uint64_t a, uint64_t b) {
    uint64_t sum = 0;
    for (uint64_t i = first_after(s, n, a); i < n && s[i].a < b; i++)
        sum += trace_spans_len(t, m, s[i].a > a ? s[i].a : a, s[i].b < b ? s[i].b : b);
    return sum;
}

/* Steps */

struct busy { /* when the device computed, when the step computed or waited, when a reader read */
    struct trace_span *compute, *held, *read;
    uint64_t n_compute, n_held, n_read;
};

static void busy_free(struct busy *b) {
    free(b->compute);
    free(b->held);
    free(b->read);
}

static bool busy_make(const struct trace_log *l, struct busy *b) {
    size_t most = l->n ? l->n : 1;
    *b = (struct busy){malloc(most * sizeof *b->compute), malloc(most * sizeof *b->held), malloc(most * sizeof *b->read)};
    if (!b->compute || !b->held || !b->read) return false;
    for (uint64_t i = 0; i < l->n; i++) {
        struct trace_span s = {l->events[i].t0_ns, l->events[i].t1_ns};
        uint8_t kind = l->events[i].kind;
        if (kind == TRACE_COMPUTE) b->compute[b->n_compute++] = s;
        if (kind == TRACE_COMPUTE || kind == TRACE_WAIT) b->held[b->n_held++] = s;
        if (kind == TRACE_READ) b->read[b->n_read++] = s;
    }
    b->n_compute = trace_spans_join(b->compute, b->n_compute);
    b->n_held = trace_spans_join(b->held, b->n_held);
    b->n_read = trace_spans_join(b->read, b->n_read);
    return true;
}

static void split_time(struct trace_sum *s, const struct trace_event *step, uint64_t from, const struct busy *b) {
    uint64_t a = step->t0_ns, z = step->t1_ns, held = trace_spans_len(b->held, b->n_held, a, z);
    *s = (struct trace_sum){.step = step->step, .n_step = 1, .n_tok = step->n, .t0_ns = from, .t1_ns = z};
    s->time_ns = z - from;
    s->between_ns = a - from;
    s->compute_ns = trace_spans_len(b->compute, b->n_compute, a, z);
    s->stall_ns = held - s->compute_ns;
    s->other_ns = z - a - held;
    uint64_t held_reading = trace_spans_common(b->held, b->n_held, b->read, b->n_read, a, z);
    s->io_ns = trace_spans_len(b->read, b->n_read, from, z);
    s->overlap_ns = trace_spans_common(b->compute, b->n_compute, b->read, b->n_read, a, z);
    s->idle_stall_ns = s->stall_ns - (held_reading - s->overlap_ns);
}

/* The step in whose period t lies, (t0, t1]; UINT32_MAX: none. */
static uint32_t period_of(const struct trace_sum *steps, uint32_t n, uint64_t t) {
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (steps[mid].t1_ns >= t) hi = mid;
        else lo = mid + 1;
    }
    return lo < n && t >= steps[lo].t0_ns ? lo : UINT32_MAX;
}

static void count(struct trace_sum *s, const struct trace_event *ev) {
    switch (ev->kind) {
    case TRACE_READ: s->read_bytes += ev->bytes; break;
    case TRACE_HIT: s->n_hit++; break;
    case TRACE_MISS:
        s->n_miss++;
        s->n_unforeseen += ev->n == EXPERT_DEMAND;
        break;
    case TRACE_EVICT: s->n_evict++; break;
    case TRACE_PREDICT: s->n_predict++; break;
    case TRACE_USEFUL: s->n_useful++; break;
    default: break;
    }
}

int trace_sum_steps(const struct trace_log *l, struct trace_sum *out, struct err *e) {
    struct busy b;
    bool made = busy_make(l, &b);
    uint64_t from = l->from_ns;
    uint32_t n = 0;
    for (uint64_t i = 0; i < l->n && made; i++) {
        if (l->events[i].kind != TRACE_STEP) continue;
        split_time(&out[n++], &l->events[i], from, &b);
        from = l->events[i].t1_ns;
    }
    busy_free(&b);
    if (!made) return err_set(e, ERR_NOMEM, "no memory to add up a trace of %llu events", (unsigned long long)l->n);
    for (uint64_t i = 0; i < l->n; i++) {
        uint32_t at = period_of(out, n, l->events[i].t1_ns);
        if (at != UINT32_MAX) count(&out[at], &l->events[i]);
    }
    return ERR_OK;
}

void trace_sum_add(struct trace_sum *t, const struct trace_sum *s) {
    if (!t->n_step) t->step = s->step;
    t->n_step += s->n_step;
    t->n_tok += s->n_tok;
    t->time_ns += s->time_ns;
    t->compute_ns += s->compute_ns;
    t->stall_ns += s->stall_ns;
    t->other_ns += s->other_ns;
    t->between_ns += s->between_ns;
    t->idle_stall_ns += s->idle_stall_ns;
    t->io_ns += s->io_ns;
    t->overlap_ns += s->overlap_ns;
    t->read_bytes += s->read_bytes;
    t->n_hit += s->n_hit;
    t->n_miss += s->n_miss;
    t->n_evict += s->n_evict;
    t->n_predict += s->n_predict;
    t->n_useful += s->n_useful;
    t->n_unforeseen += s->n_unforeseen;
}

/* Ratios */

static double ratio(double a, double b) { return b > 0 ? a / b : -1; }

double trace_sum_hit_rate(const struct trace_sum *s) { return ratio((double)s->n_hit, (double)(s->n_hit + s->n_miss)); }

double trace_sum_precision(const struct trace_sum *s) { return ratio((double)s->n_useful, (double)s->n_predict); }

double trace_sum_recall(const struct trace_sum *s) {
    return s->n_predict ? ratio((double)s->n_useful, (double)(s->n_useful + s->n_unforeseen)) : -1;
}

double trace_sum_disk_share(const struct trace_sum *s, double disk_rate) {
    return disk_rate > 0 ? ratio((double)s->read_bytes / disk_rate, (double)s->time_ns / 1e9) : -1;
}

double trace_sum_bound(const struct trace_sum *s, double disk_rate) {
    if (disk_rate <= 0 && s->read_bytes) return -1;
    double disk_s = s->read_bytes ? (double)s->read_bytes / disk_rate : 0, compute_s = (double)s->compute_ns / 1e9;
    return ratio(disk_s > compute_s ? disk_s : compute_s, (double)s->time_ns / 1e9);
}

/* Layers */

void trace_sum_layers(const struct trace_log *l, const struct trace_sum *steps, const bool *use, uint32_t n_layer,
                      struct trace_layer_sum *out) {
    for (uint32_t i = 0; i < n_layer; i++) out[i] = (struct trace_layer_sum){0};
    for (uint64_t i = 0; i < l->n; i++) {
        const struct trace_event *ev = &l->events[i];
        uint32_t at = period_of(steps, l->n_step, ev->t1_ns);
        if (at == UINT32_MAX || !use[at] || ev->layer >= n_layer) continue;
        struct trace_layer_sum *s = &out[ev->layer];
        if (ev->kind == TRACE_COMPUTE) s->compute_ns += ev->t1_ns - ev->t0_ns;
        if (ev->kind == TRACE_WAIT) s->stall_ns += ev->t1_ns - ev->t0_ns;
        if (ev->kind == TRACE_READ) s->read_bytes += ev->bytes;
        s->n_hit += ev->kind == TRACE_HIT;
        s->n_miss += ev->kind == TRACE_MISS;
    }
}

enum trace_verdict trace_sum_verdict(const struct trace_sum *s) {
    if (!s->read_bytes) return TRACE_RESIDENT;
    uint64_t own = s->other_ns + s->between_ns;
    if (own > s->compute_ns && own > s->stall_ns) return TRACE_HOST_BOUND;
    if ((double)s->stall_ns < HIDDEN_SHARE * (double)s->time_ns) return TRACE_COMPUTE_BOUND;
    return s->compute_ns > s->stall_ns ? TRACE_IN_TURN : TRACE_DISK_BOUND;
}
