/* A growing string. Zero-initialise; strbuf_deinit frees. Out of memory is sticky: later appends do nothing and
 * strbuf_ok is false, so that a chain of appends is checked once, at its end. One owner. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
    char *p; /* n bytes and a NUL; NULL while nothing was appended */
    size_t n, cap;
    bool failed;
};

void strbuf_add(struct strbuf *t, const char *p, size_t n);
void strbuf_str(struct strbuf *t, const char *s);
void strbuf_fmt(struct strbuf *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first n bytes. */
void strbuf_drop(struct strbuf *t, size_t n);
void strbuf_clear(struct strbuf *t);
void strbuf_deinit(struct strbuf *t);
static inline bool strbuf_ok(const struct strbuf *t) { return !t->failed; }
/* Never NULL. */
static inline const char *strbuf_of(const struct strbuf *t) { return t->p ? t->p : ""; }
