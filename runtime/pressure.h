/* Memory pressure: whether the system wants memory back while hy runs.
 *
 * macOS says it in one number (kern.memorystatus_vm_pressure_level, asked rather than subscribed to: notifications may lag).
 * Linux: the worst of PSI (/proc/pressure/memory and the cgroup's own), and of how much of the reserve is left
 * (MemAvailable, the cgroup's limit). What the system does not say is no pressure.
 *
 * Cheap: the system is asked at most once per PRESSURE_LOOK_NS, in between the last answer stands. The averages of PSI are over
 * 10 s, so a warning outlives its cause by some seconds: caches that shrink by it should grow back slowly.
 *
 * Test hook: HY_FAKE_PRESSURE=FILE, read when the watch begins: the word in that file (none, warn, critical)
 * stands for the system's answer.
 *
 * Threads: one at a time per watch. */
#pragma once
#include <limits.h>
#include <stdint.h>

#include "runtime/machine.h"

#define PRESSURE_LOOK_NS 250000000u

enum pressure { PRESSURE_NONE, PRESSURE_WARN, PRESSURE_CRITICAL };

struct pressure_watch {
    const char *fake;            /* the file of the test hook, or NULL */
    char group_path[PATH_MAX];   /* the cgroup's memory.pressure, or "" */
    uint64_t next_ns;            /* no look before */
    enum pressure last;
};

void pressure_watch_init(struct pressure_watch *w);
/* now_ns: clock_ns(). */
enum pressure pressure_now(struct pressure_watch *w, uint64_t now_ns);

/* The parts, pure: PSI's text ("some avg10=0.00 ..."), and what is left of the reserve. */
enum pressure pressure_of_psi(const char *text);
enum pressure pressure_of_memory(const struct machine_memory *m);
