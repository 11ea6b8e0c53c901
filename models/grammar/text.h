/* JSON strings as automata: literal ones, ones of a length, ones that match a pattern, keys that are not others.
 *
 * Each character class is a rule that reads one character in its JSON form; text_init makes the ones that all strings
 * share. A maximum above TEXT_MAX_COUNT counts as none (no context holds that much), a minimum above it is refused. */
#pragma once
#include <jansson.h>
#include <stdint.h>

#include "models/grammar/nfa.h"
#include "models/grammar/pattern.h"

#define TEXT_MAX_COUNT 65536u
#define TEXT_NO_MAX UINT32_MAX

/* Rules that are made when they are first needed; NFA_NONE until then. */
struct text {
    struct nfa *n;
    uint32_t any;   /* a character or any escape */
    uint32_t plain; /* a character of a key: escaped only where it must be */
};

void text_init(struct text *t, struct nfa *n);

/* "value" as JSON has it. */
void text_literal(struct text *t, const char *value, size_t len, uint32_t from, uint32_t to);
/* A quoted string of min to max characters; pattern NULL: any. */
void text_string(struct text *t, const struct pattern *pattern, uint32_t min, uint32_t max, uint32_t from, uint32_t to);
/* A quoted string that is no key of the object `not` (NULL: any). */
void text_other_key(struct text *t, const json_t *not, uint32_t from, uint32_t to);
