/* What a template finds ready-made: filters, tests, functions, and the methods of strings, lists and dicts. */
#pragma once
#include "models/chat/value.h"

#define BUILTIN_MAX_PARAMS 6

struct args { /* of a call, evaluated */
    const struct value *pos;
    const struct value_pair *kw; /* names and values */
    uint32_t n_pos, n_kw;
};

struct builtin {
    const char *name;
    const char *params; /* names, between blanks; "*": whatever comes, through args */
    uint8_t n_need;     /* of params */
    /* a[0] is what a filter, test or method is applied to; a[1]... are the parameters, MISSING where not given. */
    struct value (*run)(struct eval *ev, const struct value *a, const struct args *args);
};

/* The head of such a function. */
#define BUILTIN(name) static struct value name(struct eval *ev, const struct value *a, const struct args *x)

/* NULL when there is none of that name. */
const struct builtin *builtin_filter(struct value name);
const struct builtin *builtin_test(struct value name);
const struct builtin *builtin_global(struct value name);
const struct builtin *builtin_method(struct value of, struct value name);
/* Methods that would change a list or dict, which the sandbox forbids. */
bool builtin_is_forbidden(struct value of, struct value name);

struct builtin_table {
    const struct builtin *at;
    uint32_t n;
};
extern const struct builtin_table filters_text, filters_list, filters_number; /* filters_*.c */
extern const struct builtin_table method_str, method_list, method_dict;      /* method_*.c */
const struct builtin *builtin_in(const struct builtin_table *t, struct value name);

/* Optional parameters. */
static inline bool builtin_has(struct value v) { return v.type != VALUE_MISSING; }
