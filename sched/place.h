/* Where resident tensors lie in memory, and which file ranges fill that memory.
 *
 * Tensors keep the order and the in-page phase that they have in their file, so that neighbours are read as one range
 * and direct reads need no bounce buffer. */
#pragma once
#include "gguf/gguf.h"
#include "io/load.h"
#include "sched/fit.h"

struct place {
    uint64_t *tensor_off;       /* (n_tensor) in the weights buffer; of resident ones */
    struct load_range *ranges;  /* file and offset and length; dst holds an offset until place_bind */
    uint32_t n_range;
    uint64_t size_bytes;        /* of the weights buffer */
};

/* Tensors that f puts elsewhere are left out. */
int place_make(const struct gguf *g, const struct file *files, const struct fit *f, struct arena *a, struct place *p, struct err *e);
/* Turns the ranges' offsets into addresses in the buffer. */
void place_bind(struct place *p, unsigned char *base);
