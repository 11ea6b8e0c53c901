#include "runtime/soft/group.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/soft/race.h"

#ifdef SOFT_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* What runs on a fiber must not be instrumented for TSan, which would take all fibers for one call stack. */
#define ON_FIBER __attribute__((no_sanitize("thread")))

__thread struct soft_lane *soft_self __attribute__((tls_model("initial-exec")));

static const char end_file[] = "";
static const struct soft_site end_site = {end_file, "the end of the kernel", 0, 0};

static struct soft_worker *worker_of(struct soft_group *g) { return (struct soft_worker *)(void *)g; }

ON_FIBER static void site_text(struct soft_site s, char *out, size_t bytes) {
    if (s.line)
        snprintf(out, bytes, "at %s:%u:%u (%s)", s.file, s.line, s.column, s.what);
    else
        snprintf(out, bytes, "at %s", s.what);
}

/* Writes the error and leaves the fibers where they are. */
ON_FIBER __attribute__((noreturn, format(printf, 2, 3))) static void group_fail(struct soft_group *g, const char *fmt, ...) {
    struct soft_worker *w = worker_of(g);
    const struct soft_kernel *k = g->dispatch->k;
    va_list ap;
    w->failed = true;
    int n = snprintf(w->error, w->error_bytes, "kernel %s (%s), threadgroup (%u, %u, %u): ", k->name, k->file->path,
                     g->position[0], g->position[1], g->position[2]);
    if (n >= 0 && (size_t)n < w->error_bytes) {
        va_start(ap, fmt);
        vsnprintf(w->error + n, w->error_bytes - (size_t)n, fmt, ap);
        va_end(ap);
    }
    soft_switch(&soft_self->at, &g->home);
    __builtin_unreachable();
}

ON_FIBER void soft_diverged(struct soft_lane *l, struct soft_site site) {
    struct soft_simd *s = l->simd;
    char mine[160], theirs[160];
    site_text(site, mine, sizeof mine);
    site_text(s->site, theirs, sizeof theirs);
    bool matrices = s->trail != l->trail && s->site.line == site.line && s->site.column == site.column;
    group_fail(l->group, "the lanes of simdgroup %u diverged: lane %u is %s%s while %u of %u lanes wait %s", s->index, l->lane,
               mine, matrices ? ", having taken other simdgroup matrix operations," : "", s->arrived, s->n_lane, theirs);
}

ON_FIBER void soft_bad_lane(struct soft_lane *l, uint32_t lane, struct soft_site site) {
    char where[160];
    site_text(site, where, sizeof where);
    group_fail(l->group, "lane %u reads lane %u of a simdgroup of %u lanes %s", l->lane, lane, l->simd->n_lane, where);
}

ON_FIBER struct soft_context *soft_group_arrive(struct soft_lane *l, struct soft_site site, uint32_t flags) {
    struct soft_simd *s = l->simd;
    struct soft_group *g = l->group;
    soft_held(s);
    s->resume = l->next;
    if (g->arrived == 0) {
        g->site = site;
    } else if (g->site.line != site.line || g->site.column != site.column || g->site.file != site.file) {
        char mine[160], theirs[160];
        site_text(site, mine, sizeof mine);
        site_text(g->site, theirs, sizeof theirs);
        group_fail(g, "its simdgroups diverged: simdgroup %u is %s while %u of %u wait %s", s->index, mine, g->arrived,
                   g->n_simd, theirs);
    }
    if (++g->arrived < g->n_simd) {
        soft_self = s->next->resume;
        return &s->next->resume->at;
    }
    g->arrived = 0;
    g->epoch[0] += (flags & 2) != 0;
    g->epoch[1] += (flags & 1) != 0;
    return site.line ? NULL : &g->home;
}

/* The first and last C function of every fiber. */
ON_FIBER __attribute__((noreturn, used)) void soft_fiber_main(struct soft_lane *l);
void soft_fiber_main(struct soft_lane *l) {
#ifdef SOFT_ASAN
    const void *stack;
    size_t stack_bytes;
    __sanitizer_finish_switch_fiber(NULL, &stack, &stack_bytes);
    if (!l->group->home.stack) {
        l->group->home.stack = stack;
        l->group->home.stack_bytes = stack_bytes;
    }
#endif
    l->group->dispatch->k->entry(l);
    struct soft_context *to;
    if (soft_arrive(l, end_site)) {
        to = soft_group_arrive(l, end_site, 0);
    } else {
        soft_self = l->next;
        to = &l->next->at;
    }
    soft_switch(&l->at, to);
    __builtin_unreachable();
}

