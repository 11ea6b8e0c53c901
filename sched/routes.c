#include "sched/routes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'h', 'y', 'R', 'O', 'U', 'T', 'E', 'S'};

static uint32_t load_u32(const unsigned char *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static void store_u32(unsigned char *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> 8 * i);
}

static bool shape_ok(struct routes_shape s) {
    return s.n_layer >= 1 && s.n_layer <= ROUTES_MAX_LAYER && s.n_expert >= 1 && s.n_expert <= ROUTES_MAX_EXPERT &&
           s.n_used >= 1 && s.n_used <= ROUTES_MAX_USED && s.n_used <= s.n_expert;
}

static uint64_t ids_of_tok(struct routes_shape s) { return (uint64_t)s.n_layer * s.n_used; }

/* Writer */

static int put(struct routes_writer *w, const void *bytes, size_t n, struct err *e) {
    if (fwrite(bytes, 1, n, w->f) == n) return ERR_OK;
    return err_set(e, ERR_IO, "cannot write the routes file; is the disk full?");
}

int routes_begin(struct routes_writer *w, FILE *f, struct routes_shape shape, struct err *e) {
    if (!shape_ok(shape))
        return err_set(e, ERR_LIMIT, "a model of %u layers with %u of %u experts does not fit a routes file",
                       shape.n_layer, shape.n_used, shape.n_expert);
    unsigned char head[ROUTES_HEAD_BYTES] = {0};
    *w = (struct routes_writer){.f = f, .shape = shape};
    memcpy(head, magic, sizeof magic);
    store_u32(head + 8, ROUTES_VERSION);
    store_u32(head + 12, shape.n_layer);
    store_u32(head + 16, shape.n_expert);
    store_u32(head + 20, shape.n_used);
    return put(w, head, sizeof head, e);
}

int routes_step(struct routes_writer *w, const uint16_t *ids, uint32_t n_tok, struct err *e) {
    CHECK(n_tok >= 1 && n_tok <= ROUTES_MAX_TOK);
    unsigned char row[4 + 2 * ROUTES_MAX_USED];
    uint32_t n_used = w->shape.n_used;
    store_u32(row, n_tok);
    int rc = put(w, row, 4, e);
    for (uint64_t r = 0; r < (uint64_t)n_tok * w->shape.n_layer && !rc; r++) {
        for (uint32_t i = 0; i < n_used; i++) {
            row[2 * i] = (unsigned char)ids[r * n_used + i];
            row[2 * i + 1] = (unsigned char)(ids[r * n_used + i] >> 8);
        }
        rc = put(w, row, 2 * (size_t)n_used, e);
    }
    return rc;
}

/* Reader */

/* n_used different ids, or none at all. */
static bool row_ok(const unsigned char *p, struct routes_shape s) {
    uint16_t ids[ROUTES_MAX_USED];
    uint32_t n_none = 0;
    for (uint32_t i = 0; i < s.n_used; i++) {
        ids[i] = (uint16_t)(p[2 * i] | p[2 * i + 1] << 8);
        if (ids[i] == ROUTES_NO_EXPERT) n_none++;
        else if (ids[i] >= s.n_expert) return false;
        for (uint32_t k = 0; k < i; k++)
            if (ids[k] == ids[i] && ids[i] != ROUTES_NO_EXPERT) return false;
    }
    return n_none == 0 || n_none == s.n_used;
}

