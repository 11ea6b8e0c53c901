/* What an engine is made of; private to sched/. */
#pragma once
#include "models/program.h"
#include "sched/hy.h"
#include "sched/kv.h"
#include "sched/model_file.h"
#include "sched/place.h"
#include "sched/plan.h"

/* One step's inputs, all in one buffer. */
struct step_inputs {
    struct buf buf;
    struct ref token, pos, seq, slot; /* (n_batch) i32, i32, u32, u32 */
    struct ref out_rows;              /* (n_logits) i32: rows of the batch */
    struct ref table;                 /* (n_seq, kv.stride) u32 */
};

struct hy_engine {
    struct device *dev;
    struct model_file *mf;
    struct arena arena;
    struct hparams h;
    struct weights w;
    struct program p;
    struct plan plan;
    struct place place;
    struct kv kv;
    bool kv_q8;
    struct buf weights, kv_pool, acts, attn_work;
    struct buf expert_tables; /* (n_layer, 3, n_expert) u64: addresses of gate, up and down matrices */
    struct buf expert_lists;  /* the tokens of each expert in the layer at hand; Metal only */
    struct step_inputs in;
    struct { struct buf ids, values, work; uint32_t n; } best; /* (n_logits, n) of the last step */
    struct tokenizer *tokenizer;
    struct hy_info info;
    char name[128];
};

/* What a step's encoding depends on besides the program. */
struct step_shape {
    uint32_t n_tok, n_out;
    uint32_t n_pos;  /* more than any position of the step */
    uint32_t n_best; /* of each row of logits */
};

/* Encodes the program for a step whose inputs lie in en->in. */
int exec_encode(struct hy_engine *en, struct cmd *c, const struct step_shape *s, struct err *e);

/* Where an expert matrix of a layer has its addresses: which is 0 gate, 1 up, 2 down. */
static inline struct ref expert_table(struct hy_engine *en, uint32_t layer, uint32_t which) {
    return (struct ref){&en->expert_tables, ((uint64_t)layer * 3 + which) * en->h.n_expert * sizeof(uint64_t)};
}
