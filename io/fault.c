#include "io/fault.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REORDER_US 5000u /* longer than a piece takes, so that later ones overtake it */
#define MAX_DELAY_US 10000000u
#define SPOILED 0xdb
#define POISON 0xff /* NaN, in every format of weights that has one */

atomic_bool file_fault_on;
static struct file_fault fault;
static atomic_ullong n_read;

void file_fault_set(const struct file_fault *f) {
    fault = f ? *f : (struct file_fault){0};
    atomic_store(&n_read, 0);
    atomic_store(&file_fault_on, f != NULL);
}

bool file_fault_no_direct(void) { return fault.no_direct; }

void file_fault_poison(void *dst, uint64_t len) {
    if (fault.poison) memset(dst, POISON, len);
}

uint64_t file_fault_n_read(void) { return atomic_load(&n_read); }

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t draw(uint64_t *state) { return mix(*state += 0x9e3779b97f4a7c15u); }

static void pause_us(uint64_t us) {
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};
    while (us && nanosleep(&t, &t) != 0 && errno == EINTR) {}
}

static bool due(uint32_t every, uint64_t n) { return every && n % every == 0; }

ssize_t file_fault_pread(int fd, void *dst, size_t len, off_t offset) {
    uint64_t n = atomic_fetch_add(&n_read, 1) + 1, random = mix(fault.seed) + n;
    pause_us(fault.delay_us ? draw(&random) % fault.delay_us : 0);
    if (due(fault.eio, n)) {
        errno = EIO;
        return -1;
    }
    ssize_t got = pread(fd, dst, len, offset);
    if (got > 0 && due(fault.flip, n)) {
        uint64_t bit = draw(&random) % ((uint64_t)got * 8);
        ((unsigned char *)dst)[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    if (got > 1 && fault.short_reads) {
        ssize_t keep = 1 + (ssize_t)(draw(&random) % (uint64_t)got);
        memset((unsigned char *)dst + keep, SPOILED, (size_t)(got - keep));
        got = keep;
    }
    if (fault.reorder && draw(&random) % 2) pause_us(REORDER_US);
    return got;
}

/* "20ms", "500us", "1s" */
static bool parse_time(const char *text, size_t len, uint32_t *us) {
    static const struct {
        const char *unit;
        uint32_t us;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}};
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    size_t rest = len - (size_t)(end - text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strlen(units[i].unit) == rest && strncmp(end, units[i].unit, rest) == 0 && n <= MAX_DELAY_US / units[i].us) {
            *us = (uint32_t)n * units[i].us;
            return true;
        }
    return false;
}

static bool parse_count(const char *text, size_t len, uint32_t *n) {
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    *n = (uint32_t)v;
    return end == text + len && v > 0 && v <= UINT32_MAX;
}

static bool parse_item(const char *item, size_t len, struct file_fault *f) {
    const char *equals = memchr(item, '=', len);
    size_t name = equals ? (size_t)(equals - item) : len, n = equals ? len - name - 1 : 0;
    const char *value = equals ? equals + 1 : NULL;
    uint32_t seed = 0;
#define IS(s) (name == sizeof(s) - 1 && memcmp(item, s, name) == 0)
    if (!value && IS("reorder")) return f->reorder = true;
    if (!value && IS("short")) return f->short_reads = true;
    if (!value && IS("nodirect")) return f->no_direct = true;
    if (!value && IS("poison")) return f->poison = true;
    if (!value || n == 0 || *value < '0' || *value > '9') return false;
    if (IS("delay")) return parse_time(value, n, &f->delay_us);
    if (IS("eio")) return parse_count(value, n, &f->eio);
    if (IS("flip")) return parse_count(value, n, &f->flip);
    if (!IS("seed") || !parse_count(value, n, &seed)) return false;
#undef IS
    f->seed = seed;
    return true;
}

int file_fault_parse(const char *text, struct file_fault *f, struct err *e) {
    *f = (struct file_fault){0};
    for (const char *item = text;;) {
        size_t len = strcspn(item, ",");
        if (!parse_item(item, len, f))
            return err_set(e, ERR_ARG, "the fault '%.*s' is not one of delay=20ms, reorder, short, nodirect, poison, eio=N, flip=N, seed=N "
                           "(separated by commas)", (int)(len < 100 ? len : 100), item);
        if (!item[len]) return ERR_OK;
        item += len + 1;
    }
}

static int env_rc;
static struct err env_err;

static void read_env(void) {
    const char *text = getenv("HY_IO_FAULT");
    struct file_fault f;
    if (!text || !*text) return;
    env_rc = file_fault_parse(text, &f, &env_err);
    if (env_rc) err_prefix(&env_err, "HY_IO_FAULT");
    else file_fault_set(&f);
}

int file_fault_from_env(struct err *e) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_env);
    if (env_rc && e) *e = env_err;
    return env_rc;
}
