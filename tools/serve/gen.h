/* One generation: from the prompt's tokens to pieces of content, thinking and tool calls.
 *
 * The work is done where the tokens come, on the batcher's thread: detokenizing, telling thinking and tool calls from
 * content, stop strings, the grammar. What is ready gathers until the request's own thread fetches it, so
 * a slow client never holds a step up.
 *
 * Threads: a gen has one owner, who makes, waits and frees it; model and request data must outlive it. */
#pragma once
#include <jansson.h>

#include "tools/serve/models.h"
#include "tools/serve/options.h"
#include "tools/serve/strbuf.h"

struct gen;

struct gen_spec {
    struct model *model;    /* acquired */
    const struct options *options;
    const int32_t *prompt;
    uint32_t n_prompt, n_ctx;
    bool shift;
    const json_t *tools;    /* NULL: no calls are looked for */
    bool parses;            /* thinking and tool calls are told apart; else all is content */
    bool in_thought;        /* the prompt ends inside the reasoning */
    const struct grammar *grammar; /* NULL: free text */
    bool logprobs;
    uint32_t n_top;
    bool collect_tokens;    /* gen_tokens is wanted */
};

enum gen_end { GEN_RUNS, GEN_STOP, GEN_LENGTH, GEN_CANCELLED, GEN_FAILED };

/* What has come since the last fetch. */
struct gen_piece {
    struct strbuf content, thinking;
    json_t *calls;    /* array of {"name","arguments"}; NULL: none */
    json_t *logprobs; /* array of entries; NULL: none */
    uint32_t n_token;
    enum gen_end end;
    struct batch_stats stats; /* n_eval counts the end token; with an end */
    struct err err;           /* with GEN_FAILED */
};
void gen_piece_deinit(struct gen_piece *p);

int gen_start(const struct gen_spec *spec, struct gen **out, struct err *e);
/* Waits for something to come, timeout_ms at most, and appends it to *p. False: nothing came. After an end nothing more comes. */
bool gen_fetch(struct gen *g, uint32_t timeout_ms, struct gen_piece *p);
/* The tokens of the text, without those of a stop string and the end token; after the end. */
const struct tokens *gen_tokens(const struct gen *g);
/* Cancels what still runs. NULL is fine. */
void gen_free(struct gen *g);
