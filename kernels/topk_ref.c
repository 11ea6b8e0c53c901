#include "kernels/topk.h"

#include <math.h>

/* Whether i comes before j. */
static bool before(const float *x, uint32_t i, uint32_t j) {
    if (isnan(x[i]) || isnan(x[j])) return isnan(x[i]) == isnan(x[j]) ? i < j : isnan(x[j]);
    return x[i] > x[j] || (x[i] == x[j] && i < j);
}

void topk_ref(const struct topk_args *a, const float *x, int32_t *ids, double *values) {
    for (uint32_t r = 0; r < a->n_row; r++, x += a->n, ids += a->k, values += a->k)
        for (uint32_t k = 0; k < a->k; k++) {
            int64_t best = -1;
            for (uint32_t i = 0; i < a->n; i++)
                if ((k == 0 || before(x, (uint32_t)ids[k - 1], i)) && (best < 0 || before(x, i, (uint32_t)best))) best = i;
            ids[k] = (int32_t)best;
            values[k] = (double)x[best];
        }
}
