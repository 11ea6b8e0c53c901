/* Activations, keys and values: what a model needs in memory besides its weights, and where each activation lies.
 *
 * Activations share one buffer; two whose lifetimes overlap never share bytes. From the same layout follows which ops must wait
 * for earlier ones (barrier): those that touch bytes an op since the last barrier wrote, or write bytes it touched.
 *
 * When weights stream, a step may hold more tokens (n_step) than an op is given at a time (n_batch): each layer runs over all
 * chunks of n_batch tokens before the next layer, so that a prompt needs each weight once. Activations that live from one layer
 * to the next (carried) then have n_step rows. The cut into chunks of n_batch is the same whether weights stream or not. */
#pragma once
#include "models/program.h"

#define PLAN_MAX_CHUNK 64u /* n_step is at most this many times n_batch */

struct plan_request {
    uint32_t n_ctx, n_seq, n_batch, n_logits; /* n_batch 0: chosen */
    uint32_t n_kv_block; /* 0: room for every sequence at its full length */
    bool kv_q8;
    bool streams;            /* weights will stream */
    uint64_t carried_bytes;  /* for carried activations, about */
    uint64_t scratch_bytes;  /* of the device's own, and of a model in the program */
    uint64_t head_bytes;     /* of the files' headers, kept in memory */
};

struct plan {
    uint32_t n_ctx, n_seq, n_batch, n_step, n_logits, n_kv_block;
    uint64_t kv_bytes, work_bytes;
    uint64_t kv_row_bytes;        /* of one head's K (= V) of one token */
    uint64_t kv_layer_bytes;      /* K (= V) of one layer */
    uint64_t acts_bytes;
    uint64_t attn_work_bytes;     /* partial results of attention over long contexts */
    uint64_t *act_off;            /* (n_act) */
    bool *carried;                /* (n_act) has rows of the whole step */
    bool *barrier;                /* (n_op) before the op */
};

int plan_make(const struct hparams *h, const struct program *p, const struct plan_request *r, struct arena *a, struct plan *out,
              struct err *e);
