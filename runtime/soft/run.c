/* Runs a command buffer's commands in order. Between two barriers of a concurrent encoder the dispatches run in the
 * order that HY_SOFT_ORDER asks for, one at a time: what a missing barrier lets happen.
 *
 * Buffers are untracked, so Metal orders two encoders only by a fence (or an event, or a wait in between). Each
 * encoder that runs has a serial; a buffer remembers its last writer's, and an encoder that meets one which
 * no fence has made known to it is refused. */
#include <string.h>

#include "runtime/soft/group.h"
#include "runtime/soft/types.h"

#define EVENT_MS 5000 /* the watchdog's patience with a command buffer that waits for the host */

static atomic_uint_fast64_t last_serial, done_serial, n_shuffle;

struct run {
    struct soft_commands *c;
    uint64_t serial, known;
    bool concurrent;
};

uint64_t soft_serial_done(void) { return atomic_load(&done_serial); }

static NSInteger fail(struct run *r, NSInteger code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static NSInteger fail(struct run *r, NSInteger code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->c->why, sizeof r->c->why, fmt, ap);
    va_end(ap);
    return code;
}

static struct soft_buffer *buffer_of(id b) { return (struct soft_buffer *)(void *)b; }

/* The buffer is alive and its last writer has ended. */
static NSInteger use(struct run *r, id buffer, bool writes, const char *who, const char *what) {
    if (!soft_is(buffer, SOFT_MTLBuffer))
        return fail(r, MTLCommandBufferErrorInvalidResource, "%s: %s was freed before the command ran", who, what);
    struct soft_buffer *b = buffer_of(buffer);
    uint64_t writer = atomic_load(&b->writer);
    if (writer > r->known && writer != r->serial)
        return fail(r, MTLCommandBufferErrorInternal,
                    "%s: %s (%s) was written by an earlier encoder, and no fence orders the two", who, what,
                    b->label);
    if (writes) atomic_store(&b->writer, r->serial);
    return 0;
}

static NSInteger dispatch(struct run *r, const struct soft_op *op) {
    if (!soft_is(op->object, SOFT_MTLComputePipelineState))
        return fail(r, MTLCommandBufferErrorInvalidResource, "a pipeline was freed before its command ran");
    const struct soft_function *p = (const struct soft_function *)(void *)op->object;
    struct soft_dispatch d = {.k = p->k, .values = p->values, .n_value = p->n_value};
    for (uint32_t i = 0; i < p->k->n_slot; i++) {
        const struct soft_slot *s = &p->k->slots[i];
        if (s->space == SOFT_THREADGROUP) continue;
        const struct soft_bind *b = &op->binds[s->index];
        NSInteger code = b->buffer ? use(r, b->buffer, !s->read_only, p->k->name, s->name) : 0;
        if (code) return code;
        d.buf[s->index] = b->buffer ? buffer_of(b->buffer)->bytes + b->offset : b->bytes;
        d.len[s->index] = b->length;
    }
    memcpy(d.tg_len, op->tg, sizeof d.tg_len);
    memcpy(d.groups, op->groups, sizeof d.groups);
    memcpy(d.threads, op->threads, sizeof d.threads);
    char error[sizeof r->c->why];
    return soft_run(&d, error, sizeof error) == 0 ? 0 : fail(r, MTLCommandBufferErrorInternal, "%s", error);
}

#define MAX_SHUFFLE 1024

static void make_order(uint32_t n, uint32_t order[MAX_SHUFFLE]) {
    uint64_t state = soft_config.seed + atomic_fetch_add(&n_shuffle, 1);
    for (uint32_t i = 0; i < n; i++) order[i] = soft_config.order == SOFT_DESCENDING ? n - 1 - i : i;
    for (uint32_t i = n; soft_config.order == SOFT_RANDOM && i > 1; i--) {
        uint32_t at = (uint32_t)(soft_random(&state) % i), last = order[i - 1];
        order[i - 1] = order[at];
        order[at] = last;
    }
}

