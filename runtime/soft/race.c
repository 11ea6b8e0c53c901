/* The checker of config=race. Kernels are compiled with clang's -fsanitize=thread, but the calls that it inserts before
 * each load and store come here instead of to ThreadSanitizer, which knows threads and not fibers.
 *
 * For every byte touched a cell keeps the last write and the last two reads by other threads: which thread, how many
 * barriers its threadgroup and its simdgroup had passed, and the instruction. Two accesses, one of them a write, by
 * different threads race unless a barrier lies between them that covers both threads and whose mem_flags name the
 * memory. Threadgroups are never ordered against each other. Bytes of threadgroup memory also have an "initialised" bit.
 *
 * One dispatch at a time (a lock), its groups one after the other: what is found does not depend on luck in timing.
 * About 50 times slower than a plain build. Not seen: races between dispatches, atomics (they only initialise). */
#include "runtime/soft/race.h"

#ifdef SOFT_RACE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/soft/group.h"

struct access {
    uint32_t thread; /* 1 + group * SOFT_MAX_THREADS + index; 0: none */
    uint32_t pc;     /* from the start of the program */
    uint16_t tg_epoch, simd_epoch;
};

struct cell {
    struct access write, read[2];
    bool initialised;
};

#define PAGE 4096
struct page {
    uintptr_t number;
    struct cell cell[PAGE];
    struct page *link;
};

#define N_BUCKET 4096
static struct {
    pthread_mutex_t lock; /* held from the begin to the end of a dispatch */
    struct page *bucket[N_BUCKET];
    struct cell arena[SOFT_ARENA_BYTES];
    uint32_t group; /* number of the group that runs */
    char text[512]; /* the first finding of the group */
} race = {.lock = PTHREAD_MUTEX_INITIALIZER};

extern const char __ehdr_start[];

void race_dispatch_begin(const struct soft_dispatch *d) { pthread_mutex_lock(&race.lock); }

void race_dispatch_end(void) {
    for (unsigned i = 0; i < N_BUCKET; i++)
        for (struct page *p = race.bucket[i], *next; p; p = next) {
            next = p->link;
            free(p);
        }
    memset(race.bucket, 0, sizeof race.bucket);
    pthread_mutex_unlock(&race.lock);
}

void race_group_begin(struct soft_group *g) {
    race.group = (g->position[2] * g->groups[1] + g->position[1]) * g->groups[0] + g->position[0];
    race.text[0] = '\0';
}

void race_fresh(void *p, size_t bytes) {
    struct soft_worker *w = soft_self ? (struct soft_worker *)(void *)soft_self->group : NULL;
    if (!w) memset(race.arena, 0, sizeof race.arena);
    else memset(race.arena + ((unsigned char *)p - w->arena), 0, bytes * sizeof *race.arena);
}

/* The cell of an address that kernels share; NULL: a stack, or the executor's own memory. */
static struct cell *cell_of(struct soft_worker *w, uintptr_t a, int *space) {
    uintptr_t arena = (uintptr_t)w->arena;
    if (a >= arena && a < arena + sizeof w->arena) return *space = 0, &race.arena[a - arena];
    if (a - (uintptr_t)w < sizeof *w || a - (uintptr_t)w->stacks < SOFT_STACK_BYTES * SOFT_MAX_THREADS) return NULL;
    if (a - (uintptr_t)&soft_self < sizeof soft_self) return NULL;
    *space = 1;
    uintptr_t number = a / PAGE;
    struct page **p = &race.bucket[number % N_BUCKET];
    while (*p && (*p)->number != number) p = &(*p)->link;
    if (!*p) {
        *p = calloc(1, sizeof **p);
        if (!*p) return NULL;
        (*p)->number = number;
    }
    return &(*p)->cell[a % PAGE];
}

/* Whether an earlier access is ordered before what lane l does now. */
static bool ordered(const struct access *a, const struct soft_lane *l, uint32_t thread, int space) {
    if (a->thread == 0 || a->thread == thread) return true;
    if ((a->thread - 1) / SOFT_MAX_THREADS != race.group) return false;
    if (a->tg_epoch != (uint16_t)l->group->epoch[space]) return true;
    uint32_t index = (a->thread - 1) % SOFT_MAX_THREADS;
    return index / SOFT_SIMD_WIDTH == l->simd->index && a->simd_epoch != (uint16_t)l->simd->epoch[space];
}

/* "kernels/x.metal:12" for an instruction, by the debug information; the shim's own lines are skipped. */
static void where(uint32_t pc, char *out, size_t bytes) {
    char command[128], line[256], here[256];
    snprintf(out, bytes, "instruction %#x", pc);
    snprintf(command, sizeof command, "addr2line -i -e /proc/%d/exe %#lx", (int)getpid(), pc - 1ul);
    FILE *f = popen(command, "r");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, " \n")] = '\0';
        if (strstr(line, "runtime/soft/") || line[0] == '?') continue;
        size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
        bool below = n && strncmp(line, here, n) == 0 && line[n] == '/';
        snprintf(out, bytes, "%s", below ? line + n + 1 : line);
        break;
    }
    pclose(f);
}

