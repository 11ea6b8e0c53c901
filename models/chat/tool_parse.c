#include "models/chat/tool_parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/tool_impl.h"

#define MAX_HEADER 1024 /* bytes of a harmony message's header */

static const char *const message_ends[] = {"<|end|>", "<|return|>", "<|call|>", "<|start|>", "<|channel|>", NULL};
static const char message_begin[] = "<|message|>";

int tool_parse_new(const struct tool_options *opt, tool_handler *on, void *ctx, struct tool_parse **out,
                   struct err *e) {
    *out = NULL;
    struct tool_parse *p = calloc(1, sizeof *p);
    if (!p) return err_set(e, ERR_NOMEM, "no memory for the answer's parser");
    *p = (struct tool_parse){.opt = *opt, .on = on, .ctx = ctx, .bare = true};
    bool harmony = opt->form == TOOL_HARMONY;
    p->state = harmony            ? TOOL_IN_HEADER
               : !opt->think.open ? TOOL_IN_ANSWER
               : opt->in_thought  ? TOOL_IN_THOUGHT
                                  : TOOL_AT_BEGIN;
    p->tools = opt->tools ? json_deep_copy(opt->tools) : NULL;
    p->opt.tools = NULL;
    if (opt->tools && !p->tools) {
        tool_parse_free(p);
        return err_set(e, ERR_NOMEM, "no memory for the answer's parser");
    }
    *out = p;
    return ERR_OK;
}

void tool_parse_free(struct tool_parse *p) {
    if (!p) return;
    tool_call_clear(p);
    json_decref(p->tools);
    free(p->recipient);
    free(p->held);
    free(p);
}

static bool looks_for_calls(const struct tool_parse *p) {
    return p->opt.form != TOOL_NONE && json_array_size(p->tools) > 0;
}

static bool listed(const char *const *list, const char *text, size_t len) {
    for (; *list; list++)
        if (strlen(*list) == len && !memcmp(*list, text, len)) return true;
    return false;
}

bool tool_parse_marker(const struct tool_parse *p, const char *text, size_t len) {
    const char *const tags[] = {p->opt.think.open, p->opt.think.close, NULL};
    enum tool_form form = p->opt.form;
    if (form == TOOL_HARMONY) return listed(tool_form_inner(form), text, len);
    if (tags[0] && listed(tags, text, len)) return true;
    return looks_for_calls(p) &&
           (listed(tool_form_begins(form), text, len) || listed(tool_form_silent(form), text, len) ||
            listed(tool_form_inner(form), text, len));
}

size_t tool_parse_held(const struct tool_parse *p) { return p->n - p->at; }

bool tool_parse_in_answer(const struct tool_parse *p) {
    if (p->opt.form == TOOL_HARMONY) return p->state == TOOL_IN_MESSAGE && p->message == TOOL_CONTENT && !p->recipient;
    return p->state != TOOL_IN_THOUGHT;
}

static void emit(struct tool_parse *p, enum tool_event_kind kind, const char *text, size_t len) {
    if (len) p->on(p->ctx, &(struct tool_event){.kind = kind, .text = text, .len = len});
}

/* Gives n bytes of what is held to the handler, or drops them. */
static void give(struct tool_parse *p, enum tool_event_kind kind, size_t n) {
    emit(p, kind, p->held + p->at, n);
    p->at += n;
}
static void drop(struct tool_parse *p, size_t n) { p->at += n; }

static void give_calls(struct tool_parse *p) {
    for (size_t i = 0; i < p->n_new; i++)
        p->on(p->ctx,
              &(struct tool_event){.kind = TOOL_CALL, .name = p->call[i].name, .arguments = p->call[i].arguments});
    p->n_call += (uint32_t)p->n_new;
    tool_call_clear(p);
}

static size_t blank_before(const char *t, size_t n) {
    size_t k = n;
    while (k && isspace((unsigned char)t[k - 1])) k--;
    return n - k;
}

static size_t blank_at(const char *t, size_t n) {
    size_t k = 0;
    while (k < n && isspace((unsigned char)t[k])) k++;
    return k;
}

static bool starts(const char *t, size_t n, const char *with) {
    return n >= strlen(with) && !memcmp(t, with, strlen(with));
}

/* How much of the end of the text may be the beginning of a marker. */
static size_t partial(const char *t, size_t n, const char *marker) {
    size_t k = strlen(marker) - 1;
    for (k = k < n ? k : n; k; k--)
        if (!memcmp(t + n - k, marker, k)) return k;
    return 0;
}

/* The first marker of a list: its place, or n; how much of the end may still become one. */
static size_t first_marker(const char *t, size_t n, const char *const *list, const char **marker, size_t *maybe) {
    size_t first = n;
    for (; *list; list++) {
        const char *q = memmem(t, n, *list, strlen(*list));
        size_t k = partial(t, n, *list);
        if (k > *maybe) *maybe = k;
        if (!q || (size_t)(q - t) >= first) continue;
        first = (size_t)(q - t);
        *marker = *list;
    }
    return first;
}

