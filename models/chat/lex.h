/* Tokens of a template, by the rules of Jinja2's lexer with trim_blocks and lstrip_blocks, which is how Hugging Face
 * renders chat templates: the newline behind a block tag and the blanks before one at the start of a line go away.
 *
 * Line ends become '\n' and one newline at the end of the template is dropped. Failures leave through lex->fail. */
#pragma once
#include <setjmp.h>

#include "models/chat/value.h"
#include "runtime/arena.h"
#include "runtime/err.h"

enum token_type {
    TOK_END, TOK_DATA, TOK_BLOCK_BEGIN, TOK_BLOCK_END, TOK_PRINT_BEGIN, TOK_PRINT_END,
    TOK_NAME, TOK_STR, TOK_INT, TOK_FLOAT,
    TOK_ADD, TOK_SUB, TOK_MUL, TOK_DIV, TOK_FLOORDIV, TOK_MOD, TOK_POW, TOK_TILDE,
    TOK_EQ, TOK_NE, TOK_LT, TOK_LE, TOK_GT, TOK_GE, TOK_ASSIGN,
    TOK_DOT, TOK_COMMA, TOK_COLON, TOK_PIPE,
    TOK_LPAREN, TOK_RPAREN, TOK_LBRACKET, TOK_RBRACKET, TOK_LBRACE, TOK_RBRACE,
};

struct token {
    enum token_type type;
    uint32_t pos;
    struct value value; /* DATA, NAME, STR: the text; INT, FLOAT: the number */
};

struct lex {
    const char *s; /* the whole source */
    uint32_t len, pos;
    struct arena *arena;
    struct err *e;
    jmp_buf fail;
    char closers[256];   /* of the brackets that are open in the tag */
    uint32_t n_closer;
    enum token_type tag; /* what ends the tag that we are in: BLOCK_END, PRINT_END; END outside; DATA: raw text next */
    uint32_t opened;     /* where that tag begins */
    bool begun;          /* its first token was given out */
    bool line_start;     /* what was read so far ends with a newline; true at first */
};

/* Copies the source with its line ends made one. NULL: no memory. */
char *lex_normalize(struct arena *a, const char *source, size_t len, size_t *out_len);
struct token lex_next(struct lex *l);
const char *lex_token_name(enum token_type type); /* for messages: "end of print statement", "':'" */
/* "line 3, column 5" style errors: fills e and jumps to l->fail. */
_Noreturn void lex_fail(struct lex *l, uint32_t pos, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The 1-based line and column (in characters) of a place. */
void lex_place(const char *s, uint32_t pos, uint32_t *line, uint32_t *column);
