#include "tools/build/scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *grow(void *p, size_t bytes) {
    void *q = realloc(p, bytes);
    if (!q) {
        fprintf(stderr, "scan_kernels: out of memory\n");
        exit(1);
    }
    return q;
}

void add(struct text *t, const char *p, size_t n) {
    if (t->n + n + 1 > t->room) t->p = grow(t->p, t->room = (t->n + n + 1) * 2);
    memcpy(t->p + t->n, p, n);
    t->p[t->n += n] = '\0';
}

void addf(struct text *t, const char *fmt, ...) {
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

struct text read_file(const char *path) {
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

void write_file(const char *path, const struct text *t) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(t->p, 1, t->n, f) != t->n || fclose(f)) {
        perror(path);
        exit(1);
    }
}

char *copy(const char *p, size_t n) {
    char *s = grow(NULL, n + 1);
    memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

char *stem_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strchr(name, '.');
    return copy(name, dot ? (size_t)(dot - name) : strlen(name));
}

void c_string(struct text *out, const char *p, size_t n) {
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
