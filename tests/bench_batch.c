/* Many streams at once and a repeated beginning: make bench-batch, or build/release/tests/bench_batch [--stream] MODEL.gguf [STREAMS]
 *
 * Streams: total tok/s of STREAMS requests (32) that start together, against one alone, from the first token on; and how much
 * longer the slowest stream takes than the median. Beginning: the time to the first token of a prompt of 4,000 tokens, cold, and of
 * one that differs in its last 20 tokens.
 *
 * With --stream: a dense model with less and less memory, so that the step is bound by its computation first and by the disk
 * last. The bound of a step of all streams is max(its bytes from disk / disk rate, the same step's time with all in memory).
 *
 * Exits with 1 when a target is missed. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "sched/batcher.h"
#include "sched/profile.h"

#define MIN_GAIN 3.0      /* total over one alone */
#define MAX_SLOWEST 2.0   /* over the median */
#define MAX_REPEATED 0.03 /* of the cold time */
#define MIN_SHARE 0.8     /* of the bound, when weights stream */
#define DISK_S 0.7        /* for one measurement of the disk; before and after each run */
enum { MOST = 256, N_PROMPT = 32, N_GEN = 64, N_BEGINNING = 4000, N_TAIL = 20, N_SWEEP = 20, N_ROUND = 2, N_READER = 4 };

struct stream {
    struct batch_request r;
    int32_t prompt[N_BEGINNING + N_TAIL];
    uint64_t id, submit_ns, first_ns, done_ns, at_ns[N_GEN]; /* at: of its first tokens */
    uint32_t n_at;
    struct batch_stats stats;
    bool failed;
};

