/* The routes file: which experts a model's routers chose, step by step, to try cache policies on.
 *
 * Little endian. Header, 32 bytes: magic "hyROUTES", u32 version (1), u32 n_layer, u32 n_expert, u32 n_used, u64
 * reserved (0). Then one record per step: u32 n_tok (1..ROUTES_MAX_TOK), then n_tok * n_layer * n_used u16 ids,
 * token-major; in a row of n_used the ids differ. A layer without experts has a row of ROUTES_NO_EXPERT. A file that
 * ends inside a record was cut off while it was written: the whole records before count.
 *
 * Writer: appends to the caller's FILE, one record per step. Reader: the whole file in memory, checked when it is
 * opened, so that the ids of an open file are always in range. Not thread-safe. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/err.h"

#define ROUTES_VERSION 1u
#define ROUTES_HEAD_BYTES 32u
#define ROUTES_NO_EXPERT UINT16_MAX
#define ROUTES_MAX_TOK 65536u
#define ROUTES_MAX_LAYER 1024u
#define ROUTES_MAX_EXPERT 4096u
#define ROUTES_MAX_USED 256u

struct routes_shape {
    uint32_t n_layer, n_expert, n_used;
};

struct routes_writer {
    FILE *f; /* borrowed */
    struct routes_shape shape;
};

int routes_begin(struct routes_writer *w, FILE *f, struct routes_shape shape, struct err *e);
/* One step; ids: (n_tok, n_layer, n_used). */
int routes_step(struct routes_writer *w, const uint16_t *ids, uint32_t n_tok, struct err *e);

struct routes_at {
    const unsigned char *ids; /* (n_tok, n_layer, n_used) u16 */
    uint32_t n_tok;
};

struct routes {
    struct routes_shape shape;
    struct routes_at *steps; /* (n_step) owned */
    uint32_t n_step;
    uint64_t n_tok_total;
    bool cut_off;            /* the last record was not whole */
    unsigned char *bytes;    /* owned; NULL when they are the caller's */
};

int routes_open(const char *path, struct routes *r, struct err *e);
/* The same over bytes of the caller, which must stay until routes_close. On failure there is nothing to close. */
int routes_parse(const unsigned char *bytes, size_t size, const char *name, struct routes *r, struct err *e);
void routes_close(struct routes *r);

uint16_t routes_id(const struct routes *r, uint32_t step, uint32_t tok, uint32_t layer, uint32_t i);
