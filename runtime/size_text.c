#include "runtime/size_text.h"

#include <inttypes.h>
#include <stdio.h>

/* In hundredths of the unit; round_up is added before they are cut: 0, half or all but one of a hundredth's bytes. */
static struct size_text print(uint64_t bytes, uint64_t hundredth, uint64_t round_up, const char *unit) {
    struct size_text t;
    uint64_t n = bytes / hundredth + (bytes % hundredth + round_up) / hundredth;
    snprintf(t.s, sizeof t.s, "%" PRIu64 ".%02" PRIu64 " %s", n / 100, n % 100, unit);
    return t;
}

enum rounding { DOWN, NEAREST, UP };

static struct size_text choose(uint64_t bytes, enum rounding r) {
    static const struct {
        uint64_t bytes;
        const char *name;
    } units[] = {{1000000000, "GB"}, {1000000, "MB"}, {1000, "KB"}};
    for (uint32_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t h = units[i].bytes / 100;
        if (bytes >= units[i].bytes) return print(bytes, h, r == UP ? h - 1 : r == NEAREST ? h / 2 : 0, units[i].name);
    }
    struct size_text t;
    snprintf(t.s, sizeof t.s, "%" PRIu64 " B", bytes);
    return t;
}

struct size_text size_text(uint64_t bytes) { return choose(bytes, NEAREST); }
struct size_text size_needed(uint64_t bytes) { return choose(bytes, UP); }
struct size_text size_there(uint64_t bytes) { return choose(bytes, DOWN); }
