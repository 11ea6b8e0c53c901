/* Calls: arguments, and how functions, methods and macros take them. */
#include <string.h>

#include "models/chat/eval.h"
#include "models/chat/text.h"

#define SHOWN(v) (int)text_offset((v).s, (v).len, 40), (v).s

static void add_star(struct eval *ev, struct args *a, struct value more) {
    const struct value_list *l = value_items(ev, more);
    struct value *pos = eval_alloc(ev, ((size_t)a->n_pos + l->n + 1) * sizeof *pos);
    if (a->n_pos) memcpy(pos, a->pos, a->n_pos * sizeof *pos);
    if (l->n) memcpy(pos + a->n_pos, l->item, l->n * sizeof *pos);
    a->pos = pos;
    a->n_pos += l->n;
}

static void add_star_star(struct eval *ev, struct args *a, struct value more) {
    eval_need(ev, more);
    if (more.type != VALUE_DICT) eval_fail(ev, ERR_FORMAT, "'**' needs a dict, not '%s'", value_type_name(more));
    struct value_pair *kw = eval_alloc(ev, ((size_t)a->n_kw + more.dict->n + 1) * sizeof *kw);
    if (a->n_kw) memcpy(kw, a->kw, a->n_kw * sizeof *kw);
    for (uint32_t i = 0; i < more.dict->n; i++) {
        if (more.dict->pair[i].key.type != VALUE_STR) eval_fail(ev, ERR_FORMAT, "the keys of '**' must be strings");
        kw[a->n_kw++] = more.dict->pair[i];
    }
    a->kw = kw;
}

struct args eval_args(struct eval *ev, struct scope *s, const struct node_args *n) {
    struct args a = {0};
    if (!n) return a;
    struct value *pos = n->n_pos ? eval_alloc(ev, n->n_pos * sizeof *pos) : NULL;
    struct value_pair *kw = n->n_kw ? eval_alloc(ev, n->n_kw * sizeof *kw) : NULL;
    for (uint32_t i = 0; i < n->n_pos; i++) pos[i] = eval_expr(ev, s, n->pos[i]);
    for (uint32_t i = 0; i < n->n_kw; i++) kw[i] = (struct value_pair){n->kw_name[i], eval_expr(ev, s, n->kw[i])};
    a = (struct args){.pos = pos, .kw = kw, .n_pos = n->n_pos, .n_kw = n->n_kw};
    if (n->star) add_star(ev, &a, eval_expr(ev, s, n->star));
    if (n->star_star) add_star_star(ev, &a, eval_expr(ev, s, n->star_star));
    return a;
}

/* The position of a name in "a b c", or -1. */
static int param_index(const char *params, struct value name) {
    int i = 0;
    for (const char *p = params; *p; i++) {
        size_t n = strcspn(p, " ");
        if (n == name.len && memcmp(p, name.s, n) == 0) return i;
        p += n + (p[n] == ' ');
    }
    return -1;
}

static uint32_t n_params(const char *params) {
    uint32_t n = *params != 0;
    for (; *params; params++) n += *params == ' ';
    return n;
}

static void bind(struct eval *ev, const struct builtin *f, const struct args *args, struct value *to) {
    uint32_t n = n_params(f->params);
    if (args->n_pos > n) eval_fail(ev, ERR_FORMAT, "'%s' takes at most %u arguments, not %u", f->name, n, args->n_pos);
    for (uint32_t i = 0; i < args->n_pos; i++) to[i] = args->pos[i];
    for (uint32_t i = 0; i < args->n_kw; i++) {
        int at = param_index(f->params, args->kw[i].key);
        if (at < 0) eval_fail(ev, ERR_FORMAT, "'%s' has no parameter '%.*s'", f->name, SHOWN(args->kw[i].key));
        if (builtin_has(to[at])) eval_fail(ev, ERR_FORMAT, "'%s' got '%.*s' twice", f->name, SHOWN(args->kw[i].key));
        to[at] = args->kw[i].value;
    }
    for (uint32_t i = 0; i < f->n_need; i++)
        if (!builtin_has(to[i])) eval_fail(ev, ERR_FORMAT, "'%s' needs at least %u arguments", f->name, f->n_need);
}

struct value eval_apply(struct eval *ev, const struct builtin *f, struct value self, const struct args *args) {
    struct value a[1 + BUILTIN_MAX_PARAMS] = {self};
    if (*f->params != '*') bind(ev, f, args, a + 1);
    eval_enter(ev); /* filters may call filters (map) */
    struct value v = f->run(ev, a, args);
    ev->depth--;
    return v;
}

