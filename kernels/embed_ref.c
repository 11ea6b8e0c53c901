#include "kernels/embed.h"

#include "kernels/dequant.h"

void embed_ref(const struct embed_args *a, const void *table, const int32_t *ids, double *out) {
    uint64_t row_bytes = dtype_bytes((enum dtype)a->dtype, a->n_embd);
    for (uint64_t t = 0; t < a->n_tok; t++, out += a->n_embd) {
        bool inside = ids[t] >= 0 && (uint32_t)ids[t] < a->n_vocab;
        if (inside)
            dequant_row_f64((enum dtype)a->dtype, (const char *)table + (uint64_t)ids[t] * row_bytes, out, a->n_embd);
        for (uint32_t i = 0; i < a->n_embd; i++) out[i] = inside ? out[i] * (double)a->scale : 0;
    }
}
