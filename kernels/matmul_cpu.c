#include "kernels/matmul_rows.h"

/* bind: y, x, w, bias. Item i: rows 64 i and on, all tokens. */
void ISA_FN(matmul)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct matmul_args *a = (const void *)c->args;
    enum dtype type = (enum dtype)a->w_type;
    uint64_t x_bytes = act_bytes(matmul_act_fmt(type, ISA_ENUM), a->n_in);
    const unsigned char **x = (const unsigned char **)w->scratch;
    float **y = (float **)(w->scratch + MM_TOK * sizeof *x);
    uint64_t first = (uint64_t)begin * MM_ITEM_ROWS, last = (uint64_t)end * MM_ITEM_ROWS;
    if (last > a->n_out) last = a->n_out;
    struct mm_job j = {.type = type, .n_in = a->n_in, .row_bytes = dtype_bytes(type, a->n_in),
                       .w = c->bind[2], .bias = c->bind[3], .x = x, .y = y};
    for (uint64_t tok = 0; tok < a->n_tok; tok += MM_TOK) {
        j.n_tok = (uint32_t)(a->n_tok - tok < MM_TOK ? a->n_tok - tok : MM_TOK);
        for (uint32_t t = 0; t < j.n_tok; t++) {
            x[t] = (const unsigned char *)c->bind[1] + (tok + t) * x_bytes;
            y[t] = (float *)c->bind[0] + (tok + t) * a->n_out;
        }
        ISA_FN(mm_rows)(&j, (uint32_t)first, (uint32_t)last, w->scratch + MM_LIST_BYTES);
    }
}
