#include "runtime/device.h"

#include "runtime/device_impl.h"

int device_open(const struct device_options *opt, struct device **out, struct err *e) {
    if (opt->kind == DEVICE_METAL)
        return err_set(e, ERR_UNSUPPORTED, "the metal device is not part of this build; use --device cpu");
    return cpu_device_open(opt, out, e);
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

void buf_free(struct device *d, struct buf *b) {
    if (b->host) d->v->buf_free(d, b);
    *b = (struct buf){0};
}

struct cmd *cmd_begin(struct device *d) { return d->v->begin(d); }
struct device *cmd_device(struct cmd *c) { return c->dev; }
void cmd_barrier(struct cmd *c) { c->dev->v->barrier(c); }
int cmd_commit(struct cmd *c, uint64_t *fence, struct err *e) { return c->dev->v->commit(c, fence, e); }
int device_wait(struct device *d, uint64_t fence, struct err *e) { return d->v->wait(d, fence, e); }
int device_reserve(struct device *d, uint32_t n_call, struct err *e) { return d->v->reserve(d, n_call, e); }
