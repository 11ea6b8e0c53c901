/* Profiles from the cache folder, and the kernel's texts about control groups and pressure. */
#include <stdlib.h>
#include <string.h>

#include "runtime/cgroup.h"
#include "runtime/pressure.h"
#include "sched/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static struct profile p, again;
    struct cgroup_memory m;
    char *text = malloc(n + 1);
    memcpy(text, data, n);
    text[n] = 0;
    if (profile_parse(text, n, &p, NULL) == ERR_OK) {
        char *back = profile_json(&p);
        if (!back || profile_parse(back, strlen(back), &again, NULL) != ERR_OK) abort();
        free(back);
    }
    cgroup_memory("/nonexistent", text, &m);
    pressure_of_psi(text);
    free(text);
    return 0;
}
