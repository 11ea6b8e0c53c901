/* The ring: dense tensors that do not fit pass through a few slots, in the order in which the program uses them.
 *
 * The order is known, so nothing is guessed: use k of the run needs unit k % n_unit and goes to slot k % n_slot, and reads run
 * ahead as far as slots are free, also over the end of a step into the next. A slot's states:
 *
 *   empty -> loading -> ready -> in use until a fence of the device -> empty
 *
 * Use is counted: [released, acquired) are in use by ops encoded or running, [acquired, submitted) are loading or ready. A slot is
 * given to use k + n_slot only when use k was released and its fence has passed. No other code touches slots.
 *
 * Threads: the engine's; the readers only fill slots. */
#pragma once
#include "io/reader.h"
#include "runtime/device.h"
#include "sched/trace.h"

struct source { /* where a unit's bytes are */
    const struct file *file;
    uint64_t offset, len;
};

struct ring_slot {
    struct buf buf;
    uint64_t fence; /* of the last use; 0: none */
    struct read_job job;
};

struct ring {
    struct device *dev;
    struct readers *readers;
    const struct source *units; /* (n_unit) in order of use; the caller's */
    uint32_t n_unit, n_slot;
    uint32_t tag;               /* reads of unit i are tagged tag + i */
    struct ring_slot *slots;
    uint64_t released, acquired, submitted; /* uses */
    uint64_t read_bytes;        /* of uses acquired so far */
};

int ring_init(struct ring *r, struct device *dev, struct readers *readers, const struct source *units, uint32_t n_unit, uint32_t n_slot,
              uint64_t slot_bytes, uint32_t tag, struct err *e);
void ring_deinit(struct ring *r); /* before the readers and the device are closed */

/* Begins reads as far as slots are free. Never waits. */
void ring_pump(struct ring *r);
/* Whether the next use's bytes are there already. */
bool ring_ready(const struct ring *r);
/* The next use of the run, which must be of `unit`: waits until its bytes are there, and gives their place.
 * *waited_ns: how long. ERR_IO and the like: the step fails; call ring_reset before the next. */
int ring_acquire(struct ring *r, uint32_t unit, struct ref *out, uint64_t *waited_ns, struct err *e);
/* All acquired so far are free once `fence` has passed. */
void ring_release(struct ring *r, uint64_t fence);
/* After a failed step: waits for reads under way and begins again with unit 0. The device must be idle. */
void ring_reset(struct ring *r);
