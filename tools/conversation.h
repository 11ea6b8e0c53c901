/* A conversation, and the prompt that a model's chat template makes of it.
 *
 * Messages are JSON as in the APIs: role, content, and thinking where the model thought. System text, if any, is the first one.
 * A turn is a user's message and what follows it up to the next one.
 * One owner. The tokenizer and the model's path are borrowed and must outlive it. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/chat/chat.h"
#include "models/tokenizer/tokenizer.h"

struct conversation {
    const char *model; /* its file */
    const struct tokenizer *tok;
    struct chat *chat; /* NULL: the model has no template, and none was to be made up */
    json_t *messages;
    enum chat_think think;
};

/* make_up: a model without a template gets one by its architecture; chat_info's warning says so. */
int conversation_init(struct conversation *c, const char *model, const struct tokenizer *tok, bool make_up, struct err *e);
void conversation_deinit(struct conversation *c); /* zeroed is fine */

/* on, off, low, medium or high. ERR_UNSUPPORTED: not with this model. */
int conversation_set_think(struct conversation *c, const char *how, struct err *e);
/* Empty text: none. */
int conversation_set_system(struct conversation *c, const char *text, struct err *e);
const char *conversation_system(const struct conversation *c); /* NULL: none */

int conversation_add_user(struct conversation *c, const char *text, size_t len, struct err *e);
/* thinking may be empty. */
int conversation_add_answer(struct conversation *c, const char *text, size_t len, const char *thinking, size_t n_thinking,
                            struct err *e);
/* Takes the last message back. */
void conversation_take_back(struct conversation *c);
/* Forgets all but the system text. */
void conversation_clear(struct conversation *c);
/* Forgets the oldest turn. False: only the last is left. */
bool conversation_forget_turn(struct conversation *c);
uint32_t conversation_n_turn(const struct conversation *c);

/* The tokens of the whole conversation, ready for an answer, in place of what *out held; *in_thought: it begins with thinking. */
int conversation_prompt(const struct conversation *c, struct tokens *out, bool *in_thought, struct err *e);

/* A file with {"messages": [...]}. What cannot be loaded leaves the conversation as it was. */
int conversation_save(const struct conversation *c, const char *path, struct err *e);
int conversation_load(struct conversation *c, const char *path, struct err *e);
