/* Expressions, from the loosest binding to the tightest. */
#include <string.h>

#include "models/chat/builtin.h"
#include "models/chat/parse.h"

static struct node *parse_primary(struct parse *p);

static struct node *parse_unary(struct parse *p, bool filters);

static struct node *node_of(struct parse *p, enum node_type type, uint32_t pos, struct node *a, struct node *b) {
    struct node *n = parse_node(p, type, pos);
    n->a = a;
    n->b = b;
    return n;
}

static struct node *node_const(struct parse *p, uint32_t pos, struct value v) {
    struct node *n = parse_node(p, NODE_CONST, pos);
    n->value = v;
    return n;
}

static struct node *node_kids(struct parse *p, enum node_type type, uint32_t pos, const struct node_list *l) {
    struct node *n = parse_node(p, type, pos);
    n->kid = l->node;
    n->n = l->n;
    return n;
}

static struct node *node_binary(struct parse *p, enum node_op op, uint32_t pos, struct node *a, struct node *b) {
    struct node *n = node_of(p, NODE_BINARY, pos, a, b);
    n->op = (uint8_t)op;
    return n;
}

static struct node *parse_pow(struct parse *p) {
    struct node *n = parse_unary(p, true);
    while (p->tok.type == TOK_POW) {
        uint32_t pos = p->tok.pos;
        parse_advance(p);
        n = node_binary(p, OP_POW, pos, n, parse_unary(p, true));
    }
    return n;
}

static struct node *parse_product(struct parse *p) {
    struct node *n = parse_pow(p);
    for (;;) {
        enum node_op op;
        switch (p->tok.type) {
        case TOK_MUL: op = OP_MUL; break;
        case TOK_DIV: op = OP_DIV; break;
        case TOK_FLOORDIV: op = OP_FLOORDIV; break;
        case TOK_MOD: op = OP_MOD; break;
        default: return n;
        }
        uint32_t pos = p->tok.pos;
        parse_advance(p);
        n = node_binary(p, op, pos, n, parse_pow(p));
    }
}

static struct node *parse_concat(struct parse *p) {
    struct node_list l = {0};
    uint32_t pos = p->tok.pos;
    parse_push(p, &l, parse_product(p));
    while (parse_skip(p, TOK_TILDE)) parse_push(p, &l, parse_product(p));
    return l.n == 1 ? l.node[0] : node_kids(p, NODE_CONCAT, pos, &l);
}

static struct node *parse_sum(struct parse *p) {
    struct node *n = parse_concat(p);
    while (p->tok.type == TOK_ADD || p->tok.type == TOK_SUB) {
        enum node_op op = p->tok.type == TOK_ADD ? OP_ADD : OP_SUB;
        uint32_t pos = p->tok.pos;
        parse_advance(p);
        n = node_binary(p, op, pos, n, parse_concat(p));
    }
    return n;
}

static bool compare_op(struct parse *p, uint8_t *op) {
    static const uint8_t ops[] = {[TOK_EQ] = OP_EQ, [TOK_NE] = OP_NE, [TOK_LT] = OP_LT,
                                  [TOK_LE] = OP_LE, [TOK_GT] = OP_GT, [TOK_GE] = OP_GE};
    if (p->tok.type >= TOK_EQ && p->tok.type <= TOK_GE) {
        *op = ops[p->tok.type];
    } else if (parse_is_name(&p->tok, "in")) {
        *op = OP_IN;
    } else if (parse_is_name(&p->tok, "not") && parse_is_name(parse_peek(p), "in")) {
        parse_advance(p);
        *op = OP_NOT_IN;
    } else {
        return false;
    }
    parse_advance(p);
    return true;
}

static struct node *parse_compare(struct parse *p) {
    struct node_list l = {0};
    uint32_t pos = p->tok.pos;
    uint8_t ops[32];
    parse_push(p, &l, parse_sum(p));
    for (uint32_t n = 0; compare_op(p, &ops[n]); n++) {
        if (n + 1 == sizeof ops) lex_fail(&p->lex, pos, "more than %zu comparisons in a row", sizeof ops - 1);
        parse_push(p, &l, parse_sum(p));
    }
    if (l.n == 1) return l.node[0];
    struct node *n = node_kids(p, NODE_COMPARE, pos, &l);
    n->ops = parse_alloc(p, l.n);
    memcpy(n->ops, ops, l.n - 1);
    return n;
}

