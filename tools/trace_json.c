#include <inttypes.h>
#include <string.h>

#include "io/reader.h"
#include "tools/cli.h"
#include "tools/trace_view.h"

enum { PID_ENGINE = 1, PID_DISK = 2 };
enum { TID_STEPS = 1, TID_DEVICE, TID_WAITS, TID_CACHE };

static const char *priority_name(uint32_t n) {
    static const char *const names[N_READ_PRIORITIES] = {"demand", "schedule", "speculate"};
    return n < N_READ_PRIORITIES ? names[n] : "?";
}

static const char *part_name(const struct trace_event *ev) {
    static const char *const names[] = {"gate", "up", "down"};
    return ev->part < 3 ? names[ev->part] : "?";
}

/* The sums */

static void put_count(FILE *f, const char *name, uint64_t v) { fprintf(f, ",\"%s\":%" PRIu64, name, v); }

static void put_share(FILE *f, const char *name, double v) {
    if (v < 0) fprintf(f, ",\"%s\":null", name);
    else fprintf(f, ",\"%s\":%.6f", name, v);
}

static void put_sum(FILE *f, const struct trace_sum *s, double disk_rate) {
    fprintf(f, "{\"step\":%" PRIu32, s->step);
    put_count(f, "steps", s->n_step);
    put_count(f, "tokens", s->n_tok);
    put_count(f, "time_ns", s->time_ns);
    put_count(f, "compute_ns", s->compute_ns);
    put_count(f, "stall_ns", s->stall_ns);
    put_count(f, "other_ns", s->other_ns);
    put_count(f, "between_ns", s->between_ns);
    put_count(f, "idle_stall_ns", s->idle_stall_ns);
    put_count(f, "io_ns", s->io_ns);
    put_count(f, "overlap_ns", s->overlap_ns);
    put_count(f, "read_bytes", s->read_bytes);
    put_count(f, "hits", s->n_hit);
    put_count(f, "misses", s->n_miss);
    put_count(f, "evictions", s->n_evict);
    put_count(f, "predictions", s->n_predict);
    put_count(f, "useful", s->n_useful);
    put_share(f, "hit_rate", trace_sum_hit_rate(s));
    put_share(f, "precision", trace_sum_precision(s));
    put_share(f, "recall", trace_sum_recall(s));
    put_share(f, "disk_share", trace_sum_disk_share(s, disk_rate));
    put_share(f, "bound_share", trace_sum_bound(s, disk_rate));
    fputc('}', f);
}

static void put_mean(FILE *f, const char *name, const struct trace_sum *s, double disk_rate) {
    fprintf(f, ",\"%s\":", name);
    if (s->n_step) put_sum(f, s, disk_rate);
    else fputs("null", f);
}

static void put_run(FILE *f, const struct trace_view *v) {
    fputs("{\"model\":", f);
    cli_json_str(f, v->model, strlen(v->model));
    fputs(",\"device\":", f);
    cli_json_str(f, v->device, strlen(v->device));
    fputs(",\"mode\":", f);
    cli_json_str(f, v->mode, strlen(v->mode));
    fputs(",\"verdict\":", f);
    cli_json_str(f, v->verdict, strlen(v->verdict));
    fputs(",\"words\":", f);
    cli_json_str(f, v->words, strlen(v->words));
    put_count(f, "layers", v->n_layer);
    put_count(f, "experts", v->n_expert);
    put_count(f, "plan_bytes", v->total_bytes);
    put_count(f, "budget_bytes", v->budget_bytes);
    put_count(f, "on_disk_bytes", v->file_bytes);
    fprintf(f, ",\"disk_rate\":%.0f,\"disk_rate_given\":%s", v->disk_rate, v->disk_given ? "true" : "false");
    put_count(f, "lost_events", v->log.lost_events);
    put_count(f, "steps_before", v->log.n_before);
}

void trace_json_sums(FILE *f, const struct trace_view *v) {
    put_run(f, v);
    put_mean(f, "prompt", &v->prompt, v->disk_rate);
    put_mean(f, "token", &v->gen, v->disk_rate);
    fputs(",\"each_layer\":[", f);
    for (uint32_t i = 0; i < v->n_layer; i++) {
        const struct trace_layer_sum *l = &v->layers[i];
        fprintf(f, "%s{\"layer\":%" PRIu32, i ? "," : "", i);
        put_count(f, "compute_ns", l->compute_ns);
        put_count(f, "stall_ns", l->stall_ns);
        put_count(f, "read_bytes", l->read_bytes);
        put_count(f, "hits", l->n_hit);
        put_count(f, "misses", l->n_miss);
        fputc('}', f);
    }
    fputs("],\"each_step\":[", f);
    for (uint32_t i = 0; i < v->log.n_step; i++) {
        if (i) fputc(',', f);
        put_sum(f, &v->steps[i], v->disk_rate);
    }
    fputs("]}\n", f);
}

/* Chrome's trace events: https://ui.perfetto.dev opens them */

