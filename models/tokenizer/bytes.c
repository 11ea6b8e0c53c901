/* Characters and bytes: UTF-8, and the printable characters that byte-level vocabularies write bytes as. */
#include <utf8proc.h>

#include "models/tokenizer/impl.h"

uint32_t bytes_utf8(const char *s, size_t len) {
    if (len && !((unsigned char)s[0] & 0x80)) return 1;
    utf8proc_int32_t cp;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, len > 4 ? 4 : (utf8proc_ssize_t)len, &cp);
    return n > 0 ? (uint32_t)n : 0;
}

static bool char_is_byte(uint32_t b) {
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
}

/* Bytes without a printable character of their own are numbered from U+0100 in order. */
uint32_t bytes_to_char(unsigned char b) {
    if (char_is_byte(b)) return b;
    if (b <= 0x20) return 0x100u + b;
    return b == 0xad ? 0x143u : 0x121u + (b - 0x7fu);
}

int bytes_of_char(uint32_t cp) {
    if (cp < 0x100) return char_is_byte(cp) ? (int)cp : -1;
    if (cp <= 0x120) return (int)(cp - 0x100);
    if (cp == 0x143) return 0xad;
    return cp < 0x143 ? (int)(cp - 0x121 + 0x7f) : -1;
}
