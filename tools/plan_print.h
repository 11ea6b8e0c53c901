/* The memory plan for people and for scripts. */
#pragma once
#include "sched/hy.h"

void plan_print(const struct hy_plan *p);      /* a table and a bar, to stdout */
void plan_print_json(const struct hy_plan *p); /* one line */
/* What streaming did, after a run with --stats; nothing for a model that fits. */
void plan_say_stream(struct hy_engine *en);
/* "hy: streams experts, 1536 of 6144 experts in memory; 14.21 GB of 22.00 GB; about 3.10 tok/s at most...": to stderr when the model streams, or when
 * something else than expected was chosen. */
void plan_say(const struct hy_plan *p);
