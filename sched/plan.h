/* The memory plan: what a model needs before anything of it is loaded, and where each activation lies.
 *
 * The plan is a promise: peak use stays within weights_bytes + kv_bytes + work_bytes. Activations share one
 * buffer; two whose lifetimes overlap never share bytes. From the same layout follows which ops must wait for
 * earlier ones (barrier): those that touch bytes an op since the last barrier wrote, or write bytes it touched. */
#pragma once
#include "models/program.h"
#include "sched/place.h"

struct plan_request {
    uint32_t n_ctx, n_seq, n_batch, n_logits; /* n_batch 0: chosen */
    bool kv_q8;
    uint64_t scratch_bytes; /* of the device's own */
    uint64_t head_bytes;   /* of the files' headers, kept in memory */
    uint64_t memory_bytes; /* the limit; 0: none known */
    const char *memory_from; /* where the limit comes from, for the message */
};

struct plan {
    uint32_t n_ctx, n_seq, n_batch, n_logits;
    uint64_t weights_bytes, kv_bytes, work_bytes;
    uint64_t kv_row_bytes;        /* of one head's K (= V) of one token */
    uint64_t kv_layer_bytes;      /* K (= V) of one layer */
    uint64_t acts_bytes;
    uint64_t attn_work_bytes;     /* partial results of attention over long contexts */
    uint64_t *act_off;            /* (n_act) */
    bool *barrier;                /* (n_op) before the op */
};

/* ERR_NOMEM names what is needed, what there is and what would help. */
int plan_make(const struct place *place, const struct hparams *h, const struct program *p, const struct plan_request *r,
              struct arena *a, struct plan *out, struct err *e);
