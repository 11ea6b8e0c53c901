#include "kernels/embed.h"

#include "gguf/dtype.h"
#include "kernels/cpu_ops.h"

int embed_encode(struct cmd *c, const struct embed_args *a, struct ref out, struct ref table, struct ref ids,
                 struct err *e) {
    const struct cpu_ops *ops;
    int rc = op_cpu(c, "embed", &ops, e);
    if (rc) return rc;
    const struct dtype_info *d = dtype_info(a->dtype);
    if (!d->supported) return err_set(e, ERR_UNSUPPORTED, "embed: tables of type %u are not supported", a->dtype);
    if (a->n_embd == 0 || a->n_embd % d->block_elems)
        return err_set(e, ERR_ARG, "embed: rows of %u elements are not whole blocks of %s", a->n_embd, d->name);
    const struct operand v[] = {{"out", out, op_bytes(4, a->n_tok, a->n_embd, 1)},
                                {"table", table, op_bytes(a->n_vocab, a->n_embd / d->block_elems, d->block_bytes, 1)},
                                {"ids", ids, op_bytes(4, a->n_tok, 1, 1)}};
    return op_encode_cpu(c, "embed", ops->embed, a->n_tok, 1, a, sizeof *a, v, 3, e);
}
