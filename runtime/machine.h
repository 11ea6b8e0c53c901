/* What this machine is: cores and memory that this process may use. Linux and macOS. */
#pragma once
#include <stdint.h>

/* Physical cores in this process's affinity mask, at most the container's CPU quota; at least 1.
 * On Apple Silicon the performance cores. */
uint32_t machine_n_core(void);

/* Bytes that a new process can take without swapping: MemAvailable and the cgroup limit on Linux,
 * physical memory on macOS. 0 when the system does not say. */
uint64_t machine_memory_available(void);

/* This process's peak resident set. */
uint64_t machine_peak_rss(void);
