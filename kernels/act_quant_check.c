#include <string.h>

#include "kernels/act_quant.h"
#include "kernels/check.h"

/* p: rows, elements, format, largest |x| */
static const struct check_case cases[] = {
    {"Q8_32", {3, 32, ACT_Q8_32, 3}}, {"Q8_32", {7, 352, ACT_Q8_32, 100}}, {"Q8_32", {2, 2048, ACT_Q8_32, 1}},
    {"Q8_256", {3, 256, ACT_Q8_256, 3}}, {"Q8_256", {9, 1024, ACT_Q8_256, 100}}, {"zeros", {2, 256, ACT_Q8_256, 0}},
    {"512 x 2048 Q8_32", {512, 2048, ACT_Q8_32, 1}, .bench = true},
    {"512 x 2048 Q8_256", {512, 2048, ACT_Q8_256, 1}, .bench = true},
};

static void build(struct check *k) {
    struct act_quant_args a = {(uint32_t)k->c->p[0], (uint32_t)k->c->p[1], (uint32_t)k->c->p[2], 0};
    *(struct act_quant_args *)k->args = a;
    check_in_f32(k, 0, (uint64_t)a.n_row * a.dim, -(float)k->c->p[3], (float)k->c->p[3]);
    uint64_t bytes = a.n_row * act_bytes((enum act_fmt)a.fmt, a.dim);
    check_out_bytes(k, bytes, bytes);
    k->n_row = a.n_row;
    k->bytes = 4.0 * a.n_row * a.dim + (double)bytes;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct act_quant_args a = *(struct act_quant_args *)k->args;
    a.n_row = n;
    return act_quant_encode(cmd, &a, ref_at(k->out, first * act_bytes((enum act_fmt)a.fmt, a.dim)),
                            ref_at(k->in[0], 4ull * first * a.dim), e);
}

static void oracle(struct check *k) { /* bytes, and they are exact */
    const struct act_quant_args *a = (struct act_quant_args *)k->args;
    uint64_t bytes = act_bytes((enum act_fmt)a->fmt, a->dim);
    unsigned char *row = malloc(bytes);
    CHECK(row);
    for (uint64_t r = 0; r < a->n_row; r++) {
        act_quant_row_ref((enum act_fmt)a->fmt, (const float *)ref_host(k->in[0]) + r * a->dim, row, a->dim);
        for (uint64_t i = 0; i < bytes; i++) k->want[r * bytes + i] = row[i], k->limit[r * bytes + i] = 0;
    }
    free(row);
}

static void collect(struct check *k, double *got) {
    const unsigned char *p = ref_host(k->out);
    for (uint64_t i = 0; i < k->n_out; i++) got[i] = p[i];
}

const struct check_op act_quant_check = {"act_quant", CHECK_CASES(cases), build, encode, oracle, collect, .cpu_only = true};
