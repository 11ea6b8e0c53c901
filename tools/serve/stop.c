#include "tools/serve/stop.h"

#include <string.h>

void stop_init(struct stop *s, const struct stop_text *strings, uint32_t n) { *s = (struct stop){.strings = strings, .n = n}; }

void stop_deinit(struct stop *s) { strbuf_deinit(&s->held); }

/* Where the earliest stop string begins in p; n: nowhere. */
static size_t find_first(const struct stop *s, const char *p, size_t n) {
    size_t best = n;
    for (uint32_t i = 0; i < s->n; i++) {
        const char *hit = memmem(p, n, s->strings[i].p, s->strings[i].len);
        if (hit && (size_t)(hit - p) < best) best = (size_t)(hit - p);
    }
    return best;
}

/* The longest end of p that a stop string begins with. */
static size_t undecided(const struct stop *s, const char *p, size_t n) {
    size_t best = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        size_t len = s->strings[i].len, k = len - 1 < n ? len - 1 : n;
        while (k > best && memcmp(p + n - k, s->strings[i].p, k) != 0) k--;
        if (k > best) best = k;
    }
    return best;
}

bool stop_feed(struct stop *s, const char *p, size_t n, struct strbuf *out) {
    strbuf_add(s->n ? &s->held : out, p, n);
    if (s->matched || s->n == 0) return s->matched;
    size_t at = find_first(s, strbuf_of(&s->held), s->held.n);
    s->matched = at < s->held.n;
    size_t keep = s->matched ? s->held.n - at : undecided(s, strbuf_of(&s->held), s->held.n);
    strbuf_add(out, strbuf_of(&s->held), s->held.n - keep);
    strbuf_drop(&s->held, s->held.n - keep);
    return s->matched;
}

void stop_flush(struct stop *s, struct strbuf *out) {
    if (s->matched) return;
    strbuf_add(out, strbuf_of(&s->held), s->held.n);
    strbuf_clear(&s->held);
}
