/* hy run: a prompt goes in, text comes out; or, with -i, a conversation. */
#include "tools/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/size_text.h"
#include "tools/box.h"
#include "tools/conversation.h"
#include "tools/generate.h"
#include "tools/plan_print.h"
#include "tools/talk.h"

struct run {
    const struct run_hooks *hooks;
    struct hy_engine *en;
    const struct tokenizer *tok;
    struct conversation conv; /* its chat is NULL: the prompt is text to be continued */
    struct tokens prompt;
    struct reply reply;
    struct reply_printer printer;
    struct generate gen;
    double prompt_s;
};

struct run_args {
    const char *model, *text, *file, *system, *think;
    uint32_t n_most;
    bool raw, stats, ignore_end, interactive;
    struct sampler_params sampling;
};

static bool emit(void *ctx, bool thinking, const char *p, size_t n) {
    struct run *r = ctx;
    return r->hooks->text ? r->hooks->text(r->hooks->ctx, p, n) : reply_print(&r->printer, thinking, p, n);
}

static bool emit_end(struct run *r) { return r->hooks->text ? emit(r, false, "\n", 1) : reply_print_end(&r->printer); }

/* Until the model ends, the limit, the context, Ctrl-C or a closed output. Returns an exit code. */
static int write_text(struct run *r, float *logits) {
    struct err e;
    enum generate_end end = generate(&r->gen, logits, &e);
    if (end == GENERATE_FAILED) return cli_fail(&e);
    if (end == GENERATE_REFUSED || !reply_finish(&r->reply, end != GENERATE_ENDED) || !emit_end(r)) return EXIT_FAILED;
    if (end == GENERATE_FULL)
        fprintf(stderr, "hy: stopped, the context of %u tokens is full; a larger -c gives more room\n", hy_info(r->en)->n_ctx);
    return end == GENERATE_STOPPED ? EXIT_INTERRUPTED : EXIT_OK;
}

static void print_stats(const struct run *r) {
    const struct hy_info *i = hy_info(r->en);
    uint32_t n_gen = (uint32_t)r->gen.picked.n, n_step = n_gen > 1 ? n_gen - 1 : 0; /* the first token comes from the prompt's step */
    double roof = hy_read_bandwidth(r->en) / 1e9, gen = 0, gb = 0;
    if (n_step && r->gen.s > 0) gen = n_step / r->gen.s;
    gb = gen * (double)i->step_weights_bytes / 1e9;
    fprintf(stderr, "prompt      %6zu tokens %10.2f tok/s\n", r->prompt.n, (double)r->prompt.n / r->prompt_s);
    fprintf(stderr, "generation  %6u tokens %10.2f tok/s  %.2f GB/s", n_gen, gen, gb);
    if (roof > 0) fprintf(stderr, ", %.0f %% of the %.2f GB/s that plain reading reaches", 100 * gb / roof, roof);
    fputc('\n', stderr);
    fprintf(stderr, "load        %6.2f s   memory plan %s   %s\n", i->load_s, size_text(i->weights_bytes + i->kv_bytes + i->work_bytes).s, i->device);
    plan_say_stream(r->en);
    fprintf(stderr, "logits      %016llx (xxh3 of the last row)\n", (unsigned long long)r->gen.logits_hash);
}

static int prompt_text(const struct run_args *a, char **text, size_t *len, struct err *e) {
    if (a->file) return cli_read_all(a->file, text, len, e);
    if (!a->text) return cli_read_all(NULL, text, len, e);
    *len = strlen(a->text);
    *text = strdup(a->text);
    return *text ? ERR_OK : err_set(e, ERR_NOMEM, "no memory for the prompt");
}

/* The text itself: BOS where the model wants it, no EOS, special tokens where their text stands. */
static int encode_text(struct run *r, const char *text, size_t len, struct err *e) {
    const struct tokenizer_info *ti = tokenizer_info(r->tok);
    if (ti->add_bos && ti->bos >= 0 && !tokens_push(&r->prompt, ti->bos)) return err_set(e, ERR_NOMEM, "no memory for the prompt");
    int rc = tokenizer_encode(r->tok, text, len, false, true, &r->prompt, e);
    if (!rc && r->prompt.n == 0) rc = err_set(e, ERR_ARG, "the prompt is empty and this model has no token to begin with; give some text");
    return rc;
}

static int check_prompt(const struct run *r, struct err *e) {
    uint32_t n_ctx = hy_info(r->en)->n_ctx;
    if (r->prompt.n <= n_ctx) return ERR_OK;
    return err_set(e, ERR_LIMIT, "the prompt's %zu tokens do not fit the context of %u; give a larger -c or a shorter prompt", r->prompt.n, n_ctx);
}

