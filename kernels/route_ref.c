#include "kernels/route.h"

#include <math.h>

static bool is_chosen(const int32_t *ids, uint32_t n, uint32_t id) {
    for (uint32_t k = 0; k < n; k++)
        if (ids[k] == (int32_t)id) return true;
    return false;
}

static void route_token(const struct route_args *a, const float *x, int32_t *ids, double *weights) {
    for (uint32_t k = 0; k < a->n_used; k++) {
        ids[k] = -1;
        for (uint32_t i = 0; i < a->n_expert; i++)
            if (!is_chosen(ids, k, i) && (ids[k] < 0 || x[i] > x[ids[k]])) ids[k] = (int32_t)i;
    }
    double all = 0, chosen = 0, top = (double)x[ids[0]];
    for (uint32_t i = 0; i < a->n_expert; i++) all += exp((double)x[i] - top);
    for (uint32_t k = 0; k < a->n_used; k++) chosen += exp((double)x[ids[k]] - top);
    double sum = a->flags & (ROUTE_RENORM | ROUTE_SOFTMAX_CHOSEN) ? chosen : all;
    for (uint32_t k = 0; k < a->n_used; k++) weights[k] = exp((double)x[ids[k]] - top) / sum * (double)a->scale;
}

void route_ref(const struct route_args *a, const float *logits, int32_t *ids, double *weights) {
    for (uint64_t t = 0; t < a->n_tok; t++)
        route_token(a, logits + t * a->n_expert, ids + t * a->n_used, weights + t * a->n_used);
}
