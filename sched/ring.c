#include "sched/ring.h"

#include <stdlib.h>

#include "runtime/clock.h"

int ring_init(struct ring *r, struct device *dev, struct readers *readers, const struct source *units, uint32_t n_unit, uint32_t n_slot,
              uint64_t slot_bytes, uint32_t tag, struct err *e) {
    *r = (struct ring){.dev = dev, .readers = readers, .units = units, .n_unit = n_unit, .tag = tag};
    r->slots = calloc(n_slot, sizeof *r->slots);
    if (!r->slots) return err_set(e, ERR_NOMEM, "no memory for %u slots", n_slot);
    for (; r->n_slot < n_slot; r->n_slot++) {
        int rc = buf_new(dev, slot_bytes, "a ring slot", &r->slots[r->n_slot].buf, e);
        if (rc) return rc;
    }
    return ERR_OK;
}

static struct ring_slot *slot_of(struct ring *r, uint64_t use) { return &r->slots[use % r->n_slot]; }

void ring_reset(struct ring *r) {
    for (uint64_t use = r->acquired; use < r->submitted; use++) readers_cancel(r->readers, &slot_of(r, use)->job);
    for (uint64_t use = r->released; use < r->submitted; use++) {
        struct read_job *j = &slot_of(r, use)->job;
        readers_wait(r->readers, j, j->n_part, NULL);
    }
    for (uint32_t i = 0; i < r->n_slot; i++) r->slots[i].fence = 0;
    r->released = r->acquired = r->submitted = 0;
}

void ring_deinit(struct ring *r) {
    if (!r->slots) return;
    ring_reset(r);
    for (uint32_t i = 0; i < r->n_slot; i++) buf_free(r->dev, &r->slots[i].buf);
    free(r->slots);
    *r = (struct ring){0};
}

/* Where the unit's first byte goes: the slot keeps the in-page phase of the file. */
static uint64_t phase_of(const struct source *u) { return u->offset % IO_PAGE; }

/* The slot of the next use to be submitted, when its last use is over; else NULL. */
static struct ring_slot *free_slot(struct ring *r) {
    if (r->submitted - r->released >= r->n_slot) return NULL;
    struct ring_slot *s = slot_of(r, r->submitted);
    return device_done(r->dev, s->fence) ? s : NULL;
}

static void submit_next(struct ring *r, struct ring_slot *s) {
    uint32_t unit = (uint32_t)(r->submitted % r->n_unit);
    const struct source *u = &r->units[unit];
    s->fence = 0;
    s->job = (struct read_job){.part = {{u->file, u->offset, u->len, s->buf.host + phase_of(u)}}, .n_part = 1, .tag = r->tag + unit};
    readers_submit(r->readers, &s->job, READ_SCHEDULE);
    r->submitted++;
}

void ring_pump(struct ring *r) {
    for (struct ring_slot *s; (s = free_slot(r));) submit_next(r, s);
}

/* When the use is not even submitted, its slot waits for the device: let it finish. */
static int make_submitted(struct ring *r, struct err *e) {
    ring_pump(r);
    while (r->submitted == r->acquired) {
        CHECK(r->submitted - r->released < r->n_slot); /* one layer's tensors fit the ring */
        int rc = device_wait(r->dev, slot_of(r, r->submitted)->fence, e);
        if (rc) return rc;
        ring_pump(r);
    }
    return ERR_OK;
}

bool ring_ready(const struct ring *r) {
    return r->acquired < r->submitted && read_job_parts_done(&r->slots[r->acquired % r->n_slot].job) == 1;
}

int ring_acquire(struct ring *r, uint32_t unit, struct ref *out, uint64_t *waited_ns, struct err *e) {
    CHECK(r->acquired % r->n_unit == unit);
    uint64_t t0 = clock_ns();
    int rc = make_submitted(r, e);
    if (rc) return rc;
    struct ring_slot *s = slot_of(r, r->acquired);
    if (!ring_ready(r) && readers_ended(r->readers, &s->job)) readers_submit(r->readers, &s->job, READ_DEMAND); /* failed ahead of its turn */
    else readers_raise(r->readers, &s->job, READ_DEMAND);
    rc = readers_wait(r->readers, &s->job, 1, e);
    *waited_ns = clock_ns() - t0;
    if (rc) return rc;
    r->acquired++;
    r->read_bytes += s->job.part[0].len;
    *out = (struct ref){&s->buf, phase_of(&r->units[unit])};
    return ERR_OK;
}

void ring_release(struct ring *r, uint64_t fence) {
    for (; r->released < r->acquired; r->released++) slot_of(r, r->released)->fence = fence;
    ring_pump(r);
}