static void found(const struct access *a, const struct access *now, const char *what, const char *then, int space) {
    if (race.text[0]) return;
    char here[256], there[256];
    where(now->pc, here, sizeof here);
    int n = snprintf(race.text, sizeof race.text, "%s memory: thread %u %s at %s", space ? "device" : "threadgroup",
                     (now->thread - 1) % SOFT_MAX_THREADS, what, here);
    if (!a) return;
    where(a->pc, there, sizeof there);
    snprintf(race.text + n, sizeof race.text - (size_t)n, " what thread %u of group %u %s at %s, with no barrier for this memory between them",
             (a->thread - 1) % SOFT_MAX_THREADS, (a->thread - 1) / SOFT_MAX_THREADS, then, there);
}

static void read_cell(struct cell *c, const struct soft_lane *l, struct access now, int space) {
    if (!ordered(&c->write, l, now.thread, space)) found(&c->write, &now, "reads", "wrote", space);
    if (space == 0 && !c->initialised) found(NULL, &now, "reads what nobody has written", "", space);
    if (c->read[0].thread != now.thread) c->read[1] = c->read[0];
    c->read[0] = now;
}

static void write_cell(struct cell *c, const struct soft_lane *l, struct access now, int space) {
    if (!ordered(&c->write, l, now.thread, space)) found(&c->write, &now, "writes", "wrote", space);
    for (int i = 0; i < 2; i++)
        if (!ordered(&c->read[i], l, now.thread, space)) found(&c->read[i], &now, "writes", "read", space);
    c->write = now;
    c->initialised = true;
}

static void touch(const volatile void *p, size_t bytes, bool write, const void *pc) {
    struct soft_lane *l = soft_self;
    if (!l) return;
    struct soft_worker *w = (struct soft_worker *)(void *)l->group;
    for (size_t i = 0; i < bytes; i++) {
        int space = 0;
        struct cell *c = cell_of(w, (uintptr_t)p + i, &space);
        if (!c) continue;
        struct access now = {1 + race.group * SOFT_MAX_THREADS + l->index, (uint32_t)((const char *)pc - __ehdr_start),
                             (uint16_t)l->group->epoch[space], (uint16_t)l->simd->epoch[space]};
        if (write) write_cell(c, l, now, space);
        else read_cell(c, l, now, space);
    }
}

void soft_race_atomic(const volatile void *p, size_t bytes) {
    struct soft_worker *w = (struct soft_worker *)(void *)soft_self->group;
    for (size_t i = 0; i < bytes; i++) {
        int space = 0;
        struct cell *c = cell_of(w, (uintptr_t)p + i, &space);
        if (c) c->initialised = true;
    }
}

bool race_report(struct soft_group *g, char *error, size_t error_bytes) {
    if (!race.text[0]) return false;
    snprintf(error, error_bytes, "kernel %s (%s), threadgroup (%u, %u, %u): %s", g->dispatch->k->name, g->dispatch->k->file->path,
             g->position[0], g->position[1], g->position[2], race.text);
    return true;
}

/* ---- what clang calls */
#define ACCESS(name, bytes, write)                                                                                                 \
    void name(void *p);                                                                                                            \
    void name(void *p) { touch(p, bytes, write, __builtin_return_address(0)); }
#define ACCESSES(bytes)                                                                                                            \
    ACCESS(__tsan_read##bytes, bytes, false)                                                                                       \
    ACCESS(__tsan_write##bytes, bytes, true)                                                                                       \
    ACCESS(__tsan_unaligned_read##bytes, bytes, false)                                                                             \
    ACCESS(__tsan_unaligned_write##bytes, bytes, true)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void *p, size_t n);
void __tsan_write_range(void *p, size_t n);
void *__tsan_memcpy(void *to, const void *from, size_t n);
void *__tsan_memmove(void *to, const void *from, size_t n);
void *__tsan_memset(void *to, int value, size_t n);
void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_vptr_read(void **p);
void __tsan_vptr_update(void **p, void *value);

void __tsan_read_range(void *p, size_t n) { touch(p, n, false, __builtin_return_address(0)); }
void __tsan_write_range(void *p, size_t n) { touch(p, n, true, __builtin_return_address(0)); }
void *__tsan_memcpy(void *to, const void *from, size_t n) {
    touch(from, n, false, __builtin_return_address(0));
    touch(to, n, true, __builtin_return_address(0));
    return memcpy(to, from, n);
}
void *__tsan_memmove(void *to, const void *from, size_t n) {
    touch(from, n, false, __builtin_return_address(0));
    touch(to, n, true, __builtin_return_address(0));
    return memmove(to, from, n);
}
void *__tsan_memset(void *to, int value, size_t n) {
    touch(to, n, true, __builtin_return_address(0));
    return memset(to, value, n);
}
void __tsan_init(void) {}
void __tsan_func_entry(void *pc) {}
void __tsan_func_exit(void) {}
void __tsan_vptr_read(void **p) {}
void __tsan_vptr_update(void **p, void *value) {}
#else
extern const char race_is_off; /* a file may not be empty */
#endif
