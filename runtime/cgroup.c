#include "runtime/cgroup.h"

#include <stdio.h>
#include <string.h>

#include "runtime/machine.h"

#define UNLIMITED ((uint64_t)1 << 60) /* version 1 says "none" by a number near 2^63 */
#define TEXT_BYTES 4096

/* Where a version keeps what. */
struct layout {
    const char *mount, *limit, *usage, *inactive;
};
static const struct layout v1 = {"/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
static const struct layout v2 = {"", "memory.max", "memory.current", "inactive_file"};

/* Whether "memory" is one of the controllers in "4:cpu,memory:/path". */
static bool has_memory(const char *list, size_t len) {
    for (size_t i = 0; i + 6 <= len; i++)
        if (memcmp(list + i, "memory", 6) == 0 && (i == 0 || list[i - 1] == ',') && (i + 6 == len || list[i + 6] == ',')) return true;
    return false;
}

/* Finds the line that speaks of memory: version 1's own wins over the unified "0::". */
static const struct layout *find_group(const char *self, char path[PATH_MAX]) {
    const struct layout *found = NULL;
    for (const char *line = self; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        const char *list = strchr(line, ':'), *at = list ? strchr(list + 1, ':') : NULL, *end = line + strcspn(line, "\n");
        if (!at || at >= end || end - at > PATH_MAX - 1) continue;
        bool one = has_memory(list + 1, (size_t)(at - list - 1));
        if (!one && (found || strncmp(line, "0::", 3) != 0)) continue;
        found = one ? &v1 : &v2;
        snprintf(path, PATH_MAX, "%.*s", (int)(end - at - 1), at + 1);
        if (one) break;
    }
    return found;
}

static bool group_text(const char *mount, const struct layout *l, const char *group, const char *file, char text[TEXT_BYTES]) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s%s%s/%s", mount, l->mount, strcmp(group, "/") == 0 ? "" : group, file);
    return n > 0 && (size_t)n < sizeof path && machine_read_text(path, text, TEXT_BYTES);
}

/* One group's limit into *out when it leaves less than those seen so far. */
static void take_group(const char *mount, const struct layout *l, const char *group, struct cgroup_memory *out) {
    char text[TEXT_BYTES];
    uint64_t limit, usage, idle;
    if (!group_text(mount, l, group, l->limit, text) || !machine_text_number(text, "", &limit) || limit >= UNLIMITED) return;
    if (!group_text(mount, l, group, l->usage, text) || !machine_text_number(text, "", &usage)) return;
    if (!group_text(mount, l, group, "memory.stat", text) || !machine_text_number(text, l->inactive, &idle)) idle = 0;
    uint64_t held = usage > idle ? usage - idle : 0, left = limit > held ? limit - held : 0;
    if (out->limit_bytes && left >= out->left_bytes) return;
    *out = (struct cgroup_memory){limit, left};
}

/* The group above; false at the root. */
static bool parent(char *group) {
    char *slash = strrchr(group, '/');
    if (!slash || !*group) return false;
    *slash = 0;
    return true;
}

bool cgroup_memory(const char *mount, const char *self, struct cgroup_memory *out) {
    char group[PATH_MAX] = "";
    const struct layout *l = find_group(self, group);
    *out = (struct cgroup_memory){0};
    if (!l) return false;
    if (strcmp(group, "/") == 0) *group = 0;
    do take_group(mount, l, group, out);
    while (parent(group));
    return out->limit_bytes != 0;
}

bool cgroup_pressure_path(const char *mount, const char *self, char out[PATH_MAX]) {
    char group[PATH_MAX] = "", text[8];
    if (find_group(self, group) != &v2) return false;
    int n = snprintf(out, PATH_MAX, "%s%s/memory.pressure", mount, strcmp(group, "/") == 0 ? "" : group);
    return n > 0 && n < PATH_MAX && machine_read_text(out, text, sizeof text);
}
