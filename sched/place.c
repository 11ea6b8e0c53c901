#include "sched/place.h"

#include <stdlib.h>

#define MERGE_GAP_BYTES ((uint64_t)64 << 10) /* padding between neighbours is read along; larger holes are not */

static int by_file_offset(const void *a, const void *b) {
    const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a, *y = *(const struct gguf_tensor *const *)b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool joins(const struct load_range *r, const struct file *f, const struct gguf_tensor *t) {
    return r->file == f && t->offset <= r->offset + r->len + MERGE_GAP_BYTES;
}

int place_make(const struct gguf *g, const struct file *files, const struct fit *f, struct arena *a, struct place *p, struct err *e) {
    *p = (struct place){.tensor_off = arena_array(a, g->n_tensor, sizeof *p->tensor_off),
                        .ranges = arena_array(a, g->n_tensor, sizeof *p->ranges)};
    const struct gguf_tensor **order = arena_array(a, g->n_tensor, sizeof(void *));
    if (!p->tensor_off || !p->ranges || !order) return err_set(e, ERR_NOMEM, "no memory to place %llu tensors", (unsigned long long)g->n_tensor);
    uint64_t n = 0;
    for (uint64_t i = 0; i < g->n_tensor; i++)
        if (f->where[i] == FIT_RESIDENT) order[n++] = &g->tensors[i];
    qsort(order, n, sizeof *order, by_file_offset);

    uint64_t base = 0; /* of the current range in the buffer */
    struct load_range *r = NULL;
    for (uint64_t i = 0; i < n; i++) {
        const struct gguf_tensor *t = order[i];
        const struct file *file = &files[t->file];
        if (!r || !joins(r, file, t)) {
            base = (p->size_bytes + IO_PAGE - 1) / IO_PAGE * IO_PAGE + t->offset % IO_PAGE;
            r = &p->ranges[p->n_range++];
            *r = (struct load_range){.file = file, .offset = t->offset, .dst = (void *)(uintptr_t)base};
        }
        uint64_t at = t->offset - r->offset;
        p->tensor_off[t - g->tensors] = base + at;
        if (at + t->size_bytes > r->len) r->len = at + t->size_bytes;
        p->size_bytes = base + r->len;
    }
    return ERR_OK;
}

void place_bind(struct place *p, unsigned char *base) {
    for (uint32_t i = 0; i < p->n_range; i++) p->ranges[i].dst = base + (uintptr_t)p->ranges[i].dst;
}
