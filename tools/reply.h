/* What a model writes, token by token, as text for people: thinking and answer told apart, markers left out.
 * The answer to a chat's prompt; or, without a template, the continuation of a text, which is taken as it comes.
 * One owner. What init is given must outlive it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "models/chat/chat.h"
#include "models/chat/tool_parse.h"
#include "models/tokenizer/detok.h"

struct reply_to {
    bool (*text)(void *ctx, bool thinking, const char *p, size_t n); /* false: nobody takes it any more */
    void *ctx;
};

struct reply {
    const struct tokenizer *tok;
    struct detok *detok;
    struct tool_parse *parse; /* NULL: a continuation */
    struct reply_to to;
    bool refused;             /* by to.text */
    struct err err;           /* of the parser */
};

/* chat: NULL for a continuation. at_start: it has nothing before it. in_thought: the prompt ends inside the thinking. */
int reply_init(struct reply *r, const struct tokenizer *tok, const struct chat *chat, bool at_start, bool in_thought,
               struct reply_to to, struct err *e);
void reply_deinit(struct reply *r); /* zeroed is fine */

/* False: go on no further; refused or err says why. */
bool reply_push(struct reply *r, int32_t id);
/* The token that ends the answer, which is no text. */
bool reply_push_end(struct reply *r, int32_t id);
/* What is held back comes out. cut: not the model ended the answer. */
bool reply_finish(struct reply *r, bool cut);

/* stdout, where thinking is dim on a terminal; elsewhere it goes to stderr. The ctx of reply_print. */
struct reply_printer {
    bool terminal, dim;
    bool thinking; /* the text so far ends in it */
};
struct reply_printer reply_printer(void);
bool reply_print(void *printer, bool thinking, const char *p, size_t n);
/* Ends the line. */
bool reply_print_end(struct reply_printer *printer);
