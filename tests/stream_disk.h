/* A file of random bytes, for tests of what is read from it: every range of it is told from every other. */
#pragma once
#include "tests/support.h"

#include "io/fault.h"
#include "io/reader.h"

struct disk {
    unsigned char *image;
    uint64_t n;
    struct file file;
};

SUPPORT void disk_open(struct disk *d, const char *name, uint64_t n) {
    *d = (struct disk){.image = malloc(n), .n = n};
    assert_non_null(d->image);
    for (uint64_t i = 0; i + 4 <= n; i += 4) {
        uint32_t x = support_random(UINT32_MAX);
        memcpy(d->image + i, &x, 4);
    }
    const char *path = support_path(name);
    support_write(path, d->image, n);
    OK(file_open(path, &d->file, &support_err));
}

SUPPORT void disk_close(struct disk *d) {
    file_close(&d->file);
    free(d->image);
}

/* The bytes in memory are the file's from that offset on. */
SUPPORT void disk_same(const struct disk *d, const void *bytes, uint64_t offset, uint64_t len, const char *what) {
    const unsigned char *got = bytes;
    if (memcmp(got, d->image + offset, len) == 0) return;
    uint64_t i = 0, n = 0;
    while (got[i] == d->image[offset + i]) i++;
    for (uint64_t k = i; k < len; k++) n += got[k] != d->image[offset + k];
    fail_msg("%s: byte %llu of %llu is %02x and not %02x; %llu bytes differ", what, (unsigned long long)i, (unsigned long long)len, got[i],
             d->image[offset + i], (unsigned long long)n);
}

/* Faults while no read is under way: the caller sees to that. */
SUPPORT void disk_fault(const char *text) {
    struct file_fault f;
    if (text) OK(file_fault_parse(text, &f, &support_err));
    file_fault_set(text ? &f : NULL);
}

/* Faults that change the time and order of reads, and none of their bytes. */
SUPPORT const char *const disk_moods[] = {NULL, "poison", "poison,delay=300us", "poison,delay=500us,reorder,seed=7", "poison,short,seed=9",
                                          "poison,short,nodirect,delay=200us,seed=11"};
