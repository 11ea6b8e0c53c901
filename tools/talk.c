#include "tools/talk.h"

#include <signal.h>
#include <string.h>

#include "runtime/clock.h"
#include "tools/cli.h"
#include "tools/talk_impl.h"

int talk_use_sampling(struct talk *t, const struct sampler_params *p, struct err *e) {
    struct sampler *s;
    int rc = sampler_new(p, hy_info(t->en)->n_vocab, &s, e);
    if (rc) return rc;
    if (p->seed != t->sampling.seed) t->n_answer = 0;
    sampler_free(t->sampler);
    t->sampler = s;
    t->sampling = *p;
    return ERR_OK;
}

/* The prompt. */

/* The conversation's tokens, and behind them those of an answer that has begun. */
static int render(const struct talk *t, const struct tokens *begun, struct tokens *out, bool *in_thought, struct err *e) {
    int rc = conversation_prompt(t->conv, out, in_thought, e);
    for (size_t i = 0; i < begun->n && !rc; i++)
        if (!tokens_push(out, begun->id[i])) rc = err_set(e, ERR_NOMEM, "no memory for the prompt");
    if (!rc && out->n == 0) rc = err_set(e, ERR_ARG, "the template makes an empty prompt of this");
    return rc;
}

/* Leaves an eighth of the context for the answer; where there is less, forgets turns until a quarter is free, so that
 * this is not needed, and all computed again, at every turn. */
static int fit(struct talk *t, const struct tokens *begun, struct tokens *out, bool *in_thought, struct err *e) {
    uint32_t n_ctx = hy_info(t->en)->n_ctx, room = n_ctx / 8;
    int rc = render(t, begun, out, in_thought, e);
    if (t->n_most && t->n_most < room) room = t->n_most;
    if (rc || out->n + room <= n_ctx) return rc;
    while (!rc && out->n > n_ctx - n_ctx / 4 && conversation_forget_turn(t->conv)) {
        t->n_forgotten++;
        rc = render(t, begun, out, in_thought, e);
    }
    if (!rc && out->n >= n_ctx)
        rc = err_set(e, ERR_LIMIT, "the %zu tokens do not fit the context of %u; a larger -c gives more room", out->n, n_ctx);
    return rc;
}

static uint32_t n_same(const struct tokens *a, const struct tokens *b) {
    uint32_t n = 0;
    while (n < a->n && n < b->n && a->id[n] == b->id[n]) n++;
    return n;
}

static bool held_push(struct talk *t, const int32_t *id, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (!tokens_push(&t->held, id[i])) return false;
    return true;
}

/* Makes the sequence hold these tokens. What was computed before a failure or an interrupt stays. */
static int feed(struct talk *t, const struct tokens *want, float **logits, struct err *e) {
    uint32_t keep = n_same(&t->held, want);
    if (keep == want->n) keep--; /* a step must compute the last one's logits */
    hy_seq_truncate(t->en, t->seq, keep);
    t->held.n = keep;
    t->last.n_kept = keep;
    t->last.n_prompt = (uint32_t)want->n;
    uint64_t t0 = clock_ns();
    int rc = hy_feed(t->en, t->seq, want->id + keep, (uint32_t)want->n - keep, generate_n_best(t->sampler), logits, cli_interrupted,
                     NULL, e);
    t->last.prompt_s = (double)(clock_ns() - t0) / 1e9;
    if (!held_push(t, want->id + keep, hy_seq_len(t->en, t->seq) - keep)) return err_set(e, ERR_NOMEM, "no memory for the prompt");
    return rc;
}

static void start_sampling(struct talk *t, const struct tokens *prompt) {
    sampler_reset(t->sampler, t->sampling.seed + t->n_answer++);
    for (size_t i = 0; i < prompt->n; i++) sampler_accept(t->sampler, prompt->id[i]);
}

/* The answer. */

static bool take_text(void *ctx, bool thinking, const char *p, size_t n) {
    struct talk *t = ctx;
    strbuf_add(thinking ? &t->thinking : &t->text, p, n);
    return strbuf_ok(&t->text) && strbuf_ok(&t->thinking) && reply_print(&t->printer, thinking, p, n);
}

