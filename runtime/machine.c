#include "runtime/machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#else
#include <sched.h>
#endif

#ifdef __APPLE__
static uint64_t sysctl_u64(const char *name) {
    uint64_t v = 0;
    size_t len = sizeof v;
    return sysctlbyname(name, &v, &len, NULL, 0) == 0 ? v : 0;
}

uint32_t machine_n_core(void) {
    uint64_t n = sysctl_u64("hw.perflevel0.physicalcpu");
    if (!n) n = sysctl_u64("hw.physicalcpu");
    return n ? (uint32_t)n : 1;
}

uint64_t machine_memory_available(void) { return sysctl_u64("hw.memsize"); }
#else

/* The number on the first line of a file that begins with a number, or false ("max", absent). */
static bool file_u64(const char *path, uint64_t *a, uint64_t *b) {
    FILE *f = fopen(path, "r");
    if (!f) return false;
    unsigned long long x = 0, y = 0;
    int n = fscanf(f, "%llu %llu", &x, &y);
    fclose(f);
    if (n < 1) return false;
    *a = x;
    if (b) *b = n == 2 ? y : 0;
    return true;
}

/* The lowest-numbered hardware thread of cpu's core stands for the core. */
static bool is_first_sibling(int cpu) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    uint64_t first;
    return !file_u64(path, &first, NULL) || first == (uint64_t)cpu;
}

uint32_t machine_n_core(void) {
    cpu_set_t set;
    uint32_t n_cpu = 0, n_core = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int i = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, &set)) {
                n_cpu++;
                n_core += is_first_sibling(i);
            }
    if (!n_core) n_core = n_cpu; /* only second siblings are allowed */
    uint64_t quota, period;
    if (file_u64("/sys/fs/cgroup/cpu.max", &quota, &period) && period) {
        uint64_t limit = quota / period ? quota / period : 1;
        if (limit < n_core) n_core = (uint32_t)limit;
    }
    return n_core ? n_core : 1;
}

static uint64_t mem_available(void) {
    FILE *f = fopen("/proc/meminfo", "r");
    if (!f) return 0;
    char line[128];
    unsigned long long kb = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1) break;
    fclose(f);
    return kb * 1024;
}

uint64_t machine_memory_available(void) {
    uint64_t avail = mem_available(), limit, used;
    if (file_u64("/sys/fs/cgroup/memory.max", &limit, NULL) &&
        file_u64("/sys/fs/cgroup/memory.current", &used, NULL)) {
        uint64_t left = limit > used ? limit - used : 0;
        if (!avail || left < avail) avail = left;
    }
    return avail;
}
#endif

uint64_t machine_peak_rss(void) {
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0) return 0;
#ifdef __APPLE__
    return (uint64_t)u.ru_maxrss;
#else
    return (uint64_t)u.ru_maxrss * 1024;
#endif
}
