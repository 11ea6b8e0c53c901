#include <inttypes.h>
#include <stdlib.h>

#include "runtime/size_text.h"
#include "tools/trace_view.h"

#define MOST_ROWS 24u /* of single steps; the JSON has all */
#define TOP_LAYERS 3u

static void put_percent(FILE *f, double share) {
    if (share < 0) fprintf(f, " %6s", "-");
    else fprintf(f, " %6.1f", 100 * share);
}

/* A step, or the mean of several. */
static void put_row(FILE *f, const char *name, const struct trace_sum *s, double disk_rate) {
    const uint64_t times[] = {s->time_ns, s->compute_ns, s->stall_ns, s->other_ns, s->between_ns, s->io_ns, s->overlap_ns};
    fprintf(f, "%-7s %6.0f", name, (double)s->n_tok / s->n_step);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) fprintf(f, " %9.2f", (double)times[i] / 1e6 / s->n_step);
    put_percent(f, trace_sum_hit_rate(s));
    fprintf(f, " %8.4f", s->n_tok ? (double)s->read_bytes / 1e9 / (double)s->n_tok : 0);
    put_percent(f, trace_sum_disk_share(s, disk_rate));
    put_percent(f, trace_sum_bound(s, disk_rate));
    fputc('\n', f);
}

static void put_head(FILE *f) {
    static const char *const heads[][2] = {{"time", "ms"}, {"= compute", "ms"}, {"+ stall", "ms"}, {"+ other", "ms"}, {"+ between", "ms"},
                                           {"I/O", "ms"}, {"overlap", "ms"}};
    for (int line = 0; line < 2; line++) {
        fprintf(f, "%-7s %6s", line ? "step" : "", line ? "tokens" : "");
        for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) fprintf(f, " %9s", heads[i][line]);
        fputs(line ? "      %  per tok      %      %\n" : "   hits  GB read   disk  bound\n", f);
    }
}

static void put_steps(FILE *f, const struct trace_view *v) {
    uint32_t n = v->log.n_step, first = n > MOST_ROWS ? n - MOST_ROWS : 0;
    put_head(f);
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

static void put_disk(FILE *f, const struct trace_view *v) {
    double rate = v->disk_rate / 1e9, measured = v->disk_measured / 1e9;
    if (rate > 0 && v->disk_given) fprintf(f, "disk         %.2f GB/s at most (given)\n", rate);
    else if (rate > measured) fprintf(f, "disk         %.2f GB/s, which this run reached (%.2f were measured before)\n", rate, measured);
    else if (rate > 0) fprintf(f, "disk         %.2f GB/s at most (measured)\n", rate);
    else if (trace_view_main(v)->read_bytes) fprintf(f, "disk         not measured; hy profile does, or give --disk-rate\n");
}

void trace_text(FILE *f, const struct trace_view *v) {
    fprintf(f, "%s on %s; %s; plan %s", v->model, v->device, v->mode, size_text(v->total_bytes).s);
    if (v->file_bytes) fprintf(f, ", %s stay on disk", size_text(v->file_bytes).s);
    fprintf(f, "\n\n");
    put_steps(f, v);
    fputc('\n', f);
    put_disk(f, v);
    put_layers(f, v);
    put_guesses(f, v);
    if (v->log.lost_events)
        fprintf(f, "lost         the trace was full: the oldest %" PRIu64 " events, and with them the first %" PRIu32 " steps, are not in it\n",
                v->log.lost_events, v->log.n_before);
    fprintf(f, "verdict      %s\n", v->words);
}
