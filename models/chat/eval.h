/* The interpreter: walks the tree (ast.h) and writes text.
 *
 * One struct eval is one rendering: an arena for all that it makes, a budget of steps, of depth and of bytes. What
 * goes wrong fills the error with line and column and leaves by longjmp to eval_run; nothing needs freeing on
 * the way. Costs are charged in steps: one per node, and one per 64 bytes that are written or searched. */
#pragma once
#include <setjmp.h>

#include "models/chat/ast.h"
#include "models/chat/builtin.h"
#include "runtime/arena.h"
#include "runtime/err.h"

struct scope_var {
    uint32_t name;
    struct value value;
};

struct scope { /* the root's variables are in eval.root, its parent is NULL */
    struct scope *parent;
    struct scope_var *var;
    uint32_t n, cap;
};

struct value_loop {
    const struct node *node;
    const struct value_list *items;
    uint32_t i, depth0;
    struct scope *scope; /* around the loop */
    struct value changed; /* what loop.changed saw last */
};

struct value_macro {
    const struct node *node;
    struct scope *scope; /* where it was defined */
};

struct value_bound { /* a method of something */
    struct value self;
    const struct builtin *func;
};

struct eval_out {
    char *p;
    size_t n, cap;
};

struct eval {
    const struct ast *ast;
    struct arena *arena;
    struct err *e;
    jmp_buf fail;
    uint64_t steps_left;
    uint32_t depth;
    uint32_t pos; /* of the node at work, for messages */
    struct value *root; /* by name number */
    struct eval_out *out;
    char *tip, *tip_end; /* behind the newest concatenated string, and the end of its room */
    int64_t now_s;
};

enum eval_flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

_Noreturn void eval_fail(struct eval *ev, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void eval_fail_undefined(struct eval *ev, struct value v);
/* Refuses undefined values, which may be printed, looped over and tested, but not used. */
static inline void eval_need(struct eval *ev, struct value v) {
    if (v.type == VALUE_UNDEFINED) eval_fail_undefined(ev, v);
}
void *eval_alloc(struct eval *ev, size_t size_bytes);
void eval_charge(struct eval *ev, uint64_t steps);
void eval_enter(struct eval *ev); /* one level deeper; the caller does ev->depth-- */

void eval_put(struct eval *ev, struct eval_out *o, const char *p, size_t n);
static inline struct value eval_out_value(const struct eval_out *o) { return value_str(o->p ? o->p : "", o->n); }

struct value eval_expr(struct eval *ev, struct scope *s, const struct node *n);
/* What the body writes, as a string. */
struct value eval_capture(struct eval *ev, struct scope *s, const struct node *body);
struct value eval_loop_again(struct eval *ev, const struct value_loop *outer, struct value items); /* loop(items) */

void eval_set(struct eval *ev, struct scope *s, uint32_t name, struct value v);
void eval_assign(struct eval *ev, struct scope *s, const struct node *target, struct value v);

/* v.name, as Jinja looks it up. */
struct value eval_attr(struct eval *ev, struct value v, struct value name);
/* A path such as "function.name" or a position; what map(attribute=...) follows. */
struct value eval_path(struct eval *ev, struct value v, struct value path);

struct args eval_args(struct eval *ev, struct scope *s, const struct node_args *a);
struct value eval_call(struct eval *ev, struct value callee, const struct args *args);
/* A filter, test or method applied to self. */
struct value eval_apply(struct eval *ev, const struct builtin *f, struct value self, const struct args *args);
/* The input through a chain of filters that begins with NULL. */
struct value eval_filters(struct eval *ev, struct scope *s, const struct node *chain, struct value input);

/* Renders ast->body; on success *out holds the text, in the arena. */
int eval_run(struct eval *ev, struct eval_out *out);
