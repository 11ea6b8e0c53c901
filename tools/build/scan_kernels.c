/* Build helper: from .metal files to the C text that hands them to Metal, and to C++ that soft Metal runs.
 *
 *   scan_kernels text FILE.metal STEM.msl              includes resolved: what newLibraryWithSource gets; STEM.msl.d for make
 *   clang -E ... STEM.msl > STEM.mi                    macros expanded, for the scan only
 *   scan_kernels embed FILE.metal=STEM.msl=STEM.mi ... > sources.c   texts and kernel names (runtime/kernel_source.h)
 *   scan_kernels soft FILE.metal STEM.mi STEM.msl STEM.cpp STEM_table.c   C++ for clang-19, tables for the C compiler
 *   scan_kernels list STEM ... > files.c               the list of all tables
 *
 * The scan knows tokens and brackets, not the language. It needs: kernels return void; every argument has an attribute with its
 * index; threadgroup variables stand in the kernel's own body. What it does not understand reaches the compiler unchanged and fails there.
 * Line numbers stay those of the .metal file. Exits with 1 and file:line on errors: it is a build step. */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes */

struct text {
    char *p;
    size_t n, room;
};

static void *grow(void *p, size_t bytes) {
    void *q = realloc(p, bytes);
    if (!q) {
        fprintf(stderr, "scan_kernels: out of memory\n");
        exit(1);
    }
    return q;
}

static void add(struct text *t, const char *p, size_t n) {
    if (t->n + n + 1 > t->room) t->p = grow(t->p, t->room = (t->n + n + 1) * 2);
    memcpy(t->p + t->n, p, n);
    t->p[t->n += n] = '\0';
}

__attribute__((format(printf, 2, 3))) static void addf(struct text *t, const char *fmt, ...) {
    char small[4096];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof small) {
        fprintf(stderr, "scan_kernels: a name is too long: %.60s...\n", small);
        exit(1);
    }
    add(t, small, (size_t)n);
}

static struct text read_file(const char *path) {
    struct text t = {0};
    char block[65536];
    size_t n;
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    add(&t, "", 0);
    while ((n = fread(block, 1, sizeof block, f)) > 0) add(&t, block, n);
    fclose(f);
    return t;
}

static void write_file(const char *path, const struct text *t) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(t->p, 1, t->n, f) != t->n || fclose(f)) {
        perror(path);
        exit(1);
    }
}

static char *copy(const char *p, size_t n) {
    char *s = grow(NULL, n + 1);
    memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

/* "kernels/rms_norm.metal" -> "rms_norm" */
static char *stem_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strchr(name, '.');
    return copy(name, dot ? (size_t)(dot - name) : strlen(name));
}

/* ---- text: includes resolved, what is not for Metal left out */

struct once {
    char *path;
    struct once *next;
};

static struct once *included;

/* What a conditional on __METAL_VERSION__ says: 1 true, 0 false, -1 another condition. */
static int metal_condition(const char *line) {
    const char *rest;
    if (!strncmp(line, "ifdef", 5)) rest = line + 5;
    else if (!strncmp(line, "ifndef", 6)) rest = line + 6;
    else if (!strncmp(line, "if", 2)) rest = line + 2;
    else return -1;
    bool negative = rest[-1] == 'f' && rest - line == 6;
    while (*rest == ' ' || *rest == '(') rest++;
    if (*rest == '!') negative = true, rest++;
    if (!strncmp(rest, "defined", 7)) rest += 7;
    else if (rest - line < 6 && strncmp(line, "ifdef", 5)) return -1;
    while (*rest == ' ' || *rest == '(') rest++;
    if (strncmp(rest, "__METAL_VERSION__", 17)) return -1;
    for (rest += 17; *rest == ' ' || *rest == ')'; rest++) {}
    return *rest == '\n' || *rest == '/' ? !negative : -1;
}

struct condition {
    int metal; /* as metal_condition */
    bool live, outer;
};

static void resolve(const char *path, struct text *out);

static bool include_line(const char *d, const char *path, unsigned line, struct text *out) {
    if (strncmp(d, "include", 7)) return false;
    const char *open = strchr(d, '"'), *end = strchr(d, '\n');
    if (!open || open > end) return false;
    const char *close = strchr(open + 1, '"');
    char *name = copy(open + 1, (size_t)(close - open - 1));
    resolve(name, out);
    free(name);
    addf(out, "#line %u \"%s\"\n", line + 1, path);
    return true;
}

