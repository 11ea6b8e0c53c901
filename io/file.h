/* Files that hold models: opened once, read by offset, from many threads at a time.
 *
 * Reads go either through the page cache or directly (O_DIRECT; F_NOCACHE with F_RDAHEAD 0 on macOS) into the
 * caller's memory. Direct reads take whole pages: offset and address must agree modulo IO_PAGE. file_read keeps to the
 * bytes asked for and copies the unaligned ends; file_read_pages reads the pages around them and copies nothing. Every
 * return code is checked; a short read goes on; an error names the file and the offset.
 *
 * A program may carry files inside itself: file_embed gives their bytes a name, and file_open finds that name before it
 * looks for a file. Reading them copies memory.
 *
 * A file that is replaced (renamed over) stays the one that was opened. One that is written to or cut does not:
 * file_check_unchanged tells. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

#ifdef __APPLE__
#define IO_PAGE 16384u /* of Apple silicon; smaller ones would quietly go through the page cache */
#else
#define IO_PAGE 4096u
#endif

struct file {
    char *path;
    int fd;        /* through the page cache */
    int fd_direct; /* -1 where the file system refuses */
    uint64_t size_bytes;
    int64_t mtime_ns;       /* size, time and inode as they were at opening */
    uint64_t device, inode;
    const unsigned char *embedded; /* the bytes of a file inside the program (then there is no fd), else NULL */
};

/* Opens a regular file. Missing, a directory, not readable, empty: one sentence each. */
int file_open(const char *path, struct file *f, struct err *e);
void file_close(struct file *f);
/* From now on the name stands for these bytes, which stay the caller's. One file per program; before any other call. */
void file_embed(const char *name, const void *bytes, uint64_t n_bytes);

/* Whether direct reads are direct; some file systems (tmpfs) have none, and the page cache serves. */
static inline bool file_is_direct(const struct file *f) { return f->fd_direct >= 0; }

/* ERR_IO when the file was written to or cut since it was opened. One fstat. */
int file_check_unchanged(const struct file *f, struct err *e);

/* Exactly len bytes at offset into dst. direct is a wish: where offset and dst disagree in phase, or the file system
 * refuses, the page cache serves. Thread-safe. */
int file_read(const struct file *f, uint64_t offset, void *dst, uint64_t len, bool direct, struct err *e);
/* The same, but the rest of the first and of the last page of dst may be overwritten too (with what the file holds
 * there, as far as it goes): a direct read then needs no copy. */
int file_read_pages(const struct file *f, uint64_t offset, void *dst, uint64_t len, bool direct, struct err *e);
