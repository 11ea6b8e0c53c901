#include "runtime/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#else
#include <sched.h>

#include "runtime/cgroup.h"
#endif

/* Without stdio, which allocates: steps ask for memory pressure. */
bool machine_read_text(const char *path, char *out, size_t cap) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t n = 0;
    ssize_t got = 1;
    while (got > 0 && n < cap - 1) {
        got = read(fd, out + n, cap - 1 - n);
        if (got > 0) n += (size_t)got;
    }
    close(fd);
    out[n] = 0;
    return got >= 0;
}

bool machine_text_number(const char *text, const char *key, uint64_t *out) {
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, key, len) != 0) continue;
        const char *p = line + len + strspn(line + len, " \t");
        if (*p < '0' || *p > '9') continue;
        *out = strtoull(p, NULL, 10);
        return true;
    }
    return false;
}

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

/* Free pages and those that macOS drops without a trace: purgeable ones and those of files (speculative ones are among these). */
static void system_memory(struct machine_memory *m) {
    uint64_t pages = sysctl_u64("vm.page_free_count") + sysctl_u64("vm.page_purgeable_count") + sysctl_u64("vm.page_pageable_external_count");
    m->ram_bytes = sysctl_u64("hw.memsize");
    m->available_bytes = pages * sysctl_u64("vm.pagesize");
    m->wired_limit_bytes = sysctl_u64("iogpu.wired_limit_mb") << 20;
    m->unified = true;
}

uint32_t machine_pressure_level(void) { return (uint32_t)sysctl_u64("kern.memorystatus_vm_pressure_level"); }

static void cpu_name(char *out, size_t cap) {
    size_t len = cap;
    if (sysctlbyname("machdep.cpu.brand_string", out, &len, NULL, 0) != 0) *out = 0;
}
#else

/* The number on the first line of a file that begins with a number, or false ("max", absent). */
static bool file_u64(const char *path, uint64_t *a, uint64_t *b) {
    char text[96];
    unsigned long long x = 0, y = 0;
    int n = machine_read_text(path, text, sizeof text) ? sscanf(text, "%llu %llu", &x, &y) : 0;
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

static void system_memory(struct machine_memory *m) {
    char text[8192];
    uint64_t kb;
    if (machine_read_text("/proc/meminfo", text, sizeof text)) {
        if (machine_text_number(text, "MemTotal:", &kb)) m->ram_bytes = kb * 1024;
        if (machine_text_number(text, "MemAvailable:", &kb)) m->available_bytes = kb * 1024;
    }
    struct cgroup_memory group;
    if (machine_read_text("/proc/self/cgroup", text, sizeof text) && cgroup_memory(CGROUP_MOUNT, text, &group)) {
        m->group_bytes = group.limit_bytes;
        m->group_left_bytes = group.left_bytes;
    }
}

uint32_t machine_pressure_level(void) { return 0; }

static void cpu_name(char *out, size_t cap) {
    char text[4096];
    const char *at = machine_read_text("/proc/cpuinfo", text, sizeof text) ? strstr(text, "model name") : NULL;
    if (at) at = strchr(at, ':');
    if (at) snprintf(out, cap, "%.*s", (int)strcspn(at + 2, "\n"), at[1] ? at + 2 : "");
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

void machine_memory(struct machine_memory *out) {
    *out = (struct machine_memory){0};
    system_memory(out);
}

uint64_t machine_memory_total(const struct machine_memory *m) {
    return m->group_bytes && (!m->ram_bytes || m->group_bytes < m->ram_bytes) ? m->group_bytes : m->ram_bytes;
}

uint64_t machine_memory_left(const struct machine_memory *m) {
    bool group = m->group_bytes && (!m->available_bytes || m->group_left_bytes < m->available_bytes);
    return group ? m->group_left_bytes : m->available_bytes;
}

uint64_t machine_memory_reserve(const struct machine_memory *m) {
    const uint64_t least = (uint64_t)512 << 20, most = (uint64_t)2 << 30;
    uint64_t total = machine_memory_total(m), reserve = total / 25;
    if (reserve < least) reserve = least;
    if (reserve > most) reserve = most;
    return reserve < total / 8 ? reserve : total / 8;
}

uint64_t machine_memory_available(void) {
    struct machine_memory m;
    machine_memory(&m);
    return machine_memory_left(&m);
}

void machine_identity(char *out, size_t cap) {
    char cpu[128] = "";
    struct utsname u = {0};
    struct machine_memory m;
    uname(&u);
    cpu_name(cpu, sizeof cpu);
    machine_memory(&m);
    snprintf(out, cap, "%s, %u cores, %.0f GB, %s %s", *cpu ? cpu : u.machine, machine_n_core(), (double)m.ram_bytes / (1 << 30), u.sysname,
             u.release);
}
