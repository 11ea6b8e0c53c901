/* A model on disk: its files opened, their headers parsed and merged. No tensor data is read. */
#pragma once
#include "gguf/gguf.h"
#include "io/file.h"

struct model_file {
    struct gguf gguf;      /* of all parts */
    struct file *files;    /* n_file, in order */
    uint32_t n_file;
    uint64_t size_bytes;   /* of all files */
    unsigned char **heads; /* the bytes that gguf points into */
    struct arena arena;
};

/* path: the file, or the first part of a split model. */
int model_file_open(const char *path, struct model_file **out, struct err *e);
/* ERR_IO when one of the files was written to or cut since. */
int model_file_check_unchanged(const struct model_file *m, struct err *e);
void model_file_close(struct model_file *m); /* NULL is fine */
