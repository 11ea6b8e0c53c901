/* Values as text: Python's str and repr, and JSON as Hugging Face's tojson writes it. */
#pragma once
#include "models/chat/eval.h"

void print_str(struct eval *ev, struct eval_out *o, struct value v);
void print_repr(struct eval *ev, struct eval_out *o, struct value v);
/* The shortest digits that read back as f: "1.0", "0.1", "1e+16". Into buf; returns the length. */
uint32_t print_float(double f, char buf[32]);

struct print_json {
    struct value indent;   /* STR, or MISSING for all on one line */
    struct value item_sep, key_sep;
    bool ascii, sort_keys;
};
void print_json(struct eval *ev, struct eval_out *o, struct value v, const struct print_json *how, uint32_t level);
/* &, <, >, quotes as HTML writes them. */
struct value print_escaped(struct eval *ev, struct value v);