/* Dispatches that may run in any order when the encoder is concurrent. */
static NSInteger run_together(struct run *r, const struct soft_op *ops, uint32_t n) {
    uint32_t order[MAX_SHUFFLE];
    for (uint32_t at = 0; at < n; at += MAX_SHUFFLE) {
        uint32_t m = n - at < MAX_SHUFFLE ? n - at : MAX_SHUFFLE;
        make_order(m, order);
        for (uint32_t i = 0; i < m; i++) {
            NSInteger code = dispatch(r, &ops[at + (r->concurrent ? order[i] : i)]);
            if (code) return code;
        }
    }
    return 0;
}

static NSInteger copy(struct run *r, const struct soft_op *op) {
    NSInteger code = use(r, op->object, false, "copyFromBuffer:", "the source");
    if (!code) code = use(r, op->object2, true, "copyFromBuffer:", "the destination");
    if (!code) memmove(buffer_of(op->object2)->bytes + op->b, buffer_of(op->object)->bytes + op->a, op->size);
    return code;
}

static NSInteger fill(struct run *r, const struct soft_op *op) {
    NSInteger code = use(r, op->object, true, "fillBuffer:", "the buffer");
    if (!code) memset(buffer_of(op->object)->bytes + op->a, (int)op->b, op->size);
    return code;
}

static NSInteger await(struct run *r, uint32_t at) {
    const struct soft_op *op = &r->c->ops[at];
    if (!soft_event_await((struct soft_event *)(void *)op->object, op->a, EVENT_MS))
        return fail(r, MTLCommandBufferErrorTimeout, "encodeWaitForEvent:value: waited %d s for value %lu",
                    EVENT_MS / 1000, (unsigned long)op->a);
    r->known = soft_serial_done();
    soft_reuse_watch(r->c, at + 1);
    return 0;
}

/* From then on the host may write what was read so far. */
static NSInteger raise_event(struct run *r, uint32_t at) {
    const struct soft_op *op = &r->c->ops[at];
    NSInteger code = soft_reuse_check(r->c, at);
    if (!code) soft_event_raise((struct soft_event *)(void *)op->object, op->a);
    return code;
}

static void know(struct run *r, const struct soft_op *op) {
    uint64_t serial = atomic_load(&((struct soft_fence *)(void *)op->object)->serial);
    if (serial > r->known) r->known = serial;
}

static NSInteger run_op(struct run *r, uint32_t at) {
    const struct soft_op *op = &r->c->ops[at];
    switch (op->kind) {
    case OP_ENCODER:
        r->serial = atomic_fetch_add(&last_serial, 1) + 1;
        r->concurrent = op->concurrent;
        return 0;
    case OP_COPY: return copy(r, op);
    case OP_FILL: return fill(r, op);
    case OP_WAIT: return await(r, at);
    case OP_SIGNAL: return raise_event(r, at);
    case OP_UPDATE_FENCE: atomic_store(&((struct soft_fence *)(void *)op->object)->serial, r->serial); return 0;
    case OP_WAIT_FENCE: know(r, op); return 0;
    case OP_BARRIER:
    case OP_DISPATCH: return 0;
    }
    return 0;
}

NSInteger soft_run_commands(struct soft_commands *c) {
    struct run r = {.c = c, .known = c->known};
    NSInteger code = 0;
    for (uint32_t i = 0; i < c->n_op && !code;) {
        uint32_t n = 0;
        while (i + n < c->n_op && c->ops[i + n].kind == OP_DISPATCH) n++;
        code = n ? run_together(&r, &c->ops[i], n) : run_op(&r, i);
        i += n ? n : 1;
    }
    if (!code) code = soft_reuse_check(c, c->n_op);
    if (r.serial > soft_serial_done()) atomic_store(&done_serial, r.serial);
    return code;
}
