/* Standard base64 (RFC 4648, with padding; white space is not accepted). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "tools/serve/strbuf.h"

/* False when s is not base64 or memory is out; else *out (the caller frees) holds n bytes. */
bool base64_decode(const char *s, size_t len, unsigned char **out, size_t *n);
void base64_encode(const void *bytes, size_t n, struct strbuf *out);