static struct node *parse_not(struct parse *p) {
    uint32_t pos = p->tok.pos;
    if (!parse_is_name(&p->tok, "not")) return parse_compare(p);
    parse_advance(p);
    parse_enter(p);
    struct node *n = node_of(p, NODE_NOT, pos, parse_not(p), NULL);
    p->depth--;
    return n;
}

static struct node *parse_and(struct parse *p) {
    struct node *n = parse_not(p);
    for (uint32_t pos = p->tok.pos; parse_skip_name(p, "and"); pos = p->tok.pos)
        n = node_of(p, NODE_AND, pos, n, parse_not(p));
    return n;
}

static struct node *parse_or(struct parse *p) {
    struct node *n = parse_and(p);
    for (uint32_t pos = p->tok.pos; parse_skip_name(p, "or"); pos = p->tok.pos)
        n = node_of(p, NODE_OR, pos, n, parse_and(p));
    return n;
}

struct node *parse_expr(struct parse *p) {
    parse_enter(p);
    struct node *n = parse_or(p);
    for (uint32_t pos = p->tok.pos; parse_skip_name(p, "if"); pos = p->tok.pos) {
        struct node *test = parse_or(p);
        n = node_of(p, NODE_COND, pos, test, n);
        if (parse_skip_name(p, "else")) n->c = parse_expr(p);
    }
    p->depth--;
    return n;
}

static bool is_tuple_end(const struct parse *p, const char *stop) {
    return p->tok.type == TOK_PRINT_END || p->tok.type == TOK_BLOCK_END || p->tok.type == TOK_RPAREN ||
           (stop && parse_is_name(&p->tok, stop));
}

struct node *parse_tuple(struct parse *p, bool no_cond, const char *stop) {
    struct node_list l = {0};
    uint32_t pos = p->tok.pos;
    bool comma = false;
    parse_enter(p);
    while (!is_tuple_end(p, stop)) {
        parse_push(p, &l, no_cond ? parse_or(p) : parse_expr(p));
        if (!parse_skip(p, TOK_COMMA)) break;
        comma = true;
    }
    p->depth--;
    if (!l.n) parse_fail_unexpected(p, "an expression");
    return comma ? node_kids(p, NODE_TUPLE, pos, &l) : l.node[0];
}

static struct node *parse_one_target(struct parse *p, bool attr) {
    if (p->tok.type != TOK_NAME) { /* the nested tuple of "for a, (b, c) in" */
        parse_expect(p, TOK_LPAREN);
        parse_enter(p);
        struct node *n = parse_target(p, false, NULL);
        p->depth--;
        parse_expect(p, TOK_RPAREN);
        return n;
    }
    struct node *n = parse_primary(p);
    if (n->type != NODE_NAME) lex_fail(&p->lex, n->pos, "only names can be assigned to");
    if (!attr || !parse_skip(p, TOK_DOT)) return n;
    struct token name = parse_expect(p, TOK_NAME);
    n = node_of(p, NODE_ATTR, n->pos, n, NULL);
    n->value = name.value;
    return n;
}

struct node *parse_target(struct parse *p, bool attr, const char *stop) {
    struct node_list l = {0};
    uint32_t pos = p->tok.pos;
    bool comma = false;
    do {
        if (l.n && (is_tuple_end(p, stop) || p->tok.type == TOK_ASSIGN)) break;
        parse_push(p, &l, parse_one_target(p, attr));
        comma |= p->tok.type == TOK_COMMA;
    } while (parse_skip(p, TOK_COMMA));
    return comma ? node_kids(p, NODE_TUPLE, pos, &l) : l.node[0];
}

static struct node *parse_list(struct parse *p) {
    struct node_list l = {0};
    uint32_t pos = parse_expect(p, TOK_LBRACKET).pos;
    while (p->tok.type != TOK_RBRACKET) {
        parse_push(p, &l, parse_expr(p));
        if (!parse_skip(p, TOK_COMMA)) break;
    }
    parse_expect(p, TOK_RBRACKET);
    return node_kids(p, NODE_LIST, pos, &l);
}

static struct node *parse_dict(struct parse *p) {
    struct node_list l = {0};
    uint32_t pos = parse_expect(p, TOK_LBRACE).pos;
    while (p->tok.type != TOK_RBRACE) {
        parse_push(p, &l, parse_expr(p));
        parse_expect(p, TOK_COLON);
        parse_push(p, &l, parse_expr(p));
        if (!parse_skip(p, TOK_COMMA)) break;
    }
    parse_expect(p, TOK_RBRACE);
    struct node *n = node_kids(p, NODE_DICT, pos, &l);
    n->n /= 2;
    return n;
}

