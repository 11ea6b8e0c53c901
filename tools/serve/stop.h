/* Stop strings: text passes through, but for what may still become one of them. One owner. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/serve/strbuf.h"

struct stop_text {
    const char *p; /* borrowed */
    size_t len;
};

struct stop {
    const struct stop_text *strings; /* borrowed */
    uint32_t n;
    struct strbuf held; /* not decided; once matched, what is dropped: the stop string and what followed */
    bool matched;
};

/* strings must outlive s; none is empty. */
void stop_init(struct stop *s, const struct stop_text *strings, uint32_t n);
void stop_deinit(struct stop *s);
/* Appends to out what is decided. True: a stop string was met; it and what follows stay in held. */
bool stop_feed(struct stop *s, const char *p, size_t n, struct strbuf *out);
/* What is held back, at the end. */
void stop_flush(struct stop *s, struct strbuf *out);
