#include "runtime/pressure.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/cgroup.h"

/* Percent of the last 10 s in which some thread, or every thread, stood still for memory. */
#define SOME_WARN 10.0
#define SOME_CRITICAL 40.0
#define FULL_CRITICAL 10.0

static const char *const names[] = {"none", "warn", "critical"};

static enum pressure worse(enum pressure a, enum pressure b) { return a > b ? a : b; }

static double avg10(const char *text, const char *kind) {
    const char *line = strstr(text, kind);
    return line ? strtod(line + strlen(kind), NULL) : 0;
}

enum pressure pressure_of_psi(const char *text) {
    double some = avg10(text, "some avg10="), full = avg10(text, "full avg10=");
    if (some >= SOME_CRITICAL || full >= FULL_CRITICAL) return PRESSURE_CRITICAL;
    return some >= SOME_WARN ? PRESSURE_WARN : PRESSURE_NONE;
}

/* A machine whose memory macOS manages says it itself; there, little free memory is normal. */
enum pressure pressure_of_memory(const struct machine_memory *m) {
    uint64_t left = machine_memory_left(m), reserve = machine_memory_reserve(m);
    if (m->unified || (!m->available_bytes && !m->group_bytes)) return PRESSURE_NONE;
    if (left < reserve / 4) return PRESSURE_CRITICAL;
    return left < reserve / 2 ? PRESSURE_WARN : PRESSURE_NONE;
}

static enum pressure of_file(const char *path) {
    char text[256];
    return machine_read_text(path, text, sizeof text) ? pressure_of_psi(text) : PRESSURE_NONE;
}

static enum pressure of_level(uint32_t level) {
    if (level >= 4) return PRESSURE_CRITICAL;
    return level >= 2 ? PRESSURE_WARN : PRESSURE_NONE;
}

static enum pressure of_fake(const char *path) {
    char text[32];
    if (!machine_read_text(path, text, sizeof text)) return PRESSURE_NONE;
    text[strcspn(text, " \n")] = 0;
    for (enum pressure p = PRESSURE_WARN; p <= PRESSURE_CRITICAL; p++)
        if (strcmp(text, names[p]) == 0) return p;
    return PRESSURE_NONE;
}

static enum pressure look(const struct pressure_watch *w) {
    if (w->fake) return of_fake(w->fake);
    struct machine_memory m;
    machine_memory(&m);
    enum pressure p = worse(of_level(machine_pressure_level()), pressure_of_memory(&m));
    p = worse(p, of_file("/proc/pressure/memory"));
    return *w->group_path ? worse(p, of_file(w->group_path)) : p;
}

void pressure_watch_init(struct pressure_watch *w) {
    char self[4096];
    *w = (struct pressure_watch){.fake = getenv("HY_FAKE_PRESSURE")};
    bool group = machine_read_text("/proc/self/cgroup", self, sizeof self) && cgroup_pressure_path(CGROUP_MOUNT, self, w->group_path);
    if (!group) *w->group_path = 0;
}

enum pressure pressure_now(struct pressure_watch *w, uint64_t now_ns) {
    if (now_ns >= w->next_ns) {
        w->last = look(w);
        w->next_ns = now_ns + PRESSURE_LOOK_NS;
    }
    return w->last;
}
