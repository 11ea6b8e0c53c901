/* What a model writes, while it writes: content, reasoning and tool calls told apart.
 *
 * Text goes in piece by piece, events come out. Only what may be the beginning of a marker or belongs to an
 * unfinished call is held back. A call is reported once, whole, when it is complete, names an offered tool
 * and its arguments parse; whatever else looks like a call comes out as content, so that nothing is lost.
 *
 * Markers are often control tokens, whose text a detokenizer leaves out. For every token that tokenizer_attr calls
 * TOKEN_CONTROL, also one that ends the generation, ask tool_parse_marker with tokenizer_text; when it says true, feed
 * that text (after detok_flush), else feed nothing. All other tokens go through detok_push as usual.
 * Strip stop strings from what comes out as content, not from what goes in.
 *
 * Ownership: the JSON of tools is copied. Texts and JSON of an event live until its handler returns (json_incref
 * keeps the arguments). One owner per object. Memory: what is held back, at most TOOL_MAX_BYTES; a longer call
 * becomes content. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "models/chat/think.h"
#include "runtime/err.h"

#define TOOL_MAX_BYTES (4u << 20)

enum tool_form {
    TOOL_NONE,     /* calls are not looked for */
    TOOL_HERMES,   /* <tool_call>{"name": ..., "arguments": {...}}</tool_call>: Hermes, Qwen 2.5 and 3 */
    TOOL_QWEN_XML, /* <tool_call><function=NAME><parameter=KEY>value</parameter></function></tool_call>: Qwen3-Coder */
    TOOL_LLAMA,    /* {"name": ..., "parameters": {...}}, perhaps behind <|python_tag|>; NAME.call(key="value") */
    TOOL_MISTRAL,  /* [TOOL_CALLS][{"name": ..., "arguments": {...}}]; newer: [TOOL_CALLS]NAME[ARGS]{...} */
    TOOL_DEEPSEEK, /* <|tool calls begin|> ...: R1, V3 (with a code block) and V3.1 */
    TOOL_HARMONY,  /* gpt-oss: channels analysis, commentary, final; calls are messages to=functions.NAME */
    TOOL_GLM,      /* <tool_call>NAME <arg_key>KEY</arg_key><arg_value>value</arg_value></tool_call>: GLM 4.5 */
    TOOL_KIMI, /* <|tool_calls_section_begin|><|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{...} */
};

/* The form that a chat template's text shows; TOOL_HERMES when it shows tools but no known form. */
enum tool_form tool_form_detect(const char *source, size_t len);
const char *tool_form_name(enum tool_form form);

enum tool_event_kind { TOOL_CONTENT, TOOL_THINKING, TOOL_CALL };

struct tool_event {
    enum tool_event_kind kind;
    const char *text; /* content or thinking: valid UTF-8 if the input was; NULL for a call */
    size_t len;
    const char *name; /* of a call */
    json_t *arguments; /* of a call: an object */
};
typedef void tool_handler(void *ctx, const struct tool_event *ev);

struct tool_options {
    enum tool_form form;
    struct think_tags think; /* {0}: none; not used with TOOL_HARMONY */
    bool in_thought;         /* the prompt ends inside the reasoning */
    const json_t *tools;     /* the request's array of tools; NULL or empty: no calls are looked for */
};

struct tool_parse;

int tool_parse_new(const struct tool_options *opt, tool_handler *on, void *ctx, struct tool_parse **out, struct err *e);
void tool_parse_free(struct tool_parse *p); /* NULL is fine */
/* Whether a control token with this text is a marker to be fed. */
bool tool_parse_marker(const struct tool_parse *p, const char *text, size_t len);
int tool_parse_feed(struct tool_parse *p, const char *text, size_t len, struct err *e);
/* The answer is over; what is held back comes out. cut: it ended because of a limit, not by the model, so that
 * an unfinished call is none. */
int tool_parse_end(struct tool_parse *p, bool cut, struct err *e);
/* How many bytes of what was fed are not decided. */
size_t tool_parse_held(const struct tool_parse *p);
/* What comes next is the answer itself, not reasoning: a grammar (format) begins here. Where the model may begin to
 * think by itself this is true from the start, and false again once it has opened the tag. */
bool tool_parse_in_answer(const struct tool_parse *p);
