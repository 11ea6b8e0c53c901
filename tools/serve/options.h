/* The "options" of a request: how to choose tokens, and how many. */
#pragma once
#include "models/sampler.h"
#include "tools/serve/fields.h"
#include "tools/serve/stop.h"

#define OPTIONS_MAX_STOP 64

struct options {
    int64_t num_ctx;     /* 0: the server's */
    int64_t num_predict; /* negative: until the model ends */
    int64_t num_keep, seed;
    double temperature, top_p, min_p, typical_p, repeat_penalty, presence_penalty, frequency_penalty;
    int64_t top_k, repeat_last_n;
    struct stop_text stop[OPTIONS_MAX_STOP]; /* borrowed from the JSON; none is empty */
    uint32_t n_stop;
};

struct options options_default(void);
/* obj may be NULL. Keys that are absent leave what is there. */
int options_read(struct options *o, const json_t *obj, struct err *e);
/* A string or an array of strings. */
int options_stop(struct options *o, const json_t *v, struct err *e);
/* What the sampler takes; values out of its range are brought to the nearest in it. A negative seed is a random one. */
struct sampler_params options_sampling(const struct options *o, uint32_t n_ctx);
