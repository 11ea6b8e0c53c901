/* hy bench: prompt and generation speed, medians of several runs. */
#include <stdlib.h>

#include "runtime/clock.h"
#include "runtime/machine.h"
#include "tools/bench_stream.h"
#include "tools/box.h"

#define MAX_RUNS 100
#define SHORT_PROMPT 8 /* generation starts behind this many tokens */

struct bench {
    struct hy_engine *en;
    uint32_t n_prompt, n_gen, n_run, seq;
    int32_t *token; /* (n_prompt or SHORT_PROMPT) */
    double prompt_s[MAX_RUNS], gen_s[MAX_RUNS];
};

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *v, uint32_t n) {
    double s[MAX_RUNS];
    for (uint32_t i = 0; i < n; i++) s[i] = v[i];
    qsort(s, n, sizeof *s, compare);
    return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static int timed_prompt(struct bench *b, double *seconds, struct err *e) {
    hy_seq_truncate(b->en, b->seq, 0);
    uint64_t t0 = clock_ns();
    int rc = hy_feed(b->en, b->seq, b->token, b->n_prompt, 0, NULL, cli_interrupted, NULL, e);
    *seconds = (double)(clock_ns() - t0) / 1e9;
    return rc;
}

static int timed_gen(struct bench *b, double *seconds, struct err *e) {
    hy_seq_truncate(b->en, b->seq, 0);
    int rc = hy_feed(b->en, b->seq, b->token, SHORT_PROMPT, 0, NULL, cli_interrupted, NULL, e);
    uint64_t t0 = clock_ns();
    int32_t next = 1;
    for (uint32_t i = 0; i < b->n_gen && !rc; i++) { /* greedy, so that the cost of choosing is in */
        const int32_t *ids;
        const float *values;
        rc = hy_feed(b->en, b->seq, &next, 1, 1, NULL, cli_interrupted, NULL, e);
        if (rc) break;
        hy_best(b->en, 0, &ids, &values);
        next = ids[0];
    }
    *seconds = (double)(clock_ns() - t0) / 1e9;
    return rc;
}

static int run_all(struct bench *b, struct err *e) {
    uint32_t n_vocab = hy_info(b->en)->n_vocab, n = b->n_prompt > SHORT_PROMPT ? b->n_prompt : SHORT_PROMPT;
    b->token = calloc(n, sizeof *b->token);
    if (!b->token) return err_set(e, ERR_NOMEM, "no memory for the prompt");
    for (uint32_t i = 0, x = 1; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        b->token[i] = (int32_t)((x >> 8) % n_vocab);
    }
    int rc = hy_seq_new(b->en, &b->seq, e);
    double warm;
    if (!rc) rc = b->n_prompt ? timed_prompt(b, &warm, e) : timed_gen(b, &warm, e); /* first touches are not speed */
    for (uint32_t r = 0; r < b->n_run && !rc; r++) {
        if (b->n_prompt) rc = timed_prompt(b, &b->prompt_s[r], e);
        if (b->n_gen && !rc) rc = timed_gen(b, &b->gen_s[r], e);
    }
    return rc;
}

static void report(struct bench *b, bool json) {
    const struct hy_info *i = hy_info(b->en);
    double prompt = b->n_prompt ? b->n_prompt / median(b->prompt_s, b->n_run) : 0, gen = b->n_gen ? b->n_gen / median(b->gen_s, b->n_run) : 0;
    double gen_gb = gen * (double)i->step_weights_bytes / 1e9, roof = hy_read_bandwidth(b->en) / 1e9;
    if (json) {
        printf("{\"prompt_tok_s\": %.3f, \"gen_tok_s\": %.3f, \"load_s\": %.4f, \"peak_rss_bytes\": %llu, \"gen_gb_s\": %.3f, "
               "\"memory_gb_s\": %.3f, \"planned_bytes\": %llu, \"weights_bytes\": %llu, \"kv_bytes\": %llu, \"device\": ",
               prompt, gen, i->load_s, (unsigned long long)machine_peak_rss(), gen_gb, roof,
               (unsigned long long)(i->weights_bytes + i->kv_bytes + i->work_bytes), (unsigned long long)i->weights_bytes,
               (unsigned long long)i->kv_bytes);
        cli_json_str(stdout, i->device, __builtin_strlen(i->device));
        printf("}\n");
        return;
    }
    printf("%s; medians of %u\n", i->device, b->n_run);
    if (b->n_prompt) printf("prompt      %10.2f tok/s  (%u tokens)\n", prompt, b->n_prompt);
    if (b->n_gen) {
        printf("generation  %10.2f tok/s  (%u tokens; %.2f GB/s", gen, b->n_gen, gen_gb);
        if (roof > 0) printf(", %.0f %% of the %.2f GB/s that plain reading reaches", 100 * gen_gb / roof, roof);
        printf(")\n");
    }
    printf("load        %10.2f s      (%.2f GB)\n", i->load_s, (double)i->weights_bytes / 1e9);
    printf("memory      %10.2f GB peak resident (plan: %.2f)\n", (double)machine_peak_rss() / 1e9,
           (double)(i->weights_bytes + i->kv_bytes + i->work_bytes) / 1e9);
}

int cmd_bench(int argc, char **argv) {
    const char *model = NULL;
    struct bench b = {.n_prompt = 512, .n_gen = 64, .n_run = 3};
    bool json = false, stream = false;
    const struct opt opts[] = {
        {"--stream", OPT_FLAG, &stream, NULL, "under a budget (--memory): against resident, and against what disk and processor allow", 0, 0},
        {"-p", OPT_U32, &b.n_prompt, "N", "prompt tokens (512); 0: do not measure", 0, 1 << 20},
        {"-n", OPT_U32, &b.n_gen, "N", "tokens to generate (64); 0: do not measure", 0, 1 << 20},
        {"-r", OPT_U32, &b.n_run, "N", "runs of each (3)", 1, MAX_RUNS},
        {"--json", OPT_FLAG, &json, NULL, "the result as JSON", 0, 0},
    };
    const struct command c = {.name = "bench", .usage = "[MODEL] [options]", .about = "Speed of a model on this machine: medians of several runs.",
                              .opts = opts, .n_opt = sizeof opts / sizeof opts[0], .model_options = true, .positional = &model, .n_positional = 1};
    struct model_options m;
    struct err e;
    int code;
    if (!cli_parse(&c, argc, argv, &m, &code)) return code;
    if (!model) model = BOX_MODEL;
    if (!b.n_prompt && !b.n_gen) return cli_usage_error("-p 0 and -n 0 leave nothing to measure");
    cli_catch_interrupt();
    if (stream) return bench_stream(model, &m, b.n_prompt, b.n_gen, json);
    code = cli_open(model, &m, &(struct hy_options){0}, &b.en);
    if (code) return code;
    int rc = run_all(&b, &e);
    if (rc) code = cli_fail(&e);
    else report(&b, json);
    free(b.token);
    hy_close(b.en);
    return code ? code : cli_flush() ? EXIT_OK : EXIT_FAILED;
}
