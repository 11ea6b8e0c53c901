#include "sched/budget.h"

#include <stdio.h>

#define GB ((uint64_t)1 << 30)

/* Why a budget is what it is. */
enum bound { BOUND_FREE, BOUND_GROUP, BOUND_GPU, BOUND_ASKED, BOUND_SIMULATED, BOUND_SIMULATED_GPU };

struct limit {
    uint64_t bytes;
    enum bound bound;
};

static struct limit lower(struct limit a, struct limit b) { return b.bytes < a.bytes ? b : a; }

/* What macOS lets the GPU keep resident. The user's own wired limit replaces the rule of thumb. */
static uint64_t gpu_cap(const struct budget_request *r, const struct machine_memory *m) {
    uint64_t cap = m->wired_limit_bytes, hint = r->simulate_bytes && r->plan_only ? 0 : r->gpu_hint_bytes;
    if (!cap) cap = m->ram_bytes <= 36 * GB ? m->ram_bytes / 3 * 2 : m->ram_bytes / 4 * 3;
    return hint && hint < cap ? hint : cap;
}

static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 1; }

/* The reserve takes at most half of what is left: a crowded machine gives little, but something. */
static struct limit free_limit(const struct machine_memory *m, uint64_t reserve) {
    uint64_t left = machine_memory_left(m);
    enum bound bound = m->group_bytes && left == m->group_left_bytes ? BOUND_GROUP : BOUND_FREE;
    return (struct limit){less(left, reserve < left / 2 ? reserve : left / 2), bound};
}

static bool knows_left(const struct machine_memory *m) { return m->available_bytes || m->group_bytes; }

static struct limit gpu_limit(const struct budget_request *r, const struct machine_memory *m) {
    if (!m->unified || !m->ram_bytes) return (struct limit){UINT64_MAX, BOUND_FREE};
    return (struct limit){gpu_cap(r, m), BOUND_GPU};
}

/* What may be used when nothing was asked for. */
static struct limit auto_limit(const struct budget_request *r, const struct machine_memory *m, uint64_t reserve) {
    struct limit l = gpu_limit(r, m);
    return knows_left(m) ? lower(l, free_limit(m, reserve)) : l;
}

/* What may be used when the user insists: the reserve is his to spend, and on macOS what idle programs hold. */
static struct limit most_limit(const struct budget_request *r, const struct machine_memory *m) {
    struct limit l = gpu_limit(r, m);
    return knows_left(m) && !m->unified ? lower(l, free_limit(m, 0)) : l;
}

/* The machine that is pretended: idle, with the system in a fixed part of it. */
static struct machine_memory simulated(const struct machine_memory *real, uint64_t ram_bytes) {
    uint64_t base = ram_bytes / 8 < GB ? ram_bytes / 8 : GB;
    return (struct machine_memory){.ram_bytes = ram_bytes, .available_bytes = less(ram_bytes, base), .unified = real->unified};
}

static void say_from(const struct budget_request *r, const struct limit *l, struct budget *out) {
    const char *from = "this machine has";
    if (l->bound == BOUND_ASKED) from = "--memory allows";
    else if (l->bound == BOUND_SIMULATED) from = "the simulated machine has";
    else if (l->bound == BOUND_SIMULATED_GPU) from = "the GPU of the simulated machine may use";
    else if (l->bound == BOUND_GPU) from = "the GPU of this machine may use";
    else if (l->bound == BOUND_GROUP) from = "the memory limit of this container leaves";
    snprintf(out->from, sizeof out->from, "%s", from);
}

static void say_help(const struct limit *l, const struct machine_memory *m, uint64_t most, struct budget *out) {
    char *p = out->help;
    size_t cap = sizeof out->help;
    unsigned long long wired_mb = (m->ram_bytes - m->ram_bytes / 8) >> 20;
    switch (l->bound) {
    case BOUND_ASKED: snprintf(p, cap, "raise --memory (at most %.1fG here)", (double)most / GB); break;
    case BOUND_SIMULATED:
    case BOUND_SIMULATED_GPU: snprintf(p, cap, "raise --simulate-memory"); break;
    case BOUND_GROUP: snprintf(p, cap, "raise the container's memory limit (memory.max of its cgroup)"); break;
    case BOUND_GPU: snprintf(p, cap, "let the GPU use more with `sudo sysctl iogpu.wired_limit_mb=%llu`", wired_mb); break;
    case BOUND_FREE:
        if (m->unified) snprintf(p, cap, "close other programs, or give --memory (at most %.1fG here)", (double)most / GB);
        else snprintf(p, cap, "close other programs");
    }
}

static uint64_t asked_bytes(const struct budget_request *r, uint64_t total) {
    if (r->kind == BUDGET_BYTES) return r->bytes;
    double bytes = r->fraction * (double)total;
    return bytes < 1 ? 1 : (uint64_t)bytes;
}

static enum bound pretend(enum bound b) { return b == BOUND_GPU ? BOUND_SIMULATED_GPU : b == BOUND_ASKED ? b : BOUND_SIMULATED; }

int budget_of(const struct budget_request *r, const struct machine_memory *real, struct budget *out, struct err *e) {
    struct machine_memory m = r->simulate_bytes ? simulated(real, r->simulate_bytes) : *real;
    uint64_t total = machine_memory_total(&m), reserve = machine_memory_reserve(&m);
    if (r->kind == BUDGET_FRACTION && !(r->fraction > 0 && r->fraction <= 1))
        return err_set(e, ERR_ARG, "--memory as a share of RAM lies above 0 and is at most 1.0, not %g", r->fraction);
    if (r->kind == BUDGET_FRACTION && !total)
        return err_set(e, ERR_UNSUPPORTED, "this system does not say how much memory there is; give --memory a size such as 12G");
    struct limit most = most_limit(r, &m), l = auto_limit(r, &m, reserve);
    if (r->kind != BUDGET_AUTO) l = lower(most, (struct limit){asked_bytes(r, total), BOUND_ASKED});
    if (r->simulate_bytes) {
        l.bound = pretend(l.bound);
        if (!r->plan_only) l = lower(l, most_limit(r, real));
    }
    *out = (struct budget){.bytes = l.bytes == UINT64_MAX ? 0 : l.bytes, .machine_bytes = total, .reserve_bytes = reserve};
    say_from(r, &l, out);
    say_help(&l, real, most.bytes, out);
    return ERR_OK;
}

int budget_make(const struct budget_request *r, struct budget *out, struct err *e) {
    struct machine_memory m;
    machine_memory(&m);
    return budget_of(r, &m, out, e);
}
