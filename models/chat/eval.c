/* Expressions, scopes, and the ground of the interpreter. */
#include "models/chat/eval.h"

#include <string.h>

#include "models/chat/lex.h"
#include "models/chat/ops.h"
#include "models/chat/print.h"
#include "models/chat/text.h"

#define MAX_DEPTH 900 /* of nodes inside nodes, macros inside macros, values inside values */
#define NOINLINE __attribute__((noinline)) /* keeps the frame of eval_expr, which recurs, small */

_Noreturn void eval_fail(struct eval *ev, int code, const char *fmt, ...) {
    char text[400];
    uint32_t line, column;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lex_place(ev->ast->source, ev->pos, &line, &column);
    err_set(ev->e, code, "line %u, column %u: %s", line, column, text);
    longjmp(ev->fail, 1);
}

_Noreturn void eval_fail_undefined(struct eval *ev, struct value v) {
    int n = (int)text_offset(v.s, v.len, 80);
    struct value of = {.type = v.of};
    if (v.flags & VALUE_SENTENCE) eval_fail(ev, ERR_FORMAT, "%.*s", n, v.s);
    if (v.flags & VALUE_UNSAFE)
        eval_fail(ev, ERR_FORMAT, "access to '%.*s' of a '%s' is not allowed in a template", n, v.s,
                  value_type_name(of));
    if (v.of) eval_fail(ev, ERR_FORMAT, "'%s' has no attribute '%.*s'", value_type_name(of), n, v.s);
    eval_fail(ev, ERR_FORMAT, "'%.*s' is undefined", n, v.s);
}

void eval_charge(struct eval *ev, uint64_t steps) {
    if (steps > ev->steps_left) eval_fail(ev, ERR_LIMIT, "the template takes too many steps; it may not end");
    ev->steps_left -= steps;
}

void *eval_alloc(struct eval *ev, size_t size_bytes) {
    eval_charge(ev, size_bytes / 64);
    void *p = arena_alloc(ev->arena, size_bytes);
    if (!p)
        eval_fail(ev, ERR_LIMIT, "the template needs more than its share of memory (%zu MB)",
                  ev->arena->limit_bytes >> 20);
    return p;
}

void eval_enter(struct eval *ev) {
    if (++ev->depth > MAX_DEPTH) eval_fail(ev, ERR_LIMIT, "nested deeper than %d levels", MAX_DEPTH);
}

void eval_put(struct eval *ev, struct eval_out *o, const char *p, size_t n) {
    if (n > o->cap - o->n) {
        size_t cap = o->cap ? o->cap * 2 : 64;
        while (cap - o->n < n) cap *= 2;
        if (cap > UINT32_MAX) eval_fail(ev, ERR_LIMIT, "the template writes more than 4 GB");
        char *wider = eval_alloc(ev, cap);
        if (o->n) memcpy(wider, o->p, o->n);
        o->p = wider;
        o->cap = cap;
    }
    if (n >= 64) eval_charge(ev, n / 64);
    if (n) memcpy(o->p + o->n, p, n);
    o->n += n;
}

/* NULL: no such variable. */
static struct value *find(struct eval *ev, struct scope *s, uint32_t name) {
    for (; s; s = s->parent) {
        if (s->n > 8) eval_charge(ev, s->n / 8);
        for (uint32_t i = 0; i < s->n; i++)
            if (s->var[i].name == name) return &s->var[i].value;
    }
    return ev->root[name].type == VALUE_MISSING ? NULL : &ev->root[name];
}

void eval_set(struct eval *ev, struct scope *s, uint32_t name, struct value v) {
    if (!s) {
        ev->root[name] = v;
        return;
    }
    for (uint32_t i = 0; i < s->n; i++)
        if (s->var[i].name == name) {
            s->var[i].value = v;
            return;
        }
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4;
        struct scope_var *wider = eval_alloc(ev, s->cap * sizeof *wider);
        if (s->n) memcpy(wider, s->var, s->n * sizeof *wider);
        s->var = wider;
    }
    s->var[s->n++] = (struct scope_var){name, v};
}

