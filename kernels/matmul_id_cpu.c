#include "kernels/matmul_id.h"
#include "kernels/matmul_rows.h"

/* bind: y, x, table, ids, bias. */
struct experts {
    const struct matmul_id_args *a;
    const int32_t *ids;
    const unsigned char *x;
    float *y;
    uint64_t n_slot, x_bytes;
    const unsigned char **list_x;
    float **list_y;
};

/* Lists the slots from `from` on that use expert e, at most MM_TOK; *from becomes where to go on. */
static uint32_t gather(const struct experts *g, int32_t e, uint64_t *from) {
    uint32_t n = 0;
    uint64_t s = *from;
    for (; s < g->n_slot && n < MM_TOK; s++) {
        if (g->ids[s] != e) continue;
        g->list_x[n] = g->x + (g->a->x_per_slot ? s : s / g->a->n_used) * g->x_bytes;
        g->list_y[n++] = g->y + s * g->a->n_out;
    }
    *from = s;
    return n;
}

/* The expert that work group i computes, with *from its first slot; -1: none. With fewer slots than experts a
 * group is a slot, and the first slot of an expert does the work of all. */
static int32_t expert_of(const struct experts *g, uint64_t i, uint64_t *from) {
    *from = 0;
    if (g->n_slot >= g->a->n_expert) return (int32_t)i;
    for (uint64_t s = 0; s < i; s++)
        if (g->ids[s] == g->ids[i]) return -1;
    *from = i;
    return g->ids[i];
}

static void run_item(const struct experts *g, const struct cpu_call *c, uint32_t item, unsigned char *scratch) {
    const struct matmul_id_args *a = g->a;
    uint32_t n_chunk = (a->n_out + MM_ITEM_ROWS - 1) / MM_ITEM_ROWS, row = item % n_chunk * MM_ITEM_ROWS;
    uint32_t stop = a->n_out - row < MM_ITEM_ROWS ? a->n_out : row + MM_ITEM_ROWS;
    uint64_t from;
    int32_t e = expert_of(g, item / n_chunk, &from);
    if (e < 0) return;
    CHECK((uint32_t)e < a->n_expert);
    enum dtype type = (enum dtype)a->w_type;
    const float *bias = c->bind[4] ? (const float *)c->bind[4] + (uint64_t)e * a->n_out : NULL;
    struct mm_job j = {.type = type, .n_in = a->n_in, .row_bytes = dtype_bytes(type, a->n_in),
                       .bias = bias, .x = g->list_x, .y = g->list_y};
    while ((j.n_tok = gather(g, e, &from))) {
        j.w = (const unsigned char *)(uintptr_t)((const uint64_t *)c->bind[2])[e];
        ISA_FN(mm_rows)(&j, row, stop, scratch);
    }
}

void ISA_FN(matmul_id)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct matmul_id_args *a = (const void *)c->args;
    struct experts g = {
        .a = a, .ids = c->bind[3], .x = c->bind[1], .y = c->bind[0],
        .n_slot = (uint64_t)a->n_tok * a->n_used,
        .x_bytes = act_bytes(matmul_act_fmt((enum dtype)a->w_type, ISA_ENUM), a->n_in),
        .list_x = (const unsigned char **)w->scratch,
        .list_y = (float **)(w->scratch + MM_TOK * sizeof(void *)),
    };
    for (uint32_t i = begin; i < end; i++) run_item(&g, c, i, w->scratch + MM_LIST_BYTES);
}