/* One directive: true when it was dealt with and its line is not to be copied. */
static bool directive(const char *d, struct condition *stack, unsigned *depth, bool *live, const char *path, unsigned line) {
    if (!strncmp(d, "if", 2)) {
        if (*depth == 63) {
            fprintf(stderr, "%s:%u: error: conditionals nested too deeply\n", path, line);
            exit(1);
        }
        struct condition c = {metal_condition(d), *live, *live};
        if (c.metal >= 0) *live = *live && c.metal;
        stack[(*depth)++] = c;
        return c.metal >= 0 || !*live;
    }
    if (*depth == 0) return !*live;
    struct condition *top = &stack[*depth - 1];
    if (!strncmp(d, "else", 4)) {
        if (top->metal >= 0) *live = top->outer && !top->metal;
        return top->metal >= 0 || !*live;
    }
    if (!strncmp(d, "endif", 5)) {
        *live = top->outer;
        --*depth;
        return top->metal >= 0 || !*live;
    }
    return !*live;
}

static void resolve(const char *path, struct text *out) {
    for (struct once *o = included; o; o = o->next)
        if (!strcmp(o->path, path)) return;
    struct once *o = grow(NULL, sizeof *o);
    *o = (struct once){copy(path, strlen(path)), included};
    included = o;
    struct text in = read_file(path);
    if (in.n && in.p[in.n - 1] != '\n') add(&in, "\n", 1);
    struct condition stack[64];
    unsigned depth = 0, line = 1;
    bool live = true;
    addf(out, "#line 1 \"%s\"\n", path);
    for (const char *p = in.p, *end; *p; p = end, line++) {
        end = strchr(p, '\n') + 1;
        const char *d = p;
        while (*d == ' ' || *d == '\t') d++;
        if (*d == '#') {
            for (d++; *d == ' ' || *d == '\t'; d++) {}
            if (directive(d, stack, &depth, &live, path, line) || !strncmp(d, "pragma once", 11)) {
                add(out, "\n", 1);
                continue;
            }
            if (include_line(d, path, line, out)) continue;
        }
        if (live) add(out, p, (size_t)(end - p));
        else add(out, "\n", 1);
    }
    free(in.p);
}

static int command_text(const char *path, const char *to) {
    struct text out = {0}, rules = {0}, rules_path = {0};
    resolve(path, &out);
    addf(&rules, "%s:", to);
    for (struct once *o = included; o; o = o->next) addf(&rules, " %s", o->path);
    addf(&rules, "\n");
    for (struct once *o = included; o; o = o->next) addf(&rules, "%s:\n", o->path); /* a header may go away */
    addf(&rules_path, "%s.d", to);
    write_file(to, &out);
    write_file(rules_path.p, &rules);
    return 0;
}

static void c_string(struct text *out, const char *p, size_t n) {
    add(out, "    \"", 5);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '\n') {
            addf(out, "\\n\"%s", i + 1 < n ? "\n    \"" : "");
            if (i + 1 == n) return;
        } else if (c == '"' || c == '\\') {
            addf(out, "\\%c", c);
        } else if (c < 32 || c > 126 || c == '?') {
            addf(out, "\\%03o", c);
        } else {
            add(out, p + i, 1);
        }
    }
    add(out, "\"", 1);
}

/* ---- tokens */

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

static struct token *all, **tok; /* every token; the significant ones */
static int n_all, n_tok;

