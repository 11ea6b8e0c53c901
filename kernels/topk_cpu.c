#include "kernels/cpu_ops.h"
#include "kernels/topk.h"

/* Whether x comes before y, the ids aside. */
static inline bool better(float x, float y) { return x > y || (x == x && y != y); }

/* ids[0..n-1] are in order, all before i: among equals i comes last. Returns the new count, at most k. */
static uint32_t insert(const float *x, int32_t *ids, uint32_t n, uint32_t k, uint32_t i) {
    uint32_t at = n < k ? n : k - 1;
    for (; at > 0 && better(x[i], x[ids[at - 1]]); at--) ids[at] = ids[at - 1];
    ids[at] = (int32_t)i;
    return n < k ? n + 1 : k;
}

void ISA_FN(topk)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct topk_args *a = (const struct topk_args *)c->args;
    for (uint64_t r = begin; r < end; r++) {
        const float *x = (const float *)c->bind[2] + r * a->n;
        int32_t *ids = (int32_t *)c->bind[0] + r * a->k;
        uint32_t n = 0;
        for (uint32_t i = 0; i < a->n; i++)
            if (n < a->k || better(x[i], x[ids[n - 1]])) n = insert(x, ids, n, a->k, i);
        for (uint32_t k = 0; k < a->k; k++) ((float *)c->bind[1])[r * a->k + k] = x[ids[k]];
    }
}
