/* The expert cache: slots of device memory, shared by all layers, one (layer, expert) with its three matrices in each.
 *
 * A step tells it what the router of a layer chose (experts_visit); it starts the reads of those that are missing and hands out
 * experts as their bytes are there (experts_next): first all that were there, then as reads end. A slot's states:
 *
 *   empty -> loading -> ready -> in use until experts_release -> ready -> (evicted) empty
 *
 * A slot in use or loading is never given away, but for one that loads on a guess: its read is cancelled. Who leaves is
 * expert_policy's choice. No other code touches slots. Nothing allocates after experts_init but for slabs that come
 * back after memory pressure.
 *
 * Threads: the engine's; the readers only fill slots. */
#pragma once
#include "models/hparams.h"
#include "sched/expert_policy.h"
#include "sched/fit.h"
#include "sched/ring.h"

#define EXPERT_NO_KEY UINT32_MAX

enum expert_why { EXPERT_DEMAND, EXPERT_AHEAD, EXPERT_GUESS, EXPERT_WARM };
enum expert_state { EXPERT_EMPTY, EXPERT_LOADING, EXPERT_READY };

struct expert_slot {
    uint32_t key; /* layer * n_expert + expert */
    enum expert_state state;
    enum expert_why why;
    bool in_use;
    bool used;     /* since it was read */
    bool dropped;  /* its read was cancelled and ends soon */
    uint8_t cls;
    uint32_t slab;
    uint32_t at;   /* in experts.loading, while it is */
    uint64_t off;  /* in the slab */
    struct read_job job;
};

struct slab_slots { /* neighbours, of one class */
    uint32_t first, n;
    uint8_t cls;
};

/* Where the experts of a layer are in the file: expert x of part p at part[p].offset + x * stride[p]. joined: one record
 * holds all parts, at rel[p] from its start. */
struct expert_layer {
    struct source part[3];
    uint64_t stride[3], rel[3];
    bool joined;
};

struct experts_stats {
    uint64_t n_hit, n_miss, n_evict, n_guess, n_useful;
    uint64_t miss_bytes;  /* of experts read because they were needed, */
    uint64_t ahead_bytes; /* of those read before that, for whatever reason, */
    uint64_t useful_bytes; /* and of these, those that were chosen then */
};

struct experts_options {
    struct device *dev;
    struct readers *readers;
    const struct fit *fit;
    const struct hparams *h;
    const struct expert_layer *layers; /* (n_layer) the caller's */
};

struct experts {
    struct experts_options o;
    struct expert_slot *slots;
    uint32_t n_slot;
    struct expert_policy *policy[FIT_MAX_CLASS];
    uint64_t part_off[FIT_MAX_CLASS][3]; /* of the parts in a slot */
    uint32_t *slot_of;       /* (n_layer * n_expert) */
    struct buf *slabs;       /* (n_slab) without memory while given back */
    struct slab_slots *in_slab; /* (n_slab) */
    uint32_t n_slab, per_slab[FIT_MAX_CLASS];
    uint32_t n_live[FIT_MAX_CLASS]; /* slots with memory, */
    uint32_t n_empty[FIT_MAX_CLASS]; /* those of them with nothing in it */
    uint32_t look;           /* where an empty slot was found last */
    uint32_t *loading;       /* (n_loading of n_slot) slots that are loading, in no order: few, where slots are thousands */
    uint32_t n_loading;
    /* The visit at hand. */
    uint32_t layer, step;
    uint16_t *want;          /* (n_expert) distinct experts, in the order of their ids */
    uint32_t *count;         /* (n_expert) tokens that chose it */
    uint8_t *given;          /* (n_expert) by expert: wanted and not given, given, not wanted */
    uint32_t n_want, n_given;
    bool keep_layer;         /* more of this layer's experts are to come */
    struct read_job **waiting; /* (n_expert) */
    struct experts_stats stats;
    struct trace *trace;     /* may be NULL */
    struct arena arena;
};

int experts_init(struct experts *x, const struct experts_options *o, struct err *e);
void experts_deinit(struct experts *x); /* before the readers and the device are closed */

/* The router of `layer` chose ids (n_id, of n_tok tokens). keep_layer: further visits of this layer follow in the step. */
void experts_visit(struct experts *x, uint32_t layer, const int32_t *ids, uint32_t n_id, uint32_t n_tok, bool keep_layer);
/* Experts of the visit whose gate and up are there and that were not given yet, into out (n_expert); waits for one when there is
 * none. 0: all were given. They are in use until experts_release; before their down matrix is read, experts_complete. */
int experts_next(struct experts *x, uint16_t *out, uint32_t *n, uint64_t *waited_ns, struct err *e);
/* Waits for the rest of given experts. Whether any is still to be waited for. */
int experts_complete(struct experts *x, const uint16_t *experts, uint32_t n, uint64_t *waited_ns, struct err *e);
bool experts_incomplete(const struct experts *x, const uint16_t *experts, uint32_t n);
/* The device is done with all that was given. */
void experts_release(struct experts *x);
/* Whether experts_next has more to give, and needs slots that are in use. */
static inline uint32_t experts_left(const struct experts *x) { return x->n_want - x->n_given; }
/* The step is over, or failed: nothing is in use or wanted any more. */
void experts_end_step(struct experts *x);

/* Reads ahead what may be needed: all of a layer (AHEAD), a guess (GUESS), or before the first step (WARM). As far as room for
 * it can be had without harm; returns how many reads began. */
uint32_t experts_ahead(struct experts *x, uint32_t layer, const uint16_t *experts, uint32_t n, enum expert_why why);
/* An expert's part as the device sees it: for address tables. The expert must be given. */
uint64_t experts_address(const struct experts *x, uint32_t layer, uint32_t expert, uint32_t part);

/* Memory pressure: gives back one slab's memory (false: the least is reached), or takes one again. Between steps. */
bool experts_shrink(struct experts *x);
bool experts_grow(struct experts *x);
