/* A prompt of hy run as the model's chat template has it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "runtime/err.h"

/* *text, NUL-terminated and the caller's to free, becomes the chat of one message that asks for an answer; *has_bos says
 * that it begins with BOS itself. A model without a template of its own is no chat model: *text stays as it is. */
int run_chat(const char *model, char **text, size_t *len, bool *has_bos, struct err *e);