__attribute__((format(printf, 2, 3), noreturn)) static void fail(int i, const char *fmt, ...) {
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

static void tokenize(const char *p) {
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

static bool is(int i, const char *s) { return i >= 0 && i < n_tok && strlen(s) == tok[i]->n && !memcmp(tok[i]->p, s, tok[i]->n); }
static bool is_name(int i) { return i >= 0 && i < n_tok && tok[i]->kind == NAME; }
static char *word(int i) { return copy(tok[i]->p, tok[i]->n); }
static void blank(int from, int to) {
    for (int i = from; i <= to; i++) tok[i]->now = "";
}

static void match_brackets(void) {
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

/* i is "<": the index of its ">". Comparisons do not occur where this is used. */
static int angle_end(int i) {
    int depth = 0;
    for (; i < n_tok; i++) {
        if (is(i, "(") || is(i, "[") || is(i, "{")) i = tok[i]->pair;
        else if (is(i, "<")) depth++;
        else if (is(i, ">") && --depth == 0) return i;
        else if (is(i, ";")) break;
    }
    fail(i, "template brackets are not closed");
}

/* i is "[[": the index of the last "]"; else -1. */
static int attribute_end(int i) {
    return is(i, "[") && is(i + 1, "[") && tok[i + 1]->pair == tok[i]->pair - 1 && tok[i + 1]->p == tok[i]->p + 1 ? tok[i]->pair : -1;
}

/* The argument of attribute `name` within the list that starts at i: "" when it has none, NULL when it is not there. */
static char *attribute(int i, const char *name) {
    for (int j = i + 2; j < tok[i]->pair - 1; j++) {
        if (!is(j, name)) continue;
        if (!is(j + 1, "(")) return copy("", 0);
        struct text t = {0};
        for (int k = j + 2; k < tok[j + 1]->pair; k++) addf(&t, "%s%s", word(k), k + 1 < tok[j + 1]->pair ? " " : "");
        return t.p;
    }
    return NULL;
}

/* ---- what the scan finds */

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

static struct function functions[1024];
static struct instance instances[8192];
static struct constant constants[64];
static int n_function, n_instance, n_constant;
static char *types[4096]; /* names that may be vectors: vector types, template parameters, aliases */
static int n_type;

static void type_add(char *name) {
    for (int i = 0; i < n_type; i++)
        if (!strcmp(types[i], name)) return;
    if (n_type == 4096) fail(0, "too many types");
    types[n_type++] = name;
}

static bool is_type(int i) {
    for (int j = 0; j < n_type && is_name(i); j++)
        if (is(i, types[j])) return true;
    return false;
}

static void find_types(void) {
    static const char *const scalars[] = {"char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "half", "bfloat", "float"};
    struct text t = {0};
    for (unsigned s = 0; s < sizeof scalars / sizeof *scalars; s++)
        for (int n = 2; n <= 4; n++) {
            t.n = 0;
            addf(&t, "packed_%s%d", scalars[s], n);
            type_add(copy(t.p + 7, t.n - 7));
            type_add(copy(t.p, t.n));
        }
    for (int i = 0; i < n_tok; i++) {
        if (is(i, "using") && is_name(i + 1) && is(i + 2, "=")) type_add(word(i + 1));
        if ((is(i, "typename") || is(i, "class")) && is_name(i + 1) && (is(i - 1, "<") || is(i - 1, ","))) type_add(word(i + 1));
        if (!is(i, "typedef")) continue;
        int j = i;
        while (j < n_tok && !is(j, ";")) j = is(j, "(") || is(j, "{") || is(j, "[") ? tok[j]->pair + 1 : j + 1;
        if (is_name(j - 1)) type_add(word(j - 1));
    }
}

/* ---- kernels */

/* The template header that ends right before i: "f" becomes "f<T, N>". */
static char *self_name(int i, const char *name, bool *is_template) {
    struct text t = {0};
    addf(&t, "%s", name);
    *is_template = is(i - 1, ">");
    if (!*is_template) return t.p;
    int open = i - 1, depth = 0;
    for (; open >= 0; open--) {
        if (is(open, ")")) open = tok[open]->pair;
        else if (is(open, ">")) depth++;
        else if (is(open, "<") && --depth == 0) break;
    }
    if (!is(open - 1, "template")) fail(i, "kernel %s: no template header before it", name);
    const char *sep = "<";
    for (int j = open + 1, last = -1; j < i; j++) {
        if (is(j, "(") && (is(j + 1, "*") || is(j + 1, "&")) && is_name(j + 2)) last = j + 2; /* a function parameter */
        bool ends = is(j, ",") || j == i - 1 || is(j, "=");
        if (ends) {
            addf(&t, "%s%s", sep, word(last));
            sep = ", ";
            while (j < i - 1 && !is(j, ",")) j = is(j, "<") ? angle_end(j) + 1 : is(j, "(") ? tok[j]->pair + 1 : j + 1;
            last = -1;
        } else if (is(j, "(")) {
            j = tok[j]->pair;
        } else if (is(j, "<")) {
            j = angle_end(j);
        } else if (is_name(j) && !(last >= 0 && is(last - 1, "*") && is(last - 2, "("))) {
            last = j;
        }
    }
    addf(&t, ">");
    return t.p;
}

static void parameter(struct function *f, int from, int to) {
    for (int i = from; i < to; i++) {
        int end = attribute_end(i);
        if (end < 0) continue;
        if (f->n_binding == 64) fail(i, "kernel %s: too many arguments", f->name);
        struct binding *b = &f->binding[f->n_binding++];
        b->name = word(i - 1);
        b->attribute = word(i + 2);
        b->index = attribute(i, b->attribute);
        bool indexed = is(i + 2, "buffer") || is(i + 2, "threadgroup");
        if (indexed != (b->index[0] != 0)) fail(i, "kernel %s, argument %s: what is [[%s]]?", f->name, b->name, b->attribute);
        blank(i, end);
        return;
    }
    fail(from, "kernel %s: each argument needs its attribute, [[buffer(i)]] and so on", f->name);
}

static void parameters(struct function *f, int open) {
    int end = tok[open]->pair, from = open + 1;
    for (int j = from; j <= end && end > open + 1; j++) {
        if (j < end && (is(j, "(") || is(j, "["))) j = tok[j]->pair;
        else if (j < end && is(j, "<")) j = angle_end(j);
        else if (j == end || is(j, ",")) {
            parameter(f, from, j);
            from = j + 1;
        }
    }
}

/* threadgroup T a[n], b; in a kernel: references into the threadgroup's memory. */
static void threadgroup_variable(struct function *f, int i) {
    int j = i + 1;
    while (is(j + 1, "::")) j += 2;
    int type_end = is(j + 1, "<") ? angle_end(j + 1) : j;
    if (!is_name(type_end + 1)) return; /* a pointer */
    struct text type = {0}, out = {0};
    for (j = i + 1; j <= type_end; j++) addf(&type, "%s ", word(j));
    do {
        char *name = word(j++);
        struct text dims = {0};
        addf(&dims, "%s", "");
        while (is(j, "[")) {
            for (int end = tok[j]->pair; j <= end; j++) addf(&dims, "%s ", word(j));
        }
        if (is(j, "=")) fail(j, "threadgroup variable %s: it takes no initializer", name);
        addf(&out, "threadgroup auto &%s = soft::variable<%s%s, %d, decltype(&%s), &%s>();", name, type.p, dims.p, f->n_variable++,
             f->self, f->self);
    } while (is(j++, ","));
    if (!is(j - 1, ";")) fail(i, "this threadgroup variable is not understood");
    blank(i, j - 1);
    tok[i]->now = out.p;
}

static void kernel_definition(int i, int attribute_start) {
    int j = i + 1;
    while (j < n_tok && !is(j, "(")) j++;
    if (!is(j - 2, "void")) fail(i, "a kernel returns void and has a name");
    if (n_function == 1024) fail(i, "too many kernels");
    struct function *f = &functions[n_function++];
    *f = (struct function){0};
    f->name = word(j - 1);
    f->line = tok[i]->line;
    f->self = self_name(attribute_start, f->name, &f->is_template);
    for (int a = attribute_start; a < i; a++)
        if (attribute_end(a) > 0 && !f->max_threads) f->max_threads = attribute(a, "max_total_threads_per_threadgroup");
    blank(attribute_start, i);
    parameters(f, j);
    int body = tok[j]->pair + 1;
    if (is(body, ";")) fail(i, "kernel %s: declare it where it is defined", f->name);
    for (int k = body; k < tok[body]->pair; k++)
        if (is(k, "threadgroup") && (is(k - 1, ";") || is(k - 1, "{") || is(k - 1, "}") || is(k - 1, ")"))) threadgroup_variable(f, k);
    if (f->is_template) return;
    if (n_instance == 8192) fail(i, "too many kernels");
    instances[n_instance++] = (struct instance){f->name, f->name, f, f->line};
}

/* template [[host_name("x")]] kernel void f<half>(...); */
static void kernel_instance(int i, int kernel, char *host_name) {
    int end = kernel;
    while (end < n_tok && !is(end, ";")) end = is(end, "(") ? tok[end]->pair + 1 : end + 1;
    int last = is(end - 1, ")") ? tok[end - 1]->pair - 1 : end - 1, first = last;
    for (int depth = 0; is(last, ">"); first--) {
        if (is(first, ")")) first = tok[first]->pair;
        depth += is(first, ">") - is(first, "<");
        if (depth == 0) break;
    }
    if (is(last, ">")) first--;
    struct text name = {0};
    for (int j = first; j <= last; j++) addf(&name, "%s ", word(j));
    if (!host_name) fail(i, "this instantiation needs [[host_name(\"...\")]]");
    struct function *f = NULL;
    for (int j = 0; j < n_function; j++)
        if (is(first, functions[j].name)) f = &functions[j];
    if (!f) fail(i, "%s: no kernel of this name above", word(first));
    for (int j = kernel; j < end; j++) /* the attributes of its parameters */
        if (attribute_end(j) > 0) blank(j, attribute_end(j));
    if (n_instance == 8192) fail(i, "too many kernels");
    instances[n_instance++] = (struct instance){host_name, name.p, f, tok[i]->line};
}

/* host_name("a" "b") of the list at i: ab. */
static char *host_name_of(int i) {
    struct text t = {0};
    for (int j = i; j < tok[i]->pair; j++)
        if (is(j, "host_name") && is(j + 1, "("))
            for (int k = j + 2; k < tok[j + 1]->pair; k++)
                if (tok[k]->kind == STRING && tok[k]->n > 2) add(&t, tok[k]->p + 1, tok[k]->n - 2);
    return t.p;
}

/* Attributes and the word kernel, from i on; where the declaration goes on. */
static int skip_attributes(int i, char **host_name, int *kernel) {
    for (;; i++) {
        int end = attribute_end(i);
        if (is(i, "kernel")) *kernel = i;
        else if (end < 0) return i;
        else {
            if (host_name_of(i)) *host_name = host_name_of(i);
            if (attribute(i, "kernel")) *kernel = end;
            i = end;
        }
    }
}

static void find_kernels(void) {
    for (int i = 0; i < n_tok; i++) {
        bool instance = is(i, "template") && !is(i + 1, "<");
        if (!instance && !is(i, "kernel") && attribute_end(i) < 0) continue;
        char *host_name = NULL;
        int kernel = -1, next = skip_attributes(i + instance, &host_name, &kernel);
        if (kernel < 0 && !host_name) continue;
        if (instance) {
            blank(i + 1, next - 1);
            kernel_instance(i, next, host_name);
        } else if (kernel >= 0) {
            if (host_name) fail(i, "host_name is for instantiations");
            kernel_definition(next - 1, i);
        }
        i = next - 1;
    }
}

/* constant T NAME [[function_constant(i)]]; */
static void find_constants(const char *stem) {
    for (int i = 0; i < n_tok; i++) {
        char *index = attribute_end(i) > 0 ? attribute(i, "function_constant") : NULL;
        int end = attribute_end(i);
        if (!index || tok[i]->now) continue;
        if (!is(end + 1, ";") || !is_name(i - 1) || !is_name(i - 2)) fail(i, "a function constant reads: constant T NAME [[function_constant(i)]];");
        if (n_constant == 64) fail(i, "too many function constants");
        struct constant *c = &constants[n_constant++];
        *c = (struct constant){word(i - 2), word(i - 1), index};
        int start = i - 2;
        while (is(start - 1, "constant") || is(start - 1, "static") || is(start - 1, "const")) start--;
        struct text t = {0};
        addf(&t, "extern __thread const %s %s __asm__(\"soft_fc_%s_%s\"); extern __thread const bool %s__defined "
             "__asm__(\"soft_fd_%s_%s\")", c->type, c->name, stem, c->name, c->name, stem, c->name);
        blank(start, end);
        tok[start]->now = t.p;
    }
    for (int i = 0; i < n_tok; i++)
        if (is(i, "is_function_constant_defined") && is(i + 1, "(") && is_name(i + 2) && is(i + 3, ")")) {
            struct text t = {0};
            addf(&t, "%s__defined", word(i + 2));
            blank(i, i + 3);
            tok[i]->now = t.p;
        }
}

/* ---- expressions */

static bool keyword_before(int i) { return is(i, "return") || is(i, "case") || is(i, "else") || is(i, "do"); }

/* Is the type at i called, as in float4(a, b)? */
static bool constructs(int i) {
    if (!is(i + 1, "(")) return false;
    if (is(i + 2, "*") || is(i + 2, "&")) /* T (*f)(...) */
        if (is_name(i + 3) && is(i + 4, ")") && is(i + 5, "(")) return false;
    if (is_name(i - 1)) return keyword_before(i - 1);
    if (is(i - 1, "::") && is(i - 2, "metal")) return true;
    return !is(i - 1, ".") && !is(i - 1, "->") && !is(i - 1, "::") && !is(i - 1, "~") && !is(i - 1, ">");
}

/* Is "(" at i with the type behind it a cast? */
static bool casts(int i) {
    if (!is_type(i + 1) || !is(i + 2, ")") || tok[i]->now || tok[i + 1]->now) return false;
    if ((is_name(i - 1) && !keyword_before(i - 1)) || is(i - 1, ")") || is(i - 1, "]") || is(i - 1, ">")) return false;
    int next = i + 3;
    if (next >= n_tok) return false;
    return tok[next]->kind == NAME || tok[next]->kind == NUMBER || is(next, "(") || is(next, "-") || is(next, "+") || is(next, "*") ||
           is(next, "&") || is(next, "~") || is(next, "!") || is(next, "::");
}

static void replace(int i, const char *before, const char *after) {
    struct text t = {0};
    addf(&t, "%s%s%s", before, word(i), after);
    tok[i]->now = t.p;
}

static void rewrite_expressions(void) {
    for (int i = 0; i < n_tok; i++) {
        if (tok[i]->now) continue;
        if (is_type(i) && constructs(i)) {
            replace(i, "soft::make<", ">");
            if (is(i - 1, "::")) blank(i - 2, i - 1);
        } else if (is(i, "vec") && is(i + 1, "<") && is(angle_end(i + 1) + 1, "(") && !is_name(i - 1)) {
            tok[i]->now = "soft::make<vec";
            tok[angle_end(i + 1)]->now = ">>";
        } else if (is(i, "static_cast") && is(i + 1, "<") && is_type(i + 2) && is(i + 3, ">")) {
            tok[i]->now = "soft::make";
        } else if (is(i, "(") && casts(i)) {
            tok[i]->now = "soft::caster<";
            tok[i + 2]->now = ">()->*";
        }
    }
}

/* 0.5 is a float, 0.5h a half. */
static void rewrite_numbers(void) {
    for (int i = 0; i < n_tok; i++) {
        if (tok[i]->kind != NUMBER || (tok[i]->p[0] == '0' && (tok[i]->p[1] == 'x' || tok[i]->p[1] == 'X'))) continue;
        char *s = word(i);
        size_t n = strlen(s), digits = strspn(s, "0123456789.eE+-");
        bool is_float = strpbrk(s, ".eE") != NULL;
        struct text t = {0};
        if (!strcmp(s + digits, "h") || !strcmp(s + digits, "H")) addf(&t, "((half)%.*s%sf)", (int)digits, s, is_float ? "" : ".0");
        else if (!strcmp(s + digits, "bf") || !strcmp(s + digits, "BF")) addf(&t, "((bfloat)%.*s%sf)", (int)digits, s, is_float ? "" : ".0");
        else if (is_float && digits == n) addf(&t, "%sf", s);
        else continue;
        tok[i]->now = t.p;
    }
}

/* ---- what soft writes */

static void write_kernels(struct text *out, const char *stem) {
    for (int i = 0; i < n_instance; i++) {
        const struct instance *k = &instances[i];
        addf(out, "typedef soft::params<decltype(&%s)> soft_params_%d;\n", k->function, i);
        addf(out, "static_assert(soft_params_%d::n == %d, \"%s: arguments and attributes differ in number\");\n", i, k->of->n_binding, k->host_name);
        addf(out, "static void soft_entry_%d(const soft_lane *l) {\n    %s(", i, k->function);
        for (int j = 0; j < k->of->n_binding; j++) {
            const struct binding *b = &k->of->binding[j];
            const char *fn = !strcmp(b->attribute, "threadgroup") ? "threadgroup_argument" : b->attribute;
            addf(out, "%ssoft::%s<soft_params_%d::at<%d>>(l%s%s)", j ? ", " : "", fn, i, j, b->index[0] ? ", " : "", b->index);
        }
        addf(out, ");\n}\nstatic const soft_slot soft_slots_%d[] = {\n", i);
        int n = 0;
        for (int j = 0; j < k->of->n_binding; j++) {
            const struct binding *b = &k->of->binding[j];
            if (b->index[0]) addf(out, "    soft::slot<soft_params_%d::at<%d>>(%s, \"%s\"),\n", i, j, b->index, b->name), n++;
        }
        addf(out, "    {}};\n#define SOFT_N_SLOT_%d %d\n", i, n);
        addf(out, "static uint32_t soft_bytes_%d() { return soft::declared<decltype(&%s), &%s>::get(); }\n", i, k->function, k->function);
    }
    addf(out, "} // namespace\nextern \"C\" const soft_file soft_file_%s;\nextern \"C\" const soft_kernel soft_kernels_%s[] = {\n", stem, stem);
    for (int i = 0; i < n_instance; i++) {
        const struct instance *k = &instances[i];
        addf(out, "    {\"%s\", \"%s\", &soft_file_%s, %u, %s, soft_kernels_of_%s::soft_slots_%d, SOFT_N_SLOT_%d,\n", k->host_name, k->function, stem,
             k->line, k->of->max_threads ? k->of->max_threads : "SOFT_MAX_THREADS", stem, i, i);
        addf(out, "     soft_kernels_of_%s::soft_entry_%d, soft_kernels_of_%s::soft_bytes_%d},\n", stem, i, stem, i);
    }
    addf(out, "    {}};\n");
}

static void write_cpp(struct text *out, const char *stem) {
    addf(out, "#include \"runtime/soft/msl.h\"\nnamespace soft_kernels_of_%s {\n", stem);
    for (int i = 0; i < n_all; i++) {
        const struct token *t = &all[i];
        if (t->now) add(out, t->now, strlen(t->now));
        else add(out, t->p, t->n);
    }
    addf(out, "\n#line 1 \"tables of %s\"\n", stem);
    write_kernels(out, stem);
}

struct data_type {
    const char *name, *c;
    int metal;
};

static const struct data_type *data_type(const struct constant *c) {
    static const struct data_type known[] = {{"float", "float", 3}, {"half", "uint16_t", 16}, {"int", "int32_t", 29},
        {"uint", "uint32_t", 33}, {"short", "int16_t", 37}, {"ushort", "uint16_t", 41}, {"char", "int8_t", 45}, {"uchar", "uint8_t", 49},
        {"int32_t", "int32_t", 29}, {"uint32_t", "uint32_t", 33}, {"bool", "_Bool", 53}};
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, c->type)) return &known[i];
    fprintf(stderr, "scan_kernels: function constant %s: type %s is not supported\n", c->name, c->type);
    exit(1);
}

static void write_table(struct text *out, const char *path, const char *stem, size_t text_bytes) {
    addf(out, "#include <stdint.h>\n#include <string.h>\n\n#include \"runtime/soft/exec.h\"\n\n");
    for (int i = 0; i < n_constant; i++) {
        const struct constant *c = &constants[i];
        const char *t = data_type(c)->c;
        addf(out, "__thread %s soft_fc_%s_%s __attribute__((tls_model(\"initial-exec\")));\n", t, stem, c->name);
        addf(out, "__thread _Bool soft_fd_%s_%s __attribute__((tls_model(\"initial-exec\")));\n", stem, c->name);
        addf(out, "static void set_%s(const void *value) {\n", c->name);
        addf(out, "    soft_fd_%s_%s = value != NULL;\n", stem, c->name);
        addf(out, "    if (value) memcpy(&soft_fc_%s_%s, value, sizeof soft_fc_%s_%s);\n", stem, c->name, stem, c->name);
        addf(out, "    else memset(&soft_fc_%s_%s, %s, sizeof soft_fc_%s_%s);\n}\n", stem, c->name, !strcmp(t, "_Bool") ? "1" : "0x7f", stem, c->name);
    }
    addf(out, "static const struct soft_const consts[] = {\n");
    for (int i = 0; i < n_constant; i++)
        addf(out, "    {\"%s\", %s, %d, sizeof(%s), set_%s},\n", constants[i].name, constants[i].index, data_type(&constants[i])->metal,
             data_type(&constants[i])->c, constants[i].name);
    addf(out, "    {0}};\nextern const char kernel_text_%s[];\nextern const struct soft_kernel soft_kernels_%s[];\n", stem, stem);
    addf(out, "extern const struct soft_file soft_file_%s;\n", stem);
    addf(out, "const struct soft_file soft_file_%s = {\"%s\", kernel_text_%s, %zu, soft_kernels_%s, %d, consts, %d};\n", stem, path, stem,
         text_bytes, stem, n_instance, n_constant);
}

static void check_names(void) {
    for (int i = 0; i < n_instance; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(instances[i].host_name, instances[j].host_name)) {
                fprintf(stderr, "scan_kernels: host name %s is used at lines %u and %u\n", instances[i].host_name, instances[j].line, instances[i].line);
                exit(1);
            }
}

/* Everything that is known of a file, from its expanded text. */
static void scan(const char *expanded, const char *stem) {
    n_all = n_tok = n_function = n_instance = n_constant = n_type = 0;
    all = NULL;
    tokenize(read_file(expanded).p);
    match_brackets();
    find_types();
    find_constants(stem);
    find_kernels();
    check_names();
}

static int command_embed(int n, char **v) {
    struct text out = {0}, list = {0};
    addf(&out, "#include \"runtime/kernel_source.h\"\n\n");
    addf(&list, "const struct kernel_source kernel_sources[] = {\n");
    for (int i = 0; i < n; i++) {
        const char *path = strtok(v[i], "="), *text = strtok(NULL, "="), *expanded = strtok(NULL, "="), *stem = stem_of(path);
        if (!expanded) {
            fprintf(stderr, "scan_kernels: embed takes FILE.metal=STEM.msl=STEM.mi\n");
            return 1;
        }
        struct text t = read_file(text);
        scan(expanded, stem);
        addf(&out, "const char kernel_text_%s[] =\n", stem);
        c_string(&out, t.p, t.n);
        addf(&out, ";\nstatic const char *const names_%s[] = {\n", stem);
        for (int k = 0; k < n_instance; k++) addf(&out, "    \"%s\",\n", instances[k].host_name);
        addf(&out, "    0};\n");
        addf(&list, "    {\"%s\", \"%s\", kernel_text_%s, sizeof kernel_text_%s - 1, names_%s, %d},\n", stem, path, stem, stem, stem,
             n_instance);
    }
    addf(&list, "    {0, 0, 0, 0, 0, 0}};\nconst uint32_t kernel_n_source = %d;\n", n);
    return fwrite(out.p, 1, out.n, stdout) == out.n && fwrite(list.p, 1, list.n, stdout) == list.n ? 0 : 1;
}

static int command_soft(char **v) {
    const char *path = v[0], *stem = stem_of(path);
    struct text source = read_file(v[2]), cpp = {0}, table = {0};
    scan(v[1], stem);
    for (int i = 0; i < n_tok; i++) /* attributes nobody asked about */
        if (!tok[i]->now && attribute_end(i) > 0) blank(i, attribute_end(i));
    rewrite_expressions();
    rewrite_numbers();
    write_cpp(&cpp, stem);
    write_table(&table, path, stem, source.n);
    write_file(v[3], &cpp);
    write_file(v[4], &table);
    return 0;
}

static int command_list(int n, char **v) {
    printf("#include \"runtime/soft/exec.h\"\n\n");
    for (int i = 0; i < n; i++) printf("extern const struct soft_file soft_file_%s;\n", stem_of(v[i]));
    printf("const struct soft_file *const soft_files[] = {\n");
    for (int i = 0; i < n; i++) printf("    &soft_file_%s,\n", stem_of(v[i]));
    printf("    0};\nconst uint32_t soft_n_file = %d;\n", n);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "text")) return command_text(argv[2], argv[3]);
    if (argc >= 2 && !strcmp(argv[1], "embed")) return command_embed(argc - 2, argv + 2);
    if (argc == 7 && !strcmp(argv[1], "soft")) return command_soft(argv + 2);
    if (argc >= 2 && !strcmp(argv[1], "list")) return command_list(argc - 2, argv + 2);
    fprintf(stderr, "usage: scan_kernels text|embed|soft|list ... (see the top of tools/scan_kernels.c)\n");
    return 1;
}
