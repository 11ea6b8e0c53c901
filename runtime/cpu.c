/* The CPU device: buffers in ordinary memory, a list of calls, a pool of threads that walk it.
 *
 * All workers (the committing thread is worker 0) go through the list in order. At each call they take
 * items until none is left, then move on; at a call with a barrier they first wait for each other. So
 * calls without a barrier between them overlap, and a barrier costs one spin. Who waits long sleeps: where other programs keep the
 * processors busy, a thread that spins or yields spends the turn in which the one it waits for could have run. */
#include "runtime/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __aarch64__
#ifdef __linux__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#else
#include <sys/sysctl.h>
#endif
#endif

#include "runtime/device_impl.h"
#include "runtime/machine.h"

#define SPIN_LIMIT 8000            /* pauses, 0.3 to 0.5 ms, before a waiting worker sleeps: waking it costs a virtual machine 0.1 */
#define MAX_THREAD 256
#define FIRST_CALLS 64
#define HUGE_PAGE ((uint64_t)2 << 20)
#if defined(__SANITIZE_ADDRESS__)
#define EXACT_BUFFERS 1            /* the sanitizer sees an overrun by one only behind exact sizes */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT_BUFFERS 1
#endif
#endif

struct cpu_cmd {
    struct cmd base;
    struct cpu_call *calls;
    uint32_t n_call, cap;
    bool barrier_next;
};

struct cpu_device {
    struct device base;
    enum cpu_isa isa;
    struct cpu_cmd cmd;
    uint64_t fence;
    unsigned char *scratch;

    pthread_t threads[MAX_THREAD]; /* workers 1.. */
    uint32_t n_started;
    pthread_mutex_t lock;
    pthread_cond_t wake;           /* a new list */
    pthread_cond_t met;            /* the last worker has come to the barrier */
    atomic_uint n_asleep;          /* workers that wait for `met` */
    atomic_uint run;               /* rises with each list; workers sleep or spin on it */
    atomic_bool stop;
    _Alignas(64) atomic_uint arrived; /* workers at the current barrier */
    _Alignas(64) atomic_uint phase;   /* rises when all have arrived */
};

struct worker_arg {
    struct cpu_device *d;
    uint32_t index;
};

static inline void cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void wake_all(struct cpu_device *d, pthread_cond_t *sleepers) {
    pthread_mutex_lock(&d->lock);
    pthread_cond_broadcast(sleepers);
    pthread_mutex_unlock(&d->lock);
}

static void rendezvous(struct cpu_device *d) {
    uint32_t n = d->base.n_thread;
    if (n == 1) return;
    uint32_t phase = atomic_load_explicit(&d->phase, memory_order_acquire);
    if (atomic_fetch_add_explicit(&d->arrived, 1, memory_order_acq_rel) == n - 1) {
        atomic_store_explicit(&d->arrived, 0, memory_order_relaxed);
        atomic_store(&d->phase, phase + 1); /* in one order with n_asleep: either a sleeper is seen here, or it sees the phase */
        if (atomic_load(&d->n_asleep)) wake_all(d, &d->met);
        return;
    }
    for (uint32_t spins = 0; spins < SPIN_LIMIT; spins++) {
        if (atomic_load_explicit(&d->phase, memory_order_acquire) != phase) return;
        cpu_relax();
    }
    pthread_mutex_lock(&d->lock);
    atomic_fetch_add(&d->n_asleep, 1);
    while (atomic_load(&d->phase) == phase) pthread_cond_wait(&d->met, &d->lock);
    atomic_fetch_sub(&d->n_asleep, 1);
    pthread_mutex_unlock(&d->lock);
}

static void run_call(struct cpu_call *c, struct cpu_worker *w) {
    for (;;) {
        uint32_t i = atomic_fetch_add_explicit(&c->next, c->grain, memory_order_relaxed);
        if (i >= c->n_item) return;
        uint32_t end = c->n_item - i < c->grain ? c->n_item : i + c->grain;
        c->fn(c, i, end, w);
    }
}

static void run_list(struct cpu_device *d, uint32_t index) {
    struct cpu_worker w = {
        .index = index, .n_worker = d->base.n_thread, .scratch = d->scratch + index * CPU_SCRATCH_BYTES};
    for (uint32_t i = 0; i < d->cmd.n_call; i++) {
        struct cpu_call *c = &d->cmd.calls[i];
        if (c->barrier) rendezvous(d);
        run_call(c, &w);
    }
    rendezvous(d);
}

static void *worker_main(void *p) {
    struct worker_arg arg = *(struct worker_arg *)p;
    free(p);
    struct cpu_device *d = arg.d;
    for (uint32_t seen = 0;;) {
        for (uint32_t spins = 0; spins < SPIN_LIMIT && atomic_load(&d->run) == seen; spins++) cpu_relax();
        pthread_mutex_lock(&d->lock);
        while (atomic_load(&d->run) == seen) pthread_cond_wait(&d->wake, &d->lock);
        pthread_mutex_unlock(&d->lock);
        if (atomic_load(&d->stop)) return NULL;
        seen = atomic_load(&d->run);
        run_list(d, arg.index);
    }
}

