#include "kernels/embed.h"

#include "gguf/dtype.h"
#include "kernels/cpu_ops.h"
#include "runtime/metal.h"

static const char *const metal_kernels[DT_MAX] = {
#define X(t) [DT_##t] = "embed_" #t,
    X(F32) X(F16) X(BF16) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K)
    X(IQ4_NL) X(IQ4_XS) X(MXFP4)
#undef X
};

static int encode_metal(struct cmd *c, const struct embed_args *a, const struct operand *v, struct err *e) {
    int rc = op_check("embed", v, 3, e);
    if (rc) return rc;
    const struct ref bind[] = {v[0].ref, v[1].ref, v[2].ref};
    const struct mtl_call call = {
        .kernel = metal_kernels[a->dtype], .args = a, .args_bytes = sizeof *a, .bind = bind, .n_bind = 3,
        .groups = {(a->n_embd + 16 * EMBED_THREADS - 1) / (16 * EMBED_THREADS), a->n_tok, 1}, .threads = {EMBED_THREADS, 1, 1}};
    return mtl_encode(c, &call, e);
}

int embed_encode(struct cmd *c, const struct embed_args *a, struct ref out, struct ref table, struct ref ids,
                 struct err *e) {
    struct device *dev = cmd_device(c);
    const struct dtype_info *d = dtype_info(a->dtype);
    if (!d->supported) return err_set(e, ERR_UNSUPPORTED, "embed: tables of type %u are not supported", a->dtype);
    if (a->n_embd == 0 || a->n_embd % d->block_elems)
        return err_set(e, ERR_ARG, "embed: rows of %u elements are not whole blocks of %s", a->n_embd, d->name);
    const struct operand v[] = {{"out", out, op_bytes(4, a->n_tok, a->n_embd, 1)},
                                {"table", table, op_bytes(a->n_vocab, a->n_embd / d->block_elems, d->block_bytes, 1)},
                                {"ids", ids, op_bytes(4, a->n_tok, 1, 1)}};
    if (device_kind(dev) == DEVICE_METAL) return encode_metal(c, a, v, e);
    return op_encode_cpu(c, "embed", cpu_ops(cpu_isa_of(dev))->embed, a->n_tok, 1, a, sizeof *a, v, 3, e);
}
