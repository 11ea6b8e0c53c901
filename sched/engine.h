/* What an engine is made of; private to sched/. */
#pragma once
#include "models/program.h"
#include "sched/exec.h"
#include "sched/hy.h"
#include "sched/kv.h"
#include "sched/model_file.h"
#include "sched/place.h"
#include "sched/plan.h"
#include "sched/stream.h"
#include "sched/trace.h"

/* One step's inputs, all in one buffer. */
struct step_inputs {
    struct buf buf;
    struct ref token, pos, seq, slot; /* (n_step) i32, i32, u32, u32 */
    struct ref row;                   /* (n_step) i32: 0, 1, 2...: the step's rows of the embedding */
    struct ref out_rows;              /* (n_logits) i32: rows of their chunk */
    struct ref table;                 /* (n_seq, kv.stride) u32 */
};

struct hy_engine {
    struct device *dev;
    struct model_file *mf;
    struct arena arena;
    struct hparams h;
    struct weights w;
    struct program p;
    struct budget budget;
    struct fit fit;
    struct plan plan;
    struct place place;
    struct kv kv;
    bool kv_q8;
    struct buf weights[PLACE_MAX_BUF]; /* (place.n_buf) */
    struct buf kv_pool, acts, attn_work;
    struct buf rows;          /* (n_step) rows of the embedding, when only those are read */
    struct buf *mapped;       /* (n_file) files mapped by --ram-tier mmap */
    struct ref *tensor_at;    /* (n_tensor) where each tensor is now; of streamed ones while they are acquired */
    struct stream stream;
    struct trace *_Atomic trace; /* the caller's; NULL: none. Readers look, too */
    struct routes_writer *routes; /* likewise */
    struct buf expert_tables; /* (n_layer, 3, n_expert) u64: addresses of gate, up and down matrices */
    struct buf expert_lists;  /* the tokens of each expert in the layer at hand; Metal only */
    struct step_inputs in;
    struct { struct buf ids, values, work; uint32_t n; } best; /* (n_logits, n) of the last step */
    struct { uint32_t *seq, *pos; bool *want; } feed; /* (n_step) hy_feed's batch */
    struct tokenizer *tokenizer;
    struct hy_info info;
    struct hy_plan planned;
    char name[128];
};

/* Where an expert matrix of a layer has its addresses: which is 0 gate, 1 up, 2 down. */
static inline struct ref expert_table(struct hy_engine *en, uint32_t layer, uint32_t which) {
    return (struct ref){&en->expert_tables, ((uint64_t)layer * 3 + which) * en->h.n_expert * sizeof(uint64_t)};
}