void soft_fiber_boot(void);
#if defined(__x86_64__)
__asm__(".text\n.globl soft_fiber_boot\n.hidden soft_fiber_boot\n.type soft_fiber_boot,@function\nsoft_fiber_boot:\n\t"
        "xorl %ebp, %ebp\n\tmovq %rbx, %rdi\n\tcall soft_fiber_main\n\tud2\n.size soft_fiber_boot,.-soft_fiber_boot\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl soft_fiber_boot\n.hidden soft_fiber_boot\n.type soft_fiber_boot,%function\nsoft_fiber_boot:\n\t"
        "mov x29, xzr\n\tmov x30, xzr\n\tmov x0, x19\n\tbl soft_fiber_main\n\tbrk 1\n.size soft_fiber_boot,.-soft_fiber_boot\n");
#endif

struct soft_worker *soft_worker_new(void) {
    struct soft_worker *w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);
    if (!w) return NULL;
    memset(w, 0, sizeof *w);
    w->stacks = mmap(NULL, SOFT_STACK_BYTES * SOFT_MAX_THREADS, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (w->stacks == MAP_FAILED) {
        free(w);
        return NULL;
    }
    return w;
}

/* The kernel's stack i, ready to start. Tops are shifted against each other so that they do not share cache sets. */
static void lane_boot(struct soft_worker *w, struct soft_lane *l) {
    unsigned char *stack = w->stacks + SOFT_STACK_BYTES * l->index;
    l->at.sp = stack + SOFT_STACK_BYTES - 64 - l->index % 32 * 192;
    l->at.fp = NULL;
    l->at.bx = l;
    l->at.pc = (void *)(uintptr_t)soft_fiber_boot;
#ifdef SOFT_ASAN
    l->at.stack = stack;
    l->at.stack_bytes = SOFT_STACK_BYTES;
    l->at.fake_stack = NULL;
#endif
}

void soft_worker_begin(struct soft_worker *w, const struct soft_dispatch *d, char *error, size_t error_bytes) {
    struct soft_group *g = &w->group;
    uint32_t n = d->threads[0] * d->threads[1] * d->threads[2];
    w->error = error;
    w->error_bytes = error_bytes;
    g->dispatch = d;
    for (int i = 0; i < 3; i++) {
        g->full_size[i] = d->threads[i];
        g->groups[i] = d->groups[i];
        g->grid[i] = d->grid[0] ? d->grid[i] : d->groups[i] * d->threads[i];
    }
    for (; w->n_guarded < n; w->n_guarded++) /* a failed mprotect costs the guard, nothing else */
        (void)mprotect(w->stacks + SOFT_STACK_BYTES * w->n_guarded, 4096, PROT_NONE);
}

/* order[0..n-1]: the order in which n things run. */
static void make_order(uint32_t n, uint64_t *random, uint32_t *order) {
    for (uint32_t i = 0; i < n; i++) order[i] = soft_config.order == SOFT_DESCENDING ? n - 1 - i : i;
    if (soft_config.order != SOFT_RANDOM) return;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)(soft_random(random) % i), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

static void simd_begin(struct soft_worker *w, struct soft_simd *s, uint32_t n_lane, uint64_t *random) {
    uint32_t order[SOFT_SIMD_WIDTH];
    struct soft_lane *lanes = w->lane + SOFT_SIMD_WIDTH * s->index;
    make_order(n_lane, random, order);
    for (uint32_t i = 0; i < n_lane; i++) lanes[order[i]].next = &lanes[order[(i + 1) % n_lane]];
    s->n_lane = n_lane;
    s->arrived = 0;
    s->epoch[0] = s->epoch[1] = 0;
    s->leader = order[0];
    s->resume = &lanes[order[0]];
}

/* Lanes, rings and positions of one group; returns the lane that runs first. */
static struct soft_lane *group_begin(struct soft_worker *w, uint64_t *random) {
    struct soft_group *g = &w->group;
    uint32_t order[SOFT_MAX_THREADS / SOFT_SIMD_WIDTH], x = 0, y = 0, z = 0;
    g->n_thread = g->size[0] * g->size[1] * g->size[2];
    g->n_simd = (g->n_thread + SOFT_SIMD_WIDTH - 1) / SOFT_SIMD_WIDTH;
    for (uint32_t i = 0; i < g->n_thread; i++) {
        struct soft_lane *l = &w->lane[i];
        l->index = i;
        l->lane = i % SOFT_SIMD_WIDTH;
        l->simd = &w->simd[i / SOFT_SIMD_WIDTH];
        l->group = g;
        l->trail = 0;
        l->position[0] = x, l->position[1] = y, l->position[2] = z;
        if (++x == g->size[0]) x = 0, y++;
        if (y == g->size[1]) y = 0, z++;
        lane_boot(w, l);
    }
    make_order(g->n_simd, random, order);
    for (uint32_t i = 0; i < g->n_simd; i++) {
        struct soft_simd *s = &w->simd[order[i]];
        uint32_t left = g->n_thread - order[i] * SOFT_SIMD_WIDTH;
        s->index = order[i];
        s->next = &w->simd[order[(i + 1) % g->n_simd]];
        simd_begin(w, s, left < SOFT_SIMD_WIDTH ? left : SOFT_SIMD_WIDTH, random);
    }
    return w->simd[order[0]].resume;
}

