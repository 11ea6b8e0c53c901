#include "runtime/err.h"

#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...) {
    if (!e) return code;
    e->code = code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return code;
}

int err_prefix(struct err *e, const char *fmt, ...) {
    if (!e) return ERR_ARG;
    char old[ERR_TEXT_BYTES];
    memcpy(old, e->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->text)
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %.*s", ERR_TEXT_BYTES - 3 - n, old);
    return e->code;
}

const char *err_name(int code) {
    static const char *const names[] = {
        "ok",         "bad argument", "no memory", "I/O error", "format error", "truncated",
        "unsupported", "not found",    "limit",     "device",    "cancelled", "busy",
    };
    int i = -code;
    return i >= 0 && i < (int)(sizeof names / sizeof names[0]) ? names[i] : "unknown error";
}

_Noreturn void check_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "hy: internal error at %s:%d: %s does not hold\n", file, line, what);
    abort();
}
