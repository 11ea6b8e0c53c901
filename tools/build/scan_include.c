/* The text that Metal gets: includes resolved, what is not for Metal left out. */
#include "tools/build/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int command_text(const char *path, const char *to) {
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
