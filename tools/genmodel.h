/* What the parts of hy-genmodel share (see the top of genmodel.c). */
#pragma once
#include <stdint.h>

#include "gguf/gguf_write.h"

enum vocab_kind { VOCAB_SPM, VOCAB_BPE };

/* The tokenizer's metadata, n_vocab tokens. pre: tokenizer.ggml.pre of a BPE vocabulary. */
void genmodel_put_vocab(struct gguf_writer *w, enum vocab_kind kind, const char *pre, uint32_t n_vocab);

_Noreturn void genmodel_die(int status, const char *text, const char *what); /* what: the thing that is wrong, or NULL */
void *genmodel_must(void *p); /* p; ends the program when it is NULL */
