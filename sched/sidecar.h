/* The sidecar (MODEL.hyx): the FFN weights of a model once more, laid out as they are read.
 *
 * One record per expert (gate, up, down together) and one per dense FFN layer, in the order of use, each at a multiple
 * of SIDECAR_PAGE. A unit is what one read brings: a whole record, its parts SIDECAR_ALIGN apart, where a record is
 * small; one part at a page of its own where it is large, so that gate and up may be computed with while down arrives.
 * Where everything lies follows from the model alone (sidecar_layout_make); the file has only a hash of it.
 *
 *   head     magic, version, number of records; hashes of the model's header, of the layout, of samples of the weights;
 *            size of the file; how many records are written, hash of their part of the table; hash of the head
 *   table    XXH3 of each unit by blocks (of SIDECAR_BLOCK_BYTES of the file), room for them all
 *   records
 *
 * All numbers are little-endian. The head is the journal: records and their hashes are on the disk before it counts
 * them. A sidecar is used when it is complete and made from this model. Each block is checked against its hash the
 * first time that a run reads it, on the reader's thread: 0.1 s of a core per GB (Xeon, 2026), which every time would
 * cost a machine of few cores more than the layout gains.
 *
 * Threads: after opening, sidecar_check may run on any. Memory: the arena's. */
#pragma once
#include "io/reader.h"
#include "models/weights.h"
#include "sched/experts.h"
#include "sched/model_file.h"

#define SIDECAR_PAGE 16384u  /* the largest page of the systems that hy runs on */
#define SIDECAR_ALIGN 64u
#define SIDECAR_BLOCK_BYTES ((uint64_t)1 << 20)
#define SIDECAR_JOIN_BYTES ((uint64_t)16 << 20) /* records up to this are read at once */
#define SIDECAR_HEAD_BYTES 80u

struct sidecar_group { /* the experts of a layer, or its dense FFN: n_record records of one shape */
    uint32_t layer, n_record, n_part;
    bool experts, joined;
    uint32_t first_record; /* counted over all groups */
    uint32_t tensor[3];
    uint64_t from[3];      /* where record 0's parts are in their file of the model; the others follow */
    uint64_t bytes[3];     /* of the parts */
    uint64_t rel[3];       /* where they begin in a record */
    uint64_t offset, stride; /* of the records in the sidecar */
    uint64_t first_hash, n_hash; /* its place in the table; per record */
    uint64_t part_hash[3]; /* of a unit's first hash, from the record's first */
};

struct sidecar_layout {
    struct sidecar_group *groups; /* in the order of the file */
    uint32_t n_group, n_record;
    uint64_t n_hash, file_bytes;
    uint64_t model_hash;   /* of the GGUF header */
    uint64_t layout_hash;
};

struct sidecar_head {
    uint64_t sample_hash;
    uint32_t n_done;       /* records */
};

struct sidecar {
    bool open;
    struct file file;
    struct sidecar_layout layout;
    uint64_t *hashes;      /* (layout.n_hash) */
    atomic_bool *checked;  /* (layout.n_hash) was right once */
    char note[ERR_TEXT_BYTES]; /* why the file beside the model is not used; empty: there is none, or it is */
};

/* "model.hyx" for "model.gguf". */
int sidecar_path(const char *model_path, char *out, size_t cap, struct err *e);
int sidecar_layout_make(const struct model_file *mf, const struct hparams *h, const struct weights *w, struct arena *a,
                        struct sidecar_layout *out, struct err *e);
/* A hash over a little of every tensor that is in: other weights under the same header have another. */
int sidecar_sample(const struct model_file *mf, const struct sidecar_layout *l, uint64_t *hash, struct err *e);

/* Head and table as bytes: sidecar_first_record bytes at most. parse fills hashes of the records that are done.
 * ERR_FORMAT: no sidecar at all; ERR_SHORT: cut off or damaged; ERR_UNSUPPORTED: of another version or another model. */
uint64_t sidecar_first_record(const struct sidecar_layout *l);
uint64_t sidecar_hashes_done(const struct sidecar_layout *l, uint32_t n_record); /* of so many records */
void sidecar_pack(const struct sidecar_layout *l, const struct sidecar_head *head, const uint64_t *hashes,
                  unsigned char out[SIDECAR_HEAD_BYTES]);
int sidecar_parse(const struct sidecar_layout *l, const unsigned char *bytes, uint64_t n, uint64_t *hashes,
                  struct sidecar_head *head, struct err *e);
/* The hashes of a unit's blocks: of what lies at `offset` of the sidecar. Returns how many. */
uint64_t sidecar_hash(uint64_t offset, const unsigned char *bytes, uint64_t len, uint64_t *out);

/* asked: a path, "off", or NULL for the file beside the model. What was asked for must be usable; what lies beside the
 * model and is not leaves s closed, and s->note says why. */
int sidecar_open(const char *asked, const char *model_path, const struct model_file *mf, const struct hparams *h,
                 const struct weights *w, struct arena *a, struct sidecar *s, struct err *e);
void sidecar_close(struct sidecar *s);

/* Where streamed bytes are, when the sidecar has them: of a dense tensor, and of a layer's experts. */
void sidecar_tensor(const struct sidecar *s, uint32_t tensor, struct source *out);
void sidecar_experts(const struct sidecar *s, uint32_t layer, struct expert_layer *out);
/* Whether a piece that was read is what was written (ERR_IO: names the record). Pieces of other files pass, and what
 * was right before. */
int sidecar_check(const struct sidecar *s, const struct read_part *piece, struct err *e);