/* A model without a template of its own is no chat model: it continues the text, unless a conversation was asked for. */
static int open_conversation(struct run *r, const struct run_args *a, struct err *e) {
    int rc = a->raw ? ERR_OK : conversation_init(&r->conv, a->model, r->tok, a->interactive, e);
    if (rc || !(a->system || a->think)) return rc;
    if (!r->conv.chat) return err_set(e, ERR_UNSUPPORTED, "--system and --think need a model with a chat template; this one has none");
    if (a->system) rc = conversation_set_system(&r->conv, a->system, e);
    if (!rc && a->think) rc = conversation_set_think(&r->conv, a->think, e);
    return rc;
}

static int make_prompt(struct run *r, const struct run_args *a, bool *in_thought, struct err *e) {
    char *text = NULL;
    size_t len;
    *in_thought = false;
    int rc = prompt_text(a, &text, &len, e);
    if (!rc && !r->conv.chat) rc = encode_text(r, text, len, e);
    if (!rc && r->conv.chat) rc = conversation_add_user(&r->conv, text, len, e);
    if (!rc && r->conv.chat && !a->interactive) rc = conversation_prompt(&r->conv, &r->prompt, in_thought, e);
    free(text);
    return rc ? rc : check_prompt(r, e);
}

static int find_tokenizer(struct run *r, struct err *e) {
    int rc = hy_tokenizer(r->en, &r->tok, e);
    if (rc) return rc;
    const struct tokenizer_info *ti = tokenizer_info(r->tok);
    if (ti->warning) fprintf(stderr, "hy: %s\n", ti->warning);
    if (ti->n_vocab <= hy_info(r->en)->n_vocab) return ERR_OK;
    return err_set(e, ERR_FORMAT, "the vocabulary names %u tokens, but the model computes %u", ti->n_vocab, hy_info(r->en)->n_vocab);
}

static int prepare(struct run *r, const struct run_args *a, struct err *e) {
    bool in_thought;
    int rc = make_prompt(r, a, &in_thought, e);
    if (rc) return rc;
    r->printer = reply_printer();
    r->gen = (struct generate){.en = r->en, .n_most = a->n_most, .ignore_end = a->ignore_end, .stop = cli_interrupted, .reply = &r->reply};
    rc = sampler_new(&a->sampling, hy_info(r->en)->n_vocab, &r->gen.sampler, e);
    if (!rc) rc = reply_init(&r->reply, r->tok, r->conv.chat, r->prompt.n <= 1, in_thought, (struct reply_to){emit, r}, e);
    if (!rc) rc = hy_seq_new(r->en, &r->gen.seq, e);
    return rc;
}

static int answer_prompt(struct run *r, const struct run_args *a) {
    struct err e;
    float *logits = NULL;
    int rc = prepare(r, a, &e);
    for (size_t i = 0; i < r->prompt.n && !rc; i++) sampler_accept(r->gen.sampler, r->prompt.id[i]);
    uint64_t t0 = clock_ns();
    if (!rc)
        rc = hy_feed(r->en, r->gen.seq, r->prompt.id, (uint32_t)r->prompt.n, generate_n_best(r->gen.sampler), &logits, cli_interrupted,
                     NULL, &e);
    if (rc) return cli_fail(&e);
    r->prompt_s = (double)(clock_ns() - t0) / 1e9;
    int code = write_text(r, logits);
    if (a->stats && code != EXIT_FAILED) print_stats(r);
    return code;
}

static int converse(struct run *r, const struct run_args *a) {
    struct err e;
    bool in_thought, asked = a->text || a->file;
    if (asked && make_prompt(r, a, &in_thought, &e)) return cli_fail(&e);
    return talk(r->en, &(struct talk_options){&r->conv, asked, a->sampling, a->n_most, a->stats});
}

static int run_model(struct run *r, const struct run_args *a) {
    struct err e;
    int rc = find_tokenizer(r, &e);
    if (!rc) rc = open_conversation(r, a, &e);
    if (rc) return cli_fail(&e);
    return a->interactive ? converse(r, a) : answer_prompt(r, a);
}

void run_sampling_opts(struct sampler_params *s, struct opt out[RUN_N_SAMPLING]) {
    const struct opt opts[RUN_N_SAMPLING] = {
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
    };
    memcpy(out, opts, sizeof opts);
}

#define N_PROMPT_OPTS 8u
#define N_OPTS (N_PROMPT_OPTS + RUN_N_SAMPLING + 1)

