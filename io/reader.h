/* Reader threads: jobs by priority, straight into the caller's memory.
 *
 * A job is the bytes of one unit (a tensor, an expert) in up to READ_MAX_PARTS parts of files. The readers cut it into
 * pieces of a few megabytes, take pieces of the best priority first, in the order of submission within one priority,
 * and parts in their order within a job. A job belongs to the caller and stays still from submit until it ended, also
 * after a cancel: until then its memory is being written to. Nothing here allocates after readers_open.
 *
 * Phase rule: a part's dst and offset agree modulo IO_PAGE, and whole pages are read: up to a page before dst and after
 * dst + len is overwritten (with the file's neighbouring bytes), so that direct reads need no bounce buffer. The
 * memory around dst must be the slot's own, and no two parts may share a page of it.
 *
 * Errors: the first failed piece ends its job and no other; the sentence comes with the wait.
 *
 * Threads: one thread submits, raises, cancels and waits; read_job_parts_done and readers_stats may be asked by any. */
#pragma once
#include <stdatomic.h>

#include "io/file.h"

#define READ_MAX_PARTS 3u
#define READ_MAX_READERS 16u
/* On a virtual disk of 2.2 GB/s (2 cores) two readers and pieces of 2 MB reach what eight and 8 MB do; pieces of 4 MB cost half the
 * CPU of 2 (8 ms a GB). Fast SSDs are reported to want more readers: 5.1 GB/s from one, 6.8 from four (M1 Max). */
#define READ_PIECE_BYTES ((uint64_t)4 << 20)
#define READ_GUESS_BYTES ((uint64_t)1 << 20) /* of speculation: a demand read waits for the pieces under way */
#define READ_DEFAULT_READERS 4u

enum read_priority { READ_DEMAND, READ_SCHEDULE, READ_SPECULATE, N_READ_PRIORITIES };

struct read_part {
    const struct file *file;
    uint64_t offset, len;
    unsigned char *dst;
};

struct read_job {
    struct read_part part[READ_MAX_PARTS];
    uint32_t n_part;
    uint32_t tag; /* the caller's, for the observer */
    /* The readers' own from here on, under their lock but for n_done. */
    struct read_job *next;
    enum read_priority priority;
    bool queued;                         /* pieces are still to be taken, */
    uint32_t take_part;                  /* the next from this part... */
    uint64_t take_at;                    /* ...from this byte on */
    uint32_t n_flying;                   /* pieces being read now */
    uint64_t left_bytes[READ_MAX_PARTS]; /* of each part, not read yet */
    atomic_uint n_done;                  /* parts ready, counted from the first */
    int rc;
    struct err err;
};

/* One piece that was read (or failed). */
struct read_event {
    const struct read_job *job; /* its parts and tag may be looked at */
    uint32_t part, lane;        /* lane: the reader's number */
    enum read_priority priority;
    uint64_t t0_ns, t1_ns, bytes;
};
typedef void read_observer(void *ctx, const struct read_event *ev); /* on the reader's thread, before the piece counts as done */

/* Looks at a piece that was read, on the reader's thread; an error is the piece's. */
typedef int read_check(void *ctx, const struct read_part *piece, struct err *e);

struct readers_options {
    uint32_t n_reader;       /* 1..READ_MAX_READERS; 0: READ_DEFAULT_READERS */
    bool direct;             /* past the page cache, where the file system can */
    read_observer *observer; /* may be NULL */
    void *ctx;               /* of both */
    read_check *check;       /* may be NULL */
};

struct readers_stats {
    uint64_t bytes[N_READ_PRIORITIES], n_piece, busy_ns; /* busy: at least one reader reads */
    uint64_t cancelled_bytes;                            /* submitted and then not read */
};

struct readers;
int readers_open(const struct readers_options *opt, struct readers **out, struct err *e);
void readers_close(struct readers *r); /* waits for pieces being read; queued jobs end as cancelled; NULL is fine */
uint32_t readers_n(const struct readers *r); /* threads that run: fewer than asked for where the system has no more */

void readers_submit(struct readers *r, struct read_job *j, enum read_priority p);
/* Moves what is still queued to a better priority, behind what is there. */
void readers_raise(struct readers *r, struct read_job *j, enum read_priority p);
/* Drops what is still queued. The job ends (ERR_CANCELLED unless all was taken) with its pieces under way: wait for it. */
void readers_cancel(struct readers *r, struct read_job *j);

/* Parts that are ready, from the first on; n_part: all. */
static inline uint32_t read_job_parts_done(const struct read_job *j) {
    return atomic_load_explicit(&j->n_done, memory_order_acquire);
}
/* Whether the job is over: all read, failed or cancelled. */
bool readers_ended(struct readers *r, const struct read_job *j);
/* Blocks until the first n parts are there (ERR_OK) or the job ended without them (its error). */
int readers_wait(struct readers *r, struct read_job *j, uint32_t n, struct err *e);
/* Blocks until one of the jobs has its first n_part parts (or all that it has), or ended; the first such index. */
uint32_t readers_wait_any(struct readers *r, struct read_job *const *jobs, uint32_t n_job, uint32_t n_part);

void readers_stats(struct readers *r, struct readers_stats *s);
