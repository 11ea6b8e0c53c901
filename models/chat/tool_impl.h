/* What the files of the answer parser share: tool_parse.c cuts the stream, tool_call.c reads the calls that it
 * finds. */
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/tool_parse.h"

struct tool_call {
    char *name;
    json_t *arguments;
};

/* JSON that is not complete yet, scanned as far as it has come. */
struct tool_scan {
    size_t start, at, end; /* end: 0 until it is complete */
    uint32_t depth;
    bool in_string, escaped, open;
};

enum tool_state {
    TOOL_AT_BEGIN,  /* of the answer, or behind a thought: a tag may come */
    TOOL_IN_THOUGHT,
    TOOL_IN_ANSWER,
    TOOL_IN_CALL,   /* held begins with white space and a marker */
    TOOL_IN_HEADER, /* of a harmony message */
    TOOL_IN_MESSAGE,
};

struct tool_parse {
    struct tool_options opt;
    json_t *tools;
    tool_handler *on;
    void *ctx;
    enum tool_state state;
    char *held; /* what has come and is not decided: held[at .. n] */
    size_t at, n, cap;
    size_t blank;     /* in a call: white space before the marker */
    size_t searched;  /* in a call: no end lies before this offset from its marker */
    struct tool_scan scan;
    bool behind_thought, /* white space belongs to nobody */
        bare,            /* nothing but calls so far: a call without a marker may come */
        thought_begun;
    uint32_t n_call;
    struct tool_call *call; /* of the text that is being read */
    size_t n_new;
    enum tool_event_kind message; /* harmony: what the message is */
    char *recipient;              /* harmony: the tool that it is for, or NULL */
};

enum tool_verdict { TOOL_MORE, TOOL_DONE, TOOL_NOT };

/* Reads a call from its marker on; TOOL_DONE leaves calls in p->call and says how many bytes they took.
 * final: no more text will come. */
enum tool_verdict tool_call_read(struct tool_parse *p, const char *text, size_t len, bool final, size_t *used);
/* Adds a call if the tool is offered and the arguments are an object, or JSON text of one. Takes arguments over. */
bool tool_call_add(struct tool_parse *p, const char *name, size_t n_name, json_t *arguments);
json_t *tool_call_json(const char *text, size_t len);
void tool_call_clear(struct tool_parse *p);

/* tool_form.c. Texts with which a call, or a section of calls, begins; NULL ends the list. */
const char *const *tool_form_begins(enum tool_form form);
/* Texts around sections of calls, which say nothing. */
const char *const *tool_form_silent(enum tool_form form);
/* Further markers, inside calls. */
const char *const *tool_form_inner(enum tool_form form);

/* The text at `at` is `with`, or may still become it. */
static inline bool tool_may_start(const char *t, size_t at, size_t n, const char *with) {
    size_t k = strlen(with);
    return !memcmp(t + at, with, n - at < k ? n - at : k);
}

/* A NUL-terminated copy of n bytes that need no end of their own; the caller frees. NULL: no memory. */
static inline char *tool_copy(const char *s, size_t n) {
    char *p = malloc(n + 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}
