/* hy: the public engine API.
 *
 *   struct hy_engine *en;
 *   hy_open(&(struct hy_options){.model_path = path}, &en, &err);
 *   hy_seq_new(en, &seq, &err);
 *   hy_step(en, &batch, &logits, &err);     // many times
 *   hy_close(en);
 *
 * An engine is one loaded model on one device. A sequence is a conversation: the keys and values of its tokens
 * so far. A step runs a batch of tokens that may belong to several sequences (prompt chunks, decoding of many users,
 * drafted tokens: all are batches) and gives logits for the rows asked for. The bits of a logits row depend on the
 * tokens of its sequence alone: not on what else is in the batch, how a prompt was cut, or the number of threads.
 * (On metal products and attention have two forms, for few and for many tokens of a step, that differ in the last bits.)
 *
 * Threads: one thread at a time uses an engine. After hy_open nothing allocates until hy_close. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "models/tokenizer/tokenizer.h"
#include "models/weights.h"
#include "runtime/device.h"
#include "runtime/err.h"
#include "sched/budget.h"

struct hy_engine;

enum hy_kv { HY_KV_AUTO, HY_KV_F16, HY_KV_Q8_0 }; /* auto: F16, or Q8_0 when that makes the model fit */
enum hy_io { HY_IO_DIRECT, HY_IO_CACHED };        /* how streamed weights are read: past the page cache, or through it */
enum hy_tier { HY_TIER_STREAM, HY_TIER_MMAP };    /* weights that do not fit: stream, or stay in the file, mapped */
#define HY_KV_BLOCK_TOK 64u

struct hy_options {
    const char *model_path;    /* the file, or the first part of a split model */
    enum device_kind device;
    uint32_t n_thread;         /* 0: one per physical core */
    const char *cpu_isa;       /* NULL: the best */
    struct budget_request memory; /* all zero: what the machine has available */
    uint32_t n_ctx;            /* tokens per sequence; 0: the model's own, at most 4096 */
    enum hy_kv kv;
    uint32_t n_seq;            /* sequences at a time; 0: 1 */
    uint32_t n_batch;          /* most tokens per step; 0: chosen (512 or what activations allow) */
    uint32_t n_logits;         /* most logits rows per step; 0: 8, at most n_batch */
    uint32_t n_kv_block;       /* blocks of HY_KV_BLOCK_TOK tokens that all sequences share; 0: room for each at its full length */
    enum hy_io io;
    enum hy_tier tier;
    const char *sidecar;       /* the file that hy optimize wrote; "off": none; NULL: the one beside the model, if it is usable */
    uint32_t n_reader;         /* threads that read streamed weights; 0: chosen */
    bool no_guesses;           /* do not read experts on a guess (to measure what guesses are worth) */
    uint32_t n_ring_slot, n_expert_slot; /* not 0: stream, with at most so many slots (to test and to measure) */
    struct routes_writer *routes; /* gets the experts that each step chose (sched/routes.h); NULL: none */
    struct trace *trace;       /* gets the events of every step (sched/trace.h); NULL: none */
    bool (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes); /* false cancels; may be NULL */
    void *progress_ctx;
};

enum hy_mode { HY_RESIDENT, HY_STREAM_DENSE, HY_STREAM_EXPERTS, HY_STREAM_BOTH, HY_MAPPED, HY_ROWS };

/* What goes where, before anything is loaded. Bytes; total is a promise that peak use keeps. */
struct hy_plan {
    enum hy_mode mode;
    uint64_t budget_bytes, machine_bytes; /* 0: no limit is known */
    char budget_from[64];                 /* "this machine has" */
    uint64_t total_bytes;                 /* of the next six */
    uint64_t resident_bytes, ring_bytes, pool_bytes, kv_bytes, acts_bytes, other_bytes;
    uint64_t file_bytes;                  /* weights that stay in the file: streamed, looked up or mapped */
    struct { uint64_t bytes, resident_bytes; } role[N_ROLES];
    uint32_t n_dense, n_dense_pinned, n_ring_slot; /* FFN tensors that may stream, those that do not, slots */
    uint32_t n_expert, n_expert_slot;              /* in all layers */
    uint32_t n_ctx, n_seq, n_batch, n_step;
    bool kv_q8, kv_fell;                  /* Q8_0 keys and values; they are because F16 did not fit */
    uint64_t step_bytes, disk_bytes;      /* weights that one decoded token reads, and those of them from disk (experts: at random) */
    uint32_t n_reader;                    /* threads that will read streamed weights */
    double memory_rate, disk_rate;        /* bytes per second as measured; 0: not measured */
    double tok_s;                         /* one sequence: 1 / max(step_bytes / memory_rate, disk_bytes / disk_rate); 0: unknown */
    char sidecar[ERR_TEXT_BYTES];         /* of hy_plan: which would be read, or why not; empty: none, or nothing streams */
};
const char *hy_mode_name(enum hy_mode m);

struct hy_info { /* strings live as long as the engine */
    const char *arch, *name, *device;
    uint32_t n_vocab, n_ctx, n_ctx_train, n_layer, n_embd, n_expert, n_expert_used, n_batch, n_logits, n_seq, n_kv_block;
    uint64_t n_param;
    uint64_t weights_bytes, kv_bytes, work_bytes; /* the memory plan: weights and the slots they stream through, keys and values, all else */
    uint64_t step_weights_bytes; /* weight bytes that one decoded token reads (its experts only) */
    double load_s;
    const char *sidecar;         /* the file that streamed weights are read from; NULL: the model */
    const char *sidecar_note;    /* why the one beside the model is not used; NULL: nothing to say */
};

