#include "tools/serve/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(const char *s, size_t len, unsigned char **out, size_t *n) {
    if (len % 4 != 0) return false;
    size_t pad = len && s[len - 1] == '=' ? 1 + (s[len - 2] == '=') : 0, at = 0;
    unsigned char *p = malloc(len / 4 * 3 + 1);
    if (!p) return false;
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int v = i < len - pad ? value_of(s[i]) : 0;
        if (v < 0) {
            free(p);
            return false;
        }
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 != 3) continue;
        p[at++] = (unsigned char)(bits >> 16);
        p[at++] = (unsigned char)(bits >> 8);
        p[at++] = (unsigned char)bits;
    }
    *out = p;
    *n = at - pad;
    return true;
}

void base64_encode(const void *bytes, size_t n, struct strbuf *out) {
    const unsigned char *b = bytes;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) | (i + 2 < n ? b[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
                        i + 2 < n ? digits[v & 63] : '='};
        strbuf_add(out, four, 4);
    }
}
