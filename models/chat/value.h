/* Values of the template language: what Python's objects are to Jinja.
 *
 * A value is 16 bytes, passed by copy. Strings are UTF-8 slices, lists and dicts pointers; both are immutable once a
 * template can see them, but for namespaces. Everything lives in the arena of one rendering (or outlives it:
 * strings may point into the JSON that was passed in). Allocation failures leave through eval_fail.
 * Equality, order, hashing and truth are Python's: True == 1 == 1.0, dicts keep their order of insertion. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eval;
struct value_list;
struct value_dict;
struct value_loop;  /* eval.h */
struct value_macro; /* eval.h */
struct value_bound; /* eval.h */
struct builtin;     /* builtin.h */

enum value_type {
    VALUE_MISSING, /* an argument or variable that is not there; never seen by a template */
    VALUE_UNDEFINED, VALUE_NONE, VALUE_BOOL, VALUE_INT, VALUE_FLOAT, VALUE_STR,
    VALUE_LIST, VALUE_TUPLE, VALUE_ITER, /* ITER: a generator or view, iterable only */
    VALUE_DICT, VALUE_NAMESPACE,
    VALUE_LOOP, VALUE_FUNC, VALUE_METHOD, VALUE_MACRO,
};

enum value_flag {
    VALUE_SAFE = 1,     /* STR: Python's Markup */
    VALUE_SIZED = 2,    /* ITER: has a length (a view of a dict, a range) */
    VALUE_RANGE = 4,    /* ITER: can be indexed too */
    VALUE_UNSAFE = 8,   /* UNDEFINED: the sandbox forbids it */
    VALUE_SENTENCE = 16, /* UNDEFINED: s says why, rather than naming what */
    VALUE_GROUP = 32,    /* TUPLE: of groupby, with the names grouper and list */
};

struct value {
    uint8_t type, flags;
    uint8_t of;   /* UNDEFINED: the type of what lacks the attribute s; 0 for a variable */
    uint32_t len; /* STR, UNDEFINED: bytes at s */
    union {
        bool b;
        int64_t i;
        double f;
        const char *s;
        struct value_list *list; /* LIST, TUPLE, ITER */
        struct value_dict *dict; /* DICT, NAMESPACE */
        struct value_loop *loop;
        struct value_macro *macro;
        struct value_bound *bound;
        const struct builtin *func;
    };
};

struct value_list {
    struct value *item;
    uint32_t n, cap;
};

struct value_pair {
    struct value key, value;
};

struct value_dict {
    struct value_pair *pair; /* in order of insertion */
    uint32_t n, cap;
    uint32_t *slot; /* open hash of 1 + position, once n > 8 */
    uint32_t mask;
};

#define VALUE_LIT(text) ((struct value){.type = VALUE_STR, .len = sizeof(text) - 1, .s = (text)})

static inline struct value value_none(void) { return (struct value){.type = VALUE_NONE}; }
static inline struct value value_bool(bool b) { return (struct value){.type = VALUE_BOOL, .b = b}; }
static inline struct value value_int(int64_t i) { return (struct value){.type = VALUE_INT, .i = i}; }
static inline struct value value_float(double f) { return (struct value){.type = VALUE_FLOAT, .f = f}; }
static inline struct value value_str(const char *s, size_t len) {
    return (struct value){.type = VALUE_STR, .len = (uint32_t)len, .s = s};
}
/* A variable or attribute of that name that does not exist. */
static inline struct value value_undefined(uint8_t of, const char *s, size_t len) {
    return (struct value){.type = VALUE_UNDEFINED, .of = of, .len = (uint32_t)len, .s = s};
}
/* Undefined, with the sentence that an error says. */
#define VALUE_NOTHING(text)                                                                                            \
    ((struct value){.type = VALUE_UNDEFINED, .flags = VALUE_SENTENCE, .len = sizeof(text) - 1, .s = (text)})

static inline bool value_is_list(struct value v) { return v.type == VALUE_LIST || v.type == VALUE_TUPLE; }
static inline bool value_is_int(struct value v) { return v.type == VALUE_INT || v.type == VALUE_BOOL; }
static inline bool value_is_number(struct value v) { return value_is_int(v) || v.type == VALUE_FLOAT; }
static inline int64_t value_as_int(struct value v) { return v.type == VALUE_BOOL ? v.b : v.i; }
static inline double value_as_float(struct value v) {
    return v.type == VALUE_FLOAT ? v.f : (double)value_as_int(v);
}
static inline bool value_is(struct value v, const char *text) { /* a string with this text */
    return v.type == VALUE_STR && v.len == __builtin_strlen(text) && __builtin_memcmp(v.s, text, v.len) == 0;
}

/* New and empty; type is LIST, TUPLE or ITER, and DICT or NAMESPACE. */
struct value value_list_new(struct eval *ev, enum value_type type, uint32_t cap);
struct value value_dict_new(struct eval *ev, enum value_type type);
void value_push(struct eval *ev, struct value list, struct value v);
struct value value_pair_new(struct eval *ev, struct value a, struct value b); /* a tuple */

/* Sets or replaces; fails when the key cannot be one. */
void value_put(struct eval *ev, struct value_dict *d, struct value key, struct value v);
/* The value's place, or NULL. */
struct value *value_get(struct eval *ev, const struct value_dict *d, struct value key);

bool value_true(struct value v);
bool value_equal(struct eval *ev, struct value a, struct value b);
/* Less than zero, zero, more; fails where Python has no order. op is named in the message ("<"). */
int value_compare(struct eval *ev, struct value a, struct value b, const char *op);
bool value_contains(struct eval *ev, struct value all, struct value one);
/* What Python calls the type: "str", "dict"... */
const char *value_type_name(struct value v);

/* The items of anything that can be iterated, as a list (strings by character, dicts by key); fails otherwise. */
const struct value_list *value_items(struct eval *ev, struct value v);
bool value_can_iterate(struct value v);
/* len(v); fails where there is none. */
int64_t value_len(struct eval *ev, struct value v);

/* str(v) as a value: a string is itself. */
struct value value_to_str(struct eval *ev, struct value v);
