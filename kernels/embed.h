/* Token embeddings: out[t,:] = scale * table[ids[t],:]. table (n_vocab, n_embd) of any supported dtype, ids i32
 * (n_tok), out (n_tok, n_embd). An id outside the table gives a row of zeros (callers refuse such ids).
 * Rounded once by the decode, once by the scale when it is not 1. */
#pragma once
#include "kernels/op.h"

struct embed_args {
    uint32_t n_tok, n_embd, n_vocab;
    uint32_t dtype; /* enum dtype of the table */
    float scale;
    uint32_t pad;
};
ARGS_ASSERT(embed_args, 24);
#define EMBED_THREADS 64 /* of a threadgroup on Metal; each writes 16 elements */

#ifndef __METAL_VERSION__
int embed_encode(struct cmd *c, const struct embed_args *a, struct ref out, struct ref table, struct ref ids,
                 struct err *e);
void embed_ref(const struct embed_args *a, const void *table, const int32_t *ids, double *out);
#endif
