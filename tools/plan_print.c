#include "tools/plan_print.h"

#include <stdio.h>
#include <string.h>

#include "runtime/size_text.h"
#include "tools/cli.h"

#define BAR 64

struct part {
    const char *name, *what;
    uint64_t bytes;
    char mark; /* in the bar */
};
#define N_PARTS 6

static void parts_of(const struct hy_plan *p, struct part out[N_PARTS]) {
    const struct part v[N_PARTS] = {
        {"resident weights", "always in memory", p->resident_bytes, 'W'},
        {"ring", "FFN tensors pass through", p->ring_bytes, 'r'},
        {"expert cache", "slots shared by all layers", p->pool_bytes, 'E'},
        {"KV cache", p->kv_q8 ? "keys and values, Q8_0" : "keys and values, F16", p->kv_bytes, 'K'},
        {"activations", "of one step", p->acts_bytes, 'a'},
        {"other", "scratch, tables, headers", p->other_bytes, '.'},
    };
    memcpy(out, v, sizeof v);
}

static void print_bar(const struct hy_plan *p, const struct part *v) {
    uint64_t whole = p->budget_bytes > p->total_bytes ? p->budget_bytes : p->total_bytes, sum = 0;
    char bar[BAR + 1];
    uint32_t at = 0;
    for (uint32_t i = 0; i < N_PARTS; i++) {
        sum += v[i].bytes;
        uint32_t end = (uint32_t)((double)sum / (double)whole * BAR + 0.5);
        while (at < end && at < BAR) bar[at++] = v[i].mark;
    }
    memset(bar + at, ' ', BAR - at);
    bar[BAR] = 0;
    printf("\n[%s] %s of %s\n", bar, size_text(p->total_bytes).s, size_text(whole).s);
    for (uint32_t i = 0; i < N_PARTS; i++)
        if (v[i].bytes) printf("  %c %s", v[i].mark, v[i].name);
    printf("\n");
}

static void print_roles(const struct hy_plan *p) {
    printf("\n%-16s %12s %12s %12s\n", "weights", "in all", "in memory", "from file");
    for (int r = 0; r < N_ROLES; r++) {
        uint64_t all = p->role[r].bytes, in = p->role[r].resident_bytes;
        if (all) printf("%-16s %12s %12s %12s\n", tensor_role_name((enum tensor_role)r), size_text(all).s, size_text(in).s, size_text(all - in).s);
    }
}

static void print_speed(const struct hy_plan *p) {
    printf("\nper token        %s of weights", size_text(p->step_bytes).s);
    if (p->disk_bytes) printf(", %s of them from disk", size_text(p->disk_bytes).s);
    printf("\n");
    if (p->memory_rate > 0) printf("memory           %.2f GB/s\n", p->memory_rate / 1e9);
    if (p->disk_rate > 0) printf("disk             %.2f GB/s\n", p->disk_rate / 1e9);
    if (p->tok_s > 0)
        printf("expected         %.2f tok/s at most: %s is the limit\n", p->tok_s,
               p->disk_rate > 0 && (double)p->disk_bytes / p->disk_rate > (double)p->step_bytes / p->memory_rate ? "the disk" : "memory");
    else printf("expected         unknown: `hy profile` measures this machine\n");
}

void plan_print(const struct hy_plan *p) {
    struct part v[N_PARTS];
    parts_of(p, v);
    printf("plan             %s\n", hy_mode_name(p->mode));
    if (p->budget_bytes) printf("budget           %s (%s)\n", size_text(p->budget_bytes).s, p->budget_from);
    printf("context          %u tokens, %u sequence%s, steps of up to %u tokens\n\n", p->n_ctx, p->n_seq, p->n_seq == 1 ? "" : "s", p->n_step);
    for (uint32_t i = 0; i < N_PARTS; i++)
        if (v[i].bytes) printf("%-16s %12s  %s\n", v[i].name, size_text(v[i].bytes).s, v[i].what);
    printf("%-16s %12s\n", "in all", size_text(p->total_bytes).s);
    print_bar(p, v);
    print_roles(p);
    if (p->n_ring_slot)
        printf("\nof %u FFN tensors %u stay and %u stream through %u slots\n", p->n_dense, p->n_dense_pinned, p->n_dense - p->n_dense_pinned, p->n_ring_slot);
    if (p->n_expert_slot) printf("\nof %u experts %u are in memory at a time\n", p->n_expert, p->n_expert_slot);
    if (p->kv_fell) printf("\nkeys and values are kept as Q8_0: as F16 they would not fit\n");
    if (*p->sidecar) printf("\n%s\n", p->sidecar);
    print_speed(p);
}

