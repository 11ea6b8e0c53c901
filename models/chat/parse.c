/* Statements, and the parser's ground. */
#include "models/chat/parse.h"

#include <string.h>
#include <xxhash.h>

#include "models/chat/text.h"

#define MAX_DEPTH 150 /* of nested statements and brackets */
#define MAX_SOURCE_BYTES ((size_t)16 << 20)

static struct node *parse_body(struct parse *p, const char *const *ends);

void parse_advance(struct parse *p) {
    p->tok = p->has_ahead ? p->ahead : lex_next(&p->lex);
    p->has_ahead = false;
}

const struct token *parse_peek(struct parse *p) {
    if (!p->has_ahead) p->ahead = lex_next(&p->lex);
    p->has_ahead = true;
    return &p->ahead;
}

bool parse_is_name(const struct token *t, const char *name) {
    return t->type == TOK_NAME && value_is(t->value, name);
}

bool parse_skip(struct parse *p, enum token_type type) {
    if (p->tok.type != type) return false;
    parse_advance(p);
    return true;
}

bool parse_skip_name(struct parse *p, const char *name) {
    if (!parse_is_name(&p->tok, name)) return false;
    parse_advance(p);
    return true;
}

/* As much of a name as an error shows. */
static int clip(struct value name) { return (int)text_offset(name.s, name.len, 40); }

_Noreturn void parse_fail_unexpected(struct parse *p, const char *wanted) {
    if (p->tok.type == TOK_NAME)
        lex_fail(&p->lex, p->tok.pos, "'%.*s' where %s is expected", clip(p->tok.value), p->tok.value.s, wanted);
    lex_fail(&p->lex, p->tok.pos, "%s where %s is expected", lex_token_name(p->tok.type), wanted);
}

struct token parse_expect(struct parse *p, enum token_type type) {
    struct token t = p->tok;
    if (t.type != type) parse_fail_unexpected(p, lex_token_name(type));
    parse_advance(p);
    return t;
}

void parse_enter(struct parse *p) {
    if (++p->depth > MAX_DEPTH) lex_fail(&p->lex, p->tok.pos, "nested deeper than %d levels", MAX_DEPTH);
}

void *parse_alloc(struct parse *p, size_t size_bytes) {
    void *m = arena_alloc(p->lex.arena, size_bytes);
    if (!m) lex_fail(&p->lex, p->tok.pos, "no memory for the template");
    return m;
}

struct node *parse_node(struct parse *p, enum node_type type, uint32_t pos) {
    struct node *n = parse_alloc(p, sizeof *n);
    n->type = (uint8_t)type;
    n->pos = pos;
    return n;
}

void parse_push(struct parse *p, struct node_list *l, struct node *n) {
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4;
        struct node **wider = parse_alloc(p, l->cap * sizeof *wider);
        if (l->n) memcpy(wider, l->node, l->n * sizeof *wider);
        l->node = wider;
    }
    l->node[l->n++] = n;
}

static uint32_t *name_slot(const struct parse *p, struct value name) {
    uint32_t at = (uint32_t)XXH3_64bits(name.s, name.len) & p->name_mask;
    for (;; at = (at + 1) & p->name_mask) {
        uint32_t id = p->name_slot[at];
        const struct value *v = &p->ast->name[id - (id > 0)];
        if (!id || (v->len == name.len && memcmp(v->s, name.s, name.len) == 0)) return &p->name_slot[at];
    }
}

static void widen_names(struct parse *p) {
    struct ast *t = p->ast;
    uint32_t cap = p->name_cap ? p->name_cap * 2 : 64;
    struct value *names = parse_alloc(p, cap * sizeof *names);
    if (t->n_name) memcpy(names, t->name, t->n_name * sizeof *names);
    t->name = names;
    p->name_cap = cap;
    p->name_mask = cap * 2 - 1;
    p->name_slot = parse_alloc(p, (size_t)cap * 2 * sizeof *p->name_slot);
    for (uint32_t i = 0; i < t->n_name; i++) *name_slot(p, names[i]) = i + 1;
}

uint32_t parse_name_id(struct parse *p, struct value name) {
    if (p->ast->n_name == p->name_cap) widen_names(p);
    uint32_t *slot = name_slot(p, name);
    if (!*slot) {
        p->ast->name[p->ast->n_name++] = name;
        *slot = p->ast->n_name;
    }
    return *slot - 1;
}

/* "%}", a body, and the tag that ends it, whose name is one of ends; its tokens behind the name are not read. */
static struct node *parse_block(struct parse *p, const char *const *ends, struct token *end) {
    parse_skip(p, TOK_COLON);
    uint32_t pos = p->tok.pos;
    parse_expect(p, TOK_BLOCK_END);
    parse_enter(p);
    struct node *body = parse_body(p, ends);
    p->depth--;
    if (p->tok.type == TOK_END) lex_fail(&p->lex, pos, "this block is never closed; it needs {%% %s %%}", ends[0]);
    *end = p->tok;
    parse_advance(p);
    return body;
}