/* The plan of hy_open with these options, without loading. Rates come from the profile in the cache folder, if there is one. */
int hy_plan(const struct hy_options *opt, struct hy_plan *out, struct err *e);
int hy_open(const struct hy_options *opt, struct hy_engine **out, struct err *e);
/* The plan of an open engine. Rates of streaming engines are measured at hy_open when the cache has none. */
const struct hy_plan *hy_planned(const struct hy_engine *en);
void hy_close(struct hy_engine *en); /* NULL is fine */
const struct hy_info *hy_info(const struct hy_engine *en);

/* The model's tokenizer, made on first use; the engine owns it. */
int hy_tokenizer(struct hy_engine *en, const struct tokenizer **out, struct err *e);

/* Sequences. ERR_LIMIT when all n_seq are in use. */
int hy_seq_new(struct hy_engine *en, uint32_t *seq, struct err *e);
void hy_seq_free(struct hy_engine *en, uint32_t seq);
uint32_t hy_seq_len(const struct hy_engine *en, uint32_t seq);
/* Forgets positions n and up (drafts that were not accepted, an edited prompt). */
void hy_seq_truncate(struct hy_engine *en, uint32_t seq, uint32_t n);

/* The keys and values of freed sequences stay until their room is needed, and sequences that begin alike share them. Lengthens seq,
 * which is empty or holds the first of these n tokens, by as many of the others as the cache has: at most to n - 1, because a
 * step must compute the last. Returns its length. */
uint32_t hy_seq_attach(struct hy_engine *en, uint32_t seq, const int32_t *token, uint32_t n);

struct hy_kv_use {
    uint32_t n_block, n_free, n_cached; /* cached: in no sequence, kept for later ones; the rest is in use */
    uint64_t n_reused;                  /* cached blocks that made room so far */
};
struct hy_kv_use hy_kv_use(const struct hy_engine *en);

struct hy_batch {
    uint32_t n_tok;          /* 1..n_batch */
    const int32_t *token;    /* (n_tok) */
    const uint32_t *seq;     /* (n_tok) */
    const uint32_t *pos;     /* (n_tok): for each sequence ascending without gaps from its length on */
    const bool *want_logits; /* (n_tok); at most n_logits of them; NULL: of the last token */
    uint32_t n_best;         /* also find the n_best largest logits of each row, on the device: 0..HY_MAX_BEST */
    bool (*stop)(void *ctx); /* asked during steps of more than 64 tokens or whose weights stream: true ends one soon, ERR_CANCELLED; or NULL */
    void *ctx;
};
#define HY_MAX_BEST 256u

/* The n_best best tokens of row `row` of the last step, in falling order of their logits; ties by rising id. */
void hy_best(const struct hy_engine *en, uint32_t row, const int32_t **ids, const float **logits);

/* One step. *logits points to (wanted rows, n_vocab) f32 in batch order, yours to overwrite until the next step. On failure the
 * sequences are as they were. ERR_LIMIT when a context ends or no KV block can be had. */
int hy_step(struct hy_engine *en, const struct hy_batch *b, float **logits, struct err *e);

/* What the last step's logits were computed from: (wanted rows, n_embd) f32, the output of the last norm; until the next step. */
const float *hy_hidden(const struct hy_engine *en);

/* Steps through n tokens of one sequence from its end on, in chunks; *logits is the last token's row, and
 * n_best of it are found as hy_batch says (row 0). stop (may be
 * NULL) is asked between chunks, and within them as hy_batch says; true ends with ERR_CANCELLED. Chunks done before a failure stay. */
int hy_feed(struct hy_engine *en, uint32_t seq, const int32_t *token, uint32_t n, uint32_t n_best, float **logits,
            bool (*stop)(void *ctx), void *ctx, struct err *e);

/* What streaming did since hy_open; all 0 for a model that fits. Times: wait is what steps stood still for reads; disk is while at
 * least one reader read. */
struct hy_stream_stats {
    uint64_t n_step, step_ns, wait_ns, compute_ns, disk_ns;
    uint64_t read_bytes;                /* from disk */
    uint64_t needed_bytes;              /* of weights that steps needed and that were not there, whenever they were read */
    uint64_t ahead_bytes;               /* of experts read before they were asked for, needed or not */
    uint64_t n_hit, n_miss, n_evict;    /* experts, counted once per layer and chunk of a step */
    uint64_t n_guess, n_useful;         /* experts read on a guess; of them chosen */
    uint32_t n_slot, n_slot_live;       /* of the expert cache; fewer are live under memory pressure */
    struct { const char *name; uint64_t n_guess, n_right, n_chosen; } predictor[5]; /* precision right/guess, recall right/chosen */
};
void hy_stream_stats(struct hy_engine *en, struct hy_stream_stats *out);

/* The memory bandwidth in bytes per second that this engine's threads reach when they only read its weights: what a
 * decoded token can be held against. Takes about a tenth of a second. 0 where it cannot be
 * measured (Metal). */
double hy_read_bandwidth(struct hy_engine *en);