static void wake_workers(struct cpu_device *d) {
    atomic_fetch_add(&d->run, 1);
    wake_all(d, &d->wake);
}

static struct cpu_device *cpu_of(struct device *d) { return (struct cpu_device *)d; }
static struct cpu_cmd *cpu_cmd_of(struct cmd *c) { return (struct cpu_cmd *)c; }

static void cpu_close(struct device *base) {
    struct cpu_device *d = cpu_of(base);
    atomic_store(&d->stop, true);
    wake_workers(d);
    for (uint32_t i = 0; i < d->n_started; i++) pthread_join(d->threads[i], NULL);
    pthread_cond_destroy(&d->met);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d->cmd.calls);
    free(d->scratch);
    free(d);
}

#ifdef EXACT_BUFFERS
static void *map_memory(uint64_t size) {
    void *p = NULL;
    return posix_memalign(&p, 4096, size ? size : 1) == 0 ? memset(p, 0, size) : NULL;
}

static void unmap_memory(void *p, uint64_t size) { free(p); }
#else
static uint64_t round_up_page(uint64_t n) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return n ? (n + page - 1) / page * page : page;
}

static void *map_memory(uint64_t size) {
    size = round_up_page(size);
    /* Aligned to 2 MB so that the whole buffer can be huge pages: a matrix-vector product at memory
     * speed otherwise spends part of its time on address translation. */
    uint64_t slack = size >= HUGE_PAGE ? HUGE_PAGE : 0;
    unsigned char *p = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (p == MAP_FAILED) return NULL;
    if (!slack) return p;
    uint64_t head = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
    if (head) munmap(p, head);
    if (slack - head) munmap(p + head + size, slack - head);
#ifdef MADV_HUGEPAGE
    madvise(p + head, size, MADV_HUGEPAGE);
#endif
    return p + head;
}

static void unmap_memory(void *p, uint64_t size) { munmap(p, round_up_page(size)); }
#endif

static int cpu_buf_new(struct device *d, uint64_t size_bytes, const char *what, struct buf *out, struct err *e) {
    void *p = NULL;
    if (size_bytes <= UINT64_MAX / 2) p = map_memory(size_bytes);
    if (!p)
        return err_set(e, ERR_NOMEM, "the system has no %.1f MB left for %s; close other programs or use a smaller model or context",
                       (double)size_bytes / 1e6, what);
    *out = (struct buf){.host = p, .size_bytes = size_bytes};
    return ERR_OK;
}

static void cpu_buf_free(struct device *d, struct buf *b) { unmap_memory(b->host, b->size_bytes); }

static struct cmd *cpu_begin(struct device *base) {
    struct cpu_cmd *c = &cpu_of(base)->cmd;
    c->n_call = 0;
    c->barrier_next = false;
    return &c->base;
}

static void cpu_barrier(struct cmd *c) { cpu_cmd_of(c)->barrier_next = true; }

static int cpu_commit(struct cmd *base, uint64_t *fence, struct err *e) {
    struct cpu_device *d = cpu_of(base->dev);
    if (d->base.n_thread > 1) wake_workers(d);
    run_list(d, 0);
    *fence = ++d->fence;
    return ERR_OK;
}

static int cpu_wait(struct device *base, uint64_t fence, struct err *e) {
    CHECK(fence <= cpu_of(base)->fence); /* commit returns when all is done */
    return ERR_OK;
}

static int cpu_reserve(struct device *base, uint32_t n_call, struct err *e) {
    struct cpu_cmd *c = &cpu_of(base)->cmd;
    if (n_call <= c->cap) return ERR_OK;
    void *p = NULL;
    if (posix_memalign(&p, 64, n_call * sizeof *c->calls) != 0)
        return err_set(e, ERR_NOMEM, "no memory for a command list of %u calls", n_call);
    if (c->n_call) memcpy(p, c->calls, c->n_call * sizeof *c->calls);
    free(c->calls);
    c->calls = p;
    c->cap = n_call;
    return ERR_OK;
}

static const struct device_vtable cpu_vtable = {
    .close = cpu_close, .buf_new = cpu_buf_new, .buf_free = cpu_buf_free, .begin = cpu_begin,
    .barrier = cpu_barrier, .commit = cpu_commit, .wait = cpu_wait, .reserve = cpu_reserve,
};

void cpu_encode(struct cmd *base, cpu_fn *fn, uint32_t n_item, uint32_t grain, const void *args, size_t args_bytes,
                const struct ref *bind, uint32_t n_bind) {
    struct cpu_cmd *c = cpu_cmd_of(base);
    CHECK(args_bytes <= CPU_ARGS_BYTES && n_bind <= CPU_MAX_BIND);
    CHECK(n_item <= UINT32_MAX / 2 && grain <= UINT32_MAX / 2 / MAX_THREAD); /* the item counter must not wrap */
    if (c->n_call == c->cap) CHECK(cpu_reserve(base->dev, c->cap * 2, NULL) == ERR_OK);
    struct cpu_call *k = &c->calls[c->n_call++];
    k->fn = fn;
    k->n_item = n_item;
    k->grain = grain ? grain : 1;
    k->barrier = c->barrier_next;
    c->barrier_next = false;
    for (uint32_t i = 0; i < CPU_MAX_BIND; i++) k->bind[i] = i < n_bind ? ref_host(bind[i]) : NULL;
    if (args_bytes) memcpy(k->args, args, args_bytes);
    atomic_init(&k->next, 0);
}

