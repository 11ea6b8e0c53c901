/* Files that a command writes: opened before anything runs, so that a wrong path is not found out at the end, and never over a file
 * that the command reads. */
#pragma once
#include <stdio.h>

#include "runtime/err.h"

/* What the command reads; each may be NULL. */
struct output_inputs {
    const char *model;   /* the file, or the first part of a split model */
    const char *sidecar; /* as hy_options has it: NULL is the one beside the model */
    const char *text;
};

/* ERR_ARG when path leads to one of them. What is not there yet, or no regular file, is none. */
int output_check(const char *path, const struct output_inputs *in, struct err *e);

struct output {
    const char *path; /* NULL: not asked for, and nothing to open or close */
    FILE *f;
};
int output_open(struct output *o, const struct output_inputs *in, struct err *e);
int output_close(struct output *o, struct err *e);
