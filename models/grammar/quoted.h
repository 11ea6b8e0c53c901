/* JSON strings as automata: literal ones, ones of a length, ones that match a pattern, keys that are not others.
 *
 * Each character class is a rule that reads one character in its JSON form; those that all strings share are made
 * when they are first needed. A maximum above QUOTED_MAX_COUNT counts as none, a minimum above it is refused. */
#pragma once
#include <jansson.h>
#include <stdint.h>

#include "models/grammar/nfa.h"
#include "models/grammar/pattern.h"

#define QUOTED_MAX_COUNT 65536u
#define QUOTED_NO_MAX UINT32_MAX

/* Rules that are made when they are first needed; NFA_NONE until then. */
struct quoted {
    struct nfa *n;
    uint32_t any;   /* a character or any escape */
    uint32_t plain; /* a character of a key: escaped only where it must be */
};

void quoted_init(struct quoted *t, struct nfa *n);

/* "value" as JSON has it. */
void quoted_literal(struct quoted *t, const char *value, size_t len, uint32_t from, uint32_t to);
/* A quoted string of min to max characters; pattern NULL: any. */
void quoted_string(struct quoted *t, const struct pattern *pattern, uint32_t min, uint32_t max, uint32_t from,
                   uint32_t to);
/* A quoted string that is no key of the object `not` (NULL: any). */
void quoted_other_key(struct quoted *t, const json_t *not, uint32_t from, uint32_t to);
