#include <inttypes.h>
#include <stdlib.h>

#include "tools/trace_view.h"

#define MOST_ROWS 24u /* of single steps; the JSON has all */
#define TOP_LAYERS 3u

static double ms(uint64_t ns, const struct trace_sum *s) { return (double)ns / 1e6 / s->n_step; }

static void put_percent(FILE *f, double share, int width) {
    if (share < 0) fprintf(f, " %*s", width, "-");
    else fprintf(f, " %*.1f", width, 100 * share);
}

/* A step, or the mean of several. */
static void put_row(FILE *f, const char *name, const struct trace_sum *s, double disk_rate) {
    fprintf(f, "%-7s %6.0f %9.2f %9.2f %9.2f %8.2f %8.2f %9.2f %8.2f", name, (double)s->n_tok / s->n_step, ms(s->time_ns, s), ms(s->compute_ns, s),
            ms(s->stall_ns, s), ms(s->other_ns, s), ms(s->between_ns, s), ms(s->io_ns, s), ms(s->overlap_ns, s));
    put_percent(f, trace_sum_hit_rate(s), 6);
    fprintf(f, " %8.4f", s->n_tok ? (double)s->read_bytes / 1e9 / (double)s->n_tok : 0);
    put_percent(f, trace_sum_disk_share(s, disk_rate), 6);
    put_percent(f, trace_sum_bound(s, disk_rate), 6);
    fputc('\n', f);
}

static void put_steps(FILE *f, const struct trace_view *v) {
    uint32_t n = v->log.n_step, first = n > MOST_ROWS ? n - MOST_ROWS : 0;
    fprintf(f, "%-7s %6s %9s %9s %9s %8s %8s %9s %8s %6s %8s %6s %6s\n", "", "", "time", "= compute", "+ stall", "+ other", "+ betw.", "I/O", "overlap",
            "hits", "GB read", "disk", "bound");
    fprintf(f, "%-7s %6s %9s %9s %9s %8s %8s %9s %8s %6s %8s %6s %6s\n", "step", "tokens", "ms", "ms", "ms", "ms", "ms", "ms", "ms", "%", "per tok", "%", "%");
    if (first) fprintf(f, "        (%u earlier steps are not shown)\n", first);
    for (uint32_t i = first; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "%" PRIu32, v->steps[i].step);
        put_row(f, name, &v->steps[i], v->disk_rate);
    }
    if (v->prompt.n_step) put_row(f, "prompt", &v->prompt, v->disk_rate);
    if (v->gen.n_step) put_row(f, "token", &v->gen, v->disk_rate);
}

static void put_layers(FILE *f, const struct trace_view *v) {
    uint64_t stall = 0;
    for (uint32_t i = 0; i < v->n_layer; i++) stall += v->layers[i].stall_ns;
    if (!stall) return;
    fprintf(f, "stalls       by layer:");
    bool *told = calloc(v->n_layer, sizeof *told);
    for (uint32_t k = 0; k < TOP_LAYERS && k < v->n_layer && told; k++) {
        uint32_t top = UINT32_MAX;
        for (uint32_t i = 0; i < v->n_layer; i++)
            if (!told[i] && (top == UINT32_MAX || v->layers[i].stall_ns > v->layers[top].stall_ns)) top = i;
        told[top] = true;
        fprintf(f, "%s %.0f %% in layer %u", k ? "," : "", 100 * (double)v->layers[top].stall_ns / (double)stall, top);
    }
    free(told);
    fprintf(f, ", the rest in the others\n");
}

static void put_guesses(FILE *f, const struct trace_view *v) {
    struct trace_sum all = v->prompt;
    trace_sum_add(&all, &v->gen);
    double precision = trace_sum_precision(&all), recall = trace_sum_recall(&all);
    if (!all.n_predict) return;
    fprintf(f, "predictions  %" PRIu64 " experts read on a guess, precision %.0f %%", all.n_predict, 100 * precision);
    if (recall >= 0) fprintf(f, ", recall %.0f %%", 100 * recall);
    fputc('\n', f);
}

void trace_text(FILE *f, const struct trace_view *v) {
    fprintf(f, "%s on %s; %s; plan %.2f GB", v->model, v->device, v->mode, (double)v->total_bytes / 1e9);
    if (v->file_bytes) fprintf(f, ", %.2f GB stay on disk", (double)v->file_bytes / 1e9);
    fprintf(f, "\n\n");
    put_steps(f, v);
    fputc('\n', f);
    if (v->disk_rate > v->disk_measured && !v->disk_given)
        fprintf(f, "disk         %.2f GB/s, which this run reached (%.2f were measured before)\n", v->disk_rate / 1e9, v->disk_measured / 1e9);
    else if (v->disk_rate > 0) fprintf(f, "disk         %.2f GB/s at most (%s)\n", v->disk_rate / 1e9, v->disk_given ? "given" : "measured");
    else if (trace_view_main(v)->read_bytes) fprintf(f, "disk         not measured; hy profile does, or give --disk-rate\n");
    put_layers(f, v);
    put_guesses(f, v);
    if (v->log.lost_events)
        fprintf(f, "lost         the trace was full: the oldest %" PRIu64 " events, and with them the first %u steps, are not in it\n", v->log.lost_events,
                v->log.n_before);
    fprintf(f, "verdict      %s\n", v->words);
}
