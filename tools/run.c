/* hy run: a prompt goes in, text comes out. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "models/sampler.h"
#include "models/tokenizer/detok.h"
#include "runtime/clock.h"
#include "tools/box.h"
#include "tools/plan_print.h"
#include "tools/run.h"
#include "tools/run_chat.h"

struct run {
    const struct run_hooks *hooks;
    struct hy_engine *en;
    const struct tokenizer *tok;
    struct sampler *sampler;
    struct detok *detok;
    struct tokens prompt;
    uint32_t seq, n_most; /* n_most: tokens to generate at most; 0: until the model ends or the context is full */
    bool ignore_end;      /* go on when the model ends */
    uint32_t n_best;      /* of each row that the sampler needs; 0: the whole row */
    uint32_t n_gen;
    double prompt_s, gen_s;
    uint64_t logits_hash; /* of the last row */
};

struct run_args {
    const char *model, *text, *file;
    uint32_t n_most;
    bool raw, stats, ignore_end;
    struct sampler_params sampling;
};

static bool emit(struct run *r, struct token_bytes b) {
    if (r->hooks->text) return b.len == 0 || r->hooks->text(r->hooks->ctx, b.p, b.len);
    return (b.len == 0 || cli_write(b.p, b.len)) && cli_flush();
}

/* From the best that the device found, when they are enough. */
static int32_t pick(struct run *r, float *logits) {
    if (!r->n_best) return sampler_pick(r->sampler, logits, hy_info(r->en)->n_vocab);
    const int32_t *ids;
    const float *values;
    hy_best(r->en, 0, &ids, &values);
    return sampler_pick_best(r->sampler, ids, values, r->n_best);
}

/* One token after the other until the model ends, the limit, the context, Ctrl-C or a closed output. Returns an exit code. */
static int generate(struct run *r, float *logits) {
    const struct hy_info *info = hy_info(r->en);
    struct err e;
    uint64_t t0 = clock_ns();
    int code = EXIT_OK;
    for (;;) {
        r->logits_hash = XXH3_64bits(logits, info->n_vocab * sizeof *logits);
        int32_t id = pick(r, logits);
        if (id < 0) return cli_fail((err_set(&e, ERR_FORMAT, "the model computes no usable logits (they are NaN); its weights are damaged"), &e));
        if (tokenizer_is_eog(r->tok, id) && !r->ignore_end) break;
        sampler_accept(r->sampler, id);
        r->n_gen++;
        if (!emit(r, detok_push(r->detok, id))) return EXIT_FAILED;
        if (r->n_gen == r->n_most) break;
        if (cli_interrupted(NULL)) {
            code = EXIT_INTERRUPTED;
            break;
        }
        if (hy_seq_len(r->en, r->seq) == info->n_ctx) {
            fprintf(stderr, "\nhy: stopped, the context of %u tokens is full; a larger -c gives more room\n", info->n_ctx);
            break;
        }
        if (hy_feed(r->en, r->seq, &id, 1, r->n_best, &logits, NULL, NULL, &e)) return cli_fail(&e);
    }
    r->gen_s = (double)(clock_ns() - t0) / 1e9;
    bool written = emit(r, detok_flush(r->detok)) && emit(r, (struct token_bytes){"\n", 1});
    return written ? code : EXIT_FAILED;
}

static void print_stats(const struct run *r) {
    const struct hy_info *i = hy_info(r->en);
    double roof = hy_read_bandwidth(r->en) / 1e9, gen = 0, gb = 0;
    uint32_t n_step = r->n_gen > 1 ? r->n_gen - 1 : 0; /* the first token comes from the prompt's step */
    if (n_step && r->gen_s > 0) gen = n_step / r->gen_s;
    gb = gen * (double)i->step_weights_bytes / 1e9;
    fprintf(stderr, "prompt      %6zu tokens %10.2f tok/s\n", r->prompt.n, (double)r->prompt.n / r->prompt_s);
    fprintf(stderr, "generation  %6u tokens %10.2f tok/s  %.2f GB/s", r->n_gen, gen, gb);
    if (roof > 0) fprintf(stderr, ", %.0f %% of the %.2f GB/s that plain reading reaches", 100 * gb / roof, roof);
    fputc('\n', stderr);
    fprintf(stderr, "load        %6.2f s   memory plan %.2f GB   %s\n", i->load_s, (double)(i->weights_bytes + i->kv_bytes + i->work_bytes) / 1e9, i->device);
    plan_say_stream(r->en);
    fprintf(stderr, "logits      %016llx (xxh3 of the last row)\n", (unsigned long long)r->logits_hash);
}

