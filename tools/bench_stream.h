/* hy bench --stream: a model under a memory budget against the same model resident (where it fits), and against what the disk and the
 * processor allow: max(bytes needed from disk / disk rate, compute). */
#pragma once
#include "tools/cli.h"

int bench_stream(const char *model, const struct model_options *m, uint32_t n_prompt, uint32_t n_gen, bool json);
