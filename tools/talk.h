/* hy run -i: a conversation in the terminal, or through a pipe.
 *
 * One sequence of the engine serves from turn to turn. Before an answer the whole conversation is rendered; of what the sequence
 * holds the tokens that are still the same stay, the rest is forgotten, and only the new ones are computed: right for any template.
 * When the context is full the oldest turns are forgotten, and that is said.
 * The model's text goes to stdout, all else to stderr. */
#pragma once
#include "models/sampler.h"
#include "sched/hy.h"
#include "tools/conversation.h"

struct talk_options {
    struct conversation *conversation; /* a template in it; with the first question, if there is one */
    bool asked;                        /* there is */
    struct sampler_params sampling;
    uint32_t n_most;                   /* tokens of an answer; 0: until the model ends */
    bool stats;                        /* after each answer */
};

/* Returns an exit code. */
int talk(struct hy_engine *en, const struct talk_options *opt);