void plan_print_json(const struct hy_plan *p) {
    struct part v[N_PARTS];
    parts_of(p, v);
    printf("{\"mode\": \"%s\", \"budget_bytes\": %llu, \"total_bytes\": %llu, \"parts\": {", hy_mode_name(p->mode), (unsigned long long)p->budget_bytes,
           (unsigned long long)p->total_bytes);
    for (uint32_t i = 0; i < N_PARTS; i++) printf("%s\"%s\": %llu", i ? ", " : "", v[i].name, (unsigned long long)v[i].bytes);
    printf("}, \"roles\": {");
    const char *comma = "";
    for (int r = 0; r < N_ROLES; r++)
        if (p->role[r].bytes) {
            printf("%s\"%s\": {\"bytes\": %llu, \"resident_bytes\": %llu}", comma, tensor_role_name((enum tensor_role)r),
                   (unsigned long long)p->role[r].bytes, (unsigned long long)p->role[r].resident_bytes);
            comma = ", ";
        }
    printf("}, \"dense_tensors\": %u, \"dense_pinned\": %u, \"ring_slots\": %u, \"experts\": %u, \"expert_slots\": %u, \"context\": %u, "
           "\"sequences\": %u, \"step_tokens\": %u, \"kv\": \"%s\", \"kv_fell\": %s, \"step_bytes\": %llu, \"disk_bytes\": %llu, "
           "\"memory_rate\": %.0f, \"disk_rate\": %.0f, \"tok_s\": %.3f, \"sidecar\": ",
           p->n_dense, p->n_dense_pinned, p->n_ring_slot, p->n_expert, p->n_expert_slot, p->n_ctx, p->n_seq, p->n_step, p->kv_q8 ? "q8_0" : "f16",
           p->kv_fell ? "true" : "false", (unsigned long long)p->step_bytes, (unsigned long long)p->disk_bytes, p->memory_rate, p->disk_rate, p->tok_s);
    cli_json_str(stdout, p->sidecar, strlen(p->sidecar));
    printf("}\n");
}

void plan_say(const struct hy_plan *p) {
    if (p->mode == HY_RESIDENT && !p->kv_fell) return;
    fprintf(stderr, "hy: %s", hy_mode_name(p->mode));
    if (p->n_expert_slot) fprintf(stderr, ", %u of %u experts in memory", p->n_expert_slot, p->n_expert);
    if (p->n_ring_slot) fprintf(stderr, ", %u of %u FFN tensors in memory", p->n_dense_pinned, p->n_dense);
    if (p->mode == HY_MAPPED) fprintf(stderr, ", %s stay in the file", size_text(p->file_bytes).s);
    fprintf(stderr, "; %s of %s", size_text(p->total_bytes).s, size_text(p->budget_bytes).s);
    if (p->tok_s > 0 && p->disk_bytes) fprintf(stderr, "; about %.2f tok/s at most from this disk (%.2f GB/s)", p->tok_s, p->disk_rate / 1e9);
    if (p->kv_fell) fprintf(stderr, "; keys and values as Q8_0, because F16 would not fit");
    fputc('\n', stderr);
}

void plan_say_stream(struct hy_engine *en) {
    struct hy_stream_stats s;
    hy_stream_stats(en, &s);
    if (!s.n_step) return;
    double disk_s = (double)s.disk_ns / 1e9;
    fprintf(stderr, "stream      %9s read in %.2f s of disk (%.2f GB/s), %.2f s compute, %.2f s waited of %.2f s in %llu steps\n",
            size_text(s.read_bytes).s, disk_s, disk_s > 0 ? (double)s.read_bytes / disk_s / 1e9 : 0, (double)s.compute_ns / 1e9, (double)s.wait_ns / 1e9,
            (double)s.step_ns / 1e9, (unsigned long long)s.n_step);
    if (!s.n_hit && !s.n_miss) return;
    fprintf(stderr, "experts     %6.1f %% were there; %llu misses, %llu evicted; %llu read on a guess, %llu of them chosen\n",
            100.0 * (double)s.n_hit / (double)(s.n_hit + s.n_miss), (unsigned long long)s.n_miss, (unsigned long long)s.n_evict,
            (unsigned long long)s.n_guess, (unsigned long long)s.n_useful);
    for (size_t i = 0; i < sizeof s.predictor / sizeof *s.predictor && s.predictor[i].name; i++)
        if (s.predictor[i].n_guess)
            fprintf(stderr, "guesses     %-27s precision %.2f, recall %.2f\n", s.predictor[i].name, (double)s.predictor[i].n_right / (double)s.predictor[i].n_guess,
                    s.predictor[i].n_chosen ? (double)s.predictor[i].n_right / (double)s.predictor[i].n_chosen : 0);
}
