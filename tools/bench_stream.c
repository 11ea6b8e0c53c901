#include "tools/bench_stream.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "io/file.h"
#include "runtime/clock.h"
#include "runtime/machine.h"
#include "sched/profile.h"

#define DISK_S 0.7 /* for one measurement of the disk; before and after */

/* One phase: a prompt, or tokens one at a time. Times in seconds for the whole phase. */
struct phase {
    uint32_t n_tok;
    double s, compute_s, wait_s, disk_s;
    uint64_t read_bytes, needed_bytes, n_hit, n_miss;
};

struct result {
    bool ran;
    struct phase prompt, gen;
    uint64_t logits_hash;
};

struct bench {
    const char *model;
    struct hy_options opt;
    uint32_t n_prompt, n_gen;
    int32_t *token;
    double disk_rate;
    struct result resident, streamed;
    struct hy_plan plan;
    uint64_t peak_bytes;
};

static void end_phase(struct hy_engine *en, struct phase *p, const struct hy_stream_stats *from, uint64_t t0, uint32_t n_tok) {
    struct hy_stream_stats to;
    hy_stream_stats(en, &to);
    *p = (struct phase){.n_tok = n_tok, .s = (double)(clock_ns() - t0) / 1e9, .compute_s = (double)(to.compute_ns - from->compute_ns) / 1e9,
                        .wait_s = (double)(to.wait_ns - from->wait_ns) / 1e9, .disk_s = (double)(to.disk_ns - from->disk_ns) / 1e9,
                        .read_bytes = to.read_bytes - from->read_bytes, .needed_bytes = to.needed_bytes - from->needed_bytes,
                        .n_hit = to.n_hit - from->n_hit, .n_miss = to.n_miss - from->n_miss};
}

/* The first pass touches fresh memory, which costs some systems more than the disk; the second is measured. */
static int run(struct bench *b, struct hy_engine *en, struct result *r, struct err *e) {
    struct hy_stream_stats from;
    uint32_t seq, n_vocab = hy_info(en)->n_vocab;
    float *logits = NULL;
    int32_t next = 1;
    int rc = hy_seq_new(en, &seq, e);
    if (!rc) rc = hy_feed(en, seq, b->token, b->n_prompt, 0, NULL, cli_interrupted, NULL, e);
    if (!rc) rc = hy_feed(en, seq, &next, 1, 1, &logits, cli_interrupted, NULL, e);
    hy_seq_truncate(en, seq, 0);
    hy_stream_stats(en, &from);
    uint64_t t0 = clock_ns();
    if (!rc) rc = hy_feed(en, seq, b->token, b->n_prompt, 0, NULL, cli_interrupted, NULL, e);
    end_phase(en, &r->prompt, &from, t0, b->n_prompt);
    hy_stream_stats(en, &from);
    t0 = clock_ns();
    for (uint32_t i = 0; i < b->n_gen && !rc; i++) {
        const int32_t *ids;
        const float *values;
        rc = hy_feed(en, seq, &next, 1, 1, &logits, cli_interrupted, NULL, e);
        if (rc) break;
        hy_best(en, 0, &ids, &values);
        next = ids[0];
    }
    end_phase(en, &r->gen, &from, t0, b->n_gen);
    if (logits) r->logits_hash = XXH3_64bits(logits, n_vocab * sizeof *logits);
    r->ran = !rc;
    return rc;
}

static int open_and_run(struct bench *b, const struct hy_options *o, struct result *r, struct err *e) {
    struct hy_engine *en;
    int rc = hy_open(o, &en, e);
    if (rc) return rc;
    cli_say_sidecar(en);
    b->plan = *hy_planned(en);
    rc = run(b, en, r, e);
    hy_close(en);
    return rc;
}

/* The faster of the rates seen, since a disturbance only slows. */
static void measure_disk(struct bench *b) {
    struct file f;
    struct profile_disk d;
    if (file_open(b->model, &f, NULL)) return;
    if (profile_quick_disk(&f, DISK_S, &d, NULL) == ERR_OK && d.best_rate > b->disk_rate) b->disk_rate = d.best_rate;
    file_close(&f);
}

static double bound_s(const struct bench *b, const struct phase *p) {
    double disk = b->disk_rate > 0 ? (double)p->needed_bytes / b->disk_rate : 0;
    return disk > p->compute_s ? disk : p->compute_s;
}

static void print_phase(const struct bench *b, const char *name, const struct phase *p, const struct phase *resident) {
    if (!p->n_tok) return;
    double bound = bound_s(b, p), n = p->n_tok;
    printf("%-10s %9.3f tok/s", name, n / p->s);
    if (resident->n_tok) printf("   resident %9.3f", n / resident->s);
    printf("   bound %9.3f (%.0f %% of it)\n", n / bound, 100 * bound / p->s);
    printf("           %9.3f GB needed from disk, %.3f read, disk busy %.2f s, compute %.2f s, waited %.2f s of %.2f s", (double)p->needed_bytes / 1e9,
           (double)p->read_bytes / 1e9, p->disk_s, p->compute_s, p->wait_s, p->s);
    if (p->n_hit + p->n_miss) printf(", %.1f %% of experts were there", 100.0 * (double)p->n_hit / (double)(p->n_hit + p->n_miss));
    printf("\n");
}

