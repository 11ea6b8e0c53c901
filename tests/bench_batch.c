/* Many streams at once and a repeated beginning: make bench-batch, or
 * build/release/tests/bench_batch MODEL.gguf [STREAMS [MEMORY_MB]]: less memory than the model needs makes it stream.
 *
 * Streams: total tok/s of STREAMS requests (32) that start together, against one alone, from the first token on; and how much
 * longer the slowest stream takes than the median. Beginning: the time to the first token of a prompt of 4,000 tokens, cold, and of
 * one that differs in its last 20 tokens. Exits with 1 when a target is missed. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "sched/batcher.h"

#define MIN_GAIN 3.0      /* total over one alone */
#define MAX_SLOWEST 2.0   /* over the median */
#define MAX_REPEATED 0.03 /* of the cold time */
enum { MOST = 256, N_PROMPT = 32, N_GEN = 64, N_BEGINNING = 4000, N_TAIL = 20 };

struct stream {
    struct batch_request r;
    int32_t prompt[N_BEGINNING + N_TAIL];
    uint64_t id, submit_ns, first_ns, done_ns;
    struct batch_stats stats;
    bool failed;
};

static struct stream streams[MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static uint32_t n_running;

static bool on_token(void *ctx, const struct batch_token *t) {
    struct stream *s = ctx;
    if (!s->first_ns) s->first_ns = clock_ns();
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
        s->first_ns = 0;
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

static void bench_streams(struct batcher *b, const struct hy_plan *plan, uint32_t n, bool *all) {
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
    if (plan->disk_bytes && plan->disk_rate > 0)
        printf("a step of all   %10.1f ms; reading the %.2f GB that are not in memory takes %.1f ms\n", 1e3 * n / together[1],
               (double)plan->disk_bytes / 1e9, 1e3 * (double)plan->disk_bytes / plan->disk_rate);
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

int main(int argc, char **argv) {
    struct hy_engine *en;
    struct batcher *b;
    struct err e;
    bool all = true;
    uint32_t n = argc > 2 ? (uint32_t)atoi(argv[2]) : 32;
    if (argc < 2 || n < 1 || n > MOST) {
        fprintf(stderr, "usage: bench_batch MODEL.gguf [STREAMS [MEMORY_MB]]\n");
        return 2;
    }
    struct hy_options o = {.model_path = argv[1], .n_seq = n, .n_logits = n, .n_ctx = N_BEGINNING + 96,
                           .n_kv_block = n * ((N_PROMPT + N_GEN) / HY_KV_BLOCK_TOK + 1) + 2 * (N_BEGINNING / HY_KV_BLOCK_TOK + 2)};
    if (argc > 3) o.memory = (struct budget_request){.kind = BUDGET_BYTES, .bytes = strtoull(argv[3], NULL, 10) << 20};
    if (hy_open(&o, &en, &e) || batcher_new(en, &(struct batcher_options){0}, &b, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    printf("%s; %s; KV cache %.2f GB\n", hy_info(en)->device, hy_mode_name(hy_planned(en)->mode), (double)hy_info(en)->kv_bytes / 1e9);
    bench_streams(b, hy_planned(en), n, &all);
    bench_beginning(b, &all);
    batcher_free(b);
    hy_close(en);
    return all ? 0 : 1;
}
