/* The memory limit of this process's control group (Linux, versions 1 and 2).
 *
 * A limit of any group above counts too, so all are looked at from the process's own up to the root. Inside a container
 * the path that the kernel names may not exist below the mount; then the container's root is the group.
 * Pages of files that nobody used lately count as free: the kernel gives them up before it refuses. */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define CGROUP_MOUNT "/sys/fs/cgroup"

struct cgroup_memory {
    uint64_t limit_bytes; /* 0: none */
    uint64_t left_bytes;  /* of the group that has the least left */
};

/* mount: CGROUP_MOUNT; self: the text of /proc/self/cgroup. False when no group limits memory. */
bool cgroup_memory(const char *mount, const char *self, struct cgroup_memory *out);

/* The path of the group's memory.pressure (version 2 only); false when there is none. */
bool cgroup_pressure_path(const char *mount, const char *self, char out[PATH_MAX]);