static void run_opts(struct run_args *a, struct opt out[N_OPTS]) {
    const struct opt opts[N_PROMPT_OPTS] = {
        {"-p", OPT_STR, &a->text, "TEXT", "the prompt", 0, 0},
        {"-f", OPT_STR, &a->file, "FILE", "a file with the prompt (neither -p nor -f: standard input)", 0, 0},
        {"-n", OPT_U32, &a->n_most, "N", a->n_most ? "write at most N tokens (32)" : "write at most N tokens (until the model ends)", 1, UINT32_MAX},
        {"--system", OPT_STR, &a->system, "TEXT", "how a chat model is to behave", 0, 0},
        {"--think", OPT_STR, &a->think, "HOW", "whether it thinks first: on, off, low, medium or high (on, if it can)", 0, 0},
        {"--raw", OPT_FLAG, &a->raw, NULL, "the prompt as it is, with no chat template", 0, 0},
        {"--ignore-eos", OPT_FLAG, &a->ignore_end, NULL, "go on when the model ends its text", 0, 0},
        {"--stats", OPT_FLAG, &a->stats, NULL, "speed, memory and a hash of the last logits, on stderr", 0, 0},
    };
    memcpy(out, opts, sizeof opts);
    run_sampling_opts(&a->sampling, out + N_PROMPT_OPTS);
    out[N_OPTS - 1] = (struct opt){"-i", OPT_FLAG, &a->interactive, NULL, "a conversation; /help in it tells more", 0, 0};
}

static int open_and_run(struct run *r, const struct run_args *a, const struct model_options *m) {
    const struct run_hooks *h = r->hooks;
    struct hy_options base = {0};
    struct err e;
    if (h->open && h->open(h->ctx, &(struct output_inputs){a->model, m->sidecar, a->file}, &base, &e)) return cli_fail(&e);
    int code = cli_open(a->model, m, &base, &r->en);
    if (!code && h->opened && h->opened(h->ctx, r->en, a->model, &e)) code = cli_fail(&e);
    return code ? code : run_model(r, a);
}

/* An exit code when they contradict each other. */
static int check_args(const struct run_args *a) {
    if (a->text && a->file) return cli_usage_error("-p and -f both name a prompt; give one of them");
    const char *chats = a->interactive ? "-i" : a->system ? "--system" : a->think ? "--think" : NULL;
    if (a->raw && chats) return cli_usage_error("--raw takes no chat template, which %s needs", chats);
    if (a->interactive && a->ignore_end) return cli_usage_error("-i needs answers that end; give no --ignore-eos");
    if (!a->interactive && !a->text && !a->file && isatty(0))
        return cli_usage_error("give a prompt with -p TEXT or -f FILE, or pipe it in; hy run -i is for a conversation");
    return EXIT_OK;
}

int run_prompt(int argc, char **argv, const struct run_hooks *hooks) {
    struct run_args a = {.n_most = hooks->n_most, .sampling = sampler_defaults()};
    a.sampling.seed = clock_ns();
    struct opt opts[N_OPTS + RUN_MAX_OPTS];
    CHECK(hooks->n_opt <= RUN_MAX_OPTS);
    for (uint32_t i = 0; i < hooks->n_opt; i++) opts[i] = hooks->opts[i];
    run_opts(&a, opts + hooks->n_opt);
    const struct command c = {.name = hooks->name, .usage = hooks->usage, .about = hooks->about, .opts = opts,
                              .n_opt = hooks->n_opt + N_OPTS - !hooks->talks, .model_options = true, .positional = &a.model,
                              .n_positional = 1};
    struct model_options m;
    int code;
    if (!cli_parse(&c, argc, argv, &m, &code)) return code;
    if (hooks->instead && hooks->instead(hooks->ctx, &code)) return code;
    if (!a.model) a.model = BOX_MODEL;
    code = check_args(&a);
    if (code) return code;
    cli_catch_interrupt();
    struct run r = {.hooks = hooks};
    code = open_and_run(&r, &a, &m);
    reply_deinit(&r.reply);
    sampler_free(r.gen.sampler);
    tokens_deinit(&r.gen.picked);
    tokens_deinit(&r.prompt);
    conversation_deinit(&r.conv);
    hy_close(r.en);
    return code;
}

int cmd_run(int argc, char **argv) {
    return run_prompt(argc, argv, &(struct run_hooks){.name = "run", .usage = "[MODEL] [-p TEXT | -f FILE | stdin | -i] [options]", .talks = true,
                                                      .about = "Writes text that continues a prompt, or answers it where the model has a chat template."});
}
