/* The forward pass of every architecture in hparams.c. */
#pragma once
#include "models/program.h"

/* Records the program for a context of n_ctx tokens (which decides LongRoPE's factors). The program lives in the arena. */
int transformer_record(const struct hparams *h, const struct weights *w, uint32_t n_ctx, const struct device *dev, struct arena *a,
                       struct program *p, struct err *e);
