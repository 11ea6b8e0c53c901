#include "sched/place.h"

#include <stdlib.h>

#include "runtime/size_text.h"

#define MERGE_GAP_BYTES ((uint64_t)2 * FIT_PAGE) /* padding between neighbours is read along; more than a range of its own costs is not */

static int by_file_offset(const void *a, const void *b) {
    const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a, *y = *(const struct gguf_tensor *const *)b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool joins(const struct load_range *r, const struct file *f, const struct gguf_tensor *t) {
    return r->file == f && t->offset <= r->offset + r->len + MERGE_GAP_BYTES;
}

/* The next range begins here; in a further buffer when the tensor has no room in this one. */
static int begin_range(struct place *p, const struct file *file, const struct gguf_tensor *t, uint64_t most_bytes, struct err *e) {
    uint64_t *size = &p->buf_bytes[p->n_buf - 1], phase = t->offset % IO_PAGE;
    uint64_t base = (*size + IO_PAGE - 1) / IO_PAGE * IO_PAGE + phase;
    if (*size && base + t->size_bytes > most_bytes) {
        if (p->n_buf == PLACE_MAX_BUF) return err_set(e, ERR_LIMIT, "the weights need more than %u buffers of %s", PLACE_MAX_BUF, size_text(most_bytes).s);
        size = &p->buf_bytes[p->n_buf++];
        base = phase;
    }
    if (base + t->size_bytes > most_bytes)
        return err_set(e, ERR_LIMIT, "tensor '%s' of %s is larger than this GPU's buffers may be (%s)", t->name, size_needed(t->size_bytes).s,
                       size_there(most_bytes).s);
    p->range_buf[p->n_range] = (uint8_t)(p->n_buf - 1);
    p->ranges[p->n_range++] = (struct load_range){.file = file, .offset = t->offset, .dst = (void *)(uintptr_t)base};
    return ERR_OK;
}

int place_make(const struct gguf *g, const struct file *files, const struct fit *f, uint64_t most_bytes, struct arena *a, struct place *p,
               struct err *e) {
    *p = (struct place){.tensor_off = arena_array(a, g->n_tensor, sizeof *p->tensor_off), .tensor_buf = arena_array(a, g->n_tensor, 1),
                        .ranges = arena_array(a, g->n_tensor, sizeof *p->ranges), .range_buf = arena_array(a, g->n_tensor, 1), .n_buf = 1};
    const struct gguf_tensor **order = arena_array(a, g->n_tensor, sizeof(void *));
    if (!p->tensor_off || !p->tensor_buf || !p->ranges || !p->range_buf || !order)
        return err_set(e, ERR_NOMEM, "no memory to place %llu tensors", (unsigned long long)g->n_tensor);
    uint64_t n = 0;
    for (uint64_t i = 0; i < g->n_tensor; i++)
        if (f->where[i] == FIT_RESIDENT) order[n++] = &g->tensors[i];
    qsort(order, n, sizeof *order, by_file_offset);

    if (!most_bytes) most_bytes = UINT64_MAX;
    struct load_range *r = NULL;
    for (uint64_t i = 0; i < n; i++) {
        const struct gguf_tensor *t = order[i];
        const struct file *file = &files[t->file];
        uint64_t end = r ? (uintptr_t)r->dst + (t->offset - r->offset) + t->size_bytes : 0;
        if (!r || !joins(r, file, t) || end > most_bytes) {
            int rc = begin_range(p, file, t, most_bytes, e);
            if (rc) return rc;
            r = &p->ranges[p->n_range - 1];
        }
        uint64_t at = t->offset - r->offset;
        p->tensor_off[t - g->tensors] = (uintptr_t)r->dst + at;
        p->tensor_buf[t - g->tensors] = (uint8_t)(p->n_buf - 1);
        if (at + t->size_bytes > r->len) r->len = at + t->size_bytes;
        p->buf_bytes[p->n_buf - 1] = (uintptr_t)r->dst + r->len;
    }
    for (uint32_t i = 0; i < p->n_buf; i++) p->size_bytes += p->buf_bytes[i];
    return ERR_OK;
}

void place_bind(struct place *p, uint32_t buf, unsigned char *base) {
    for (uint32_t i = 0; i < p->n_range; i++)
        if (p->range_buf[i] == buf) p->ranges[i].dst = base + (uintptr_t)p->ranges[i].dst;
}
