/* hy run, and what a command that is hy run with something around it (hy trace) adds. */
#pragma once
#include "models/sampler.h"
#include "tools/cli.h"
#include "tools/output.h"

#define RUN_MAX_OPTS 16u
#define RUN_N_SAMPLING 10u

/* --temp to --seed, which write to *s. */
void run_sampling_opts(struct sampler_params *s, struct opt out[RUN_N_SAMPLING]);

struct run_hooks {
    const char *name, *usage, *about;
    const struct opt *opts; /* before hy run's own, which are all there too */
    uint32_t n_opt;
    bool talks;             /* -i is an option */
    uint32_t n_most;        /* tokens to write when -n does not say; 0: until the model ends */
    void *ctx;
    bool (*instead)(void *ctx, int *exit_code);                      /* options are parsed; true: that was all there is to do */
    int (*open)(void *ctx, const struct output_inputs *in, struct hy_options *base, struct err *e); /* before the model is opened */
    int (*opened)(void *ctx, struct hy_engine *en, const char *path, struct err *e); /* before the first step */
    bool (*text)(void *ctx, const char *p, size_t len);              /* gets the text in place of stdout */
};

/* Returns the exit code; the engine is closed. */
int run_prompt(int argc, char **argv, const struct run_hooks *hooks);