/* What generate adds to the sequence is known from what it picked. */
static enum generate_end write_some(struct talk *t, struct generate *g, float *logits, struct err *e) {
    size_t before = g->picked.n;
    enum generate_end end = generate(g, logits, e);
    uint32_t n = hy_seq_len(t->en, t->seq) - (uint32_t)t->held.n;
    if (!held_push(t, g->picked.id + before, n)) end = (err_set(e, ERR_NOMEM, "no memory for the answer"), GENERATE_FAILED);
    return end;
}

/* Forgets turns and goes on, when the context is full and there are such. */
static enum generate_end write_all(struct talk *t, struct generate *g, struct tokens *prompt, float *logits, struct err *e) {
    enum generate_end end = write_some(t, g, logits, e);
    while (end == GENERATE_FULL) {
        uint32_t before = t->n_forgotten;
        bool in_thought;
        struct err none;
        if (fit(t, &g->picked, prompt, &in_thought, &none) || t->n_forgotten == before) break;
        if (feed(t, prompt, &logits, e)) return e->code == ERR_CANCELLED ? GENERATE_STOPPED : GENERATE_FAILED;
        end = write_some(t, g, logits, e);
    }
    return end;
}

static int write_answer(struct talk *t, struct tokens *prompt, bool in_thought, float *logits, enum generate_end *end, struct err *e) {
    struct reply reply;
    int rc = reply_init(&reply, t->conv->tok, t->conv->chat, false, in_thought, (struct reply_to){take_text, t}, e);
    if (rc) return rc;
    struct generate g = {.en = t->en, .seq = t->seq, .sampler = t->sampler, .n_most = t->n_most, .stop = cli_interrupted,
                         .reply = &reply};
    *end = write_all(t, &g, prompt, logits, e);
    bool whole = *end != GENERATE_FAILED && *end != GENERATE_REFUSED;
    if (whole && !reply_finish(&reply, *end != GENERATE_ENDED)) *end = GENERATE_REFUSED;
    if (*end != GENERATE_REFUSED && !reply_print_end(&t->printer)) *end = GENERATE_REFUSED;
    t->last.n_new = (uint32_t)g.picked.n;
    t->last.gen_s = g.s;
    tokens_deinit(&g.picked);
    reply_deinit(&reply);
    if (*end == GENERATE_FAILED) return e->code;
    return conversation_add_answer(t->conv, strbuf_of(&t->text), t->text.n, strbuf_of(&t->thinking), t->thinking.n, e);
}

static void say_forgotten(const struct talk *t) {
    if (t->n_forgotten)
        fprintf(stderr, "hy: the context of %u tokens is full; forgotten: %u of the oldest turns (a larger -c keeps more)\n",
                hy_info(t->en)->n_ctx, t->n_forgotten);
}

static void say_end(const struct talk *t, enum generate_end end) {
    say_forgotten(t);
    if (end == GENERATE_FULL)
        fprintf(stderr, "hy: stopped, the context of %u tokens is full; a larger -c gives more room\n", hy_info(t->en)->n_ctx);
    if (t->stats) talk_print_stats(t);
    if (t->printer.terminal) fputc('\n', stderr);
}

static int try_answer(struct talk *t, enum generate_end *end, struct err *e) {
    struct tokens prompt = {0};
    bool in_thought;
    float *logits;
    t->n_forgotten = 0;
    strbuf_clear(&t->text);
    strbuf_clear(&t->thinking);
    int rc = fit(t, &(struct tokens){0}, &prompt, &in_thought, e);
    if (!rc) start_sampling(t, &prompt);
    if (!rc) rc = feed(t, &prompt, &logits, e);
    if (!rc) rc = write_answer(t, &prompt, in_thought, logits, end, e);
    tokens_deinit(&prompt);
    return rc;
}

