/* Files that hold models: opened once, read by offset, from many threads at a time.
 *
 * Reads go either through the page cache or directly (O_DIRECT; F_NOCACHE with F_RDAHEAD 0 on macOS) into the
 * caller's memory. Direct reads need the file offset and the address to agree in their low 12 bits; file_read sees to
 * the rest (unaligned ends, file systems that refuse direct reads). Every return code is checked; a short read goes on;
 * an error names the file and the offset. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"

#define IO_PAGE 4096u

struct file {
    char *path;
    int fd;        /* through the page cache */
    int fd_direct; /* -1 where the file system refuses */
    uint64_t size_bytes;
};

/* Opens a regular file. Missing, a directory, not readable, empty: one sentence each. */
int file_open(const char *path, struct file *f, struct err *e);
void file_close(struct file *f);

/* Exactly len bytes at offset into dst. direct is a wish: where offset and dst disagree in phase, or the file system
 * refuses, the page cache serves. Thread-safe. */
int file_read(const struct file *f, uint64_t offset, void *dst, uint64_t len, bool direct, struct err *e);
