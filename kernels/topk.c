#include "kernels/topk.h"

#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

/* Numbers per row that a pass over n_in leaves. */
static uint64_t left_of(uint64_t n_in, uint32_t k) { return (n_in + TOPK_SLICE - 1) / TOPK_SLICE * k; }

/* The passes take turns between two places: the first for what the first pass leaves, the other for the second. */
uint64_t topk_work_bytes(const struct topk_args *a) {
    if (a->n <= TOPK_SLICE || a->k == 1) return 0;
    uint64_t first = left_of(a->n, a->k), second = first <= TOPK_SLICE ? 0 : left_of(first, a->k);
    return op_bytes(8, a->n_row, first + second, 1);
}

static uint32_t power_of_two(uint32_t n) {
    uint32_t p = 1;
    while (p < n) p *= 2;
    return p;
}

static int argmax(struct cmd *c, const struct topk_args *a, const struct operand *v, struct err *e) {
    uint32_t n = 32 * op_div_up(a->n, 4 * 32);
    const struct mtl_call call = {.kernel = "topk_argmax", .args = a, .args_bytes = sizeof *a, .groups = {a->n_row, 1, 1},
                                  .threads = {n < 1024 ? n : 1024, 1, 1}};
    return op_encode_metal(c, "topk", &call, v, 3, e);
}

static int encode_metal(struct cmd *c, const struct topk_args *args, const struct operand *v, struct err *e) {
    if (args->k == 1) return argmax(c, args, v, e);
    struct topk_args a = *args;
    struct ref work = v[3].ref, src = {0};
    int rc = op_check("topk", v, 4, e);
    if (!rc && work.off % 8) rc = err_set(e, ERR_ARG, "topk: work is at byte %llu, not a multiple of 8", (unsigned long long)work.off);
    uint64_t second = 8 * a.n_row * left_of(a.n, a.k);
    a.n_in = a.n;
    for (uint32_t pass = 0; !rc; pass++, a.n_in = a.n_slice * a.k) {
        a.n_slice = op_div_up(a.n_in, TOPK_SLICE);
        a.size = a.n_slice > 1 ? TOPK_SLICE : power_of_two(a.n_in);
        bool last = a.n_slice == 1;
        struct ref dst = last ? (struct ref){0} : pass % 2 ? ref_at(work, second) : work;
        const struct operand w[] = {v[0], v[1], {"work", dst, 0, true}, v[2], {"work", src, 0, true}};
        const struct mtl_call call = {.kernel = pass == 0 ? (last ? "topk_only" : "topk_first") : last ? "topk_last" : "topk_next",
                                      .args = &a, .args_bytes = sizeof a, .groups = {a.n_slice, a.n_row, 1},
                                      .threads = {TOPK_THREADS, 1, 1}};
        if (pass) cmd_barrier(c);
        rc = op_encode_metal(c, "topk", &call, w, 5, e);
        if (last) break;
        src = dst;
    }
    return rc;
}

int topk_encode(struct cmd *c, const struct topk_args *a, struct ref ids, struct ref values, struct ref x, struct ref work,
                struct err *e) {
    if (a->k == 0 || a->k > a->n || a->k > TOPK_MAX)
        return err_set(e, ERR_ARG, "topk: cannot choose %u of %u values; it takes 1 to %u", a->k, a->n, TOPK_MAX);
    if (a->n > INT32_MAX) return err_set(e, ERR_UNSUPPORTED, "topk: rows of %u values are too long", a->n);
    bool metal = op_on_metal(c);
    uint64_t out_bytes = op_bytes(4, a->n_row, a->k, 1), work_bytes = metal ? topk_work_bytes(a) : 0;
    const struct operand v[] = {{"ids", ids, out_bytes}, {"values", values, out_bytes}, {"x", x, op_bytes(4, a->n_row, a->n, 1)},
                                {"work", work, work_bytes, work_bytes == 0}};
    if (metal) return encode_metal(c, a, v, e);
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "topk", &ops, e);
    return rc ? rc : op_encode_cpu(c, "topk", ops->topk, a->n_row, 1, a, sizeof *a, v, 3, e);
}