/* As if the last question had not been asked. */
static void undo(struct talk *t, json_t *before, const struct err *e) {
    json_decref(t->conv->messages);
    t->conv->messages = before;
    conversation_take_back(t->conv);
    t->failed = e->code != ERR_CANCELLED;
    if (t->failed) cli_fail(e);
    else fputs("hy: stopped; the question was taken back\n", stderr);
}

/* The last message is a question. False: nobody reads the answers, or the program is to end. */
static bool answer(struct talk *t) {
    struct err e = {0};
    enum generate_end end = GENERATE_ENDED;
    json_t *before = json_copy(t->conv->messages); /* turns are not forgotten for an answer that fails */
    if (!before || try_answer(t, &end, &e)) {
        if (before) undo(t, before, &e);
    } else {
        json_decref(before);
        say_end(t, end);
    }
    t->terminated |= cli_take_interrupt() == SIGTERM;
    return end != GENERATE_REFUSED && !t->terminated && before;
}

/* The conversation. */

static bool is_blank(const char *text) { return text[strspn(text, " \t\n")] == 0; }

/* False: it is over. */
static bool take_message(struct talk *t, const char *text, size_t len) {
    struct err e;
    if (is_blank(text)) return true;
    if (text[0] == '/') return talk_command(t, text);
    if (conversation_add_user(t->conv, text, len, &e) == ERR_OK) return answer(t);
    cli_fail(&e);
    t->failed = true;
    return true;
}

static int leave(struct talk *t) { return t->terminated ? EXIT_INTERRUPTED : ferror(stdout) ? EXIT_FAILED : EXIT_OK; }

/* Ctrl-C while nothing is written: only the line is lost. False: who asked was no terminal, or it was SIGTERM. */
static bool take_interrupt(struct talk *t) {
    t->terminated = cli_take_interrupt() == SIGTERM || !talk_line_edits(t->in);
    if (talk_line_edits(t->in)) fputs(!t->terminated && talk_line_was_empty(t->in) ? "\nhy: /bye or Ctrl-D leaves\n" : "\n", stderr);
    return !t->terminated;
}

static int converse(struct talk *t) {
    const char *text;
    size_t len;
    struct err e;
    for (;;) {
        switch (talk_line_read(t->in, &text, &len, &e)) {
        case TALK_LINE_TEXT:
            if (!take_message(t, text, len)) return leave(t);
            break;
        case TALK_LINE_INTERRUPTED:
            if (!take_interrupt(t)) return leave(t);
            break;
        case TALK_LINE_OVER:
            if (talk_line_edits(t->in)) fputc('\n', stderr);
            return EXIT_OK;
        case TALK_LINE_FAILED: return cli_fail(&e);
        }
    }
}

static void greet(const struct talk *t) {
    const char *warning = chat_info(t->conv->chat)->warning, *name = hy_info(t->en)->name;
    if (warning) fprintf(stderr, "hy: %s\n", warning);
    if (talk_line_edits(t->in))
        fprintf(stderr, "%s, a context of %u tokens. /help tells what can be done; /bye or Ctrl-D leaves.\n\n",
                name && *name ? name : hy_info(t->en)->arch, hy_info(t->en)->n_ctx);
}

int talk(struct hy_engine *en, const struct talk_options *opt) {
    struct talk t = {.en = en, .conv = opt->conversation, .n_most = opt->n_most, .stats = opt->stats, .printer = reply_printer()};
    struct err e;
    int code = EXIT_OK;
    cli_keep_interrupts();
    int rc = talk_use_sampling(&t, &opt->sampling, &e);
    if (!rc) rc = hy_seq_new(en, &t.seq, &e);
    if (!rc) rc = talk_line_open(&t.in, &e);
    if (rc) code = cli_fail(&e);
    if (!rc) greet(&t);
    if (!rc) code = opt->asked && !answer(&t) ? leave(&t) : converse(&t);
    if (code == EXIT_OK && t.failed && !talk_line_edits(t.in)) code = EXIT_FAILED;
    talk_line_close(t.in);
    sampler_free(t.sampler);
    tokens_deinit(&t.held);
    strbuf_deinit(&t.text);
    strbuf_deinit(&t.thinking);
    return code;
}
