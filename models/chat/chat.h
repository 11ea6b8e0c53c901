/* Chat templates: a conversation to the prompt text that a model was trained on.
 *
 * A model's file names its template (tokenizer.chat_template, and variants such as tokenizer.chat_template.tool_use);
 * without one, a built-in template is chosen by architecture, with a warning. What the template can do is found out
 * by rendering small conversations, once, when it is opened.
 * chat_render takes conversations as Ollama's and OpenAI's APIs have them and gives each template what it expects:
 * arguments of tool calls as an object or as a string, contents as a string or as parts, the names of tool results,
 * a system message inside the first user message where the template knows no such role. Conversations
 * that a template refuses (roles out of order...) are rearranged rather than refused.
 *
 * The text holds special tokens as text, BOS too where the template writes it: encode it with parse_special, and with
 * add_special only when chat_info's writes_bos is false.
 *
 * Ownership: copies what it needs of the file. JSON that is passed in is borrowed for the call, and never changed.
 * Threads: immutable after opening; any number of threads may render. Rendering needs less than 256 KB of stack. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gguf/gguf.h"
#include "runtime/err.h"

struct chat;

enum chat_cap {
    CHAT_TOOLS = 1,      /* shows tools to the model */
    CHAT_THINKING = 2,   /* knows a reasoning tag */
    CHAT_SYSTEM = 4,     /* has a system role (otherwise system text goes into the first user message) */
    CHAT_TOOL_CALLS = 8, /* shows calls of earlier turns */
    CHAT_LEVELS = 16,    /* reasoning has levels (reasoning_effort) rather than on and off */
};

struct chat_info {
    const char *source;   /* the template, NUL-terminated */
    const char *name;     /* "default", "tool_use"; for a built-in one "chatml", "llama2", "llama3"... */
    const char *warning;  /* NULL, or one sentence that the user should see */
    uint32_t caps;        /* enum chat_cap */
    bool built_in;
    bool writes_bos;      /* rendered text begins with the BOS token */
    const char *bos, *eos; /* their texts, "" when there are none */
    const char *think_open, *think_close; /* around reasoning in the model's output; NULL when not thinking */
};

enum chat_think {
    CHAT_THINK_DEFAULT,
    CHAT_THINK_OFF,
    CHAT_THINK_ON,
    CHAT_THINK_LOW,
    CHAT_THINK_MEDIUM,
    CHAT_THINK_HIGH
};

struct chat_request {
    const json_t *messages; /* array of objects: role, content, thinking, tool_calls, tool_name, tool_call_id... */
    const json_t *tools;    /* array, or NULL */
    const json_t *vars;     /* object of further variables of the template, or NULL; they win over what think sets */
    bool add_generation_prompt;
    enum chat_think think;
    int64_t now_s;          /* seconds since 1970, for templates that write the date */
};

/* The template of a model; one that cannot be used is replaced by a built-in one, with a warning. */
int chat_open(const struct gguf *g, struct chat **out, struct err *e);
/* A template given as text; bos and eos may be NULL. ERR_FORMAT: it does not parse. */
int chat_open_text(const char *source, size_t len, const char *bos, const char *eos, struct chat **out, struct err *e);
void chat_free(struct chat *c); /* NULL is fine */
const struct chat_info *chat_info(const struct chat *c);

/* *text is NUL-terminated; the caller frees it. ERR_ARG: messages that are not what the fields above say;
 * ERR_FORMAT: the template fails; ERR_UNSUPPORTED: it refuses; ERR_LIMIT: it does not end, or writes too much. */
int chat_render(const struct chat *c, const struct chat_request *r, char **text, size_t *len, struct err *e);

/* Whether the rendered prompt ends inside the model's reasoning (some templates open the tag themselves). */
bool chat_opens_thinking(const struct chat *c, const char *text, size_t len);

/* The template with exactly these variables (an object), nothing rearranged or added but bos_token and eos_token where
 * they are absent. use_tools picks the model's variant for tools, where it has one. */
int chat_render_vars(const struct chat *c, const json_t *vars, bool use_tools, int64_t now_s, char **text, size_t *len,
                     struct err *e);
