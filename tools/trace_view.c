#include "tools/trace_view.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GOOD_SHARE 0.85 /* of the disk's rate: no faster without fewer bytes */
#define LATE_PERCENT 3  /* worth a word */

static void add(struct trace_view *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct trace_view *v, const char *fmt, ...) {
    size_t n = strlen(v->words);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->words + n, sizeof v->words - n, fmt, ap);
    va_end(ap);
}

void trace_view_describe(struct trace_view *v, const struct hy_engine *en, const char *path) {
    const struct hy_info *i = hy_info(en);
    const struct hy_plan *p = hy_planned(en);
    const char *slash = strrchr(path, '/');
    snprintf(v->model, sizeof v->model, "%s", slash && slash[1] ? slash + 1 : path);
    snprintf(v->device, sizeof v->device, "%s", i->device);
    snprintf(v->mode, sizeof v->mode, "%s", hy_mode_name(p->mode));
    v->n_layer = i->n_layer;
    v->n_expert = i->n_expert;
    v->budget_bytes = p->budget_bytes;
    v->total_bytes = p->total_bytes;
    v->file_bytes = p->file_bytes;
    v->disk_measured = p->disk_rate;
    if (!v->disk_given) v->disk_rate = p->disk_rate;
}

/* Percent of the time. */
static double share(uint64_t part, const struct trace_sum *s) { return s->time_ns ? 100 * (double)part / (double)s->time_ns : 0; }

/* Why the disk is slower than it could be, or that it is not. */
static void say_disk(struct trace_view *v, const struct trace_sum *s) {
    double used = trace_sum_disk_share(s, v->disk_rate);
    if (used < 0) return;
    double rate = (double)s->read_bytes / (double)s->time_ns, roof = v->disk_rate / 1e9;
    if (used >= GOOD_SHARE) {
        add(v, " It delivers %.2f of the %.2f GB/s that it can:", rate, roof);
        add(v, " only fewer missing bytes (more memory, smaller weights) make this faster.");
        return;
    }
    double idle = 100 - share(s->io_ns, s), slow = share(s->io_ns, s) - 100 * used;
    add(v, " It delivers %.2f of the %.2f GB/s that it can:", rate, roof);
    if (idle >= slow) add(v, " %.0f %% of the time nothing is being read", idle);
    else add(v, " it is kept busy %.0f %% of the time, but reads are slower than they could be", 100 - idle);
    double late = share(s->idle_stall_ns, s);
    add(v, late >= LATE_PERCENT ? "; for %.0f %% the device waits although its read is over (threads that wake up late)." : ".", late);
}

static void judge(struct trace_view *v) {
    const struct trace_sum *s = trace_view_main(v);
    const char *name = "";
    double compute = share(s->compute_ns, s), stall = share(s->stall_ns, s);
    switch (trace_sum_verdict(s)) {
    case TRACE_RESIDENT:
        name = "resident";
        add(v, "Nothing was read: all weights that were needed are in memory. The device computes %.0f %% of the time.", compute);
        break;
    case TRACE_COMPUTE_BOUND:
        name = "compute";
        add(v, "Compute is the bottleneck: the device computes %.0f %% of the time and waits for the disk %.0f %%.", compute, stall);
        break;
    case TRACE_DISK_BOUND:
        name = "disk";
        add(v, "The disk is the bottleneck: the device waits for it %.0f %% of the time and computes %.0f %%.", stall, compute);
        say_disk(v, s);
        break;
    case TRACE_IN_TURN:
        name = "turns";
        add(v, "Compute takes the most time, but does not hide the disk: the device computes %.0f %% of the time and waits for it %.0f %%.",
            compute, stall);
        say_disk(v, s);
        break;
    case TRACE_HOST_BOUND:
        name = "host";
        add(v, "Neither disk nor compute: %.0f %% of the time goes to the program itself (preparing work, choosing tokens, writing them).",
            share(s->other_ns + s->between_ns, s));
        break;
    }
    snprintf(v->verdict, sizeof v->verdict, "%s", name);
}

/* A disk that did better than when it was measured has a higher roof. */
static void raise_roof(struct trace_view *v) {
    const struct trace_sum *s = trace_view_main(v);
    double rate = s->time_ns ? (double)s->read_bytes / (double)s->time_ns * 1e9 : 0;
    if (!v->disk_given && v->disk_rate > 0 && rate > v->disk_rate) v->disk_rate = rate;
}

static int sum_layers(struct trace_view *v, struct err *e) {
    bool *use = calloc(v->log.n_step, sizeof *use);
    v->layers = calloc(v->n_layer ? v->n_layer : 1, sizeof *v->layers);
    if (use && v->layers) {
        for (uint32_t i = 0; i < v->log.n_step; i++) use[i] = (v->steps[i].n_tok == 1) == (v->gen.n_step > 0);
        trace_sum_layers(&v->log, v->steps, use, v->n_layer, v->layers);
    }
    bool ok = use && v->layers;
    free(use);
    return ok ? ERR_OK : err_set(e, ERR_NOMEM, "no memory to add up %u layers", v->n_layer);
}

int trace_view_make(struct trace_view *v, const struct trace *t, uint32_t n_last, struct err *e) {
    int rc = trace_take(t, n_last, &v->log, e);
    if (rc) return rc;
    v->steps = calloc(v->log.n_step, sizeof *v->steps);
    if (!v->steps) return err_set(e, ERR_NOMEM, "no memory to add up %u steps", v->log.n_step);
    rc = trace_sum_steps(&v->log, v->steps, e);
    for (uint32_t i = 0; i < v->log.n_step && !rc; i++) trace_sum_add(v->steps[i].n_tok == 1 ? &v->gen : &v->prompt, &v->steps[i]);
    if (!rc) rc = sum_layers(v, e);
    if (rc) return rc;
    raise_roof(v);
    judge(v);
    return rc;
}

void trace_view_free(struct trace_view *v) {
    trace_log_free(&v->log);
    free(v->steps);
    free(v->layers);
    *v = (struct trace_view){0};
}
