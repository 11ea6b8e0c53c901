/* What a model's file says about it, in the API's words; for models.c, which owns the result. */
#pragma once
#include "sched/model_file.h"
#include "tools/serve/models.h"

/* Fills everything of m that is fixed, but path and name. n_ctx: what the server was asked for, 0 for the default. */
int catalog_read(struct model *m, uint32_t n_ctx, struct err *e);
void catalog_deinit(struct model *m);
/* The file's metadata as /api/show has it; verbose: with long arrays too. */
json_t *catalog_info(const struct gguf *g, bool verbose);
/* [{"name","type","shape"}] */
json_t *catalog_tensors(const struct gguf *g);
