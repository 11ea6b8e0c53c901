#include "kernels/gather_rows.h"

void gather_rows_ref(const struct gather_rows_args *a, const float *x, const int32_t *row_ids, double *out) {
    for (uint64_t i = 0; i < a->n_out; i++)
        for (uint64_t j = 0; j < a->dim; j++) {
            bool inside = row_ids[i] >= 0 && (uint32_t)row_ids[i] < a->n_row;
            out[i * a->dim + j] = inside ? (double)x[(uint64_t)row_ids[i] * a->dim + j] : 0;
        }
}
