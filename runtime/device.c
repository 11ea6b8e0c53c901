#include "runtime/device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/device_impl.h"
#include "runtime/metal.h"

int device_open(const struct device_options *opt, struct device **out, struct err *e) {
    return opt->kind == DEVICE_METAL ? metal_device_open(opt, out, e) : cpu_device_open(opt, out, e);
}

void device_close(struct device *d) {
    if (d) d->v->close(d);
}

enum device_kind device_kind(const struct device *d) { return d->kind; }
uint32_t device_n_thread(const struct device *d) { return d->n_thread; }
const char *device_describe(const struct device *d) { return d->text; }

int buf_new(struct device *d, uint64_t size_bytes, const char *what, struct buf *out, struct err *e) {
    return d->v->buf_new(d, size_bytes, what, out, e);
}

int buf_map(struct device *d, int fd, uint64_t size_bytes, const char *what, struct buf *out, struct err *e) {
    void *p = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return err_set(e, ERR_NOMEM, "%s cannot be mapped: %s", what, strerror(errno));
    *out = (struct buf){.host = p, .size_bytes = size_bytes, .mapped = true};
    int rc = d->kind == DEVICE_METAL ? metal_buf_wrap(d, what, out, e) : ERR_OK;
    if (!rc) return ERR_OK;
    munmap(p, size_bytes);
    *out = (struct buf){0};
    return rc;
}

void buf_mark(struct device *d, struct buf *b, uint64_t off, uint64_t len, const char *what) {
    if (d->kind == DEVICE_METAL) metal_buf_mark(b, off, len, what);
}

void buf_free(struct device *d, struct buf *b) {
    if (b->host && (!b->mapped || d->kind == DEVICE_METAL)) d->v->buf_free(d, b);
    if (b->mapped) munmap(b->host, b->size_bytes);
    *b = (struct buf){0};
}

uint64_t buf_address(const struct device *d, const struct buf *b) {
    return d->kind == DEVICE_METAL ? metal_gpu_address(d, b) : (uint64_t)(uintptr_t)b->host;
}

struct cmd *cmd_begin(struct device *d) { return d->v->begin(d); }
struct device *cmd_device(struct cmd *c) { return c->dev; }
void cmd_barrier(struct cmd *c) { c->dev->v->barrier(c); }
int cmd_commit(struct cmd *c, uint64_t *fence, struct err *e) { return c->dev->v->commit(c, fence, e); }
int cmd_flush(struct cmd *c, struct err *e) { return c->dev->kind == DEVICE_METAL ? metal_flush(c, e) : ERR_OK; }
int device_wait(struct device *d, uint64_t fence, struct err *e) { return d->v->wait(d, fence, e); }
bool device_done(struct device *d, uint64_t fence) { return d->kind == DEVICE_METAL ? metal_fence_done(d, fence) : true; }
int device_reserve(struct device *d, uint32_t n_call, struct err *e) { return d->v->reserve(d, n_call, e); }
