/* What generate, chat and OpenAI's two completion endpoints ask for, in one form.
 *
 * A request is parsed from JSON without looking at the model: types, ranges and forms are checked here, abilities
 * later (prompt.h). All text is borrowed from root, which the request owns. */
#pragma once
#include "models/chat/chat.h"
#include "sched/batcher.h"
#include "tools/serve/options.h"

enum request_format { FORMAT_FREE, FORMAT_JSON, FORMAT_SCHEMA };
enum request_think { THINK_ABSENT, THINK_OFF, THINK_ON, THINK_LOW, THINK_MEDIUM, THINK_HIGH };

struct request {
    json_t *root;
    const char *model;          /* as it was written; not empty */
    bool chat, openai, stream;
    json_t *messages;           /* of a chat: normalised; owned */
    json_t *tools;              /* borrowed; NULL: none */
    const json_t *prompt;       /* of a generation: strings or NULL */
    const json_t *suffix, *system;
    const json_t *context;      /* array of tokens */
    bool raw, has_images;
    enum request_think think;
    enum request_format format;
    json_t *schema;             /* borrowed, with FORMAT_SCHEMA */
    struct options options;
    int64_t keep_alive_ns;      /* -1: the server's */
    bool truncate, shift, logprobs, include_usage;
    uint32_t n_top;
};

/* Takes the reference of root, also when it fails (ERR_ARG; the text is the answer's). */
int request_generate(json_t *root, struct request *r, struct err *e);
int request_chat(json_t *root, struct request *r, struct err *e);
int request_openai_chat(json_t *root, struct request *r, struct err *e);
int request_openai_completion(json_t *root, struct request *r, struct err *e);
void request_deinit(struct request *r);

/* Nothing is to be generated: the model is loaded or unloaded. */
bool request_loads_only(const struct request *r);

/* For the other endpoints: the model's name ("model", or "name"), keep_alive, top_logprobs. */
int request_model(struct fields *f, bool or_name, const char **out);
int request_keep_alive(struct fields *f, int64_t *ns);
