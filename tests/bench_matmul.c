/* How fast matmul is against what the machine can do: make build/release/tests/bench_matmul, then run it with type names.
 *
 * Matrix-vector (1 to 8 tokens): GB/s of weights, beside a plain read of as many bytes by the same threads. Matrix-matrix:
 * GMAC/s; a core of 3 GHz with two 512-bit ports has a peak of 384. Weights exceed the last-level cache's share and lie
 * on huge pages (THREADS, ISA, N_IN, TOKS=1,8,512 and HOT, weights in L2, are set by environment); each figure is the best tenth of many short runs, because other programs only ever slow one down. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <math.h>

#include "kernels/cpu_ops.h"
#include "kernels/matmul.h"
#include "kernels/matmul_random.h"
#include "kernels/matmul_rows.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t n_thread = 2;
static enum cpu_isa isa;
static bool hot; /* weights in L2: what the instructions alone take */

struct job { struct cpu_call *c; struct cpu_worker w; };

static void *work(void *arg) {
    struct job *j = arg;
    for (;;) {
        uint32_t i = atomic_fetch_add(&j->c->next, j->c->grain);
        if (i >= j->c->n_item) return NULL;
        j->c->fn(j->c, i, i + j->c->grain < j->c->n_item ? i + j->c->grain : j->c->n_item, &j->w);
    }
}

/* Runs the call on all threads; seconds. Threads are started outside of the measured time by a spinning gate. */
static atomic_int gate;
static void *gated(void *arg) {
    atomic_fetch_add(&gate, 1);
    while (atomic_load(&gate) < 100) ;
    return work(arg);
}
static double run(struct cpu_call *c) {
    static unsigned char *scratch[64];
    pthread_t th[64];
    struct job job[64];
    atomic_store(&c->next, 0);
    atomic_store(&gate, 0);
    for (uint32_t i = 0; i < n_thread; i++) {
        if (!scratch[i]) scratch[i] = aligned_alloc(64, CPU_SCRATCH_BYTES);
        job[i] = (struct job){c, {i, n_thread, scratch[i]}};
        if (i) pthread_create(&th[i], NULL, gated, &job[i]);
    }
    while (atomic_load(&gate) < (int)n_thread - 1) ;
    double t0 = now();
    atomic_fetch_add(&gate, 100);
    work(&job[0]);
    for (uint32_t i = 1; i < n_thread; i++) pthread_join(th[i], NULL);
    return now() - t0;
}