static struct stream streams[MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static uint32_t n_running;

static bool on_token(void *ctx, const struct batch_token *t) {
    struct stream *s = ctx;
    uint64_t now = clock_ns();
    if (!s->first_ns) s->first_ns = now;
    if (s->n_at < N_GEN) s->at_ns[s->n_at++] = now;
    return true;
}

static void on_done(void *ctx, const struct batch_result *r) {
    struct stream *s = ctx;
    s->done_ns = clock_ns();
    s->stats = r->stats;
    s->failed = r->end == BATCH_FAILED;
    if (s->failed) fprintf(stderr, "%s\n", r->err->text);
    pthread_mutex_lock(&lock);
    n_running--;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

/* Runs streams [0, n) with prompts of n_prompt tokens; texts with the same seed begin alike. */
static void run(struct batcher *b, uint32_t n, uint32_t n_prompt, uint32_t n_gen, uint32_t seed, uint32_t tail) {
    n_running = n;
    for (uint32_t k = 0; k < n; k++) {
        struct stream *s = &streams[k];
        for (uint32_t i = 0; i < n_prompt; i++) {
            uint32_t text = i + N_TAIL < n_prompt ? seed + k : tail;
            s->prompt[i] = (int32_t)((i * i * 31 + i * 7 + text * 101 + 3) % 30000);
        }
        s->r = (struct batch_request){.prompt = s->prompt, .n_prompt = n_prompt, .n_predict = n_gen, .sampling = sampler_defaults(),
                                      .ctx = s, .on_token = on_token, .on_done = on_done};
        s->first_ns = s->n_at = 0;
        s->submit_ns = clock_ns();
        struct err e;
        if (batcher_submit(b, &s->r, &s->id, &e)) {
            fprintf(stderr, "%s\n", e.text);
            exit(1);
        }
    }
    pthread_mutex_lock(&lock);
    while (n_running) pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const char *verdict(bool ok, bool *all) {
    *all = *all && ok;
    return ok ? "ok" : "MISSED";
}

/* Tokens per second from the first token of any stream to the end of all. */
static double speed(uint32_t n) {
    uint64_t begin = UINT64_MAX, end = 0, n_tok = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (streams[k].first_ns < begin) begin = streams[k].first_ns;
        if (streams[k].done_ns > end) end = streams[k].done_ns;
        n_tok += streams[k].stats.n_eval - 1;
    }
    return (double)n_tok / ((double)(end - begin) / 1e9);
}

static void bench_streams(struct batcher *b, uint32_t n, bool *all) {
    double alone[3], together[3], took[MOST], slowest = 0;
    for (uint32_t i = 0; i < 3; i++) { /* alternating, and the median: other programs disturb */
        run(b, 1, N_PROMPT, N_GEN, 1000 * i + 500, 1);
        alone[i] = speed(1);
        run(b, n, N_PROMPT, N_GEN, 1000 * i, i);
        together[i] = speed(n);
        for (uint32_t k = 0; k < n; k++) took[k] = (double)(streams[k].done_ns - streams[k].submit_ns) / 1e9;
        qsort(took, n, sizeof *took, by_value);
        if (took[n - 1] / took[n / 2] > slowest) slowest = took[n - 1] / took[n / 2];
    }
    qsort(alone, 3, sizeof *alone, by_value);
    qsort(together, 3, sizeof *together, by_value);
    printf("one stream      %10.2f tok/s\n", alone[1]);
    printf("%2u streams      %10.2f tok/s   %.2f times one (at least %.0f: %s)\n", n, together[1], together[1] / alone[1], MIN_GAIN,
           verdict(together[1] >= MIN_GAIN * alone[1], all));
    printf("slowest stream  %10.2f times the median (at most %.0f: %s)\n", slowest, MAX_SLOWEST, verdict(slowest <= MAX_SLOWEST, all));
}

static void bench_beginning(struct batcher *b, bool *all) {
    double first[3];
    for (uint32_t i = 0; i < 3; i++) { /* cold; another end; the same end again */
        run(b, 1, N_BEGINNING, 1, 77777, i < 2 ? i : 1);
        first[i] = (double)(streams[0].first_ns - streams[0].submit_ns) / 1e9;
    }
    double worst = first[1] > first[2] ? first[1] : first[2];
    printf("first token of %u tokens: %.3f s cold, %.3f s with another end, %.3f s repeated: %.2f %% (at most %.0f %%: %s)\n",
           N_BEGINNING, first[0], first[1], first[2], 100 * worst / first[0], 100 * MAX_REPEATED,
           verdict(worst <= MAX_REPEATED * first[0], all));
}

static void start(const struct hy_options *o, struct hy_engine **en, struct batcher **b) {
    struct err e;
    if (!hy_open(o, en, &e) && !batcher_new(*en, &(struct batcher_options){0}, b, &e)) return;
    fprintf(stderr, "%s\n", e.text);
    exit(1);
}

static bool bench_resident(const char *model, uint32_t n) {
    struct hy_engine *en;
    struct batcher *b;
    bool all = true;
    start(&(struct hy_options){.model_path = model, .n_seq = n, .n_logits = n, .n_ctx = N_BEGINNING + 96,
                               .n_kv_block = n * ((N_PROMPT + N_GEN) / HY_KV_BLOCK_TOK + 1) + 2 * (N_BEGINNING / HY_KV_BLOCK_TOK + 2)},
          &en, &b);
    printf("%s; %s; KV cache %.2f GB\n", hy_info(en)->device, hy_mode_name(hy_planned(en)->mode), (double)hy_info(en)->kv_bytes / 1e9);
    bench_streams(b, n, &all);
    bench_beginning(b, &all);
    batcher_free(b);
    hy_close(en);
    return all;
}

/* Weights that stream. */

struct sweep {
    struct hy_plan plan;
    double step_s, wait_s; /* of a step */
};

/* A step of all n streams: from the first token of the stream that began last to the end of the first one. */
static double step_of_all(uint32_t n) {
    const struct stream *last = &streams[0];
    uint64_t end = UINT64_MAX;
    for (uint32_t k = 0; k < n; k++) {
        if (streams[k].first_ns > last->first_ns) last = &streams[k];
        if (streams[k].done_ns < end) end = streams[k].done_ns;
    }
    uint32_t i = 0;
    while (i + 1 < last->n_at && last->at_ns[i + 1] <= end) i++;
    if (i) return (double)(last->at_ns[i] - last->at_ns[0]) / 1e9 / i;
    fprintf(stderr, "the streams never ran together; give fewer than %u\n", n);
    exit(1);
}

/* budget 0: all in memory. Prompts have one token, so that all streams run soon. The first run touches fresh memory, which costs
 * some systems more than the disk; the second is measured. */
static struct sweep sweep(const char *model, uint32_t n, uint64_t budget) {
    struct hy_options o = {.model_path = model, .n_seq = n, .n_logits = n, .n_ctx = N_SWEEP + 1, .n_kv_block = 3 * n, .n_reader = N_READER};
    struct hy_engine *en;
    struct batcher *b;
    struct batcher_stats from, to;
    if (budget) o.memory = (struct budget_request){.kind = BUDGET_BYTES, .bytes = budget};
    start(&o, &en, &b);
    run(b, n, 1, 3, 0, 1);
    batcher_stats(b, &from);
    run(b, n, 1, N_SWEEP, 0, 2);
    batcher_stats(b, &to);
    struct sweep s = {*hy_planned(en), step_of_all(n),
                      (double)(to.stream.wait_ns - from.stream.wait_ns) / 1e9 / (double)(to.n_step - from.n_step)};
    batcher_free(b);
    hy_close(en);
    return s;
}

/* Plain direct reads of the file by as many readers. */
static double disk_rate(const char *model) {
    struct file f;
    struct profile_disk d;
    struct err e;
    int rc = file_open(model, &f, &e);
    if (!rc) {
        rc = profile_quick_disk(&f, DISK_S, &d, &e);
        file_close(&f);
    }
    if (!rc) return d.best_rate;
    fprintf(stderr, "%s\n", e.text);
    exit(1);
}

static void faster(double *rate, double now) { *rate = now > *rate ? now : *rate; }

static bool bench_sweeps(const char *model, uint32_t n) {
    static const double missing[] = {0.3, 0.6, 0.9}; /* of the FFN */
    enum { N = sizeof missing / sizeof *missing };
    struct sweep whole = {0}, s[N] = {0};
    double rate = 0;
    bool all = true;
    for (uint32_t round = 0; round < N_ROUND; round++) { /* alternating, and the fastest of each: other programs disturb */
        struct sweep now = sweep(model, n, 0);
        if (!round || now.step_s < whole.step_s) whole = now;
        for (uint32_t i = 0; i < N; i++) {
            faster(&rate, disk_rate(model));
            now = sweep(model, n, whole.plan.total_bytes - (uint64_t)(missing[i] * (double)whole.plan.role[ROLE_FFN].bytes));
            if (!round || now.step_s < s[i].step_s) s[i] = now;
            faster(&rate, disk_rate(model));
        }
    }
    printf("all in memory   %10.2f tok/s   a step of %u streams takes %.0f ms; disk %.2f GB/s\n", n / whole.step_s, n, 1e3 * whole.step_s,
           rate / 1e9);
    for (uint32_t i = 0; i < N; i++) {
        double disk_s = (double)s[i].plan.disk_bytes / rate, bound_s = disk_s > whole.step_s ? disk_s : whole.step_s;
        printf("memory %5.2f GB  %9.2f tok/s   %.0f ms, of which waiting %.0f; %.2f GB from disk take %.0f ms\n",
               (double)s[i].plan.total_bytes / 1e9, n / s[i].step_s, 1e3 * s[i].step_s, 1e3 * s[i].wait_s,
               (double)s[i].plan.disk_bytes / 1e9, 1e3 * disk_s);
        printf("                %10.0f %% of max(disk, computation), which is the %s (at least %.0f %%: %s)\n", 100 * bound_s / s[i].step_s,
               disk_s > whole.step_s ? "disk" : "computation", 100 * MIN_SHARE, verdict(bound_s >= MIN_SHARE * s[i].step_s, &all));
    }
    return all;
}

int main(int argc, char **argv) {
    bool streams_weights = argc > 1 && !strcmp(argv[1], "--stream");
    char **arg = argv + 1 + streams_weights;
    uint32_t n = arg[0] && arg[1] ? (uint32_t)atoi(arg[1]) : 32;
    if (!arg[0] || n < 1 || n > MOST) {
        fprintf(stderr, "usage: bench_batch [--stream] MODEL.gguf [STREAMS]\n");
        return 2;
    }
    return (streams_weights ? bench_sweeps : bench_resident)(arg[0], n) ? 0 : 1;
}
