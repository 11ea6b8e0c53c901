/* hy eval: how well a model predicts a text, and its logits. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "tools/box.h"
#include "tools/cli.h"
#include "tools/output.h"

#define CHUNK 64 /* tokens per step; each of them gives a row of logits */

struct eval {
    struct hy_engine *en;
    const int32_t *token;
    uint32_t n_tok;
    struct output logits;
    double nll;       /* sum of -log p of each token given those before it */
    uint32_t n_scored;
};

static double log_prob(const float *row, uint32_t n_vocab, int32_t token) {
    double max = row[0], sum = 0;
    for (uint32_t i = 1; i < n_vocab; i++) max = row[i] > max ? row[i] : max;
    for (uint32_t i = 0; i < n_vocab; i++) sum += exp(row[i] - max);
    return row[token] - max - log(sum);
}

/* Tokens first..first+n-1 as one sequence of their own. */
static int eval_window(struct eval *ev, uint32_t seq, uint32_t first, uint32_t n, struct err *e) {
    uint32_t n_vocab = hy_info(ev->en)->n_vocab, seqs[CHUNK], pos[CHUNK];
    bool want[CHUNK];
    hy_seq_truncate(ev->en, seq, 0);
    for (uint32_t done = 0; done < n;) {
        uint32_t k = n - done < CHUNK ? n - done : CHUNK;
        if (k > hy_info(ev->en)->n_batch) k = hy_info(ev->en)->n_batch;
        for (uint32_t i = 0; i < k; i++) {
            seqs[i] = seq;
            pos[i] = done + i;
            want[i] = true;
        }
        float *rows;
        if (cli_interrupted(NULL)) return err_set(e, ERR_CANCELLED, "interrupted");
        int rc = hy_step(ev->en, &(struct hy_batch){k, ev->token + first + done, seqs, pos, want}, &rows, e);
        if (rc) return rc;
        if (ev->logits.f && fwrite(rows, sizeof(float), (size_t)k * n_vocab, ev->logits.f) != (size_t)k * n_vocab)
            return err_set(e, ERR_IO, "the logits cannot be written: %s", strerror(errno));
        for (uint32_t i = 0; i < k && done + i + 1 < n; i++) {
            ev->nll -= log_prob(rows + (size_t)i * n_vocab, n_vocab, ev->token[first + done + i + 1]);
            ev->n_scored++;
        }
        done += k;
    }
    return ERR_OK;
}

/* A text longer than the context is scored in windows, each beginning without a past. */
static int eval_all(struct eval *ev, struct err *e) {
    uint32_t n_ctx = hy_info(ev->en)->n_ctx, seq;
    int rc = hy_seq_new(ev->en, &seq, e);
    for (uint32_t first = 0; first < ev->n_tok && !rc; first += n_ctx)
        rc = eval_window(ev, seq, first, ev->n_tok - first < n_ctx ? ev->n_tok - first : n_ctx, e);
    return rc;
}

static int parse_ids(const char *s, struct tokens *out, struct err *e) {
    while (*s) {
        char *end;
        long v = strtol(s, &end, 10);
        if (end == s || v < 0 || v > INT32_MAX) return err_set(e, ERR_ARG, "'%.20s' in --tokens is not a token id; write 1,2,3", s);
        if (!tokens_push(out, (int32_t)v)) return err_set(e, ERR_NOMEM, "no memory for the tokens");
        s = end + strspn(end, ", \t\n");
    }
    return ERR_OK;
}

static int read_text(struct hy_engine *en, const char *path, struct tokens *out, struct err *e) {
    const struct tokenizer *t;
    char *text = NULL;
    size_t len;
    int rc = hy_tokenizer(en, &t, e);
    if (!rc) rc = cli_read_all(path, &text, &len, e);
    if (!rc) rc = tokenizer_encode(t, text, len, true, false, out, e);
    free(text);
    return rc;
}

static void report(const struct eval *ev, double seconds, bool json) {
    double ppl = ev->n_scored ? exp(ev->nll / ev->n_scored) : NAN;
    if (json) {
        printf("{\"tokens\": %u, \"scored\": %u, \"perplexity\": ", ev->n_tok, ev->n_scored);
        if (isfinite(ppl)) printf("%.6f", ppl);
        else printf("null");
        printf(", \"seconds\": %.3f, \"tok_s\": %.2f}\n", seconds, ev->n_tok / seconds);
    } else if (ev->n_scored) {
        printf("perplexity %.4f over %u tokens (%.2f s, %.1f tok/s)\n", ppl, ev->n_scored, seconds, ev->n_tok / seconds);
    } else {
        printf("one token: nothing to predict (%.2f s)\n", seconds);
    }
}

static int run_eval(struct eval *ev, const struct tokens *ts, const struct output_inputs *in, bool json) {
    struct err e;
    ev->token = ts->id;
    ev->n_tok = (uint32_t)ts->n;
    if (ts->n == 0) return cli_fail((err_set(&e, ERR_ARG, "there are no tokens to evaluate"), &e));
    if (!in->text && ts->n > hy_info(ev->en)->n_ctx)
        return cli_fail((err_set(&e, ERR_LIMIT, "%zu tokens do not fit the context of %u; give a larger -c", ts->n, hy_info(ev->en)->n_ctx), &e));
    if (output_open(&ev->logits, in, &e)) return cli_fail(&e);
    uint64_t t0 = clock_ns();
    int rc = eval_all(ev, &e);
    int closed = output_close(&ev->logits, rc ? NULL : &e);
    if (rc || closed) return cli_fail(&e);
    report(ev, (double)(clock_ns() - t0) / 1e9, json);
    return cli_flush() ? EXIT_OK : EXIT_FAILED;
}

int cmd_eval(int argc, char **argv) {
    const char *model = NULL, *ids = NULL, *file = NULL;
    struct eval ev = {0};
    bool json = false;
    const struct opt opts[] = {
        {"--tokens", OPT_STR, &ids, "1,2,3", "token ids to evaluate", 0, 0},
        {"-f", OPT_STR, &file, "FILE", "a text to evaluate", 0, 0},
        {"--logits", OPT_STR, &ev.logits.path, "OUT.f32", "write raw float32 logits: a row of n_vocab per token", 0, 0},
        {"--json", OPT_FLAG, &json, NULL, "the result as JSON", 0, 0},
    };
    const struct command c = {.name = "eval", .usage = "[MODEL] (--tokens 1,2,3 | -f FILE) [options]",
                              .about = "Perplexity of a model on a text: exp of the mean of -log p(token | those before it).",
                              .opts = opts, .n_opt = sizeof opts / sizeof opts[0], .model_options = true, .positional = &model, .n_positional = 1};
    struct model_options m;
    int code;
    if (!cli_parse(&c, argc, argv, &m, &code)) return code;
    if (!model) model = BOX_MODEL;
    if (!ids == !file) return cli_usage_error("eval needs either --tokens or -f; see hy eval --help");
    cli_catch_interrupt();
    struct tokens ts = {0};
    struct err e;
    code = cli_open(model, &m, &(struct hy_options){.n_logits = CHUNK}, &ev.en);
    if (code) return code;
    int rc = ids ? parse_ids(ids, &ts, &e) : read_text(ev.en, file, &ts, &e);
    code = rc ? cli_fail(&e) : run_eval(&ev, &ts, &(struct output_inputs){model, m.sidecar, file}, json);
    tokens_deinit(&ts);
    hy_close(ev.en);
    return code;
}
