/* The race and uninitialised-read checker of config=race; in every other build these do nothing (race.c has the story). */
#pragma once
#include <stdbool.h>

#include "runtime/soft/exec.h"
#include "runtime/soft/lane.h"

#ifdef SOFT_RACE
void soft_race_atomic(const volatile void *p, size_t bytes); /* called by the shim */
void race_dispatch_begin(const struct soft_dispatch *d);
void race_dispatch_end(void);
void race_group_begin(struct soft_group *g);
/* Memory of the threadgroup that nobody has written yet; all of it when no lane runs. */
void race_fresh(void *p, size_t bytes);
/* true when accesses of this group were wrong; error tells the first. */
bool race_report(struct soft_group *g, char *error, size_t error_bytes);
#else
static inline void race_dispatch_begin(const struct soft_dispatch *d) { (void)d; }
static inline void race_dispatch_end(void) {}
static inline void race_group_begin(struct soft_group *g) { (void)g; }
static inline void race_fresh(void *p, size_t bytes) { (void)p, (void)bytes; }
static inline bool race_report(struct soft_group *g, char *e, size_t n) { return (void)g, (void)e, (void)n, false; }
#endif