static int prompt_text(const struct run_args *a, char **text, size_t *len, struct err *e) {
    if (a->file) return cli_read_all(a->file, text, len, e);
    if (!a->text) return cli_read_all(NULL, text, len, e);
    *len = strlen(a->text);
    *text = strdup(a->text);
    return *text ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for the prompt");
}

/* The prompt's tokens, by way of the chat template unless it is raw: BOS where the model wants it, no EOS, special tokens where their text stands. */
static int make_prompt(struct run *r, const struct run_args *a, struct err *e) {
    const struct tokenizer_info *ti = tokenizer_info(r->tok);
    char *text = NULL;
    size_t len;
    bool has_bos = false;
    int rc = prompt_text(a, &text, &len, e);
    if (!rc && !a->raw) rc = run_chat(a->model, &text, &len, &has_bos, e);
    if (!rc && ti->add_bos && ti->bos >= 0 && !has_bos && !tokens_push(&r->prompt, ti->bos)) rc = err_set(e, ERR_NOMEM, "no memory for the prompt");
    if (!rc) rc = tokenizer_encode(r->tok, text, len, false, true, &r->prompt, e);
    free(text);
    if (!rc && r->prompt.n == 0) rc = err_set(e, ERR_ARG, "the prompt is empty and this model has no token to begin with; give some text");
    if (!rc && r->prompt.n > hy_info(r->en)->n_ctx)
        rc = err_set(e, ERR_LIMIT, "the prompt's %zu tokens do not fit the context of %u; give a larger -c or a shorter prompt", r->prompt.n,
                     hy_info(r->en)->n_ctx);
    return rc;
}

static int prepare(struct run *r, const struct run_args *a, struct err *e) {
    int rc = hy_tokenizer(r->en, &r->tok, e);
    if (!rc && tokenizer_info(r->tok)->warning) fprintf(stderr, "hy: %s\n", tokenizer_info(r->tok)->warning);
    if (!rc && tokenizer_info(r->tok)->n_vocab > hy_info(r->en)->n_vocab)
        rc = err_set(e, ERR_FORMAT, "the vocabulary names %u tokens, but the model computes %u", tokenizer_info(r->tok)->n_vocab, hy_info(r->en)->n_vocab);
    if (!rc) rc = make_prompt(r, a, e);
    if (!rc) rc = sampler_new(&a->sampling, hy_info(r->en)->n_vocab, &r->sampler, e);
    if (!rc) rc = detok_new(r->tok, (struct detok_options){.at_start = r->prompt.n <= 1}, &r->detok, e);
    if (!rc) rc = hy_seq_new(r->en, &r->seq, e);
    if (!rc) r->n_best = sampler_n_best(r->sampler, HY_MAX_BEST);
    return rc;
}

static int run_model(struct run *r, const struct run_args *a) {
    struct err e;
    float *logits = NULL;
    int rc = prepare(r, a, &e);
    for (size_t i = 0; i < r->prompt.n && !rc; i++) sampler_accept(r->sampler, r->prompt.id[i]);
    uint64_t t0 = clock_ns();
    if (!rc) rc = hy_feed(r->en, r->seq, r->prompt.id, (uint32_t)r->prompt.n, r->n_best, &logits, cli_interrupted, NULL, &e);
    if (rc) return cli_fail(&e);
    r->prompt_s = (double)(clock_ns() - t0) / 1e9;
    r->n_most = a->n_most;
    r->ignore_end = a->ignore_end;
    int code = generate(r, logits);
    if (a->stats && code != EXIT_FAILED) print_stats(r);
    return code;
}

#define N_OPTS 16

