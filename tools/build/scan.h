/* The parts of scan_kernels (see the top of scan_kernels.c).
 *
 * One file is scanned at a time: its tokens and what was found in them are globals that scan() sets anew. Nothing is freed: the program
 * ends soon. Whatever goes wrong prints a sentence and exits with 1. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Bytes that grow (scan_text.c). p is NUL-terminated. */
struct text {
    char *p;
    size_t n, room;
};

void *grow(void *p, size_t bytes); /* realloc that does not fail */
void add(struct text *t, const char *p, size_t n);
void addf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct text read_file(const char *path);
void write_file(const char *path, const struct text *t);
char *copy(const char *p, size_t n);
char *stem_of(const char *path); /* "kernels/rms_norm.metal" -> "rms_norm" */
void c_string(struct text *out, const char *p, size_t n);

/* Tokens (scan_tokens.c). Functions take the index of a significant one; outside of the file nothing is anything. */
enum kind { BLANK, MARKER, NAME, NUMBER, STRING, SIGN };

struct token {
    enum kind kind;
    const char *p;
    size_t n;
    const char *now; /* what is written instead; NULL: itself */
    unsigned line;
    const char *file;
    int pair; /* of a bracket: its partner among significant tokens, else -1 */
};

extern struct token *all, **tok; /* every token; the significant ones */
extern int n_all, n_tok;

void tokenize(const char *p);
void match_brackets(void);
void fail(int i, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn)); /* FILE:LINE: error: ... */
bool is(int i, const char *s);
bool is_name(int i);
char *word(int i);
void blank(int from, int to);
/* i is "<": the index of its ">". Comparisons do not occur where this is used. */
int angle_end(int i);
/* i is "[[": the index of the last "]"; else -1. */
int attribute_end(int i);
/* The argument of attribute `name` within the list that starts at i: "" when it has none, NULL when it is not there. */
char *attribute(int i, const char *name);

/* What the scan finds (scan_find.c). */
struct binding {
    char *attribute, *index, *name;
};

struct function {
    char *name, *self; /* self: with its own template arguments, "f<T, N>" */
    unsigned line;
    char *max_threads;
    struct binding binding[64];
    int n_binding, n_variable;
    bool is_template;
};

struct instance {
    char *host_name, *function; /* "f<half>" */
    struct function *of;
    unsigned line;
};

struct constant {
    char *type, *name, *index;
};

extern struct instance instances[];
extern struct constant constants[];
extern int n_instance, n_constant;

/* Everything that is known of a file, from its expanded text. */
void scan(const char *expanded, const char *stem);
bool is_type(int i);

/* Commands with a file of their own. */
int command_text(const char *path, const char *to);
int command_soft(char **v);
