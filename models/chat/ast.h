/* The parsed template: a tree of nodes in the template's arena, immutable after parsing.
 *
 * Names of variables are numbered (an index of ast.name), so that scopes compare numbers. Places (pos) are
 * offsets in the source whose line ends have been made '\n', as Jinja does before it looks at anything. */
#pragma once
#include "models/chat/value.h"

enum node_type {
    NODE_CONST,   /* value */
    NODE_NAME,    /* name */
    NODE_TUPLE,   /* kid */
    NODE_LIST,    /* kid */
    NODE_DICT,    /* kid: key, value, key, value... */
    NODE_ATTR,    /* a.value */
    NODE_ITEM,    /* a[b] */
    NODE_SLICE,   /* a:b:c, only as b of an ITEM; each may be NULL */
    NODE_CALL,    /* a(args) */
    NODE_FILTER,  /* a | func(args); a is NULL for what a block captured */
    NODE_TEST,    /* a is func(args) */
    NODE_NOT, NODE_NEG, NODE_POS, /* a */
    NODE_AND, NODE_OR,            /* a, b */
    NODE_COND,    /* b if a else c; c may be NULL */
    NODE_COMPARE, /* kid[0] ops[0] kid[1] ops[1] kid[2]... */
    NODE_BINARY,  /* a op b */
    NODE_CONCAT,  /* kid[0] ~ kid[1]... */

    NODE_DATA,         /* value, as it stands */
    NODE_PRINT,        /* a */
    NODE_IF,           /* a: body, else other; flag: other is the IF of an "elif" */
    NODE_FOR,          /* a in b, if c: body, else other; flag: recursive */
    NODE_SET,          /* a = b */
    NODE_SET_BLOCK,    /* a = body through the filters b (or NULL) */
    NODE_MACRO,        /* name, value (its text), kid: parameters (NAME), args->pos: defaults of the last ones */
    NODE_CALL_BLOCK,   /* a: the call; else like MACRO */
    NODE_FILTER_BLOCK, /* body through the filters b */
    NODE_WITH,         /* kid: target, value...; body */
    NODE_BREAK, NODE_CONTINUE,
};

enum node_op {
    OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD, OP_POW,
    OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_NOT_IN,
};

enum { NAME_LOOP, NAME_CALLER, NAME_VARARGS, NAME_KWARGS, N_FIXED_NAMES }; /* names with fixed numbers */

struct node_args {
    struct node **pos;
    uint32_t n_pos, n_kw;
    struct node **kw;
    struct value *kw_name;
    struct node *star, *star_star; /* *list, **dict; or NULL */
};

struct node {
    uint8_t type, op;
    bool flag;
    uint8_t uses;  /* MACRO: bits 1 << NAME_CALLER... of the names that its body mentions */
    uint32_t pos;  /* in the source */
    uint32_t name; /* NAME, MACRO */
    uint32_t n;    /* kids; of a MACRO: parameters; of a DICT and WITH: pairs */
    struct node **kid;
    uint8_t *ops;
    struct value value;
    struct node *a, *b, *c;
    struct node *body, *other, *next; /* statements are chained by next */
    const struct node_args *args;
    const struct builtin *func; /* FILTER, TEST; NULL: unknown, fails when it is reached */
};

struct ast {
    char *source;       /* with '\n' line ends */
    size_t source_len;
    struct node *body;
    struct value *name; /* of variables, by number */
    uint32_t n_name;
};
