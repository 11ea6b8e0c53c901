#include <math.h>
#include <stdlib.h>

#include "kernels/check.h"
#include "kernels/topk.h"

enum { PLAIN, TIES, WILD }; /* WILD: NaN, infinities and both zeros among them */
/* p: rows, length, k, what is in a row */
static const struct check_case cases[] = {
    {"argmax", {1, 1, 1, PLAIN}}, {"argmax", {3, 77, 1, TIES}}, {"argmax", {2, 5003, 1, TIES}}, {"argmax", {4, 40, 1, WILD}},
    {"argmax of NaN", {2, 3, 1, WILD}},
    {"one slice", {1, 1, 1, PLAIN}}, {"one slice", {3, 77, 40, TIES}}, {"one slice", {2, 512, 256, WILD}},
    {"one slice", {2, 5, 5, WILD}}, {"one slice", {1, 2048, 64, PLAIN}},
    {"slices", {1, 2049, 3, TIES}}, {"slices", {2, 9000, 40, PLAIN}}, {"slices", {1, 20000, 256, TIES}},
    {"slices", {1, 4100, 256, WILD}},
    {"argmax 1 x 128256", {1, 128256, 1, PLAIN}, .bench = true},
    {"64 of 1 x 128256", {1, 128256, 64, PLAIN}, .bench = true},
};

static float wild(struct check *k, uint32_t i) {
    static const float values[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1.0f, -1.0f};
    return i < 3 ? NAN : values[check_rand(k, 7)];
}

static void build(struct check *k) {
    const int64_t *p = k->c->p;
    struct topk_args *a = (struct topk_args *)k->args;
    *a = (struct topk_args){.n_row = (uint32_t)p[0], .n = (uint32_t)p[1], .k = (uint32_t)p[2]};
    float *x = check_in_f32(k, 0, (uint64_t)a->n_row * a->n, -20, 20);
    for (uint32_t i = 0; p[3] != PLAIN && i < a->n_row * a->n; i++) x[i] = p[3] == WILD ? wild(k, i % a->n) : roundf(x[i]);
    if (topk_work_bytes(a)) check_in(k, 1, topk_work_bytes(a));
    check_out_bytes(k, (uint64_t)a->n_row * a->k * 8, (uint64_t)a->n_row * a->k * 2); /* ids, then values */
    k->n_row = a->n_row;
    k->bytes = 4.0 * a->n_row * a->n;
}

static int encode(struct check *k, struct cmd *cmd, uint32_t first, uint32_t n, struct err *e) {
    struct topk_args a = *(struct topk_args *)k->args;
    struct ref ids = ref_at(k->out, (uint64_t)first * a.k * 4), values = ref_at(ids, (uint64_t)a.n_row * a.k * 4);
    a.n_row = n;
    return topk_encode(cmd, &a, ids, values, ref_at(k->in[0], (uint64_t)first * a.n * 4), k->in[1], e);
}

static void collect(struct check *k, double *got) {
    uint64_t n = k->n_out / 2;
    for (uint64_t i = 0; i < n; i++) {
        got[i] = ((const int32_t *)ref_host(k->out))[i];
        got[n + i] = (double)((const float *)ref_host(k->out))[n + i];
    }
}

static void oracle(struct check *k) { /* a choice and copies: exact */
    uint64_t n = k->n_out / 2;
    int32_t *ids = malloc(n * sizeof *ids);
    CHECK(ids);
    topk_ref((struct topk_args *)k->args, ref_host(k->in[0]), ids, k->want + n);
    for (uint64_t i = 0; i < n; i++) k->want[i] = ids[i];
    free(ids);
}

const struct check_op topk_check = {"topk", CHECK_CASES(cases), build, encode, oracle, collect};