static struct node *parse_to_end(struct parse *p, const char *end) {
    struct token t;
    return parse_block(p, (const char *const[]){end, NULL}, &t);
}

/* Behind "if" or "elif". */
static struct node *parse_if(struct parse *p, uint32_t pos) {
    struct node *first = NULL, **link = &first;
    struct token end;
    for (bool more = true; more; pos = end.pos) {
        struct node *n = parse_node(p, NODE_IF, pos);
        n->a = parse_tuple(p, true, NULL);
        n->body = parse_block(p, (const char *const[]){"endif", "elif", "else", NULL}, &end);
        n->flag = more = parse_is_name(&end, "elif");
        *link = n;
        link = &n->other;
    }
    if (parse_is_name(&end, "else")) *link = parse_to_end(p, "endif");
    return first;
}

static struct node *parse_for(struct parse *p, uint32_t pos) {
    struct node *n = parse_node(p, NODE_FOR, pos);
    struct token end;
    n->a = parse_target(p, false, "in");
    if (!parse_skip_name(p, "in")) parse_fail_unexpected(p, "'in'");
    n->b = parse_tuple(p, true, "recursive");
    if (parse_skip_name(p, "if")) n->c = parse_expr(p);
    n->flag = parse_skip_name(p, "recursive");
    p->n_loop++;
    n->body = parse_block(p, (const char *const[]){"endfor", "else", NULL}, &end);
    p->n_loop--;
    if (parse_is_name(&end, "else")) n->other = parse_to_end(p, "endfor");
    return n;
}

static struct node *parse_set(struct parse *p, uint32_t pos) {
    struct node *target = parse_target(p, true, NULL);
    bool block = !parse_skip(p, TOK_ASSIGN);
    struct node *n = parse_node(p, block ? NODE_SET_BLOCK : NODE_SET, pos);
    n->a = target;
    n->b = block ? parse_filters(p, NULL, false) : parse_tuple(p, false, NULL);
    if (block) n->body = parse_to_end(p, "endset");
    return n;
}

/* "(a, b=1)": parameters in kid, the defaults of the last ones in args. */
static void parse_signature(struct parse *p, struct node *n) {
    struct node_list names = {0}, defaults = {0};
    struct node_args *a = parse_alloc(p, sizeof *a);
    parse_expect(p, TOK_LPAREN);
    while (p->tok.type != TOK_RPAREN) {
        if (names.n) parse_expect(p, TOK_COMMA);
        struct token t = parse_expect(p, TOK_NAME);
        struct node *name = parse_node(p, NODE_NAME, t.pos);
        name->name = parse_name_id(p, t.value);
        name->value = t.value;
        parse_push(p, &names, name);
        if (parse_skip(p, TOK_ASSIGN)) parse_push(p, &defaults, parse_expr(p));
        else if (defaults.n) lex_fail(&p->lex, t.pos, "a parameter without a default follows one that has one");
    }
    parse_expect(p, TOK_RPAREN);
    n->kid = names.node;
    n->n = names.n;
    a->pos = defaults.node;
    a->n_pos = defaults.n;
    n->args = a;
}

static struct node *parse_macro_body(struct parse *p, struct node *n, const char *end) {
    uint32_t loops = p->n_loop;
    uint8_t uses = p->uses;
    p->n_loop = 0;
    p->uses = 0;
    n->body = parse_to_end(p, end);
    n->uses = p->uses;
    p->n_loop = loops;
    p->uses = uses;
    return n;
}

static struct node *parse_macro(struct parse *p, uint32_t pos) {
    struct node *n = parse_node(p, NODE_MACRO, pos);
    n->value = parse_expect(p, TOK_NAME).value;
    n->name = parse_name_id(p, n->value);
    parse_signature(p, n);
    return parse_macro_body(p, n, "endmacro");
}

static struct node *parse_call_block(struct parse *p, uint32_t pos) {
    struct node *n = parse_node(p, NODE_CALL_BLOCK, pos);
    n->value = VALUE_LIT("caller");
    n->name = parse_name_id(p, n->value);
    if (p->tok.type == TOK_LPAREN) parse_signature(p, n);
    n->a = parse_expr(p);
    if (n->a->type != NODE_CALL) lex_fail(&p->lex, n->a->pos, "{%% call %%} needs a call");
    return parse_macro_body(p, n, "endcall");
}

static struct node *parse_filter_block(struct parse *p, uint32_t pos) {
    struct node *n = parse_node(p, NODE_FILTER_BLOCK, pos);
    n->b = parse_filters(p, NULL, true);
    n->body = parse_to_end(p, "endfilter");
    return n;
}

