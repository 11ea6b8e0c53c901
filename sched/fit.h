/* What fits: which tensors stay in memory for good and which stream, within a number of bytes.
 *
 * Attention, norms, routers and the output matrix are always resident. When not all fits:
 *   experts     live in a pool of slots, shared by all layers whose experts have the same size (a class);
 *   dense FFN   tensors that fit are pinned, spread evenly over the order of use so that the disk never rests long;
 *               the others pass through a ring of slots, in the order in which the program uses them;
 *   embeddings  that only serve look-up are read row by row.
 * Or, asked for (mapped): what does not fit stays in the file, mapped, and the page cache decides. */
#pragma once
#include "io/file.h"
#include "models/weights.h"

#define FIT_MAX_CLASS 8u
#define FIT_NO_CLASS UINT8_MAX
#define FIT_PAGE IO_PAGE /* slack per part: file offset and slot address agree within a page */

enum fit_place { FIT_RESIDENT, FIT_RING, FIT_POOL, FIT_ROWS, FIT_MAPPED };

struct fit_class { /* experts of one size */
    uint64_t part_bytes[3]; /* of one expert's gate, up and down */
    uint64_t slot_bytes;
    uint32_t n_key;         /* experts of this class in all layers */
    uint32_t n_slot;
};

struct fit_request {
    const struct gguf *g;
    const struct hparams *h;
    const struct weights *w;
    uint64_t bytes;        /* for weights in all their places */
    uint64_t whole_bytes;  /* what they take when all are resident */
    uint64_t rows_bytes;   /* of the room for rows of the embedding, when only those are read */
    bool mapped;           /* overflow stays in the file */
    uint32_t n_ring_slot;  /* 0: chosen */
    uint32_t n_expert_slot; /* at most, in all classes; 0: as many as fit */
};

struct fit {
    uint8_t *where;            /* (n_tensor) enum fit_place */
    bool rows;                 /* the embedding is read row by row */
    uint32_t *ring_tensor;     /* (n_ring) in order of use */
    uint32_t n_ring, n_ring_slot, ring_slot_min;
    uint64_t ring_slot_bytes;
    struct fit_class cls[FIT_MAX_CLASS];
    uint32_t n_class;
    uint8_t *layer_class;      /* (n_layer) FIT_NO_CLASS: no pooled experts */
    uint32_t n_dense, n_dense_pinned; /* FFN tensors that could stream, and those that do not */
    uint64_t resident_bytes, ring_bytes, pool_bytes, mapped_bytes;
    uint64_t ring_step_bytes;  /* what one step reads through the ring */
    uint64_t min_bytes;        /* the least with which this model runs */
};

/* ERR_NOMEM when r->bytes is below out->min_bytes (which is set then too). */
int fit_make(const struct fit_request *r, struct arena *a, struct fit *out, struct err *e);

static inline bool fit_streams(const struct fit *f) { return f->n_ring || f->n_class || f->rows; }
