/* The checker of early reuse: the host writes what a committed command buffer has yet to read. Real hardware then
 * computes with the old bytes, the new ones or some of each, and says nothing.
 *
 * At commit a digest is kept of all that the dispatches bind read-only; it is compared when they have run, before
 * an event tells the host so. A range that is bound goes, as in Metal, up to the end of its buffer, of the part around it
 * that a debug marker names, or to the next place that the same command buffer binds. Dispatches behind an encodeWaitForEvent are looked at when the wait ends:
 * until then the host may write. Slots of 8-byte elements are searched for addresses of buffers in the queue's residency
 * sets, which are watched from there on.
 *
 * Not seen: buffers that a dispatch or blit may write as well (encoded so at any time), private ones, a change to the same
 * bytes and back, addresses in tables that the device writes or that other tables point to, on macOS 14 (no residency
 * sets) any reached by address. A host that fills one part of a buffer while the device reads another,
 * lower one is refused without cause: give the parts a buffer each, or mark them (buf_mark). */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "runtime/soft/types.h"

/* Bytes that dispatches read. */
struct soft_watch {
    struct soft_buffer *buffer;
    uint64_t offset, length, digest;
    uint32_t op; /* the last dispatch of the command buffer that begins to read here */
    const struct soft_kernel *k;
    const struct soft_slot *slot;
    bool reached; /* by an address in the slot's buffer */
};

static atomic_int wanted = -1; /* -1: as the environment says */

void soft_reuse_set(bool on) { atomic_store(&wanted, on); }

static bool is_on(void) {
    int on = atomic_load(&wanted);
    if (on >= 0) return on;
    const char *s = getenv("HY_SOFT_REUSE");
    on = !(s && strcmp(s, "0") == 0);
    atomic_store(&wanted, on);
    return on;
}

static void add(struct soft_commands *c, struct soft_watch w) {
    if (w.buffer->is_private || atomic_load(&w.buffer->device_writes)) return;
    if (c->n_watch == c->cap_watch) {
        c->cap_watch = c->cap_watch ? c->cap_watch * 2 : 64;
        c->watches = realloc(c->watches, c->cap_watch * sizeof *c->watches);
        CHECK(c->watches);
    }
    c->watches[c->n_watch++] = w;
}

static void add_bound(struct soft_commands *c, uint32_t at) {
    const struct soft_op *op = &c->ops[at];
    if (!soft_is(op->object, SOFT_MTLComputePipelineState)) return;
    const struct soft_kernel *k = ((const struct soft_function *)(void *)op->object)->k;
    for (uint32_t i = 0; i < k->n_slot; i++) {
        const struct soft_slot *s = &k->slots[i];
        const struct soft_bind *b = &op->binds[s->index];
        if (s->space == SOFT_THREADGROUP || !b->buffer || !soft_is(b->buffer, SOFT_MTLBuffer)) continue;
        add(c, (struct soft_watch){
                   .buffer = (struct soft_buffer *)(void *)b->buffer, .offset = b->offset, .op = at, .k = k, .slot = s});
    }
}

/* By buffer and place; the last reader first. */
static int compare(const void *pa, const void *pb) {
    const struct soft_watch *a = pa, *b = pb;
    if (a->buffer != b->buffer) return (uintptr_t)a->buffer < (uintptr_t)b->buffer ? -1 : 1;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    return a->op == b->op ? 0 : a->op > b->op ? -1 : 1;
}

/* Makes of the watches from `first` on ranges that do not overlap. */
static void tidy(struct soft_commands *c, uint32_t first) {
    struct soft_watch *w = c->watches;
    uint32_t n = first;
    if (c->n_watch == first) return;
    qsort(w + first, c->n_watch - first, sizeof *w, compare);
    for (uint32_t i = first; i < c->n_watch; i++)
        if (i == first || w[i].buffer != w[n - 1].buffer || w[i].offset != w[n - 1].offset) w[n++] = w[i];
    for (uint32_t i = first; i < n; i++) {
        uint64_t end = soft_part_end(w[i].buffer, w[i].offset);
        if (i + 1 < n && w[i + 1].buffer == w[i].buffer && w[i + 1].offset < end) end = w[i + 1].offset;
        w[i].length = end - w[i].offset;
    }
    c->n_watch = n;
}

static struct soft_buffer *buffer_at(const id *all, uint32_t n, uint64_t address) {
    for (uint32_t i = 0; i < n; i++) {
        struct soft_buffer *b = (struct soft_buffer *)(void *)all[i];
        if (address - (uintptr_t)b->bytes < b->length) return b;
    }
    return NULL;
}

/* Adds what the addresses in a range of 8-byte elements point to. */
static void add_reached(struct soft_commands *c, struct soft_watch table, const id *all, uint32_t n) {
    const unsigned char *p = table.buffer->bytes + table.offset;
    struct soft_buffer *b;
    for (uint64_t at = 0; at + 8 <= table.length; at += 8) {
        uint64_t address;
        memcpy(&address, p + at, 8);
        if (!address || !(b = buffer_at(all, n, address))) continue;
        table.buffer = b;
        table.offset = address - (uintptr_t)b->bytes;
        table.reached = true;
        add(c, table);
    }
}

static void add_all_reached(struct soft_commands *c, uint32_t first) {
    uint32_t n_all, n = c->n_watch;
    id *all = soft_resident(c->engine, &n_all);
    for (uint32_t i = first; n_all && i < n; i++)
        if (c->watches[i].slot->size == 8) add_reached(c, c->watches[i], all, n_all);
    free(all);
    if (c->n_watch > n) tidy(c, first);
}

static uint64_t digest(const struct soft_watch *w) {
    return XXH3_64bits(w->buffer->bytes + w->offset, w->length);
}

void soft_reuse_watch(struct soft_commands *c, uint32_t first_op) {
    if (!is_on() || c->refused) return;
    uint32_t first = c->n_watch;
    for (uint32_t i = first_op; i < c->n_op && c->ops[i].kind != OP_WAIT; i++)
        if (c->ops[i].kind == OP_DISPATCH) add_bound(c, i);
    tidy(c, first);
    add_all_reached(c, first);
    for (uint32_t i = first; i < c->n_watch; i++) c->watches[i].digest = digest(&c->watches[i]);
}

static NSInteger report(struct soft_commands *c, const struct soft_watch *w) {
    snprintf(c->why, sizeof c->why,
             "kernel %s: %sslot %u (%s): bytes %lu to %lu of buffer '%s' were changed by the host between commit and "
             "completion; wait for the command buffer before writing what it reads",
             w->k->name, w->reached ? "an address in " : "", w->slot->index, w->slot->name, (unsigned long)w->offset,
             (unsigned long)(w->offset + w->length), w->buffer->label);
    return MTLCommandBufferErrorInternal;
}

NSInteger soft_reuse_check(struct soft_commands *c, uint32_t end_op) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_watch; i++) {
        const struct soft_watch w = c->watches[i];
        if (w.op >= end_op) c->watches[n++] = w;
        else if (soft_is((id)(void *)w.buffer, SOFT_MTLBuffer) && !atomic_load(&w.buffer->device_writes) &&
                 digest(&w) != w.digest)
            return report(c, &w);
    }
    c->n_watch = n;
    return 0;
}