static void assign_tuple(struct eval *ev, struct scope *s, const struct node *target, struct value v) {
    const struct value_list *items = value_items(ev, v);
    if (items->n != target->n)
        eval_fail(ev, ERR_FORMAT, "%u values for %u names", items->n, target->n);
    for (uint32_t i = 0; i < target->n; i++) eval_assign(ev, s, target->kid[i], items->item[i]);
}

void eval_assign(struct eval *ev, struct scope *s, const struct node *target, struct value v) {
    ev->pos = target->pos;
    if (target->type == NODE_NAME) {
        eval_set(ev, s, target->name, v);
    } else if (target->type == NODE_TUPLE) {
        assign_tuple(ev, s, target, v);
    } else {
        struct value *ns = find(ev, s, target->a->name);
        if (!ns || ns->type != VALUE_NAMESPACE) eval_fail(ev, ERR_FORMAT, "attributes can only be set on a namespace");
        value_put(ev, ns->dict, target->value, v);
    }
}

static NOINLINE struct value method_of(struct eval *ev, struct value v, struct value name) {
    const struct builtin *m = builtin_method(v, name);
    if (!m) {
        struct value u = value_undefined(v.type, name.s, name.len);
        bool dunder = name.len > 4 && memcmp(name.s, "__", 2) == 0 && memcmp(name.s + name.len - 2, "__", 2) == 0;
        if (dunder || builtin_is_forbidden(v, name)) u.flags = VALUE_UNSAFE;
        return u;
    }
    struct value_bound *b = eval_alloc(ev, sizeof *b);
    *b = (struct value_bound){v, m};
    return (struct value){.type = VALUE_METHOD, .bound = b};
}

static NOINLINE struct value loop_attr(struct eval *ev, const struct value_loop *l, struct value name) {
    uint32_t n = l->items->n, i = l->i;
    if (value_is(name, "index")) return value_int((int64_t)i + 1);
    if (value_is(name, "index0")) return value_int(i);
    if (value_is(name, "first")) return value_bool(i == 0);
    if (value_is(name, "last")) return value_bool(i + 1 == n);
    if (value_is(name, "length")) return value_int(n);
    if (value_is(name, "revindex")) return value_int((int64_t)n - i);
    if (value_is(name, "revindex0")) return value_int((int64_t)n - i - 1);
    if (value_is(name, "depth")) return value_int((int64_t)l->depth0 + 1);
    if (value_is(name, "depth0")) return value_int(l->depth0);
    if (value_is(name, "previtem")) return i ? l->items->item[i - 1] : VALUE_NOTHING("there is no previous item");
    if (value_is(name, "nextitem")) return i + 1 < n ? l->items->item[i + 1] : VALUE_NOTHING("there is no next item");
    return method_of(ev, (struct value){.type = VALUE_LOOP, .loop = (struct value_loop *)l}, name);
}

static struct value macro_attr(const struct value_macro *m, struct value name) {
    if (value_is(name, "name")) return m->node->value;
    return value_undefined(VALUE_MACRO, name.s, name.len);
}

struct value eval_attr(struct eval *ev, struct value v, struct value name) {
    eval_need(ev, v);
    if (v.type == VALUE_LOOP) return loop_attr(ev, v.loop, name);
    if (v.type == VALUE_MACRO) return macro_attr(v.macro, name);
    if (v.type == VALUE_TUPLE && v.flags & VALUE_GROUP) {
        if (value_is(name, "grouper")) return v.list->item[0];
        if (value_is(name, "list")) return v.list->item[1];
    }
    struct value m = v.type == VALUE_NAMESPACE ? value_undefined(v.type, name.s, name.len) : method_of(ev, v, name);
    if (m.type != VALUE_UNDEFINED || m.flags || (v.type != VALUE_DICT && v.type != VALUE_NAMESPACE)) return m;
    const struct value *at = value_get(ev, v.dict, name);
    return at ? *at : m;
}

static struct value item_at(struct value v, int64_t i) {
    if (i < 0) i += v.list->n;
    return i >= 0 && i < v.list->n ? v.list->item[i] : VALUE_NOTHING("the list has no element at that position");
}

static NOINLINE struct value char_at(struct eval *ev, struct value v, int64_t i) {
    int64_t n = value_len(ev, v);
    if (i < 0) i += n;
    if (i < 0 || i >= n) return VALUE_NOTHING("the string has no character at that position");
    return ops_slice(ev, v, value_int(i), value_int(i + 1), (struct value){0});
}

