/* Deciding how a model gets into the memory that there is: the least costly way that fits.
 *
 *   1  everything resident;
 *   2  weights that do not fit stream (or stay in the file, mapped, where that was asked for);
 *   3  the same with keys and values as Q8_0, unless their type was asked for;
 *   else ERR_NOMEM: what is needed, what there is, and what would help. */
#pragma once
#include "sched/engine.h"

/* Fills en's budget, plan, fit, place and kv_q8 from what is recorded and open: model file, weights, device. */
int memory_plan(struct hy_engine *en, const struct hy_options *opt, struct err *e);

/* The plan in public terms, in en->planned. measure: a disk that nobody measured is measured now, when weights stream. */
void memory_describe(struct hy_engine *en, const struct hy_options *opt, bool measure);
