/* The tensors of a model under the names that the forward pass uses.
 *
 * weights_bind finds each tensor that the architecture needs, checks its shape and type, and refuses by name what
 * is missing, misshapen or left over. A struct weight is a view: rows of one tensor in the file's own bytes; fused
 * tensors (attn_qkv, ffn_up holding gate and up) give several views of one tensor. */
#pragma once
#include "gguf/gguf.h"
#include "models/hparams.h"
#include "runtime/arena.h"

struct weight {
    uint32_t tensor;       /* index into gguf.tensors */
    enum dtype type;
    uint32_t n_in, n_out;  /* a matrix of n_out rows of n_in; a vector is one row; n_out 0: absent */
    uint32_t n_expert;     /* matrices one after the other; 1 unless experts */
    uint64_t offset_bytes; /* of the first row, from the tensor's start */
};

static inline bool weight_present(const struct weight *w) { return w->n_out != 0; }

struct layer_weights {
    struct weight attn_norm, attn_q, attn_k, attn_v, attn_out;
    struct weight attn_q_bias, attn_k_bias, attn_v_bias, attn_out_bias;
    struct weight attn_q_norm, attn_k_norm, attn_post_norm;
    struct weight ffn_norm, ffn_gate, ffn_up, ffn_down, ffn_post_norm;
    struct weight ffn_gate_bias, ffn_up_bias, ffn_down_bias;
    struct weight route, gate_experts, up_experts, down_experts;
};

struct weights {
    struct weight token_embd, output_norm, output, output_bias;
    struct weight rope_freqs, rope_long, rope_short;
    struct layer_weights *layers; /* n_layer */
    bool tied;                    /* output is token_embd */
};

/* Fills w (layers in the arena) and h->n_vocab. */
int weights_bind(const struct gguf *g, struct hparams *h, struct arena *a, struct weights *w, struct err *e);

/* What a tensor is for; decides where it may live and how sizes are summed up for people. */
enum tensor_role { ROLE_EMBEDDING, ROLE_ATTENTION, ROLE_FFN, ROLE_EXPERT, ROLE_NORM, ROLE_OUTPUT, ROLE_OTHER, N_ROLES };
enum tensor_role tensor_role(const char *tensor_name);
const char *tensor_role_name(enum tensor_role r);
