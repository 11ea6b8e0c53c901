/* Writing a sidecar: resumable, in batches; see sched/sidecar.h for the file.
 *
 * A batch is written and synced before the head counts its records, so whatever ends the writing, the same call goes on
 * from the last batch. What is not a sidecar is never overwritten. Two writers of one file exclude each other.
 *
 * Threads: the caller's, and readers of the model. */
#pragma once
#include "sched/sidecar.h"

struct sidecar_write {
    const char *path;
    bool force;              /* write anew whatever sidecar is there */
    /* After each record; false stops (ERR_CANCELLED). May be NULL. */
    bool (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
    void *ctx;
    uint64_t kept_bytes;     /* out: what an earlier run had written */
};

/* What writing still takes on the disk of path, and what is free there. Before anything is created. */
int sidecar_space(const struct sidecar_layout *l, const struct sidecar_write *o, uint64_t *need_bytes,
                  uint64_t *free_bytes, struct err *e);
int sidecar_write(const struct model_file *mf, const struct sidecar_layout *l, struct sidecar_write *o, struct err *e);
