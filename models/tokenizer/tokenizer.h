/* Tokenizers: text to token ids and token ids to bytes, as the model's file describes them.
 *
 * Two kinds: SPM (tokenizer.ggml.model "llama": merges by score, byte fallback) and byte-level BPE ("gpt2":
 * merges by rank after a regular-expression split). Others are refused by name.
 * Text is any bytes. Where they are not valid UTF-8, each stray byte is encoded as that byte
 * (its byte token) and never takes part in the regular expressions, so decoding gives the same bytes back.
 * Special tokens are cut out first: at each place the longest token text that matches wins.
 *
 * Ownership: a tokenizer copies what it needs; the struct gguf may go afterwards.
 * Threads: immutable after tokenizer_new; any number of threads may use one. A struct tokens or a struct
 * detok has one owner. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gguf/gguf.h"
#include "runtime/err.h"

struct tokenizer;

int tokenizer_new(const struct gguf *g, struct tokenizer **out, struct err *e);
void tokenizer_free(struct tokenizer *t); /* NULL is fine */

/* A growing list of ids. Zero-initialise; tokens_deinit frees. */
struct tokens {
    int32_t *id;
    size_t n, cap;
};
bool tokens_push(struct tokens *ts, int32_t id); /* false: out of memory */
void tokens_deinit(struct tokens *ts);

/* Appends the tokens of len bytes of text to out; on failure out is as before.
 * add_special puts BOS before and EOS after where the model asks for them. parse_special turns
 * the text of control tokens ("<|im_end|>") into those tokens; without it that text is plain
 * text, and only user-defined tokens are cut out. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, bool add_special, bool parse_special,
                     struct tokens *out, struct err *e);

/* What the file says; ids are -1 when there is no such token. */
struct tokenizer_info {
    const char *model, *pre; /* "llama" or "gpt2"; the pre-tokenizer's name ("" for SPM) */
    const char *warning;     /* NULL, or one sentence that the user should see */
    uint32_t n_vocab;
    int32_t bos, eos, eot, eom, unk, pad, nl;
    bool add_bos, add_eos, add_space_prefix;
};
const struct tokenizer_info *tokenizer_info(const struct tokenizer *t);

enum token_attr {
    TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 4, TOKEN_USER_DEFINED = 8, TOKEN_UNUSED = 16, TOKEN_BYTE = 32,
    TOKEN_RSTRIP = 64, /* white space after it belongs to it */
    TOKEN_EOG = 128,   /* generation ends here: EOS, end of turn, end of message... */
};
/* Bits of enum token_attr; 0 for an id outside the vocabulary. */
uint32_t tokenizer_attr(const struct tokenizer *t, int32_t id);
static inline bool tokenizer_is_eog(const struct tokenizer *t, int32_t id) {
    return (tokenizer_attr(t, id) & TOKEN_EOG) != 0;
}

/* The token with exactly this text as the file writes it ("<|im_end|>", "\xe2\x96\x81the"), or -1. */
int32_t tokenizer_find(const struct tokenizer *t, const char *text, size_t len);

/* Bytes, not NUL-terminated, that live as long as the tokenizer: the file's text of a token, and what the
 * token stands for in the output. Ids outside the vocabulary have none. */
struct token_bytes {
    const char *p;
    size_t len;
};
struct token_bytes tokenizer_text(const struct tokenizer *t, int32_t id);
struct token_bytes tokenizer_piece(const struct tokenizer *t, int32_t id);
