/* JSON Schema to automata. What is understood stands in grammar.h. */
#pragma once
#include <stddef.h>

#include "models/grammar/nfa.h"

/* Rule 0 becomes the schema's values, with white space before them; errors stick to n. */
void schema_compile(struct nfa *n, const char *json, size_t len);
