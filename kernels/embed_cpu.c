#include "kernels/embed.h"

#include <string.h>

#include "kernels/cpu_ops.h"
#include "kernels/dequant.h"

void ISA_FN(embed)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct embed_args *a = (const struct embed_args *)c->args;
    uint64_t row_bytes = dtype_bytes((enum dtype)a->dtype, a->n_embd);
    for (uint64_t t = begin; t < end; t++) {
        float *out = (float *)c->bind[0] + t * a->n_embd;
        uint32_t id = ((const uint32_t *)c->bind[2])[t];
        if (id >= a->n_vocab) {
            memset(out, 0, (size_t)a->n_embd * 4);
            continue;
        }
        dequant_row((enum dtype)a->dtype, (const char *)c->bind[1] + id * row_bytes, out, a->n_embd);
        if (a->scale != 1)
            for (uint32_t i = 0; i < a->n_embd; i++) out[i] *= a->scale;
    }
}
