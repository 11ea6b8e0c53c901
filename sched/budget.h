/* The memory budget: how many bytes hy may use, from what the user asked and what the machine has.
 *
 * auto: on Linux MemAvailable and the cgroup's limit less a reserve for the system; hy never counts on swap. On
 * macOS the least of what the GPU may keep resident (its working-set hint; 2/3 of RAM up to 36 GB, 3/4 above, or
 * iogpu.wired_limit_mb) and of free memory less the reserve.
 * --memory SIZE or FRACTION (of RAM, or of the cgroup's limit): that much, but never more than is there without swapping (Linux) or
 * than the GPU may keep resident (macOS, where memory of idle programs is compressed).
 * --simulate-memory: as on an idle machine of that size, the same number every time; still no more than this machine has, unless
 * nothing will be loaded (plan_only). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"
#include "runtime/machine.h"

enum budget_kind { BUDGET_AUTO, BUDGET_BYTES, BUDGET_FRACTION };

struct budget_request { /* all zero: auto */
    enum budget_kind kind;
    uint64_t bytes;          /* BUDGET_BYTES */
    double fraction;         /* BUDGET_FRACTION: above 0, at most 1 */
    uint64_t simulate_bytes; /* RAM to pretend; 0: this machine's */
    uint64_t gpu_hint_bytes; /* what the device may keep resident (metal_info.working_set_bytes; counts on macOS); 0: unknown */
    bool plan_only;          /* nothing will be loaded: a simulated machine may be larger than this one */
};

struct budget {
    uint64_t bytes;         /* 0: nobody knows (no limit was asked for and the system does not say) */
    uint64_t machine_bytes; /* RAM, or the cgroup's limit */
    uint64_t reserve_bytes; /* left to the system */
    char from[64];          /* begins "... 20.00 GB": "this machine has", "--memory allows" */
    char help[192];         /* what would raise it, for the end of a sentence: "close other programs" */
};

/* ERR_ARG for a fraction out of range, ERR_UNSUPPORTED for a fraction of an unknown RAM. */
int budget_make(const struct budget_request *r, struct budget *out, struct err *e);
/* The same for given facts of the machine: pure. */
int budget_of(const struct budget_request *r, const struct machine_memory *m, struct budget *out, struct err *e);
