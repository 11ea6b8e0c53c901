#include "sched/model_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_HEAD_BYTES ((uint64_t)1 << 20)

/* Reads a growing prefix of the file until the header fits in it. */
static int read_head(const struct file *f, struct arena *a, unsigned char **bytes, struct gguf *g, struct err *e) {
    uint64_t have = 0, want = FIRST_HEAD_BYTES;
    for (;;) {
        if (want > f->size_bytes) want = f->size_bytes;
        unsigned char *p = realloc(*bytes, want);
        if (!p) return err_set(e, ERR_NOMEM, "no memory for the header of '%s' (%llu bytes)", f->path, (unsigned long long)want);
        *bytes = p;
        int rc = file_read(f, have, p + have, want - have, false, e);
        if (rc) return rc;
        have = want;
        struct arena attempt;
        arena_init(&attempt, 0);
        uint64_t need = 0;
        rc = gguf_parse(p, have, f->size_bytes, f->path, &attempt, g, &need, e);
        if (rc == ERR_SHORT && have < f->size_bytes) {
            arena_deinit(&attempt);
            want = need > 2 * have ? need : 2 * have;
            continue;
        }
        arena_deinit(&attempt);
        return rc ? rc : gguf_parse(p, have, f->size_bytes, f->path, a, g, NULL, e);
    }
}

static int open_part(struct model_file *m, const char *path, uint32_t i, struct gguf *g, struct err *e) {
    int rc = file_open(path, &m->files[i], e);
    if (rc) return rc;
    m->n_file = i + 1;
    m->size_bytes += m->files[i].size_bytes;
    return read_head(&m->files[i], &m->arena, &m->heads[i], g, e);
}

static int open_parts(struct model_file *m, const char *path, struct err *e) {
    uint32_t n = 1;
    m->files = arena_array(&m->arena, GGUF_MAX_FILES, sizeof *m->files);
    m->heads = arena_array(&m->arena, GGUF_MAX_FILES, sizeof *m->heads);
    if (!m->files || !m->heads) return err_set(e, ERR_NOMEM, "no memory to open '%s'", path);
    int rc = open_part(m, path, 0, &m->gguf, e);
    if (!rc) rc = gguf_split_count(&m->gguf, path, &n, e);
    for (uint32_t i = 1; i < n && !rc; i++) {
        char name[PATH_MAX];
        struct gguf part;
        rc = gguf_split_path(path, i, n, name, sizeof name, e);
        if (!rc) rc = open_part(m, name, i, &part, e);
        if (!rc) rc = gguf_split_add(&m->gguf, &part, i, name, &m->arena, e);
    }
    return rc;
}

int model_file_open(const char *path, struct model_file **out, struct err *e) {
    struct model_file *m = calloc(1, sizeof *m);
    if (!m) return err_set(e, ERR_NOMEM, "no memory to open '%s'", path);
    arena_init(&m->arena, 0);
    int rc = open_parts(m, path, e);
    if (rc) {
        model_file_close(m);
        return rc;
    }
    *out = m;
    return ERR_OK;
}

int model_file_check_unchanged(const struct model_file *m, struct err *e) {
    int rc = ERR_OK;
    for (uint32_t i = 0; i < m->n_file && !rc; i++) rc = file_check_unchanged(&m->files[i], e);
    return rc;
}

void model_file_close(struct model_file *m) {
    if (!m) return;
    for (uint32_t i = 0; i < m->n_file; i++) {
        file_close(&m->files[i]);
        free(m->heads[i]);
    }
    arena_deinit(&m->arena);
    free(m);
}