static void *huge(size_t bytes) {
    size_t n = (bytes + (2u << 20)) & ~((size_t)(2u << 20) - 1);
    unsigned char *p = mmap(NULL, n + (2u << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p = (unsigned char *)(((uintptr_t)p + (2u << 20) - 1) & ~((uintptr_t)(2u << 20) - 1));
    madvise(p, n, MADV_HUGEPAGE);
    return p;
}

/* A plain read: items of 64 KiB summed, as four streams, which is faster than one. */
static uint64_t sink;
static void read_item(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    size_t quarter = (size_t)(end - begin) * 2048;
    const uint64_t *p = (const uint64_t *)c->bind[0] + (size_t)begin * 8192, *stop = p + quarter;
    uint64_t s[8] = {0};
    for (; p < stop; p += 8)
        for (int r = 0; r < 4; r++) {
            __builtin_prefetch(p + r * quarter + 256);
            for (int i = 0; i < 8; i++) s[i] += p[r * quarter + (size_t)i];
        }
    for (int i = 0; i < 8; i++) sink += s[i];
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
/* Of many short runs, the one that a tenth of them beat: free of neighbours, not a fluke. */
static double quiet(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 10];
}

static unsigned char *weights;
static const size_t weight_bytes = (size_t)512 << 20, slice_bytes = (size_t)8 << 20;

static struct cpu_call read_call(const unsigned char *p, uint64_t bytes) {
    return (struct cpu_call){.fn = read_item, .n_item = (uint32_t)(bytes / 65536), .grain = 4, .bind = {(void *)p}};
}

static double read_speed(void) {
    double v[64];
    for (int i = 0; i < 64; i++) {
        struct cpu_call r = read_call(weights + (size_t)i * slice_bytes, slice_bytes);
        v[i] = run(&r);
    }
    return (double)slice_bytes / quiet(v, 64);
}

static struct cpu_call matmul_call(struct matmul_args a, float *y, void *x, const unsigned char *w) {
    struct cpu_call c = {.fn = cpu_ops(isa)->matmul, .n_item = (a.n_out + 63) / 64, .grain = a.n_tok > 8 ? 1 : 4, .bind = {y, x, (void *)w}};
    memcpy(c.args, &a, sizeof a);
    return c;
}

/* Few tokens: slices of the weights, each read from memory. */
static void bench_vec(enum dtype t, uint32_t n_in, uint32_t n_tok, float *y, void *x) {
    uint64_t row = dtype_bytes(t, n_in);
    struct matmul_args a = {n_tok, n_in, (uint32_t)(slice_bytes / row) & ~63u, t};
    if (hot) a.n_out = 256;
    double v[64], r[64], bytes = (double)row * a.n_out;
    for (int i = 0; i < 64; i++) {
        struct cpu_call c = matmul_call(a, y, x, weights + (hot ? 0 : (size_t)i * slice_bytes));
        struct cpu_call rc = read_call(weights + (size_t)(63 - i) * slice_bytes, slice_bytes);
        v[i] = run(&c) / bytes;
        r[i] = run(&rc) / (double)slice_bytes;
    }
    double s = quiet(v, 64);
    printf("  %u: %5.1f GB/s (%3.0f%%)", n_tok, 1e-9 / s, 100 * quiet(r, 64) / s);
}

static void bench_mat(enum dtype t, uint32_t n_in, uint32_t n_tok, float *y, void *x) {
    struct matmul_args a = {n_tok, n_in, 128 * n_thread, t};
    double v[24];
    for (int i = 0; i < 24; i++) {
        struct cpu_call c = matmul_call(a, y, x, weights + (size_t)i * slice_bytes);
        v[i] = run(&c);
    }
    printf("  %u: %4.0f GMAC/s", n_tok, (double)a.n_out * n_in * n_tok / quiet(v, 24) * 1e-9);
}

static void bench_type(enum dtype t, uint32_t n_in, const uint32_t *toks, int n_toks) {
    enum act_fmt fmt = matmul_act_fmt(t, isa);
    uint64_t row = dtype_bytes(t, n_in), seed = 3;
    random_weights(t, weights, slice_bytes / row * n_in, &seed);
    for (size_t i = slice_bytes; i < weight_bytes; i += slice_bytes) memcpy(weights + i, weights, slice_bytes);
    size_t y_bytes = 512 * 4 * (slice_bytes / row + 512), x_bytes = act_bytes(fmt, n_in);
    float *x = malloc(4ull * n_in), *y = huge(y_bytes);
    char *xq = huge(512 * x_bytes);
    for (uint32_t k = 0; k < 512; k++) {
        for (uint32_t i = 0; i < n_in; i++) x[i] = random_f32(&seed, -1, 1);
        act_quant_row_ref(fmt, x, xq + k * x_bytes, n_in);
    }
    printf("%-7s", dtype_info((uint32_t)t)->name);
    for (int i = 0; i < n_toks; i++) {
        if (toks[i] <= 8) bench_vec(t, n_in, toks[i], y, xq);
        else bench_mat(t, n_in, toks[i], y, xq);
        fflush(stdout);
    }
    printf("\n");
    free(x);
    munmap(y, y_bytes), munmap(xq, 512 * x_bytes);
}

int main(int argc, char **argv) {
    isa = cpu_isa_best();
    if (getenv("THREADS")) n_thread = (uint32_t)atoi(getenv("THREADS"));
    hot = getenv("HOT");
    if (getenv("ISA"))
        for (int i = 0; i < CPU_N_ISA; i++)
            if (!strcmp(cpu_isa_name((enum cpu_isa)i), getenv("ISA"))) isa = (enum cpu_isa)i;
    uint32_t n_in = getenv("N_IN") ? (uint32_t)atoi(getenv("N_IN")) : 2048, toks[16] = {1, 2, 4, 8, 16, 64, 512};
    int n_toks = 7;
    if (getenv("TOKS")) {
        n_toks = 0;
        for (char *p = getenv("TOKS"); *p; p += *p == ',') toks[n_toks++] = (uint32_t)strtoul(p, &p, 10);
    }
    weights = huge(weight_bytes + 4096);
    memset(weights, 1, weight_bytes);
    printf("%s, %u threads; plain read %.1f GB/s\n", cpu_isa_name(isa), n_thread, read_speed() * 1e-9);
    for (int i = 1; i < argc; i++) bench_type((enum dtype)dtype_from_name(argv[i]), n_in, toks, n_toks);
    for (int t = 0; argc == 1 && t < DT_MAX; t++)
        if (dtype_info((uint32_t)t)->supported) bench_type((enum dtype)t, n_in, toks, n_toks);
}
