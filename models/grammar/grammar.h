/* Grammars: which tokens may come next so that the text becomes JSON that a schema accepts.
 *
 * A schema is compiled to automata over bytes that call each other (recursive references are calls). A state of one
 * text is a set of places in them, interned, so that what was once worked out is a table look-up; the mask of a step is
 * a walk of the vocabulary's trie along those tables, and is kept for the next time the state is met.
 *
 * What the text may be:
 * - Properties come in the order of the schema. Where additionalProperties is absent, none are added; true or a schema
 *   adds them behind the declared ones. A key is never one of the declared ones again.
 * - Between JSON's tokens one blank, or line breaks with indentation, of bounded length. Nothing follows the value.
 * - Strings hold any UTF-8 and JSON's escapes but \u0000 and lone surrogates. Names, constants and what a pattern or
 *   format asks for are written in one way: only what must be escaped is.
 * - Integers have up to 18 digits; numbers further up to 17 after the point and an exponent of two. With minimum or
 *   maximum (kept exactly) there is no exponent.
 * Of a schema these are enforced: type, enum, const, properties, required, additionalProperties, propertyNames,
 * minProperties, maxProperties, items, prefixItems, additionalItems, minItems, maxItems, minLength, maxLength, pattern
 * (see pattern.h), format (date, time, date-time, duration, uuid, ipv4, email, uri, hostname), minimum, maximum and the
 * exclusive ones, nullable, anyOf, oneOf (as anyOf), allOf (merged), $ref inside the schema, $defs.
 * Ignored: annotations, uniqueItems, other formats, what stands beside enum and const but type; maxima of characters
 * and items above 65536. Any other keyword that could refuse a value is an error that names it.
 *
 * Limits: schemas of SCHEMA_MAX_BYTES, and automata of a bounded number of states, else ERR_LIMIT. A mask takes
 * bounded time, else ERR_LIMIT too.
 * Ownership: a state borrows its grammar and its vocabulary. Threads: both are immutable and may be shared by any
 * number of threads; a state has one owner. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/tokenizer/tokenizer.h"
#include "runtime/err.h"

#define SCHEMA_MAX_BYTES (1u << 20)

struct grammar;
struct grammar_vocab;
struct grammar_state;

/* One JSON object of any content. */
int grammar_compile_json(struct grammar **out, struct err *e);
/* ERR_FORMAT: not a JSON Schema; ERR_UNSUPPORTED: a keyword or pattern that hy does not know; ERR_ARG: no value
 * satisfies the schema; ERR_LIMIT: too large. */
int grammar_compile_schema(const char *json, size_t len, struct grammar **out, struct err *e);
void grammar_free(struct grammar *g); /* NULL is fine */

/* The trie of a tokenizer's tokens: once per model. n_row is how many logits a row has; what lies beyond the
 * tokenizer's vocabulary is never allowed. The tokenizer may go afterwards. */
int grammar_vocab_new(const struct tokenizer *t, uint32_t n_row, struct grammar_vocab **out, struct err *e);
void grammar_vocab_free(struct grammar_vocab *v); /* NULL is fine */

/* A state begins off: everything is allowed and accepted until grammar_start. */
int grammar_state_new(const struct grammar *g, const struct grammar_vocab *v, struct grammar_state **out,
                      struct err *e);
int grammar_state_clone(const struct grammar_state *from, struct grammar_state **out, struct err *e);
void grammar_state_free(struct grammar_state *s); /* NULL is fine */

/* The value begins with the next token: called when tool_parse_in_answer (models/chat) first says so, and again when
 * it says so behind a thought. `instead` is -1, or one token that may come instead of the value (the marker that opens
 * a thought): when it is accepted the grammar is off again, until the next grammar_start. */
void grammar_start(struct grammar_state *s, int32_t instead);
bool grammar_on(const struct grammar_state *s);

/* What sampler_set_mask takes: a bit per row entry, valid until the state's next call; NULL while off. Tokens that end
 * the generation are allowed exactly when the value is complete. The sampler then needs the whole row:
 * a step whose token will be masked asks the engine for n_best 0, and so does sampler_n_best once a mask is set. */
int grammar_mask(struct grammar_state *s, const uint32_t **allowed, struct err *e);
/* ERR_ARG: the grammar does not allow this token; the state is as before. A token that ends the generation changes
 * nothing. */
int grammar_accept(struct grammar_state *s, int32_t token, struct err *e);
/* The text so far is a whole value (a number may still go on). */
bool grammar_complete(const struct grammar_state *s);
