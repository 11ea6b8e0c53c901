#include "tools/build/scan.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct token *all, **tok;
int n_all, n_tok;

void fail(int i, const char *fmt, ...) {
    va_list ap;
    if (i >= n_tok) i = n_tok - 1;
    fprintf(stderr, "%s:%u: error: ", n_tok ? tok[i]->file : "?", n_tok ? tok[i]->line : 0);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(1);
}

static bool name_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

static size_t token_length(const char *p, bool line_start, enum kind *kind) {
    const char *q = p;
    if (line_start && *p == '#') return *kind = MARKER, strcspn(p, "\n");
    if (isspace((unsigned char)*p)) return *kind = BLANK, 1;
    if (*p == '"' || *p == '\'') {
        for (q++; *q && *q != *p; q++)
            if (*q == '\\' && q[1]) q++;
        return *kind = STRING, (size_t)(q - p) + (*q != 0);
    }
    if (isdigit((unsigned char)*p) || (*p == '.' && isdigit((unsigned char)p[1]))) {
        bool hex = p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
        for (q++; name_char(*q) || *q == '.' || ((*q == '+' || *q == '-') && strchr(hex ? "pP" : "eE", q[-1])); q++) {}
        return *kind = NUMBER, (size_t)(q - p);
    }
    if (name_char(*p)) {
        while (name_char(*q)) q++;
        return *kind = NAME, (size_t)(q - p);
    }
    return *kind = SIGN, (p[0] == ':' && p[1] == ':') || (p[0] == '-' && p[1] == '>') ? 2 : 1;
}

void tokenize(const char *p) {
    const char *file = "?";
    unsigned line = 1;
    bool line_start = true;
    int room = 0;
    for (; *p; p += all[n_all - 1].n) {
        if (n_all == room) all = grow(all, sizeof *all * (size_t)(room = room * 2 + 1024));
        struct token *t = &all[n_all++];
        *t = (struct token){.p = p, .line = line, .file = file, .pair = -1};
        t->n = token_length(p, line_start, &t->kind);
        if (t->kind == MARKER && strncmp(p, "#pragma", 7)) {
            const char *number = p + strcspn(p, "0123456789\n"), *open = strchr(number, '"');
            if (isdigit((unsigned char)*number) && open) {
                line = (unsigned)strtoul(number, NULL, 10) - 1;
                file = copy(open + 1, strcspn(open + 1, "\""));
            }
        }
        line_start = (*p == '\n' && t->kind == BLANK) || (line_start && t->kind == BLANK);
        line += *p == '\n';
    }
    tok = grow(NULL, sizeof *tok * (size_t)(n_all + 1));
    for (int i = 0; i < n_all; i++)
        if (all[i].kind != BLANK && all[i].kind != MARKER) tok[n_tok++] = &all[i];
}

bool is(int i, const char *s) { return i >= 0 && i < n_tok && strlen(s) == tok[i]->n && !memcmp(tok[i]->p, s, tok[i]->n); }
bool is_name(int i) { return i >= 0 && i < n_tok && tok[i]->kind == NAME; }
char *word(int i) { return copy(tok[i]->p, tok[i]->n); }
void blank(int from, int to) {
    for (int i = from; i <= to; i++) tok[i]->now = "";
}

void match_brackets(void) {
    int *stack = grow(NULL, sizeof *stack * (size_t)(n_tok + 1)), depth = 0;
    for (int i = 0; i < n_tok; i++) {
        if (is(i, "(") || is(i, "[") || is(i, "{")) stack[depth++] = i;
        if (!(is(i, ")") || is(i, "]") || is(i, "}"))) continue;
        if (depth == 0) fail(i, "a bracket closes that was not opened");
        tok[i]->pair = stack[--depth];
        tok[stack[depth]]->pair = i;
    }
    if (depth) fail(stack[depth - 1], "this bracket is not closed");
    free(stack);
}

int angle_end(int i) {
    int depth = 0;
    for (; i < n_tok; i++) {
        if (is(i, "(") || is(i, "[") || is(i, "{")) i = tok[i]->pair;
        else if (is(i, "<")) depth++;
        else if (is(i, ">") && --depth == 0) return i;
        else if (is(i, ";")) break;
    }
    fail(i, "template brackets are not closed");
}

int attribute_end(int i) {
    return is(i, "[") && is(i + 1, "[") && tok[i + 1]->pair == tok[i]->pair - 1 && tok[i + 1]->p == tok[i]->p + 1 ? tok[i]->pair : -1;
}

char *attribute(int i, const char *name) {
    for (int j = i + 2; j < tok[i]->pair - 1; j++) {
        if (!is(j, name)) continue;
        if (!is(j + 1, "(")) return copy("", 0);
        struct text t = {0};
        for (int k = j + 2; k < tok[j + 1]->pair; k++) addf(&t, "%s%s", word(k), k + 1 < tok[j + 1]->pair ? " " : "");
        return t.p;
    }
    return NULL;
}