static struct value item(struct eval *ev, struct value v, struct value key) {
    eval_need(ev, v);
    bool dict = v.type == VALUE_DICT || v.type == VALUE_NAMESPACE;
    if (dict && key.type != VALUE_LIST && key.type != VALUE_DICT) {
        const struct value *at = value_get(ev, v.dict, key);
        if (at) return *at;
    }
    if (value_is_int(key)) {
        if (v.type == VALUE_STR) return char_at(ev, v, value_as_int(key));
        if (value_is_list(v) || (v.type == VALUE_ITER && v.flags & VALUE_RANGE)) return item_at(v, value_as_int(key));
    }
    if (key.type == VALUE_STR && v.type == VALUE_DICT) return method_of(ev, v, key);
    if (key.type == VALUE_STR) return eval_attr(ev, v, key);
    return VALUE_NOTHING("there is no such element");
}

struct value eval_path(struct eval *ev, struct value v, struct value path) {
    if (path.type != VALUE_STR) return item(ev, v, path);
    while (true) {
        const char *dot = memchr(path.s, '.', path.len);
        struct value part = value_str(path.s, dot ? (size_t)(dot - path.s) : path.len);
        int64_t number = 0;
        bool digits = part.len > 0 && part.len < 10;
        for (uint32_t i = 0; i < part.len && digits; i++) {
            digits = part.s[i] >= '0' && part.s[i] <= '9';
            number = number * 10 + (part.s[i] - '0');
        }
        v = item(ev, v, digits ? value_int(number) : part);
        if (!dot) return v;
        path.s = dot + 1;
        path.len -= part.len + 1;
    }
}

static struct value eval_or_missing(struct eval *ev, struct scope *s, const struct node *n) {
    return n ? eval_expr(ev, s, n) : (struct value){0};
}

static NOINLINE struct value expr_item(struct eval *ev, struct scope *s, const struct node *n) {
    struct value v = eval_expr(ev, s, n->a);
    if (n->b->type != NODE_SLICE) {
        struct value key = eval_expr(ev, s, n->b);
        ev->pos = n->pos;
        return item(ev, v, key);
    }
    struct value start = eval_or_missing(ev, s, n->b->a);
    struct value stop = eval_or_missing(ev, s, n->b->b);
    struct value step = eval_or_missing(ev, s, n->b->c);
    ev->pos = n->pos;
    eval_need(ev, v);
    return ops_slice(ev, v, start, stop, step);
}

static NOINLINE struct value expr_list(struct eval *ev, struct scope *s, const struct node *n) {
    struct value l = value_list_new(ev, n->type == NODE_TUPLE ? VALUE_TUPLE : VALUE_LIST, n->n);
    for (uint32_t i = 0; i < n->n; i++) value_push(ev, l, eval_expr(ev, s, n->kid[i]));
    return l;
}

static NOINLINE struct value expr_dict(struct eval *ev, struct scope *s, const struct node *n) {
    struct value d = value_dict_new(ev, VALUE_DICT);
    for (uint32_t i = 0; i < n->n; i++) {
        struct value key = eval_expr(ev, s, n->kid[2 * i]);
        struct value v = eval_expr(ev, s, n->kid[2 * i + 1]);
        ev->pos = n->pos;
        value_put(ev, d.dict, key, v);
    }
    return d;
}

static NOINLINE struct value expr_compare(struct eval *ev, struct scope *s, const struct node *n) {
    struct value a = eval_expr(ev, s, n->kid[0]);
    bool holds = true;
    for (uint32_t i = 0; holds && i + 1 < n->n; i++) {
        struct value b = eval_expr(ev, s, n->kid[i + 1]);
        ev->pos = n->pos;
        holds = ops_compare(ev, n->ops[i], a, b);
        a = b;
    }
    return value_bool(holds);
}

static NOINLINE struct value expr_concat(struct eval *ev, struct scope *s, const struct node *n) {
    struct eval_out o = {0};
    for (uint32_t i = 0; i < n->n; i++) print_str(ev, &o, eval_expr(ev, s, n->kid[i]));
    return eval_out_value(&o);
}

