#include "tools/reply.h"

#include <string.h>
#include <unistd.h>

#include "tools/cli.h"

static void on_event(void *ctx, const struct tool_event *ev) {
    struct reply *r = ctx;
    if (!r->refused && ev->kind != TOOL_CALL) r->refused = !r->to.text(r->to.ctx, ev->kind == TOOL_THINKING, ev->text, ev->len);
}

static int make_parser(struct reply *r, const struct chat *chat, bool in_thought, struct err *e) {
    const struct chat_info *ci = chat_info(chat);
    enum tool_form form = tool_form_detect(ci->source, strlen(ci->source));
    struct tool_options o = {.form = form == TOOL_HARMONY ? form : TOOL_NONE, .in_thought = in_thought};
    if (ci->caps & CHAT_THINKING) o.think = (struct think_tags){ci->think_open, ci->think_close};
    return tool_parse_new(&o, on_event, r, &r->parse, e);
}

int reply_init(struct reply *r, const struct tokenizer *tok, const struct chat *chat, bool at_start, bool in_thought,
               struct reply_to to, struct err *e) {
    *r = (struct reply){.tok = tok, .to = to};
    int rc = detok_new(tok, (struct detok_options){.at_start = at_start}, &r->detok, e);
    if (!rc && chat) rc = make_parser(r, chat, in_thought, e);
    if (rc) reply_deinit(r);
    return rc;
}

void reply_deinit(struct reply *r) {
    detok_free(r->detok);
    tool_parse_free(r->parse);
    *r = (struct reply){0};
}

static bool feed(struct reply *r, struct token_bytes b) {
    if (r->refused || r->err.code) return false;
    if (b.len == 0) return true;
    if (r->parse) tool_parse_feed(r->parse, b.p, b.len, &r->err);
    else r->refused = !r->to.text(r->to.ctx, false, b.p, b.len);
    return !r->refused && !r->err.code;
}

/* A control token's text is a marker or nothing. */
static bool feed_marker(struct reply *r, int32_t id) {
    struct token_bytes text = tokenizer_text(r->tok, id);
    if (!r->parse || !tool_parse_marker(r->parse, text.p, text.len)) return !r->refused && !r->err.code;
    return feed(r, detok_flush(r->detok)) && feed(r, text);
}

bool reply_push(struct reply *r, int32_t id) {
    if (r->parse && (tokenizer_attr(r->tok, id) & TOKEN_CONTROL)) return feed_marker(r, id);
    return feed(r, detok_push(r->detok, id));
}

bool reply_push_end(struct reply *r, int32_t id) { return feed_marker(r, id); }

bool reply_finish(struct reply *r, bool cut) {
    if (!feed(r, detok_flush(r->detok))) return false;
    if (r->parse) tool_parse_end(r->parse, cut, &r->err);
    return !r->refused && !r->err.code;
}

/* Printing. */

struct reply_printer reply_printer(void) {
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    bool terminal = isatty(1);
    return (struct reply_printer){.terminal = terminal, .dim = terminal && !(no && *no) && term && strcmp(term, "dumb") != 0};
}

static bool put(const char *s) { return cli_write(s, strlen(s)); }

/* Between thinking and answer. */
static bool turn(struct reply_printer *pr, bool thinking) {
    pr->thinking = thinking;
    if (!pr->terminal) return thinking || fputc('\n', stderr) != EOF;
    if (pr->dim && !put(thinking ? "\033[2m" : "\033[0m")) return false;
    return thinking || put("\n\n");
}

bool reply_print(void *printer, bool thinking, const char *p, size_t n) {
    struct reply_printer *pr = printer;
    if (thinking != pr->thinking && !turn(pr, thinking)) return false;
    if (!thinking || pr->terminal) return cli_write(p, n) && cli_flush();
    fwrite(p, 1, n, stderr);
    return true;
}

bool reply_print_end(struct reply_printer *pr) {
    if (pr->thinking && pr->dim && !put("\033[0m")) return false;
    if (pr->thinking && !pr->terminal) fputc('\n', stderr);
    pr->thinking = false;
    return put("\n") && cli_flush();
}
