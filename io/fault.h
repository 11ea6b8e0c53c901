/* Faults on request, for tests: a disk that is slow, answers out of order, in bits, not at all, or wrongly.
 *
 * Every data read of file.c passes through here. Reads are counted over the whole process; what happens to the n-th
 * follows from n and the seed alone. Off, it costs one predictable branch. HY_IO_FAULT turns it on for a command:
 *
 *   HY_IO_FAULT="delay=20ms,reorder,short,nodirect,eio=17,flip=33,seed=3"
 *
 * delay: up to so long before a read. reorder: every other read is held back. short: a read returns only some of its
 * bytes (the others are spoiled). nodirect: files opened from now on have no direct reads. eio=N: every N-th read
 * fails. flip=N: one bit of every N-th read is wrong. poison: memory is filled with 0xff when a read into it is asked for, so that
 * whoever looks at it before the read is over, or after it was given away, gets neither what was nor what comes.
 *
 * Threads: reads from any; file_fault_set only while none is under way. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/err.h"

struct file_fault {
    uint32_t delay_us;
    bool reorder, short_reads, no_direct, poison;
    uint32_t eio, flip; /* every so many reads; 0: never */
    uint64_t seed;
};

int file_fault_parse(const char *text, struct file_fault *f, struct err *e);
void file_fault_set(const struct file_fault *f); /* counts from the start again; NULL: off */
int file_fault_from_env(struct err *e);          /* once; file_open calls it */
uint64_t file_fault_n_read(void);                /* reads since file_fault_set */

extern atomic_bool file_fault_on;
ssize_t file_fault_pread(int fd, void *dst, size_t len, off_t offset); /* pread with faults */
bool file_fault_no_direct(void);
void file_fault_poison(void *dst, uint64_t len); /* nothing unless asked for */