static void run_opts(struct run_args *a, struct opt out[N_OPTS]) {
    struct sampler_params *s = &a->sampling;
    const struct opt opts[N_OPTS] = {
        {"-p", OPT_STR, &a->text, "TEXT", "the prompt", 0, 0},
        {"-f", OPT_STR, &a->file, "FILE", "a file with the prompt (neither -p nor -f: standard input)", 0, 0},
        {"-n", OPT_U32, &a->n_most, "N", a->n_most ? "write at most N tokens (32)" : "write at most N tokens (until the model ends)", 1, UINT32_MAX},
        {"--raw", OPT_FLAG, &a->raw, NULL, "the prompt as it is, with no chat template", 0, 0},
        {"--ignore-eos", OPT_FLAG, &a->ignore_end, NULL, "go on when the model ends its text", 0, 0},
        {"--temp", OPT_F32, &s->temperature, "X", "temperature; 0 takes the likeliest token (0.8)", 0, 100},
        {"--top-k", OPT_U32, &s->top_k, "N", "of the N likeliest tokens; 0: all (40)", 0, UINT32_MAX},
        {"--top-p", OPT_F32, &s->top_p, "X", "of the likeliest that together have this probability (0.95)", 0, 1},
        {"--min-p", OPT_F32, &s->min_p, "X", "of those this fraction as likely as the best (0.05)", 0, 1},
        {"--typical-p", OPT_F32, &s->typical_p, "X", "of the most typical with this probability; 1: all (1)", 0, 1},
        {"--repeat-penalty", OPT_F32, &s->repeat_penalty, "X", "against repeated tokens; 1: none (1)", 0, 100},
        {"--repeat-last-n", OPT_U32, &s->repeat_last_n, "N", "how many tokens count as recent (64)", 0, SAMPLER_LAST_N_MAX},
        {"--presence-penalty", OPT_F32, &s->presence_penalty, "X", "once per recent token (0)", -100, 100},
        {"--frequency-penalty", OPT_F32, &s->frequency_penalty, "X", "per time a token is recent (0)", -100, 100},
        {"--seed", OPT_U64, &s->seed, "N", "same seed, same text (from the clock)", 0, 0},
        {"--stats", OPT_FLAG, &a->stats, NULL, "speed, memory and a hash of the last logits, on stderr", 0, 0},
    };
    memcpy(out, opts, sizeof opts);
}

static int open_and_run(struct run *r, const struct run_args *a, const struct model_options *m) {
    const struct run_hooks *h = r->hooks;
    struct hy_options base = {0};
    struct err e;
    if (h->open && h->open(h->ctx, &base, &e)) return cli_fail(&e);
    int code = cli_open(a->model, m, &base, &r->en);
    if (!code && h->opened && h->opened(h->ctx, r->en, a->model, &e)) code = cli_fail(&e);
    return code ? code : run_model(r, a);
}

int run_prompt(int argc, char **argv, const struct run_hooks *hooks) {
    struct run_args a = {.n_most = hooks->n_most, .sampling = sampler_defaults()};
    a.sampling.seed = clock_ns();
    struct opt opts[N_OPTS + RUN_MAX_OPTS];
    CHECK(hooks->n_opt <= RUN_MAX_OPTS);
    for (uint32_t i = 0; i < hooks->n_opt; i++) opts[i] = hooks->opts[i];
    run_opts(&a, opts + hooks->n_opt);
    const struct command c = {.name = hooks->name, .usage = hooks->usage, .about = hooks->about, .opts = opts, .n_opt = hooks->n_opt + N_OPTS,
                              .model_options = true, .positional = &a.model, .n_positional = 1};
    struct model_options m;
    int code;
    if (!cli_parse(&c, argc, argv, &m, &code)) return code;
    if (hooks->instead && hooks->instead(hooks->ctx, &code)) return code;
    if (!a.model) a.model = BOX_MODEL;
    if (a.text && a.file) return cli_usage_error("-p and -f both name a prompt; give one of them");
    if (!a.text && !a.file && isatty(0)) return cli_usage_error("give a prompt with -p TEXT or -f FILE, or pipe it in");
    cli_catch_interrupt();
    struct run r = {.hooks = hooks};
    code = open_and_run(&r, &a, &m);
    detok_free(r.detok);
    sampler_free(r.sampler);
    tokens_deinit(&r.prompt);
    hy_close(r.en);
    return code;
}

int cmd_run(int argc, char **argv) {
    return run_prompt(argc, argv, &(struct run_hooks){.name = "run", .usage = "[MODEL] [-p TEXT | -f FILE | stdin] [options]",
                                                      .about = "Writes text that continues a prompt."});
}