static void put_lane(FILE *f, int pid, int tid, const char *what, const char *name, int order) {
    fprintf(f, "{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"name\":\"%s_name\",\"args\":{\"name\":", pid, tid, what);
    cli_json_str(f, name, strlen(name));
    fprintf(f, "}},\n{\"ph\":\"M\",\"pid\":%d,\"tid\":%d,\"name\":\"%s_sort_index\",", pid, tid, what);
    fprintf(f, "\"args\":{\"sort_index\":%d}},\n", order);
}

static void put_lanes(FILE *f, const struct trace_view *v) {
    uint8_t n_lane = 0;
    for (uint64_t i = 0; i < v->log.n; i++)
        if (v->log.events[i].kind == TRACE_READ && v->log.events[i].lane >= n_lane) n_lane = (uint8_t)(v->log.events[i].lane + 1);
    put_lane(f, PID_ENGINE, 0, "process", v->model, 0);
    put_lane(f, PID_DISK, 0, "process", "disk", 1);
    put_lane(f, PID_ENGINE, TID_STEPS, "thread", "steps", 0);
    put_lane(f, PID_ENGINE, TID_DEVICE, "thread", v->device, 1);
    put_lane(f, PID_ENGINE, TID_WAITS, "thread", "waits for the disk", 2);
    put_lane(f, PID_ENGINE, TID_CACHE, "thread", "expert cache", 3);
    for (int i = 0; i < n_lane; i++) {
        char name[24];
        snprintf(name, sizeof name, "reader %d", i);
        put_lane(f, PID_DISK, i + 1, "thread", name, i);
    }
}

static void put_name(FILE *f, const struct trace_event *ev) {
    switch (ev->kind) {
    case TRACE_STEP: fprintf(f, "step %" PRIu32, ev->step); break;
    case TRACE_COMPUTE: fprintf(f, "layer %u", ev->layer); break;
    case TRACE_WAIT: fprintf(f, "wait, layer %u", ev->layer); break;
    case TRACE_READ:
        if (ev->expert == TRACE_NO_EXPERT) fprintf(f, "layer %u %s", ev->layer, part_name(ev));
        else fprintf(f, "layer %u expert %u %s", ev->layer, ev->expert, part_name(ev));
        break;
    default: fprintf(f, "%s layer %u expert %u", trace_kind_name(ev->kind), ev->layer, ev->expert);
    }
}

static void put_args(FILE *f, const struct trace_event *ev) {
    fprintf(f, "\"args\":{\"step\":%" PRIu32, ev->step);
    if (ev->kind != TRACE_STEP) fprintf(f, ",\"layer\":%u", ev->layer);
    if (ev->kind == TRACE_STEP) fprintf(f, ",\"tokens\":%" PRIu32, ev->n);
    if (ev->kind == TRACE_COMPUTE) fprintf(f, ",\"first_op\":%" PRIu32, ev->n);
    if (ev->kind == TRACE_READ || ev->kind == TRACE_WAIT) fprintf(f, ",\"bytes\":%" PRIu64, ev->bytes);
    if (ev->kind == TRACE_READ) fprintf(f, ",\"part\":\"%s\",\"priority\":\"%s\"", part_name(ev), priority_name(ev->n));
    if (ev->kind > TRACE_WAIT && ev->expert != TRACE_NO_EXPERT) fprintf(f, ",\"expert\":%u", ev->expert);
    fputc('}', f);
}

static void put_event(FILE *f, const struct trace_event *ev, uint64_t from_ns) {
    static const int tid[N_TRACE_KINDS] = {TID_STEPS, TID_DEVICE, TID_WAITS, 0, TID_CACHE, TID_CACHE, TID_CACHE, TID_CACHE, TID_CACHE};
    bool disk = ev->kind == TRACE_READ, instant = ev->kind > TRACE_READ;
    fprintf(f, "{\"ph\":\"%s\",\"pid\":%d,\"tid\":%d,\"cat\":\"%s\",\"name\":\"", instant ? "i" : "X", disk ? PID_DISK : PID_ENGINE,
            disk ? ev->lane + 1 : tid[ev->kind], trace_kind_name(ev->kind));
    put_name(f, ev);
    fprintf(f, "\",\"ts\":%.3f,", (double)(ev->t0_ns - from_ns) / 1e3);
    if (instant) fputs("\"s\":\"t\",", f);
    else fprintf(f, "\"dur\":%.3f,", (double)(ev->t1_ns - ev->t0_ns) / 1e3);
    put_args(f, ev);
    fputc('}', f);
}

void trace_json_events(FILE *f, const struct trace_view *v) {
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", f);
    put_lanes(f, v);
    for (uint64_t i = 0; i < v->log.n; i++) {
        put_event(f, &v->log.events[i], v->log.events[0].t0_ns);
        fputs(i + 1 < v->log.n ? ",\n" : "\n", f);
    }
    fputs("],\"otherData\":", f);
    trace_json_sums(f, v);
    fputs("}\n", f);
}