/* Each step decides something about the beginning of what is held; false: more text is needed. */
static bool at_begin(struct tool_parse *p, const char *t, size_t n, bool final) {
    size_t blank = blank_at(t, n), n_open = strlen(p->opt.think.open);
    if (starts(t + blank, n - blank, p->opt.think.open)) {
        drop(p, blank + n_open);
        p->state = TOOL_IN_THOUGHT;
        p->thought_begun = false;
        return true;
    }
    if (!final && !strncmp(p->opt.think.open, t + blank, n - blank)) return false;
    if (p->behind_thought) drop(p, blank);
    p->state = TOOL_IN_ANSWER;
    return true;
}

static bool in_thought(struct tool_parse *p, const char *t, size_t n, bool final) {
    const char *close[] = {p->opt.think.close, NULL}, *marker = NULL;
    size_t maybe = 0, end = first_marker(t, n, close, &marker, &maybe);
    size_t blank = p->thought_begun ? 0 : blank_at(t, end), own;
    if (!marker && !final) end = n - maybe;
    if (blank > end) blank = end;
    own = end - blank - blank_before(t + blank, end - blank);
    if (own) p->thought_begun = true;
    if (p->thought_begun || marker || final) {
        drop(p, blank);
        give(p, TOOL_THINKING, own);
        if (marker || final) drop(p, end - blank - own);
    }
    if (!marker) return false;
    drop(p, strlen(marker));
    p->state = TOOL_AT_BEGIN;
    p->behind_thought = true;
    return true;
}

static void begin_call(struct tool_parse *p, size_t blank) {
    p->state = TOOL_IN_CALL;
    p->blank = blank;
    p->searched = 0;
    p->scan.open = false;
}

/* The text begins JSON, and not what is or may become a marker. */
static bool bare_begins(const struct tool_parse *p, const char *t, size_t n) {
    enum tool_form f = p->opt.form;
    if (!p->bare || !n || (*t != '{' && *t != '[')) return false;
    for (const char *const *b = tool_form_begins(f); *b; b++)
        if (tool_may_start(t, 0, n, *b)) return false;
    return f == TOOL_HERMES || f == TOOL_LLAMA || f == TOOL_MISTRAL;
}

static bool in_answer(struct tool_parse *p, const char *t, size_t n, bool final) {
    const char *markers[9] = {0}, *marker = NULL;
    size_t maybe = 0, k = 0, blank = blank_at(t, n);
    if (!looks_for_calls(p)) return give(p, TOOL_CONTENT, n), false;
    if (p->bare && p->n_call && (blank || (n && *t == ';'))) { /* between calls */
        drop(p, blank ? blank : 1);
        return true;
    }
    if (bare_begins(p, t + blank, n - blank)) {
        begin_call(p, blank);
        return true;
    }
    for (const char *const *b = tool_form_begins(p->opt.form); *b; b++) markers[k++] = *b;
    for (const char *const *b = tool_form_silent(p->opt.form); *b; b++) markers[k++] = *b;
    size_t end = first_marker(t, n, markers, &marker, &maybe);
    if (!marker && !final) end = n - maybe;
    blank = marker || !final ? blank_before(t, end) : 0;
    if (end > blank) p->bare = false;
    give(p, TOOL_CONTENT, end - blank);
    if (!marker) return false;
    if (listed(tool_form_silent(p->opt.form), marker, strlen(marker)))
        drop(p, blank + strlen(marker));
    else
        begin_call(p, blank);
    return true;
}

static bool in_call(struct tool_parse *p, const char *t, size_t n, bool final) {
    size_t used = 0;
    enum tool_verdict v = tool_call_read(p, t + p->blank, n - p->blank, final, &used);
    if (v == TOOL_MORE && !final && n <= TOOL_MAX_BYTES) return false;
    p->state = TOOL_IN_ANSWER;
    p->bare = v == TOOL_DONE;
    if (v == TOOL_DONE) {
        drop(p, p->blank + used);
        give_calls(p);
        return true;
    }
    tool_call_clear(p);
    give(p, TOOL_CONTENT, v == TOOL_MORE ? n : p->blank + (used ? used : 1));
    return true;
}

/* A word of a harmony header: what follows `key`, up to white space or the next marker. */
static size_t header_word(const char *t, size_t n, const char *key, const char **word) {
    const char *q = memmem(t, n, key, strlen(key));
    size_t len = 0;
    if (!q) return 0;
    *word = q + strlen(key);
    while (*word + len < t + n && (*word)[len] != '<' && !isspace((unsigned char)(*word)[len])) len++;
    return len;
}

