/* Shared by the files of the chat front end. */
#pragma once
#include "models/chat/chat.h"
#include "models/chat/jinja.h"
#include "runtime/arena.h"

struct chat_quirks {
    bool parts;      /* contents must be lists of parts */
    bool args_text;  /* arguments of calls must be JSON text */
    bool short_ids;  /* ids of calls must have nine letters and digits */
    bool no_switch;  /* reasons, and has no variable that stops it */
    bool endless;    /* ran into a limit while it was asked; nothing more is asked */
};

struct chat {
    struct arena arena; /* texts */
    struct jinja *plain, *with_tools; /* with_tools: a variant for tools, or NULL */
    struct chat_info info;
    struct chat_quirks quirks;
    char warning[ERR_TEXT_BYTES];
};

/* chat_default.c: the built-in templates. */
struct chat_default {
    const char *name, *source;
};
/* By the special tokens of the vocabulary, else by architecture. */
const struct chat_default *chat_default_for(const struct gguf *g);

/* chat_probe.c: fills c->info.caps, think tags, writes_bos, and the quirks. */
void chat_probe(struct chat *c);

/* chat_messages.c: conversations as a template wants them; each gives a new array, or NULL with e filled. */
json_t *chat_messages_plain(const struct chat *c, const json_t *messages, struct err *e);
/* One system message in front, roles in turn; flat: calls and results of tools as ordinary text. */
json_t *chat_messages_in_turn(const struct chat *c, const json_t *plain, bool flat, struct err *e);
bool chat_messages_have_tools(const json_t *messages);

/* chat.c: one rendering without any rearranging; messages are those of the functions above. */
int chat_render_once(const struct chat *c, const struct chat_request *r, const json_t *messages, char **text,
                     size_t *len, struct err *e);
