/* Source to tree (ast.h): Jinja2's grammar with the loop controls and the {% generation %} of Hugging Face.
 *
 * Template inheritance and includes do not exist (there is nothing to load from). Nesting is bounded.
 * Everything lives in the arena. */
#pragma once
#include "models/chat/ast.h"
#include "models/chat/lex.h"

int parse_template(struct arena *a, const char *source, size_t len, struct ast *out, struct err *e);

/* Between parse.c (statements) and parse_expr.c. */
struct parse {
    struct lex lex;
    struct token tok, ahead; /* the current token, and the one behind it when has_ahead */
    bool has_ahead;
    struct ast *ast;
    uint32_t depth, name_cap;
    uint32_t *name_slot, name_mask; /* hash of names to 1 + number */
    uint32_t n_loop;                /* loops around us in this macro */
    uint8_t uses;                   /* fixed names met in this macro */
};

void parse_advance(struct parse *p);
const struct token *parse_peek(struct parse *p); /* the token behind the current one */
bool parse_is_name(const struct token *t, const char *name);
bool parse_skip(struct parse *p, enum token_type type);       /* and moves on, if it is there */
bool parse_skip_name(struct parse *p, const char *name);
struct token parse_expect(struct parse *p, enum token_type type);
_Noreturn void parse_fail_unexpected(struct parse *p, const char *wanted);
void parse_enter(struct parse *p); /* one level deeper, bounded; the caller does p->depth-- */

void *parse_alloc(struct parse *p, size_t size_bytes);
struct node *parse_node(struct parse *p, enum node_type type, uint32_t pos);
uint32_t parse_name_id(struct parse *p, struct value name);

struct node_list { /* of unknown length */
    struct node **node;
    uint32_t n, cap;
};
void parse_push(struct parse *p, struct node_list *l, struct node *n);

struct node *parse_expr(struct parse *p);
/* Expressions between commas, a tuple when there is a comma. no_cond: without "a if b". stop: a name that ends it. */
struct node *parse_tuple(struct parse *p, bool no_cond, const char *stop);
struct node *parse_target(struct parse *p, bool attr, const char *stop); /* what can be assigned to */
struct node *parse_filters(struct parse *p, struct node *input, bool inside); /* inside: the first one has no '|' */
