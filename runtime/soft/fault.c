/* Planted faults: the Nth event of a kind fails. */
#include <stdlib.h>
#include <string.h>

#include "runtime/soft/soft.h"

static const char *const names[N_FAULT] = {"nodevice", "buffer", "library", "pipeline", "commands", "hang"};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool read_environment;
static struct {
    uint32_t at, count; /* at 0: never */
    int code;
} faults[N_FAULT];

static void parse_one(const char *s, size_t len) {
    size_t name = strcspn(s, "@,");
    for (int f = 0; f < N_FAULT; f++) {
        if (strlen(names[f]) != name || memcmp(names[f], s, name) != 0) continue;
        char *end = NULL;
        faults[f].at = name < len ? (uint32_t)strtoul(s + name + 1, &end, 10) : 1;
        faults[f].code = end && *end == ':' ? atoi(end + 1) : MTLCommandBufferErrorInternal;
        return;
    }
    soft_abort("no fault is called '%.*s'", (int)len, s);
}

static void parse(const char *spec) {
    memset(faults, 0, sizeof faults);
    while (spec && *spec) {
        size_t len = strcspn(spec, ",");
        parse_one(spec, len);
        spec += len + (spec[len] == ',');
    }
    read_environment = true;
}

void soft_fault_set(const char *spec) {
    pthread_mutex_lock(&lock);
    parse(spec);
    pthread_mutex_unlock(&lock);
}

bool soft_fault(enum soft_fault f, int *code) {
    pthread_mutex_lock(&lock);
    if (!read_environment) parse(getenv("HY_SOFT_FAULT"));
    bool hit = faults[f].at && ++faults[f].count == faults[f].at;
    if (hit && code) *code = faults[f].code;
    pthread_mutex_unlock(&lock);
    return hit;
}
