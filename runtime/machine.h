/* What this machine is: cores, memory that this process may use, and its name. Linux and macOS.
 *
 * Everything is asked anew at each call; nothing is kept. Sizes are bytes; 0 means that the system does not say. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Physical cores in this process's affinity mask, at most the container's CPU quota; at least 1.
 * On Apple Silicon the performance cores. */
uint32_t machine_n_core(void);

struct machine_memory {
    uint64_t ram_bytes;        /* physical memory */
    uint64_t available_bytes;  /* of it, what can be taken without swapping or compressing what others hold */
    uint64_t group_bytes;      /* the limit of this process's cgroup (or the tightest above it); 0: none */
    uint64_t group_left_bytes; /* what is left of that; counts only when group_bytes is not 0 */
    uint64_t wired_limit_bytes; /* macOS: iogpu.wired_limit_mb when the user set it */
    bool unified;              /* the GPU works in the same memory, and the system limits its share (macOS) */
};
void machine_memory(struct machine_memory *out);

/* The memory that this process may count on at most: physical memory or the cgroup's limit. */
uint64_t machine_memory_total(const struct machine_memory *m);
/* What is free of it now: the least of what was asked above. */
uint64_t machine_memory_left(const struct machine_memory *m);
/* What should stay free for the system and for this process's small things: 4 %, between 512 MB and 2 GB, on very small
 * machines an eighth. */
uint64_t machine_memory_reserve(const struct machine_memory *m);

/* machine_memory_left of machine_memory. */
uint64_t machine_memory_available(void);

/* This process's peak resident set. */
uint64_t machine_peak_rss(void);

/* "Intel(R) Xeon(R) Processor, 2 cores, 24 GB, Linux 6.1.0": the same text is the same machine to caches of measurements. */
void machine_identity(char *out, size_t cap);

/* macOS's memory pressure level (1 normal, 2 warning, 4 critical); 0 elsewhere. */
uint32_t machine_pressure_level(void);

/* A small text file (of /proc, say), cut at cap - 1 bytes; false when it cannot be read. */
bool machine_read_text(const char *path, char *out, size_t cap);
/* The number behind "key" at the beginning of a line: `machine_text_number(meminfo, "MemAvailable:", &kb)`. */
bool machine_text_number(const char *text, const char *key, uint64_t *out);
