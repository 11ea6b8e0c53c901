#include "kernels/gather_rows.h"

#include <string.h>

#include "kernels/cpu_ops.h"

void ISA_FN(gather_rows)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct gather_rows_args *a = (const struct gather_rows_args *)c->args;
    size_t bytes = (size_t)a->dim * 4;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t id = ((const uint32_t *)c->bind[2])[i];
        char *out = (char *)c->bind[0] + i * bytes;
        if (id < a->n_row) memcpy(out, (const char *)c->bind[1] + id * bytes, bytes);
        else memset(out, 0, bytes);
    }
}