static void read_header(struct tool_parse *p, const char *t, size_t n) {
    const char *channel = NULL, *to = NULL;
    size_t n_channel = header_word(t, n, "<|channel|>", &channel), n_to = header_word(t, n, "to=", &to);
    free(p->recipient);
    p->recipient = n_to ? tool_copy(to, n_to) : NULL;
    p->message = n_channel == 8 && !memcmp(channel, "analysis", 8) && !n_to ? TOOL_THINKING : TOOL_CONTENT;
}

static bool in_header(struct tool_parse *p, const char *t, size_t n, bool final) {
    static const char *const first[] = {"<|channel|>", "<|start|>", "<|message|>", "to=", "assistant"};
    const char *q = memmem(t, n < MAX_HEADER ? n : MAX_HEADER, message_begin, sizeof message_begin - 1);
    size_t blank = blank_at(t, n), left = n - blank;
    bool header = !left;
    for (size_t i = 0; i < sizeof first / sizeof *first && !header; i++)
        header = !memcmp(t + blank, first[i], left < strlen(first[i]) ? left : strlen(first[i]));
    if (header && q) {
        read_header(p, t, (size_t)(q - t));
        drop(p, (size_t)(q - t) + sizeof message_begin - 1);
    } else if (header && n < MAX_HEADER) {
        if (final) drop(p, n);
        return false;
    } else { /* the model does without headers; a marker that begins none says nothing, and must not be met again */
        for (size_t i = 0; i < 2; i++)
            if (starts(t + blank, left, first[i])) drop(p, blank + strlen(first[i]));
        free(p->recipient);
        p->recipient = NULL;
        p->message = TOOL_CONTENT;
    }
    p->state = TOOL_IN_MESSAGE;
    p->searched = 0;
    return true;
}

/* A message to a tool, whole. */
static void give_message_to(struct tool_parse *p, const char *t, size_t n, bool complete) {
    const char *name = p->recipient;
    if (!strncmp(name, "functions.", 10)) name += 10;
    if (complete && tool_call_add(p, name, strlen(name), tool_call_json(t, n)))
        give_calls(p);
    else
        emit(p, TOOL_CONTENT, t, n);
    drop(p, n);
    free(p->recipient);
    p->recipient = NULL;
}

static bool in_message(struct tool_parse *p, const char *t, size_t n, bool final) {
    const char *marker = NULL;
    size_t maybe = 0, from = p->recipient ? p->searched : 0;
    size_t end = from + first_marker(t + from, n - from, message_ends, &marker, &maybe);
    if (!marker && !final && p->recipient && n <= TOOL_MAX_BYTES) {
        p->searched = n - maybe;
        return false;
    }
    if (!marker && !final) end = n - maybe;
    if (p->recipient)
        give_message_to(p, t, end, marker || final);
    else
        give(p, p->message, end);
    if (!marker) return false;
    if (strcmp(marker, "<|start|>") && strcmp(marker, "<|channel|>")) drop(p, strlen(marker));
    p->state = TOOL_IN_HEADER;
    return true;
}

static bool step(struct tool_parse *p, bool final) {
    const char *t = p->held + p->at;
    size_t n = p->n - p->at;
    switch (p->state) {
    case TOOL_AT_BEGIN: return at_begin(p, t, n, final);
    case TOOL_IN_THOUGHT: return in_thought(p, t, n, final);
    case TOOL_IN_ANSWER: return in_answer(p, t, n, final);
    case TOOL_IN_CALL: return in_call(p, t, n, final);
    case TOOL_IN_HEADER: return in_header(p, t, n, final);
    default: return in_message(p, t, n, final);
    }
}

static int hold(struct tool_parse *p, const char *text, size_t len, struct err *e) {
    if (p->at) memmove(p->held, p->held + p->at, p->n - p->at);
    p->n -= p->at;
    p->at = 0;
    if (p->n + len > p->cap) {
        size_t cap = 2 * (p->n + len) + 256;
        char *held = realloc(p->held, cap);
        if (!held)
            return err_set(e, ERR_NOMEM, "no memory for the %zu bytes of an answer that are held back", p->n + len);
        p->held = held;
        p->cap = cap;
    }
    memcpy(p->held + p->n, text, len);
    p->n += len;
    return ERR_OK;
}

int tool_parse_feed(struct tool_parse *p, const char *text, size_t len, struct err *e) {
    if (!len) return ERR_OK;
    int rc = hold(p, text, len, e);
    while (!rc && p->at < p->n && step(p, false)) {}
    return rc;
}

/* A call that a limit has cut is content. */
int tool_parse_end(struct tool_parse *p, bool cut, struct err *e) {
    if (cut && p->at < p->n && (p->state == TOOL_IN_CALL || (p->state == TOOL_IN_MESSAGE && p->recipient))) {
        give(p, TOOL_CONTENT, p->n - p->at);
        return ERR_OK;
    }
    while (p->at < p->n && step(p, true)) {}
    if (p->state == TOOL_IN_ANSWER && p->at < p->n) give(p, TOOL_CONTENT, p->n - p->at);
    return ERR_OK;
}
