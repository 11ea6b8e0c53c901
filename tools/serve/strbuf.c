#include "tools/serve/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct strbuf *t, size_t more) {
    if (t->failed) return false;
    if (t->n + more + 1 <= t->cap) return true;
    size_t cap = t->cap * 2 > t->n + more + 1 ? t->cap * 2 : t->n + more + 64;
    char *p = realloc(t->p, cap);
    t->failed = !p;
    if (!p) return false;
    t->p = p;
    t->cap = cap;
    return true;
}

void strbuf_add(struct strbuf *t, const char *p, size_t n) {
    if (!reserve(t, n)) return;
    if (n) memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = 0;
}

void strbuf_str(struct strbuf *t, const char *s) { strbuf_add(t, s, strlen(s)); }

void strbuf_fmt(struct strbuf *t, const char *fmt, ...) {
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < (int)sizeof small) {
        strbuf_add(t, small, n < 0 ? 0 : (size_t)n);
        return;
    }
    if (!reserve(t, (size_t)n)) return;
    va_start(ap, fmt);
    vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

void strbuf_drop(struct strbuf *t, size_t n) {
    if (n == 0) return;
    memmove(t->p, t->p + n, t->n - n + 1);
    t->n -= n;
}

void strbuf_clear(struct strbuf *t) {
    t->n = 0;
    if (t->p) t->p[0] = 0;
}

void strbuf_deinit(struct strbuf *t) {
    free(t->p);
    *t = (struct strbuf){0};
}