/* Strings side by side are one. */
static struct node *parse_strings(struct parse *p) {
    struct token t = p->tok;
    parse_advance(p);
    while (p->tok.type == TOK_STR) {
        char *both = parse_alloc(p, (size_t)t.value.len + p->tok.value.len + 1);
        memcpy(both, t.value.s, t.value.len);
        memcpy(both + t.value.len, p->tok.value.s, p->tok.value.len);
        t.value = value_str(both, (size_t)t.value.len + p->tok.value.len);
        parse_advance(p);
    }
    return node_const(p, t.pos, t.value);
}

static struct node *parse_name(struct parse *p) {
    struct token t = p->tok;
    parse_advance(p);
    if (value_is(t.value, "true") || value_is(t.value, "True")) return node_const(p, t.pos, value_bool(true));
    if (value_is(t.value, "false") || value_is(t.value, "False")) return node_const(p, t.pos, value_bool(false));
    if (value_is(t.value, "none") || value_is(t.value, "None")) return node_const(p, t.pos, value_none());
    struct node *n = parse_node(p, NODE_NAME, t.pos);
    n->name = parse_name_id(p, t.value);
    n->value = t.value;
    if (n->name < N_FIXED_NAMES) p->uses |= (uint8_t)(1u << n->name);
    return n;
}

static struct node *parse_primary(struct parse *p) {
    struct token t = p->tok;
    switch (t.type) {
    case TOK_NAME: return parse_name(p);
    case TOK_STR: return parse_strings(p);
    case TOK_INT: case TOK_FLOAT: parse_advance(p); return node_const(p, t.pos, t.value);
    case TOK_LBRACKET: return parse_list(p);
    case TOK_LBRACE: return parse_dict(p);
    case TOK_LPAREN: break;
    default: parse_fail_unexpected(p, "an expression");
    }
    parse_advance(p);
    if (parse_skip(p, TOK_RPAREN)) return node_kids(p, NODE_TUPLE, t.pos, &(struct node_list){0});
    struct node *n = parse_tuple(p, false, NULL);
    parse_expect(p, TOK_RPAREN);
    return n;
}

static bool slice_part_ends(const struct parse *p) {
    return p->tok.type == TOK_COLON || p->tok.type == TOK_RBRACKET || p->tok.type == TOK_COMMA;
}

static struct node *parse_subscript(struct parse *p) {
    uint32_t pos = p->tok.pos;
    struct node *first = p->tok.type == TOK_COLON ? NULL : parse_expr(p);
    if (!parse_skip(p, TOK_COLON)) return first;
    struct node *n = node_of(p, NODE_SLICE, pos, first, slice_part_ends(p) ? NULL : parse_expr(p));
    if (parse_skip(p, TOK_COLON) && !slice_part_ends(p)) n->c = parse_expr(p);
    return n;
}

static struct node *parse_item(struct parse *p, struct node *of) {
    struct token t = p->tok;
    parse_advance(p);
    if (t.type == TOK_LBRACKET) {
        struct node *n = node_of(p, NODE_ITEM, t.pos, of, parse_subscript(p));
        parse_expect(p, TOK_RBRACKET);
        return n;
    }
    struct token name = p->tok;
    if (name.type != TOK_NAME && name.type != TOK_INT) parse_fail_unexpected(p, "a name or number");
    parse_advance(p);
    if (name.type == TOK_INT) return node_of(p, NODE_ITEM, t.pos, of, node_const(p, name.pos, name.value));
    struct node *n = node_of(p, NODE_ATTR, t.pos, of, NULL);
    n->value = name.value;
    return n;
}

static void push_kw(struct parse *p, struct node_args *a, struct node_list *kw) {
    struct value name = p->tok.value;
    parse_advance(p);
    parse_advance(p);
    if ((kw->n & (kw->n - 1)) == 0) { /* full at each power of two */
        struct value *names = parse_alloc(p, (kw->n ? kw->n * 2 : 1) * sizeof *names);
        if (kw->n) memcpy(names, a->kw_name, kw->n * sizeof *names);
        a->kw_name = names;
    }
    a->kw_name[kw->n] = name;
    parse_push(p, kw, parse_expr(p));
}