/* A piece of threadgroup memory, poisoned, with a guard behind it. NULL: over the limit. */
ON_FIBER static void *arena_take(struct soft_worker *w, size_t bytes, size_t align) {
    if (align < 16) align = 16;
    size_t at = (w->arena_at + align - 1) / align * align;
    size_t counted = (w->arena_counted + align - 1) / align * align + bytes;
    if (bytes > SOFT_THREADGROUP_BYTES || counted > SOFT_THREADGROUP_BYTES || at + bytes + SOFT_GUARD_BYTES > sizeof w->arena)
        return NULL;
    ASAN_UNPOISON_MEMORY_REGION(w->arena + at, bytes + SOFT_GUARD_BYTES);
    memset(w->arena + at, soft_config.poison, bytes);
    memset(w->arena + at + bytes, (unsigned char)~soft_config.poison, SOFT_GUARD_BYTES);
    ASAN_POISON_MEMORY_REGION(w->arena + at + bytes, SOFT_GUARD_BYTES);
    w->guard_at[w->n_guard++] = (uint32_t)(at + bytes);
    w->arena_at = (uint32_t)(at + bytes + SOFT_GUARD_BYTES);
    w->arena_counted = (uint32_t)counted;
    race_fresh(w->arena + at, bytes);
    return w->arena + at;
}

ON_FIBER void *soft_tg_variable(struct soft_group *g, uint32_t id, size_t bytes, size_t align, struct soft_site site) {
    struct soft_worker *w = worker_of(g);
    void *p = arena_take(w, bytes, align);
    if (!p)
        group_fail(g, "threadgroup variable at %s:%u: %zu bytes are over the limit, %u of %u are taken", site.file, site.line,
                   bytes, w->arena_counted, SOFT_THREADGROUP_BYTES);
    return g->tg_variable[id] = p;
}

/* Threadgroup arguments, the variables follow when they are reached. Their sum was checked by soft_run. */
static void arena_begin(struct soft_worker *w) {
    struct soft_group *g = &w->group;
    const struct soft_dispatch *d = g->dispatch;
    ASAN_POISON_MEMORY_REGION(w->arena, sizeof w->arena);
    race_fresh(w->arena, sizeof w->arena);
    w->arena_at = SOFT_GUARD_BYTES;
    w->arena_counted = w->n_guard = 0;
    memset(g->tg_variable, 0, sizeof g->tg_variable);
    for (uint32_t i = 0; i < SOFT_N_THREADGROUP; i++)
        g->tg_argument[i] = d->tg_len[i] ? arena_take(w, d->tg_len[i], 16) : NULL;
}

static void check_guards(struct soft_worker *w) {
#ifndef SOFT_ASAN
    const struct soft_group *g = &w->group;
    for (uint32_t i = 0; i < w->n_guard; i++) {
        const unsigned char *p = w->arena + w->guard_at[i];
        for (uint32_t j = 0; j < SOFT_GUARD_BYTES; j++) {
            if (p[j] == (unsigned char)~soft_config.poison) continue;
            const struct soft_kernel *k = g->dispatch->k;
            w->failed = true;
            snprintf(w->error, w->error_bytes, "kernel %s (%s), threadgroup (%u, %u, %u): a write %u bytes past the end of "
                     "threadgroup memory object %u (arguments first, then variables)", k->name, k->file->path,
                     g->position[0], g->position[1], g->position[2], j, i);
            return;
        }
    }
#endif
}

/* A stack that was left in the middle of its frames still has their red zones. */
static void forget_stacks(struct soft_worker *w) {
#ifdef SOFT_ASAN
    for (uint32_t i = 0; i < w->group.n_thread; i++)
        ASAN_UNPOISON_MEMORY_REGION(w->stacks + SOFT_STACK_BYTES * i + 4096, SOFT_STACK_BYTES - 4096);
#endif
}

bool soft_worker_run(struct soft_worker *w, uint32_t index) {
    struct soft_group *g = &w->group;
    uint64_t random = soft_config.seed * 0x100000001b3u + index;
    uint32_t rest = index;
    for (int i = 0; i < 3; i++) {
        g->position[i] = rest % g->groups[i];
        rest /= g->groups[i];
        uint32_t left = g->grid[i] - g->position[i] * g->full_size[i];
        g->size[i] = left < g->full_size[i] ? left : g->full_size[i];
    }
    g->arrived = 0;
    g->epoch[0] = g->epoch[1] = 0;
    w->failed = false;
    arena_begin(w);
    race_group_begin(g);
    soft_self = group_begin(w, &random);
#ifdef SOFT_ASAN
    g->home.stack = NULL;
#endif
    soft_switch(&g->home, &soft_self->at);
    soft_self = NULL;
    if (w->failed)
        forget_stacks(w);
    else
        check_guards(w);
    if (!w->failed && race_report(g, w->error, w->error_bytes)) w->failed = true;
    return !w->failed;
}
