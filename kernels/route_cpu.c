#include "kernels/route.h"

#include "kernels/cpu_ops.h"
#include "kernels/simd.h"

/* p[i] = e^(x[i] - top); returns their sum. p has room for a whole number of vectors. */
static float exp_sum(float *p, const float *x, float top, uint32_t n) {
    vf sum = vf_zero();
    for (uint32_t i = 0; i < n; i += VF_N) {
        vf_store(p + i, vf_exp(vf_sub(vf_load_left(x + i, n - i), vf_set1(top))));
        sum = vf_add(sum, vf_load_left(p + i, n - i));
    }
    return vf_sum(sum);
}

/* The largest logit among those not taken; with nothing but NaN left, the first of those. */
static uint32_t best_left(const float *x, const unsigned char *taken, uint32_t n) {
    uint32_t best = n, first = n;
    for (uint32_t i = 0; i < n; i++) {
        if (taken[i]) continue;
        if (first == n) first = i;
        if (x[i] == x[i] && (best == n || x[i] > x[best])) best = i;
    }
    return best < n ? best : first;
}

static void route_token(const struct route_args *a, const float *x, int32_t *ids, float *weights, float *p) {
    unsigned char taken[ROUTE_MAX_EXPERT] = {0};
    float *chosen = p + vf_round_up(a->n_expert);
    for (uint32_t k = 0; k < a->n_used; k++) {
        uint32_t id = best_left(x, taken, a->n_expert);
        taken[id] = 1;
        ids[k] = (int32_t)id;
        chosen[k] = x[id];
    }
    float top = x[ids[0]], sum;
    if (a->flags & ROUTE_SOFTMAX_CHOSEN) {
        sum = exp_sum(p, chosen, top, a->n_used);
        memcpy(chosen, p, a->n_used * sizeof *p);
    } else {
        sum = exp_sum(p, x, top, a->n_expert);
        for (uint32_t k = 0; k < a->n_used; k++) chosen[k] = p[ids[k]];
    }
    if (a->flags & ROUTE_RENORM) { /* the total over all cancels out */
        sum = 0;
        for (uint32_t k = 0; k < a->n_used; k++) sum += chosen[k];
    }
    for (uint32_t k = 0; k < a->n_used; k++) weights[k] = chosen[k] / sum * a->scale;
}

void ISA_FN(route)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct route_args *a = (const struct route_args *)c->args;
    for (uint64_t t = begin; t < end; t++)
        route_token(a, (const float *)c->bind[2] + t * a->n_expert, (int32_t *)c->bind[0] + t * a->n_used,
                    (float *)c->bind[1] + t * a->n_used, (float *)w->scratch);
}