static struct node *parse_with(struct parse *p, uint32_t pos) {
    struct node *n = parse_node(p, NODE_WITH, pos);
    struct node_list l = {0};
    while (p->tok.type != TOK_BLOCK_END) {
        parse_push(p, &l, parse_target(p, false, NULL));
        parse_expect(p, TOK_ASSIGN);
        parse_push(p, &l, parse_expr(p));
        if (!parse_skip(p, TOK_COMMA)) break;
    }
    n->kid = l.node;
    n->n = l.n / 2;
    n->body = parse_to_end(p, "endwith");
    return n;
}

static struct node *parse_jump(struct parse *p, enum node_type type, const struct token *tag) {
    if (!p->n_loop) lex_fail(&p->lex, tag->pos, "'%.*s' outside of a loop", clip(tag->value), tag->value.s);
    return parse_node(p, type, tag->pos);
}

/* A block that only groups; a scope of its own, as Jinja has it. */
static struct node *parse_group(struct parse *p, uint32_t pos, const char *end) {
    struct node *n = parse_node(p, NODE_WITH, pos);
    n->body = parse_to_end(p, end);
    return n;
}

static struct node *parse_print(struct parse *p, uint32_t pos, bool tag) {
    struct node *n = parse_node(p, NODE_PRINT, pos);
    n->a = parse_tuple(p, false, NULL);
    if (!tag) parse_expect(p, TOK_PRINT_END);
    return n;
}

static struct node *parse_statement(struct parse *p) {
    struct token t = parse_expect(p, TOK_NAME);
    if (parse_is_name(&t, "if")) return parse_if(p, t.pos);
    if (parse_is_name(&t, "for")) return parse_for(p, t.pos);
    if (parse_is_name(&t, "set")) return parse_set(p, t.pos);
    if (parse_is_name(&t, "macro")) return parse_macro(p, t.pos);
    if (parse_is_name(&t, "call")) return parse_call_block(p, t.pos);
    if (parse_is_name(&t, "filter")) return parse_filter_block(p, t.pos);
    if (parse_is_name(&t, "with")) return parse_with(p, t.pos);
    if (parse_is_name(&t, "print")) return parse_print(p, t.pos, true);
    if (parse_is_name(&t, "break")) return parse_jump(p, NODE_BREAK, &t);
    if (parse_is_name(&t, "continue")) return parse_jump(p, NODE_CONTINUE, &t);
    if (parse_is_name(&t, "generation")) return parse_group(p, t.pos, "endgeneration");
    lex_fail(&p->lex, t.pos, "'%.*s' is not a tag that can stand here", clip(t.value), t.value.s);
}

static bool at_end(const struct parse *p, const char *const *ends) {
    for (; ends && *ends; ends++)
        if (parse_is_name(&p->tok, *ends)) return true;
    return false;
}

/* Up to a tag named in ends (its name is then the current token) or the end of the template. */
static struct node *parse_body(struct parse *p, const char *const *ends) {
    struct node *first = NULL, **link = &first;
    while (p->tok.type != TOK_END) {
        struct token t = p->tok;
        parse_advance(p);
        if (t.type == TOK_DATA) {
            *link = parse_node(p, NODE_DATA, t.pos);
            (*link)->value = t.value;
        } else if (t.type == TOK_PRINT_BEGIN) {
            *link = parse_print(p, t.pos, false);
        } else {
            if (at_end(p, ends)) return first;
            *link = parse_statement(p);
            parse_expect(p, TOK_BLOCK_END);
        }
        link = &(*link)->next;
    }
    return first;
}

static int parse_all(struct parse *p) {
    if (setjmp(p->lex.fail)) return ERR_FORMAT;
    static const char *const fixed[] = {"loop", "caller", "varargs", "kwargs"};
    for (uint32_t i = 0; i < N_FIXED_NAMES; i++) parse_name_id(p, value_str(fixed[i], strlen(fixed[i])));
    parse_advance(p);
    p->ast->body = parse_body(p, NULL);
    return ERR_OK;
}

int parse_template(struct arena *a, const char *source, size_t len, struct ast *out, struct err *e) {
    *out = (struct ast){0};
    if (len > MAX_SOURCE_BYTES) return err_set(e, ERR_LIMIT, "the template has more than %zu bytes", MAX_SOURCE_BYTES);
    if (!text_valid(source, len)) return err_set(e, ERR_FORMAT, "the template is not valid UTF-8");
    out->source = lex_normalize(a, source, len, &out->source_len);
    struct parse *p = arena_alloc(a, sizeof *p);
    if (!out->source || !p) return err_set(e, ERR_NOMEM, "no memory for the template");
    p->lex = (struct lex){.s = out->source, .len = (uint32_t)out->source_len, .arena = a, .e = e, .line_start = true};
    p->ast = out;
    return parse_all(p);
}
