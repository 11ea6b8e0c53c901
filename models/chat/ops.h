/* Operators on values, with Python's meaning. */
#pragma once
#include "models/chat/ast.h"

struct value ops_binary(struct eval *ev, enum node_op op, struct value a, struct value b);
bool ops_compare(struct eval *ev, enum node_op op, struct value a, struct value b);
struct value ops_negate(struct eval *ev, struct value v);
/* a + b of strings; appends in place where a is the newest string. */
struct value ops_concat(struct eval *ev, struct value a, struct value b);
/* v[start:stop:step]; MISSING for what is left out. */
struct value ops_slice(struct eval *ev, struct value v, struct value start, struct value stop, struct value step);
