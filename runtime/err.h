/* Errors: one table of codes, one object filled where the failure happens.
 *
 * Every function that can fail for a reason outside the program returns an
 * enum err_code (0 is success, failures are negative) and fills the struct err
 * that its caller passed: what failed, on what, and what to do about it, in one
 * sentence for a person. A NULL err is allowed when nobody will read the text.
 * Asserts (CHECK) are for bugs, never for input; they stay on in release builds. */
#pragma once
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum err_code {
    ERR_OK = 0,
    ERR_ARG = -1,         /* the caller asked for something that makes no sense */
    ERR_NOMEM = -2,       /* memory or a memory budget is exhausted */
    ERR_IO = -3,          /* the system refused or failed a read, open, stat... */
    ERR_FORMAT = -4,      /* bytes that are not what their format promises */
    ERR_SHORT = -5,       /* the bytes end before the format does */
    ERR_UNSUPPORTED = -6, /* well-formed, but hy cannot run it */
    ERR_NOT_FOUND = -7,   /* a file, key or tensor that should exist does not */
    ERR_LIMIT = -8,       /* a context, batch or other stated limit is exceeded */
    ERR_DEVICE = -9,      /* a device or one of its commands failed */
    ERR_CANCELLED = -10,  /* stopped on request */
    ERR_BUSY = -11,       /* too many ask at once; later it may work */
};

#define ERR_TEXT_BYTES 512

struct err {
    int code;
    char text[ERR_TEXT_BYTES];
};

/* Fills e (when not NULL) and returns code, so that `return err_set(...)` reads well.
 * The text is cut, never overrun. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that e already holds; returns e's code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The short name of a code ("format", "no memory"), for logs and JSON. */
const char *err_name(int code);

/* A broken invariant: prints and aborts. Never for input. */
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) check_failed(__FILE__, __LINE__, #cond);                 \
    } while (0)
_Noreturn void check_failed(const char *file, int line, const char *what);
