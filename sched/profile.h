/* The hardware profile: what this machine's memory and disks deliver, measured once and kept in the cache folder.
 *
 * A disk is measured as hy reads it: direct reads at random offsets of a large file, by block size and number of reader threads. No
 * byte is read twice, so that a drive's own cache does not answer, and never a file that was written in the last
 * minutes. A profile belongs to a machine (machine_identity names the file in the cache), a disk in it to a
 * file system. What is not measured is 0. Rates are bytes per second, times seconds since 1970.
 *
 * Threads: any, each with its own struct. Measuring starts threads of its own and ends them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "io/file.h"
#include "runtime/err.h"

#define PROFILE_N_BLOCK 5u
#define PROFILE_N_READERS 5u
#define PROFILE_MAX_DISKS 8u
#define PROFILE_MIN_AGE_S 300                        /* a file changed more recently is not measured */
#define PROFILE_MIN_BYTES ((uint64_t)512 << 20)      /* nor one that is smaller */
extern const uint32_t profile_block_bytes[PROFILE_N_BLOCK]; /* 256 KB to 8 MB */
extern const uint32_t profile_readers[PROFILE_N_READERS];   /* 1 to 9 */

struct profile_disk {
    uint64_t id;       /* profile_disk_id of the file that was read */
    char file[512];    /* its path, perhaps cut */
    uint64_t file_bytes, read_bytes;
    int64_t when;
    double rate[PROFILE_N_BLOCK][PROFILE_N_READERS];
    double best_rate;  /* with the fewest readers and smallest blocks that come within 5 % of the best cell, measured again */
    uint32_t best_n_reader, best_block_bytes;
    bool passing;      /* measured with a file written just now: good for this run, not kept by profile_save */
};

struct profile {
    char machine[256];
    uint32_t n_core;
    uint64_t ram_bytes;
    char gpu[64];      /* "" without Metal of macOS; then the two below are 0 */
    uint64_t gpu_working_set_bytes, gpu_max_buffer_bytes;
    double memory_rate; /* plain reading by a thread per core */
    int64_t when;      /* of memory_rate */
    uint32_t n_disk;
    struct profile_disk disks[PROFILE_MAX_DISKS];
};

/* Fills in what need not be measured, and what earlier runs measured, which may be a disk without the machine (memory_rate 0).
 * True when anything was found; a damaged or foreign file in the cache counts as nothing. */
bool profile_load(struct profile *p);
int profile_save(const struct profile *p, struct err *e);

/* The profile as JSON text (the caller frees; NULL: no memory), and back. Parsing takes only what is sane; ERR_FORMAT otherwise. */
char *profile_json(const struct profile *p);
int profile_parse(const char *text, size_t n, struct profile *p, struct err *e);

/* The file system that the file lies on. */
uint64_t profile_disk_id(const struct file *f);
const struct profile_disk *profile_disk_find(const struct profile *p, uint64_t id); /* NULL: not measured */
double profile_disk_rate(const struct profile *p, uint64_t id);                    /* its best rate; 0: not measured */
/* Whether the whole table was measured, and not only profile_quick_disk's cell. */
bool profile_disk_complete(const struct profile_disk *d);
/* Adds d, in place of what was known of that disk (or of the one measured longest ago). */
void profile_put_disk(struct profile *p, const struct profile_disk *d);

struct profile_options {
    double seconds;       /* for the table, about; 0: 4.5 */
    uint64_t min_bytes;   /* 0: PROFILE_MIN_BYTES */
    bool just_written;    /* measure even a file that was written just now */
    bool (*stop)(void *ctx); /* asked from several threads; may be NULL */
    void *ctx;
};

/* All block sizes and reader counts. ERR_UNSUPPORTED with a sentence when the file is no measure (new, small, with holes, on a file
 * system that refuses direct reads), ERR_CANCELLED. */
int profile_measure_disk(const char *path, const struct profile_options *opt, struct profile_disk *out, struct err *e);
/* One cell: 4 MB blocks, 4 readers, spread over a file that is about to be used. About as many seconds as given. A
 * file written just now is taken, too (out->passing). ERR_UNSUPPORTED for a file below 64 MB or a file system without direct reads. */
int profile_quick_disk(const struct file *f, double seconds, struct profile_disk *out, struct err *e);
/* Memory bandwidth, and what Metal says of the GPU. About half a second. */
int profile_measure_machine(struct profile *p, struct err *e);