/* What of a macro's named arguments is not a parameter: caller, and the rest into kwargs. */
static void take_named(struct eval *ev, struct scope *s, const struct node *m, const struct args *args,
                       const bool *used) {
    struct value rest = value_dict_new(ev, VALUE_DICT);
    struct value caller = VALUE_NOTHING("no caller is defined");
    for (uint32_t i = 0; i < args->n_kw; i++) {
        if (used[i]) continue;
        if (value_is(args->kw[i].key, "caller")) {
            caller = args->kw[i].value;
            continue;
        }
        if (!(m->uses & 1u << NAME_KWARGS))
            eval_fail(ev, ERR_FORMAT, "macro '%.*s' has no parameter '%.*s'", SHOWN(m->value), SHOWN(args->kw[i].key));
        value_put(ev, rest.dict, args->kw[i].key, args->kw[i].value);
    }
    bool own = m->type == NODE_MACRO; /* the body of a call block sees the caller around it */
    for (uint32_t i = 0; i < m->n; i++) own = own && m->kid[i]->name != NAME_CALLER;
    if (own) eval_set(ev, s, NAME_CALLER, caller);
    if (m->uses & 1u << NAME_KWARGS) eval_set(ev, s, NAME_KWARGS, rest);
}

static void take_rest(struct eval *ev, struct scope *s, const struct node *m, const struct args *args) {
    bool more = args->n_pos > m->n, takes = m->uses & 1u << NAME_VARARGS;
    if (more && !takes)
        eval_fail(ev, ERR_FORMAT, "macro '%.*s' takes at most %u arguments, not %u", SHOWN(m->value), m->n,
                  args->n_pos);
    if (!takes) return;
    struct value rest = value_list_new(ev, VALUE_TUPLE, more ? args->n_pos - m->n : 0);
    for (uint32_t i = m->n; i < args->n_pos; i++) value_push(ev, rest, args->pos[i]);
    eval_set(ev, s, NAME_VARARGS, rest);
}

/* Parameter i: by position, by name, by default, or undefined. */
static struct value macro_arg(struct eval *ev, struct scope *s, const struct node *m, uint32_t i,
                              const struct args *args, bool *used) {
    if (i < args->n_pos) return args->pos[i];
    for (uint32_t k = 0; k < args->n_kw; k++)
        if (!used[k] && value_equal(ev, args->kw[k].key, m->kid[i]->value)) {
            used[k] = true;
            return args->kw[k].value;
        }
    uint32_t first = m->args ? m->n - m->args->n_pos : m->n; /* with a default */
    if (i >= first) return eval_expr(ev, s, m->args->pos[i - first]);
    return VALUE_NOTHING("a parameter of the macro was not given");
}

static struct value call_macro(struct eval *ev, const struct value_macro *macro, const struct args *args) {
    const struct node *m = macro->node;
    struct scope *s = eval_alloc(ev, sizeof *s);
    bool *used = eval_alloc(ev, args->n_kw + 1);
    s->parent = macro->scope;
    eval_charge(ev, (uint64_t)m->n * args->n_kw / 8);
    for (uint32_t i = 0; i < m->n; i++) eval_set(ev, s, m->kid[i]->name, macro_arg(ev, s, m, i, args, used));
    take_named(ev, s, m, args, used);
    take_rest(ev, s, m, args);
    return eval_capture(ev, s, m->body);
}

struct value eval_call(struct eval *ev, struct value callee, const struct args *args) {
    struct value v;
    eval_need(ev, callee);
    eval_enter(ev);
    switch (callee.type) {
    case VALUE_FUNC: v = eval_apply(ev, callee.func, (struct value){0}, args); break;
    case VALUE_METHOD: v = eval_apply(ev, callee.bound->func, callee.bound->self, args); break;
    case VALUE_MACRO: v = call_macro(ev, callee.macro, args); break;
    case VALUE_LOOP:
        if (args->n_pos != 1 || args->n_kw) eval_fail(ev, ERR_FORMAT, "loop() takes one argument");
        v = eval_loop_again(ev, callee.loop, args->pos[0]);
        break;
    default: eval_fail(ev, ERR_FORMAT, "'%s' object is not callable", value_type_name(callee));
    }
    ev->depth--;
    return v;
}
