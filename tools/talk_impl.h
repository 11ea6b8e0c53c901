/* What talk.c and its commands share. */
#pragma once
#include "tools/generate.h"
#include "tools/serve/strbuf.h"
#include "tools/talk.h"
#include "tools/talk_line.h"

struct talk {
    struct hy_engine *en;
    struct conversation *conv;
    struct talk_line *in;
    struct reply_printer printer;
    uint32_t seq;
    struct tokens held;       /* by the sequence */
    struct sampler *sampler;
    struct sampler_params sampling;
    uint32_t n_most, n_answer; /* n_answer: since the seed was set */
    bool stats, failed;
    bool terminated;              /* the program is to end */
    struct strbuf text, thinking; /* of the answer */
    uint32_t n_forgotten;         /* turns, for the answer's sake */
    struct {
        uint32_t n_prompt, n_kept, n_new; /* tokens; those that the sequence held already; those that were written */
        double prompt_s, gen_s;
    } last;
};

/* A line that begins with '/'. False: the conversation is over. */
bool talk_command(struct talk *t, const char *line);
void talk_print_stats(const struct talk *t);
/* Takes up t->sampling; what cannot be is left as it was. */
int talk_use_sampling(struct talk *t, const struct sampler_params *p, struct err *e);
