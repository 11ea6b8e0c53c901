/* The answer to a generation: what native.c and openai.c say differently about the same thing.
 *
 * answer_run takes a request from its JSON to the last byte: finds and loads the model, makes the prompt, generates, streams or
 * collects, notices that the client has gone, sends heartbeats while nothing comes. */
#pragma once
#include "tools/serve/api.h"
#include "tools/serve/gen.h"
#include "tools/serve/prompt.h"

struct answer {
    struct http_exchange *x;
    struct api *api;
    const struct answer_form *form;
    struct request r;
    struct prompt p;
    struct model *m;
    bool acquired;
    struct grammar *grammar;
    struct gen *gen;
    struct gen_piece piece; /* what is to be sent: what came last, or all of it when nothing is streamed */
    uint64_t t0_ns, load_ns, sent_ns;
    int64_t created_s;
    uint64_t id;            /* of the answer, and what the ids of its calls are drawn from */
    uint32_t n_call;
    bool begun;             /* a first chunk was sent */
};

/* One API's way to say things. Each appends to out, but whole and load. */
struct answer_form {
    int (*parse)(json_t *root, struct request *r, struct err *e);
    const char *stream_type;
    void (*chunk)(struct answer *a, struct strbuf *out); /* a->piece without its end */
    void (*last)(struct answer *a, struct strbuf *out);  /* the end */
    void (*fail)(struct answer *a, const char *message, struct strbuf *out);
    void (*beat)(struct answer *a, struct strbuf *out);
    json_t *(*whole)(struct answer *a);
    json_t *(*load)(struct answer *a, const char *reason); /* nothing was generated */
};

void answer_run(struct http_exchange *x, struct api *api, const struct answer_form *form);

/* "stop" or "length". */
const char *answer_reason(const struct answer *a);
/* A new id for a call: "call_" and 8 characters. */
json_t *answer_call_id(struct answer *a);