/* Walks the records; with steps (NULL in the first walk) notes where each begins. */
static int walk(const unsigned char *bytes, size_t size, const char *name, struct routes *r, struct routes_at *steps,
                struct err *e) {
    uint64_t row_bytes = 2 * (uint64_t)r->shape.n_used;
    size_t at = ROUTES_HEAD_BYTES;
    r->n_step = 0;
    r->n_tok_total = 0;
    while (size - at >= 4) {
        uint32_t n_tok = load_u32(bytes + at);
        if (n_tok < 1 || n_tok > ROUTES_MAX_TOK)
            return err_set(e, ERR_FORMAT, "'%s': step %" PRIu32 " says it has %" PRIu32 " tokens; the file is damaged",
                           name, r->n_step, n_tok);
        uint64_t n_row = (uint64_t)n_tok * r->shape.n_layer;
        if (n_row * row_bytes > size - at - 4) break;
        for (uint64_t i = 0; steps == NULL && i < n_row; i++)
            if (!row_ok(bytes + at + 4 + i * row_bytes, r->shape))
                return err_set(e, ERR_FORMAT,
                               "'%s': step %" PRIu32 " names experts that cannot be; the file is damaged", name,
                               r->n_step);
        if (steps) steps[r->n_step] = (struct routes_at){bytes + at + 4, n_tok};
        r->n_step++;
        r->n_tok_total += n_tok;
        at += 4 + n_row * row_bytes;
    }
    r->cut_off = at < size;
    return ERR_OK;
}

int routes_parse(const unsigned char *bytes, size_t size, const char *name, struct routes *r, struct err *e) {
    *r = (struct routes){0};
    if (size < ROUTES_HEAD_BYTES || memcmp(bytes, magic, sizeof magic) != 0)
        return err_set(e, ERR_FORMAT, "'%s' is no routes file; hy trace --routes FILE makes one", name);
    if (load_u32(bytes + 8) != ROUTES_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "'%s' is a routes file of version %" PRIu32 "; this hy reads version %u",
                       name, load_u32(bytes + 8), ROUTES_VERSION);
    r->shape = (struct routes_shape){load_u32(bytes + 12), load_u32(bytes + 16), load_u32(bytes + 20)};
    if (!shape_ok(r->shape)) return err_set(e, ERR_FORMAT, "'%s': its header cannot be; the file is damaged", name);
    int rc = walk(bytes, size, name, r, NULL, e);
    if (rc) return rc;
    r->steps = malloc(((size_t)r->n_step + 1) * sizeof *r->steps);
    if (!r->steps) return err_set(e, ERR_NOMEM, "no memory for the %" PRIu32 " steps of '%s'", r->n_step, name);
    return walk(bytes, size, name, r, r->steps, e);
}

uint16_t routes_id(const struct routes *r, uint32_t step, uint32_t tok, uint32_t layer, uint32_t i) {
    CHECK(step < r->n_step && tok < r->steps[step].n_tok && layer < r->shape.n_layer && i < r->shape.n_used);
    const unsigned char *p =
        r->steps[step].ids + 2 * (tok * ids_of_tok(r->shape) + (uint64_t)layer * r->shape.n_used + i);
    return (uint16_t)(p[0] | p[1] << 8);
}

static int read_whole(FILE *f, const char *path, unsigned char **bytes, size_t *size, struct err *e) {
    size_t cap = 1 << 16;
    unsigned char *p = malloc(cap);
    *size = 0;
    while (p) {
        *size += fread(p + *size, 1, cap - *size, f);
        if (*size < cap) break;
        unsigned char *larger = cap <= SIZE_MAX / 2 ? realloc(p, cap *= 2) : NULL;
        if (!larger) free(p);
        p = larger;
    }
    *bytes = p;
    if (!p) return err_set(e, ERR_NOMEM, "no memory to read '%s'", path);
    if (!ferror(f)) return ERR_OK;
    free(p);
    return err_set(e, ERR_IO, "'%s' cannot be read: %s", path, strerror(errno));
}

int routes_open(const char *path, struct routes *r, struct err *e) {
    unsigned char *bytes;
    size_t size;
    FILE *f = fopen(path, "rb");
    if (!f) return err_set(e, ERR_NOT_FOUND, "'%s' cannot be opened: %s", path, strerror(errno));
    int rc = read_whole(f, path, &bytes, &size, e);
    fclose(f);
    if (rc) return rc;
    rc = routes_parse(bytes, size, path, r, e);
    if (rc) free(bytes);
    else r->bytes = bytes;
    return rc;
}

void routes_close(struct routes *r) {
    free(r->steps);
    free(r->bytes);
    *r = (struct routes){0};
}
