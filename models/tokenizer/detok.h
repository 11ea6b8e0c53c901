/* Streaming detokenizer: ids in, valid UTF-8 out.
 *
 * Tokens may end in the middle of a character; such a tail is held back until the next token
 * completes it. Bytes that can never become a character turn into U+FFFD, one for each maximal
 * ill-formed part (as Python and the Unicode standard do).
 * All memory is taken by detok_new; pushing never allocates. One owner per object. */
#pragma once
#include "models/tokenizer/tokenizer.h"

struct detok;

struct detok_options {
    bool special;  /* write the text of control tokens too */
    bool at_start; /* the first token begins a text: the space that SPM put before it is dropped */
    bool raw;      /* bytes as they are: nothing is held back or replaced */
};

/* The tokenizer must outlive the object. */
int detok_new(const struct tokenizer *t, struct detok_options opt, struct detok **out, struct err *e);
void detok_free(struct detok *d); /* NULL is fine */

/* The text that `id` completes, possibly empty; valid until the next call. Ids outside the
 * vocabulary (a model may have padding rows) give nothing. */
struct token_bytes detok_push(struct detok *d, int32_t id);
/* What is still held back, as U+FFFD. */
struct token_bytes detok_flush(struct detok *d);
