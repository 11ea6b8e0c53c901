/* Where resident tensors lie in memory, and which file ranges fill that memory.
 *
 * Tensors keep the order and the in-page phase that they have in their file, so that neighbours are read as one range
 * and direct reads need no bounce buffer. */
#pragma once
#include "gguf/gguf.h"
#include "io/load.h"
#include "sched/fit.h"

#define PLACE_MAX_BUF 64u

struct place {
    uint64_t *tensor_off;       /* (n_tensor) in its buffer; of resident ones */
    uint8_t *tensor_buf;        /* (n_tensor) which buffer */
    struct load_range *ranges;  /* file and offset and length; dst holds an offset until place_bind */
    uint8_t *range_buf;         /* (n_range) */
    uint32_t n_range;
    uint64_t buf_bytes[PLACE_MAX_BUF];
    uint32_t n_buf;
    uint64_t size_bytes;        /* of all buffers */
};

/* Tensors that f puts elsewhere are left out. No buffer is larger than most_bytes (Metal has a limit; 0: none). ERR_LIMIT when one
 * tensor is, or when they are too many. */
int place_make(const struct gguf *g, const struct file *files, const struct fit *f, uint64_t most_bytes, struct arena *a, struct place *p,
               struct err *e);
/* Turns the offsets of buffer `buf`'s ranges into addresses. */
void place_bind(struct place *p, uint32_t buf, unsigned char *base);
