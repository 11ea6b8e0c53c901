/* Any bytes as a routes file: what parses must have ids in range, and replay on every policy. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sched/replay.h"

#define MAX_KEYS 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void touch(const struct routes *r) {
    for (uint32_t s = 0; s < r->n_step; s++)
        for (uint32_t t = 0; t < r->steps[s].n_tok; t++)
            for (uint32_t l = 0; l < r->shape.n_layer; l++)
                for (uint32_t i = 0; i < r->shape.n_used; i++) {
                    uint16_t id = routes_id(r, s, t, l, i);
                    CHECK(id == ROUTES_NO_EXPERT || id < r->shape.n_expert);
                }
}

static void play(const struct routes *routes) {
    struct replay r;
    struct err e;
    if (replay_new(routes, &r, &e)) return;
    for (uint32_t n_slot = 1; n_slot <= r.max_uses + 2; n_slot += 1 + r.max_uses)
        for (int p = 0; p < N_REPLAY_POLICIES; p++) {
            struct replay_result got;
            if (replay_run(&r, (enum replay_policy)p, n_slot, &got, &e)) continue;
            CHECK(got.n_hit <= r.n_use);
        }
    replay_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct routes r;
    struct err e = {0};
    if (routes_parse(data, size, "fuzz", &r, &e)) {
        CHECK(e.code < 0 && strlen(e.text) > 0);
        return 0;
    }
    touch(&r);
    if (r.shape.n_layer * r.shape.n_expert <= MAX_KEYS) play(&r);
    routes_close(&r);
    return 0;
}
