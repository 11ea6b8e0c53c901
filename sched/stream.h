/* The step when weights stream: layer by layer, each over all chunks of the step's tokens, waiting where bytes are still to come.
 *
 * Owns the readers, the ring and the expert cache of an engine. A model that fits has none of this (struct stream is zero) and
 * takes exec_run, unless its steps are traced or its routings recorded: then this runs it, with nothing to wait for. */
#pragma once
#include <stdatomic.h>

#include "runtime/pressure.h"
#include "sched/ahead.h"
#include "sched/exec.h"
#include "sched/experts.h"
#include "sched/ring.h"
#include "sched/sidecar.h"

struct hy_options;

struct stream {
    bool on;
    struct sidecar sidecar;
    struct readers *readers;
    struct source *units;        /* (n_ring) */
    uint16_t *unit_layer;        /* (n_ring) whose they are: of which layer, */
    uint8_t *unit_part;          /* gate, up or down */
    struct ring ring;
    struct expert_layer *layers; /* (n_layer) */
    struct experts experts;
    struct ahead ahead;
    struct pressure_watch pressure;
    uint64_t shrink_ns, grow_ns; /* memory may be given back, taken again, from this time on */
    uint32_t *unit_of;           /* (n_tensor) place in the ring's order */
    struct buf ids;              /* (n_batch, n_used) i32: which experts the pass at hand computes */
    uint16_t *group;             /* (n_expert) those experts... */
    bool *in_group;              /* (n_expert) ...and which they are */
    uint16_t *routes;            /* (n_step, n_layer, n_used) of the step at hand; NULL: not asked for */
    uint64_t fence;              /* of the last list handed over */
    atomic_ullong step;          /* readers put it into their events */
    struct { uint64_t wait_ns, compute_ns, step_ns; } stats;
};

int stream_open(struct hy_engine *en, const struct hy_options *opt, struct err *e);
void stream_close(struct hy_engine *en);
/* One step; the device has finished when it returns. On failure nothing is in flight and the next step may be tried. */
int stream_run(struct hy_engine *en, const struct step_shape *s, struct err *e);
