/* The template language of chat models: Jinja2 as Hugging Face's transformers runs it, sandboxed.
 *
 * That is: trim_blocks, lstrip_blocks, the loop controls, {% generation %} (which writes its body), tojson without
 * HTML escapes, raise_exception and strftime_now. A template sees the variables that it is given and nothing else; it
 * cannot change them. Includes, imports and inheritance do not exist; neither do lipsum, cycler and joiner. Whole numbers
 * have 64 bits, and what goes beyond is an error; generators and functions have no text of their own.
 * Hostile templates and data end with an error: steps, nesting and memory are bounded, whatever the input.
 *
 * Threads: a parsed template is immutable; any number of threads may render it. Rendering needs less than 256 KB of
 * stack. */
#pragma once
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

struct jinja;

/* Copies the source. Errors name line and column. */
int jinja_new(const char *source, size_t len, struct jinja **out, struct err *e);
void jinja_free(struct jinja *t); /* NULL is fine */

/* *text is NUL-terminated and of *len bytes (it may hold zero bytes); the caller frees it. vars: an object, borrowed.
 * ERR_FORMAT: the template fails on these variables; ERR_UNSUPPORTED: it calls raise_exception; ERR_LIMIT: it takes
 * too many steps, too much memory or nests too deep. */
int jinja_render(const struct jinja *t, const json_t *vars, int64_t now_s, char **text, size_t *len, struct err *e);
