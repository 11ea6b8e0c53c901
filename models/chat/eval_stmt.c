/* Statements: what writes, loops and assigns. */
#include <string.h>

#include "models/chat/eval.h"
#include "models/chat/print.h"

static enum eval_flow run_body(struct eval *ev, struct scope *s, const struct node *body);

static enum eval_flow run_if(struct eval *ev, struct scope *s, const struct node *n) {
    for (;; n = n->other) {
        if (value_true(eval_expr(ev, s, n->a))) return run_body(ev, s, n->body);
        if (!n->flag) return run_body(ev, s, n->other);
    }
}

/* The items that pass "if" of a loop; its test sees the target, but not the loop. */
static const struct value_list *passing(struct eval *ev, struct scope *s, const struct node *n,
                                        const struct value_list *all) {
    if (!n->c) return all;
    struct scope inner = {.parent = s};
    struct value kept = value_list_new(ev, VALUE_LIST, 0);
    for (uint32_t i = 0; i < all->n; i++) {
        eval_assign(ev, &inner, n->a, all->item[i]);
        if (value_true(eval_expr(ev, &inner, n->c))) value_push(ev, kept, all->item[i]);
    }
    return kept.list;
}

static void run_loop(struct eval *ev, struct scope *s, const struct node *n, struct value over, uint32_t depth0) {
    struct value_loop *loop = eval_alloc(ev, sizeof *loop);
    struct scope *inner = eval_alloc(ev, sizeof *inner);
    *loop =
        (struct value_loop){.node = n, .items = passing(ev, s, n, value_items(ev, over)), .depth0 = depth0, .scope = s};
    inner->parent = s;
    for (; loop->i < loop->items->n; loop->i++) {
        eval_charge(ev, 1);
        inner->n = 0;
        eval_set(ev, inner, NAME_LOOP, (struct value){.type = VALUE_LOOP, .loop = loop});
        eval_assign(ev, inner, n->a, loop->items->item[loop->i]);
        if (run_body(ev, inner, n->body) == FLOW_BREAK) break;
    }
    inner->n = 0;
    if (!loop->items->n) run_body(ev, inner, n->other);
}

static void run_for(struct eval *ev, struct scope *s, const struct node *n) {
    struct value over = eval_expr(ev, s, n->b);
    ev->pos = n->pos;
    run_loop(ev, s, n, over, 0);
}

struct value eval_loop_again(struct eval *ev, const struct value_loop *outer, struct value items) {
    struct eval_out o = {0}, *around = ev->out;
    if (!outer->node->flag) eval_fail(ev, ERR_FORMAT, "only a loop marked 'recursive' can be called");
    eval_enter(ev);
    ev->out = &o;
    run_loop(ev, outer->scope, outer->node, items, outer->depth0 + 1);
    ev->out = around;
    ev->depth--;
    return eval_out_value(&o);
}

struct value eval_capture(struct eval *ev, struct scope *s, const struct node *body) {
    struct eval_out o = {0}, *around = ev->out;
    ev->out = &o;
    run_body(ev, s, body);
    ev->out = around;
    return eval_out_value(&o);
}

static struct scope *scope_new(struct eval *ev, struct scope *parent) {
    struct scope *s = eval_alloc(ev, sizeof *s);
    s->parent = parent;
    return s;
}

static void run_set_block(struct eval *ev, struct scope *s, const struct node *n) {
    struct scope *inner = scope_new(ev, s);
    struct value v = eval_capture(ev, inner, n->body);
    eval_assign(ev, s, n->a, eval_filters(ev, inner, n->b, v));
}

static void run_filter_block(struct eval *ev, struct scope *s, const struct node *n) {
    struct scope *inner = scope_new(ev, s);
    struct value v = eval_capture(ev, inner, n->body);
    print_str(ev, ev->out, eval_filters(ev, inner, n->b, v));
}

static struct value macro_new(struct eval *ev, struct scope *s, const struct node *n) {
    struct value_macro *m = eval_alloc(ev, sizeof *m);
    *m = (struct value_macro){n, s};
    return (struct value){.type = VALUE_MACRO, .macro = m};
}

static void run_call_block(struct eval *ev, struct scope *s, const struct node *n) {
    struct value callee = eval_expr(ev, s, n->a->a);
    struct args args = eval_args(ev, s, n->a->args);
    struct value_pair *kw = eval_alloc(ev, ((size_t)args.n_kw + 1) * sizeof *kw);
    if (args.n_kw) memcpy(kw, args.kw, args.n_kw * sizeof *kw);
    kw[args.n_kw++] = (struct value_pair){VALUE_LIT("caller"), macro_new(ev, s, n)};
    args.kw = kw;
    ev->pos = n->pos;
    print_str(ev, ev->out, eval_call(ev, callee, &args));
}

static enum eval_flow run_with(struct eval *ev, struct scope *s, const struct node *n) {
    struct scope *inner = scope_new(ev, s);
    for (uint32_t i = 0; i < n->n; i++) eval_assign(ev, inner, n->kid[2 * i], eval_expr(ev, s, n->kid[2 * i + 1]));
    return run_body(ev, inner, n->body);
}

static void run_print(struct eval *ev, struct scope *s, const struct node *n) {
    struct value v = eval_expr(ev, s, n->a);
    ev->pos = n->pos;
    print_str(ev, ev->out, v);
}

static enum eval_flow run_statement(struct eval *ev, struct scope *s, const struct node *n) {
    switch ((enum node_type)n->type) {
    case NODE_DATA: eval_put(ev, ev->out, n->value.s, n->value.len); break;
    case NODE_PRINT: run_print(ev, s, n); break;
    case NODE_IF: return run_if(ev, s, n);
    case NODE_FOR: run_for(ev, s, n); break;
    case NODE_SET: {
        struct value v = eval_expr(ev, s, n->b);
        eval_assign(ev, s, n->a, v);
        break;
    }
    case NODE_SET_BLOCK: run_set_block(ev, s, n); break;
    case NODE_MACRO: eval_set(ev, s, n->name, macro_new(ev, s, n)); break;
    case NODE_CALL_BLOCK: run_call_block(ev, s, n); break;
    case NODE_FILTER_BLOCK: run_filter_block(ev, s, n); break;
    case NODE_WITH: return run_with(ev, s, n);
    case NODE_BREAK: return FLOW_BREAK;
    case NODE_CONTINUE: return FLOW_CONTINUE;
    default: CHECK(!"a statement");
    }
    return FLOW_NEXT;
}

static enum eval_flow run_body(struct eval *ev, struct scope *s, const struct node *body) {
    enum eval_flow flow = FLOW_NEXT;
    eval_enter(ev);
    for (const struct node *n = body; n && flow == FLOW_NEXT; n = n->next) {
        ev->pos = n->pos;
        eval_charge(ev, 1);
        flow = run_statement(ev, s, n);
    }
    ev->depth--;
    return flow;
}

int eval_run(struct eval *ev, struct eval_out *out) {
    if (setjmp(ev->fail)) return ev->e->code;
    ev->out = out;
    run_body(ev, NULL, ev->ast->body);
    return ERR_OK;
}
