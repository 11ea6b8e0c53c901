#include "tools/replay.h"

#include <inttypes.h>
#include <stdio.h>

#include "sched/replay.h"

#define N_FRACTION 16u

struct line {
    uint32_t n_slot;
    double rate[N_REPLAY_POLICIES]; /* hits / uses */
    double policy_ns;
};

static int measure(const struct replay *r, uint32_t n_slot, struct line *out, struct err *e) {
    *out = (struct line){.n_slot = n_slot};
    for (int p = 0; p < N_REPLAY_POLICIES; p++) {
        struct replay_result got;
        int rc = replay_run(r, (enum replay_policy)p, n_slot, &got, e);
        if (rc) return rc;
        out->rate[p] = r->n_use ? (double)got.n_hit / (double)r->n_use : 0;
        if (p == REPLAY_HY) out->policy_ns = got.policy_ns;
    }
    return ERR_OK;
}

static enum replay_policy best_other(const struct line *l) {
    enum replay_policy best = REPLAY_LRU;
    if (l->rate[REPLAY_LFU] > l->rate[best]) best = REPLAY_LFU;
    if (l->rate[REPLAY_DECAYED] > l->rate[best]) best = REPLAY_DECAYED;
    return best;
}

/* The smallest pool that a visit fits, each sixteenth, and all: rising, without repeats. */
static uint32_t sizes(const struct replay *r, uint32_t *out) {
    uint32_t n_key = r->shape.n_layer * r->shape.n_expert, n = 0;
    out[n++] = r->max_uses ? r->max_uses : 1;
    for (uint32_t i = 1; i <= N_FRACTION; i++) {
        uint32_t n_slot = (uint32_t)((uint64_t)n_key * i / N_FRACTION);
        if (n_slot > out[n - 1]) out[n++] = n_slot;
    }
    return n;
}

static void print_text(const struct routes *routes, const struct replay *r, const struct line *lines, uint32_t n) {
    uint32_t n_key = r->shape.n_layer * r->shape.n_expert;
    printf("%" PRIu32 " steps, %" PRIu64 " tokens, %" PRIu32 " layers, %" PRIu32 " of %" PRIu32
           " experts used; %" PRIu64 " uses%s\n",
           r->n_step, routes->n_tok_total, r->shape.n_layer, r->shape.n_used, r->shape.n_expert, r->n_use,
           routes->cut_off ? "; the last step is cut off" : "");
    printf("hit rate in percent\n%8s %7s", "slots", "of all");
    for (int p = 0; p < N_REPLAY_POLICIES; p++) printf(" %8s", replay_name((enum replay_policy)p));
    printf(" %8s\n", "ns/use");
    for (uint32_t i = 0; i < n; i++) {
        printf("%8" PRIu32 " %7.3f", lines[i].n_slot, (double)lines[i].n_slot / n_key);
        for (int p = 0; p < N_REPLAY_POLICIES; p++) printf(" %8.2f", 100 * lines[i].rate[p]);
        printf(" %8.0f\n", lines[i].policy_ns);
    }
    for (uint32_t i = 0; i < n; i++) {
        enum replay_policy best = best_other(&lines[i]);
        if (lines[i].rate[REPLAY_HY] < lines[i].rate[best])
            printf("warning: with %" PRIu32 " slots hy's policy is %.3f points below %s\n", lines[i].n_slot,
                   100 * (lines[i].rate[best] - lines[i].rate[REPLAY_HY]), replay_name(best));
    }
}

static void print_json(const struct routes *routes, const struct replay *r, const struct line *lines, uint32_t n) {
    static const char *const keys[N_REPLAY_POLICIES] = {"lru", "lfu", "decayed", "hy", "belady"};
    printf("{\"steps\":%" PRIu32 ",\"tokens\":%" PRIu64 ",\"layers\":%" PRIu32 ",\"experts\":%" PRIu32
           ",\"experts_used\":%" PRIu32 ",\"uses\":%" PRIu64 ",\"cut_off\":%s,\"sizes\":[",
           r->n_step, routes->n_tok_total, r->shape.n_layer, r->shape.n_expert, r->shape.n_used, r->n_use,
           routes->cut_off ? "true" : "false");
    for (uint32_t i = 0; i < n; i++) {
        printf("%s{\"slots\":%" PRIu32, i ? "," : "", lines[i].n_slot);
        for (int p = 0; p < N_REPLAY_POLICIES; p++) printf(",\"%s\":%.6f", keys[p], lines[i].rate[p]);
        bool below = lines[i].rate[REPLAY_HY] < lines[i].rate[best_other(&lines[i])];
        printf(",\"ns_per_use\":%.0f,\"below_best\":%s}", lines[i].policy_ns, below ? "true" : "false");
    }
    printf("]}\n");
}

int replay_print(const char *path, bool json, struct err *e) {
    struct routes routes;
    struct replay r;
    struct line lines[N_FRACTION + 1];
    uint32_t n_slot[N_FRACTION + 1];
    int rc = routes_open(path, &routes, e);
    if (rc) return rc;
    rc = replay_new(&routes, &r, e);
    if (!rc) {
        uint32_t n = sizes(&r, n_slot);
        for (uint32_t i = 0; i < n && !rc; i++) rc = measure(&r, n_slot[i], &lines[i], e);
        if (!rc) (json ? print_json : print_text)(&routes, &r, lines, n);
        replay_free(&r);
    }
    routes_close(&routes);
    return rc;
}
