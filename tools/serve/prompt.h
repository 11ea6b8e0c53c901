/* The prompt's tokens for a request: rendered by the model's template and cut to the context. */
#pragma once
#include "tools/serve/models.h"
#include "tools/serve/request.h"

struct prompt {
    struct tokens tokens;
    uint32_t n_ctx;  /* of this request */
    bool in_thought; /* ends inside the model's reasoning */
};

/* Whether the model can do what is asked for; ERR_ARG says what it cannot. */
int prompt_check(const struct model *m, const struct request *r, struct err *e);
/* ERR_ARG when the request forbids to shorten a prompt that is too long. */
int prompt_make(const struct model *m, const struct request *r, struct prompt *out, struct err *e);
void prompt_deinit(struct prompt *p);
/* What is in front of any text: BOS, where the model wants it. */
int prompt_begin(const struct model *m, struct tokens *out, struct err *e);
