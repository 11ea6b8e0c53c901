/* What a kind of device provides; private to runtime/. */
#pragma once
#include "runtime/device.h"

struct device_vtable {
    void (*close)(struct device *d);
    int (*buf_new)(struct device *d, uint64_t size_bytes, const char *what, struct buf *out, struct err *e);
    void (*buf_free)(struct device *d, struct buf *b);
    struct cmd *(*begin)(struct device *d);
    void (*barrier)(struct cmd *c);
    int (*commit)(struct cmd *c, uint64_t *fence, struct err *e);
    int (*wait)(struct device *d, uint64_t fence, struct err *e);
    int (*reserve)(struct device *d, uint32_t n_call, struct err *e);
};

struct device { /* first member of each kind's own struct */
    enum device_kind kind;
    const struct device_vtable *v;
    uint32_t n_thread;
    char text[96];
};

struct cmd { /* likewise */
    struct device *dev;
};

int cpu_device_open(const struct device_options *opt, struct device **out, struct err *e);