static bool isa_runs_here(enum cpu_isa isa) {
    switch (isa) {
    case CPU_SCALAR: return true;
#if defined(__x86_64__)
    case CPU_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); /* F16C came before both */
    case CPU_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__) && defined(__APPLE__)
    case CPU_NEON: return true;
    case CPU_NEON_I8MM: { /* M2 and later */
        int has = 0;
        size_t size = sizeof has;
        return sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &size, NULL, 0) == 0 && has;
    }
#elif defined(__aarch64__)
    case CPU_NEON:
        return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) && (getauxval(AT_HWCAP) & HWCAP_ASIMDHP);
    case CPU_NEON_I8MM: return isa_runs_here(CPU_NEON) && (getauxval(AT_HWCAP2) & HWCAP2_I8MM);
#endif
    default: return false;
    }
}

enum cpu_isa cpu_isa_best(void) {
    for (int i = CPU_N_ISA - 1; i > 0; i--)
        if (isa_runs_here((enum cpu_isa)i)) return (enum cpu_isa)i;
    return CPU_SCALAR;
}

enum cpu_isa cpu_isa_of(const struct device *d) { return ((const struct cpu_device *)d)->isa; }

const char *cpu_isa_name(enum cpu_isa isa) {
    static const char *const names[CPU_N_ISA] = {"scalar", "neon", "neon_i8mm", "avx2", "avx512"};
    return names[isa];
}

static int isa_choose(const char *name, enum cpu_isa *out, struct err *e) {
    *out = cpu_isa_best();
    if (!name) return ERR_OK;
    for (int i = 0; i < CPU_N_ISA; i++)
        if (strcmp(name, cpu_isa_name((enum cpu_isa)i)) == 0) {
            *out = (enum cpu_isa)i;
            if (isa_runs_here(*out)) return ERR_OK;
            return err_set(e, ERR_UNSUPPORTED, "this processor does not run the %s kernels; its best set is %s", name,
                           cpu_isa_name(cpu_isa_best()));
        }
    return err_set(e, ERR_ARG, "'%s' is not an instruction set; use scalar, neon, neon_i8mm, avx2 or avx512", name);
}

static int start_workers(struct cpu_device *d, struct err *e) {
    for (uint32_t i = 1; i < d->base.n_thread; i++) {
        struct worker_arg *arg = malloc(sizeof *arg);
        if (arg) *arg = (struct worker_arg){d, i};
        if (!arg || pthread_create(&d->threads[d->n_started], NULL, worker_main, arg) != 0) {
            free(arg);
            return err_set(e, ERR_NOMEM, "the system refused thread %u of %u; use --threads with a smaller number", i,
                           d->base.n_thread);
        }
        d->n_started++;
    }
    return ERR_OK;
}

int cpu_device_open(const struct device_options *opt, struct device **out, struct err *e) {
    if (opt->n_thread > MAX_THREAD)
        return err_set(e, ERR_ARG, "%u threads are more than the %d that hy uses at most", opt->n_thread, MAX_THREAD);
    enum cpu_isa isa;
    int rc = isa_choose(opt->cpu_isa, &isa, e);
    if (rc) return rc;
    void *p = NULL;
    if (posix_memalign(&p, 64, sizeof(struct cpu_device)) != 0) return err_set(e, ERR_NOMEM, "no memory for the CPU device");
    struct cpu_device *d = memset(p, 0, sizeof *d);
    uint32_t n = opt->n_thread ? opt->n_thread : machine_n_core();
    d->base = (struct device){.kind = DEVICE_CPU, .v = &cpu_vtable, .n_thread = n < MAX_THREAD ? n : MAX_THREAD};
    d->isa = isa;
    d->cmd.base.dev = &d->base;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    pthread_cond_init(&d->met, NULL);
    snprintf(d->base.text, sizeof d->base.text, "cpu: %s, %u thread%s", cpu_isa_name(isa), d->base.n_thread,
             d->base.n_thread == 1 ? "" : "s");
    void *scratch = NULL;
    if (posix_memalign(&scratch, 4096, d->base.n_thread * CPU_SCRATCH_BYTES) != 0)
        rc = err_set(e, ERR_NOMEM, "no memory for the scratch space of %u threads", d->base.n_thread);
    d->scratch = scratch;
    if (!rc) rc = cpu_reserve(&d->base, FIRST_CALLS, e);
    if (!rc) rc = start_workers(d, e);
    if (rc) {
        cpu_close(&d->base);
        return rc;
    }
    *out = &d->base;
    return ERR_OK;
}
