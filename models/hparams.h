/* What the metadata of a GGUF file says about a model: sizes, norms, RoPE, attention, experts.
 *
 * Everything that distinguishes one standard decoder-only transformer from another is data here; the forward
 * pass (transformer.c) reads it and nothing else. Values come from an untrusted file and are range-checked when
 * they are read, so that later arithmetic on them cannot overflow. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "gguf/gguf.h"
#include "runtime/err.h"

enum rope_pairs { ROPE_PAIRS_ADJACENT, ROPE_PAIRS_HALVES }; /* "normal" and "NeoX" */
enum rope_scaling { ROPE_SCALING_NONE, ROPE_SCALING_LINEAR, ROPE_SCALING_YARN, ROPE_SCALING_LONGROPE };

#define MAX_LAYERS 1024

/* What an architecture name stands for. A new standard architecture is one line of the table in hparams.c. */
struct arch {
    const char *name; /* general.architecture */
    enum rope_pairs pairs;
    bool gelu;           /* GeGLU instead of SwiGLU */
    bool qkv_bias;       /* q, k, v biases are required (they are accepted wherever a file has them) */
    bool qk_norm;        /* per-head RMS norm of q and k */
    bool post_norm;      /* RMS norm after attention and after the FFN, before the residual add */
    bool embd_scale;     /* embeddings times sqrt(n_embd) */
    bool gate_up_fused;  /* ffn_up holds gate and up */
    bool experts;        /* expert_count is required (it is accepted for "llama") */
    bool window;         /* attention.sliding_window counts */
    uint32_t window_period;  /* default: layers il with il % period < period-1 are windowed */
    uint32_t window_default; /* when the file does not say */
    uint32_t n_layer_27b;    /* Gemma: with this many layers q is scaled by n_embd/n_head, not head_dim */
};

struct hparams {
    const struct arch *arch;
    uint32_t n_vocab, n_ctx_train, n_layer, n_embd, n_ff;
    uint32_t n_head, n_head_kv, head_dim_k, head_dim_v;
    float rms_eps;

    uint32_t n_rot;
    enum rope_scaling rope_scaling;
    float rope_base, rope_base_window;   /* windowed layers may turn at another base... */
    float rope_scale, rope_scale_window; /* ...and scale: angle = position * scale / base^(2i/n_rot) */
    float rope_attn_factor;              /* multiplies cos and sin */
    float yarn_beta_fast, yarn_beta_slow;
    uint32_t n_ctx_orig;                 /* context before scaling; for YaRN and LongRoPE */

    float attn_scale;                    /* of q.k */
    float attn_softcap, logit_softcap;   /* 0: none */
    uint32_t n_window;                   /* 0: full attention everywhere */
    bool windowed[MAX_LAYERS];

    uint32_t n_expert, n_expert_used, n_ff_expert; /* 0: dense */
    float expert_scale;                  /* of the routed sum */
    bool expert_norm;                    /* weights of the chosen experts are made to sum to 1 */
};

int hparams_read(const struct gguf *g, struct hparams *h, struct err *e);

/* The names of all architectures, separated by ", ". */
const char *arch_names(void);