static const struct node_args *parse_args(struct parse *p) {
    struct node_args *a = parse_alloc(p, sizeof *a);
    struct node_list pos = {0}, kw = {0};
    parse_expect(p, TOK_LPAREN);
    while (p->tok.type != TOK_RPAREN) {
        uint32_t at = p->tok.pos;
        bool ok = !a->star_star;
        if (parse_skip(p, TOK_MUL)) {
            ok = ok && !a->star;
            a->star = parse_expr(p);
        } else if (parse_skip(p, TOK_POW)) {
            a->star_star = parse_expr(p);
        } else if (p->tok.type == TOK_NAME && parse_peek(p)->type == TOK_ASSIGN) {
            push_kw(p, a, &kw);
        } else {
            ok = ok && !a->star && !kw.n;
            parse_push(p, &pos, parse_expr(p));
        }
        if (!ok) lex_fail(&p->lex, at, "this argument is out of order");
        if (!parse_skip(p, TOK_COMMA)) break;
    }
    parse_expect(p, TOK_RPAREN);
    a->pos = pos.node;
    a->n_pos = pos.n;
    a->kw = kw.node;
    a->n_kw = kw.n;
    return a;
}

static struct node *parse_call(struct parse *p, struct node *callee) {
    struct node *n = node_of(p, NODE_CALL, p->tok.pos, callee, NULL);
    n->args = parse_args(p);
    return n;
}

static struct node *parse_postfix(struct parse *p, struct node *n) {
    for (;;) {
        if (p->tok.type == TOK_DOT || p->tok.type == TOK_LBRACKET) n = parse_item(p, n);
        else if (p->tok.type == TOK_LPAREN) n = parse_call(p, n);
        else return n;
    }
}

/* A filter's or test's name; dots belong to it. */
static struct value parse_dotted(struct parse *p) {
    struct token t = parse_expect(p, TOK_NAME);
    while (parse_skip(p, TOK_DOT)) {
        struct token more = parse_expect(p, TOK_NAME);
        t.value.len = more.pos + more.value.len - t.pos;
    }
    return t.value;
}

struct node *parse_filters(struct parse *p, struct node *input, bool inside) {
    struct node *n = input;
    while (inside || p->tok.type == TOK_PIPE) {
        if (!inside) parse_advance(p);
        inside = false;
        n = node_of(p, NODE_FILTER, p->tok.pos, n, NULL);
        n->value = parse_dotted(p);
        n->func = builtin_filter(n->value);
        if (p->tok.type == TOK_LPAREN) n->args = parse_args(p);
    }
    return n;
}

static bool begins_test_arg(const struct parse *p) {
    switch (p->tok.type) {
    case TOK_NAME:
        return !parse_is_name(&p->tok, "else") && !parse_is_name(&p->tok, "or") && !parse_is_name(&p->tok, "and");
    case TOK_STR: case TOK_INT: case TOK_FLOAT: case TOK_LBRACKET: case TOK_LBRACE: return true;
    default: return false;
    }
}

static struct node *parse_test(struct parse *p, struct node *of) {
    uint32_t pos = p->tok.pos;
    parse_advance(p);
    bool negated = parse_skip_name(p, "not");
    struct node *n = node_of(p, NODE_TEST, pos, of, NULL);
    n->value = parse_dotted(p);
    n->func = builtin_test(n->value);
    if (p->tok.type == TOK_LPAREN) {
        n->args = parse_args(p);
    } else if (begins_test_arg(p)) {
        if (parse_is_name(&p->tok, "is")) lex_fail(&p->lex, p->tok.pos, "tests cannot be chained with 'is'");
        struct node_list l = {0};
        struct node_args *a = parse_alloc(p, sizeof *a);
        parse_push(p, &l, parse_postfix(p, parse_primary(p)));
        a->pos = l.node;
        a->n_pos = 1;
        n->args = a;
    }
    return negated ? node_of(p, NODE_NOT, pos, n, NULL) : n;
}

static struct node *parse_unary(struct parse *p, bool filters) {
    uint32_t pos = p->tok.pos;
    enum token_type sign = p->tok.type;
    struct node *n;
    parse_enter(p);
    if (sign == TOK_SUB || sign == TOK_ADD) {
        parse_advance(p);
        n = node_of(p, sign == TOK_SUB ? NODE_NEG : NODE_POS, pos, parse_unary(p, false), NULL);
    } else {
        n = parse_primary(p);
    }
    n = parse_postfix(p, n);
    while (filters) {
        if (p->tok.type == TOK_PIPE) n = parse_filters(p, n, false);
        else if (parse_is_name(&p->tok, "is")) n = parse_test(p, n);
        else if (p->tok.type == TOK_LPAREN) n = parse_call(p, n);
        else break;
    }
    p->depth--;
    return n;
}