static void print_text(const struct bench *b) {
    printf("%s: %s, %.2f GB (plan), peak resident %.2f GB\n", b->model, hy_mode_name(b->plan.mode), (double)b->plan.total_bytes / 1e9,
           (double)b->peak_bytes / 1e9);
    printf("disk       %9.3f GB/s (direct reads of this file, measured before and after)\n", b->disk_rate / 1e9);
    print_phase(b, "prompt", &b->streamed.prompt, &b->resident.prompt);
    print_phase(b, "generation", &b->streamed.gen, &b->resident.gen);
    if (b->resident.ran && b->n_gen)
        printf("logits     %016llx, %s\n", (unsigned long long)b->streamed.logits_hash,
               b->resident.logits_hash == b->streamed.logits_hash ? "the same bits as resident" : "DIFFERENT from resident");
}

static void json_phase(const struct bench *b, const char *name, const struct phase *p, const struct phase *resident) {
    printf(", \"%s\": {\"tokens\": %u, \"s\": %.4f, \"resident_s\": %.4f, \"bound_s\": %.4f, \"compute_s\": %.4f, \"wait_s\": %.4f, \"disk_s\": %.4f, "
           "\"read_bytes\": %llu, \"needed_bytes\": %llu, \"hits\": %llu, \"misses\": %llu}",
           name, p->n_tok, p->s, resident->s, bound_s(b, p), p->compute_s, p->wait_s, p->disk_s, (unsigned long long)p->read_bytes,
           (unsigned long long)p->needed_bytes, (unsigned long long)p->n_hit, (unsigned long long)p->n_miss);
}

static void print_json(const struct bench *b) {
    printf("{\"mode\": \"%s\", \"planned_bytes\": %llu, \"peak_rss_bytes\": %llu, \"disk_rate\": %.0f, \"same_bits\": %s", hy_mode_name(b->plan.mode),
           (unsigned long long)b->plan.total_bytes, (unsigned long long)b->peak_bytes, b->disk_rate,
           !b->resident.ran ? "null" : b->resident.logits_hash == b->streamed.logits_hash ? "true" : "false");
    json_phase(b, "prompt", &b->streamed.prompt, &b->resident.prompt);
    json_phase(b, "generation", &b->streamed.gen, &b->resident.gen);
    printf("}\n");
}

static bool make_tokens(struct bench *b) {
    uint32_t n = b->n_prompt ? b->n_prompt : 1;
    b->token = calloc(n, sizeof *b->token);
    for (uint32_t i = 0, x = 1; b->token && i < n; i++) {
        x = x * 1664525u + 1013904223u;
        b->token[i] = (int32_t)((x >> 8) % 256); /* every vocabulary has these */
    }
    b->n_prompt = n;
    return b->token;
}

/* Whether all of the model fits when nothing limits it. */
static bool fits_whole(const struct hy_options *o) {
    struct hy_options whole = *o;
    struct hy_plan p;
    whole.memory = (struct budget_request){0};
    whole.n_ring_slot = whole.n_expert_slot = 0;
    return hy_plan(&whole, &p, NULL) == ERR_OK && p.mode == HY_RESIDENT && p.total_bytes <= machine_memory_available();
}

int bench_stream(const char *model, const struct model_options *m, uint32_t n_prompt, uint32_t n_gen, bool json) {
    struct bench b = {.model = model, .n_prompt = n_prompt, .n_gen = n_gen};
    struct hy_plan plan;
    struct err e;
    b.opt = cli_hy_options(model, m, &(struct hy_options){0});
    if (hy_plan(&b.opt, &plan, &e)) return cli_fail(&e);
    if (plan.mode == HY_RESIDENT) return cli_usage_error("%s fits; give a budget in which it does not (--memory), or --ring or --slots", model);
    if (!make_tokens(&b)) return cli_fail((err_set(&e, ERR_NOMEM, "no memory for the prompt"), &e));
    measure_disk(&b);
    int rc = open_and_run(&b, &b.opt, &b.streamed, &e);
    b.peak_bytes = machine_peak_rss();
    plan = b.plan;
    measure_disk(&b);
    if (!rc && fits_whole(&b.opt)) {
        struct hy_options whole = b.opt;
        whole.memory = (struct budget_request){0};
        whole.n_ring_slot = whole.n_expert_slot = 0;
        whole.kv = plan.kv_q8 ? HY_KV_Q8_0 : HY_KV_F16;
        rc = open_and_run(&b, &whole, &b.resident, &e);
    }
    b.plan = plan;
    free(b.token);
    if (rc) return cli_fail(&e);
    if (json) print_json(&b);
    else print_text(&b);
    bool differs = b.resident.ran && b.n_gen && b.resident.logits_hash != b.streamed.logits_hash;
    return cli_flush() && !differs ? EXIT_OK : EXIT_FAILED;
}
