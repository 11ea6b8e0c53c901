/* What the files of the schema compiler share.
 *
 * schema_value adds, between two states, the values that a schema allows; it dispatches to the types in shape.c
 * (objects, arrays) and scalar.c (strings, numbers, constants). Subschemas that are met by reference or repeated become
 * rules. Every visit of a schema costs a step of a budget, so that schemas that multiply (allOf of anyOf of ...)
 * end. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "models/grammar/nfa.h"
#include "models/grammar/quoted.h"

#define SCHEMA_MAX_DEPTH 100
#define SCHEMA_MAX_STEPS 100000u

struct schema {
    struct nfa *n;
    struct quoted quoted;
    json_t *root;
    json_t *made;  /* array: schemas that merging made, kept until the end */
    json_t *rules; /* object: the rule of a $ref */
    struct todo {
        const json_t *schema;
        uint32_t rule;
    } *todo; /* rules whose schema is still to be compiled */
    uint32_t n_todo, cap_todo;
    uint32_t depth, n_step;
    uint32_t ws, value, number; /* shared rules; NFA_NONE until needed */
};

/* One more step; false: the budget or the depth is spent, or something has failed. */
bool schema_step(struct schema *c);
void schema_value(struct schema *c, const json_t *s, uint32_t from, uint32_t to);
/* A rule for a schema, compiled later. */
uint32_t schema_rule(struct schema *c, const json_t *s);
/* The state behind white space that may be there. */
uint32_t schema_ws(struct schema *c, uint32_t from);
/* A non-negative integer keyword, or `otherwise` when it is absent. */
uint32_t schema_count(struct schema *c, const json_t *s, const char *key, uint32_t otherwise);

/* shape.c */
void shape_object(struct schema *c, const json_t *s, uint32_t from, uint32_t to);
void shape_array(struct schema *c, const json_t *s, uint32_t from, uint32_t to);
/* scalar.c */
void scalar_string(struct schema *c, const json_t *s, uint32_t from, uint32_t to);
void scalar_number(struct schema *c, const json_t *s, bool integer, uint32_t from, uint32_t to);
/* Whether hy writes strings of the schema's format. */
bool scalar_format(const json_t *s);
void scalar_const(struct schema *c, const json_t *value, uint32_t from, uint32_t to);

/* merge.c: a schema that allows what both allow; owned by c. */
const json_t *merge_schemas(struct schema *c, const json_t *a, const json_t *b);
/* s without a key; owned by c. */
json_t *merge_without(struct schema *c, const json_t *s, const char *key);