static NOINLINE struct value expr_binary(struct eval *ev, struct scope *s, const struct node *n) {
    struct value a = eval_expr(ev, s, n->a);
    struct value b = eval_expr(ev, s, n->b);
    ev->pos = n->pos;
    return ops_binary(ev, n->op, a, b);
}

static NOINLINE struct value expr_call(struct eval *ev, struct scope *s, const struct node *n) {
    struct value callee = eval_expr(ev, s, n->a);
    struct args args = eval_args(ev, s, n->args);
    ev->pos = n->pos;
    return eval_call(ev, callee, &args);
}

/* n: a FILTER or TEST, applied to v. */
static NOINLINE struct value apply_node(struct eval *ev, struct scope *s, const struct node *n, struct value v) {
    struct args args = eval_args(ev, s, n->args);
    ev->pos = n->pos;
    if (!n->func)
        eval_fail(ev, ERR_FORMAT, "there is no %s '%.*s'", n->type == NODE_TEST ? "test" : "filter",
                  (int)text_offset(n->value.s, n->value.len, 40), n->value.s);
    return eval_apply(ev, n->func, v, &args);
}

struct value eval_filters(struct eval *ev, struct scope *s, const struct node *chain, struct value input) {
    if (!chain) return input;
    eval_enter(ev);
    input = eval_filters(ev, s, chain->a, input);
    ev->depth--;
    return apply_node(ev, s, chain, input);
}

static NOINLINE struct value expr_sign(struct eval *ev, struct scope *s, const struct node *n) {
    struct value v = eval_expr(ev, s, n->a);
    ev->pos = n->pos;
    if (n->type == NODE_NEG) return ops_negate(ev, v);
    eval_need(ev, v);
    if (!value_is_number(v)) eval_fail(ev, ERR_FORMAT, "'+' needs a number, not '%s'", value_type_name(v));
    return v.type == VALUE_BOOL ? value_int(v.b) : v;
}

static NOINLINE struct value expr_attr(struct eval *ev, struct scope *s, const struct node *n) {
    struct value v = eval_expr(ev, s, n->a);
    ev->pos = n->pos;
    return eval_attr(ev, v, n->value);
}

static NOINLINE struct value expr_name(struct eval *ev, struct scope *s, const struct node *n) {
    const struct value *v = find(ev, s, n->name);
    return v ? *v : value_undefined(0, n->value.s, n->value.len);
}

static struct value expr_choice(struct eval *ev, struct scope *s, const struct node *n) {
    struct value v = eval_expr(ev, s, n->a);
    if (n->type == NODE_NOT) return value_bool(!value_true(v));
    if (n->type == NODE_COND) {
        const struct node *then = value_true(v) ? n->b : n->c;
        return then ? eval_expr(ev, s, then) : VALUE_NOTHING("an 'if' without 'else' gave nothing");
    }
    return value_true(v) == (n->type == NODE_AND) ? eval_expr(ev, s, n->b) : v;
}

static struct value expr_node(struct eval *ev, struct scope *s, const struct node *n) {
    switch ((enum node_type)n->type) {
    case NODE_CONST: return n->value;
    case NODE_NAME: return expr_name(ev, s, n);
    case NODE_TUPLE: case NODE_LIST: return expr_list(ev, s, n);
    case NODE_DICT: return expr_dict(ev, s, n);
    case NODE_ATTR: return expr_attr(ev, s, n);
    case NODE_ITEM: return expr_item(ev, s, n);
    case NODE_CALL: return expr_call(ev, s, n);
    case NODE_FILTER: case NODE_TEST: return apply_node(ev, s, n, eval_expr(ev, s, n->a));
    case NODE_NEG: case NODE_POS: return expr_sign(ev, s, n);
    case NODE_NOT: case NODE_AND: case NODE_OR: case NODE_COND: return expr_choice(ev, s, n);
    case NODE_COMPARE: return expr_compare(ev, s, n);
    case NODE_BINARY: return expr_binary(ev, s, n);
    case NODE_CONCAT: return expr_concat(ev, s, n);
    default: CHECK(!"an expression"); return (struct value){0};
    }
}

struct value eval_expr(struct eval *ev, struct scope *s, const struct node *n) {
    ev->pos = n->pos;
    eval_charge(ev, 1);
    eval_enter(ev);
    struct value v = expr_node(ev, s, n);
    ev->depth--;
    return v;
}
