#include <stdlib.h>

#include "runtime/clock.h"
#include "runtime/metal_impl.h"

#define SET_BYTES ((uint64_t)8 << 30) /* a further set is begun behind this */
#define IDLE_NS ((uint64_t)500000000) /* macOS 26 unwires a set about 1 s after its last use */

/* The set for a new buffer: the last one, or a new one when that is large. */
static int choose_set(struct metal_residency *r, id device, id queue, uint32_t *out, struct err *e) {
    bool full = r->n_set == 0 || (r->set_bytes[r->n_set - 1] >= SET_BYTES && r->n_set < MTL_MAX_RESIDENCY_SETS);
    if (full) {
        id descriptor = oc_new_object(oc_class("MTLResidencySetDescriptor")), error = NULL, set = NULL;
        if (descriptor) set = mtl_new_residency_set(device, descriptor, &error);
        oc_drop(&descriptor);
        if (!set) return oc_error(e, ERR_DEVICE, error, "Metal refused a residency set");
        mtl_add_residency_set(queue, set);
        r->set_bytes[r->n_set] = 0;
        r->sets[r->n_set++] = set;
    }
    *out = r->n_set - 1;
    return ERR_OK;
}

static int make_room(struct metal_residency *r, struct err *e) {
    if (r->n < r->cap) return ERR_OK;
    uint32_t cap = r->cap ? r->cap * 2 : 64;
    struct metal_buf **bufs = realloc(r->bufs, cap * sizeof *bufs);
    if (bufs) r->bufs = bufs;
    id *ids = realloc(r->ids, cap * sizeof *ids);
    if (ids) r->ids = ids;
    if (!bufs || !ids) return err_set(e, ERR_NOMEM, "no memory for a list of %u buffers", cap);
    r->cap = cap;
    return ERR_OK;
}

int metal_residency_add(struct metal_residency *r, id device, id queue, struct metal_buf *b, uint64_t bytes,
                        struct err *e) {
    int rc = make_room(r, e);
    if (!rc && r->has_sets) rc = choose_set(r, device, queue, &b->set, e);
    if (rc) return rc;
    if (r->has_sets) {
        mtl_add_allocation(r->sets[b->set], b->mtl);
        r->set_bytes[b->set] += bytes;
        r->changed = true;
    }
    b->index = r->n;
    r->bufs[r->n] = b;
    r->ids[r->n++] = b->mtl;
    return ERR_OK;
}

void metal_residency_remove(struct metal_residency *r, struct metal_buf *b, uint64_t bytes) {
    CHECK(b->index < r->n && r->bufs[b->index] == b);
    if (r->has_sets) {
        mtl_remove_allocation(r->sets[b->set], b->mtl);
        mtl_commit_set(r->sets[b->set]); /* now: the buffer is about to go */
        r->set_bytes[b->set] -= bytes;
    }
    r->bufs[b->index] = r->bufs[--r->n];
    r->ids[b->index] = r->ids[r->n];
    r->bufs[b->index]->index = b->index;
}

void metal_residency_before_encoding(struct metal_residency *r, id encoder) {
    if (!r->has_sets && r->n)
        mtl_use_resources(encoder, r->ids, r->n, MTLResourceUsageRead | MTLResourceUsageWrite);
}

void metal_residency_before_commit(struct metal_residency *r) {
    uint64_t now = clock_ns();
    if (!r->has_sets || (!r->changed && now - r->used_ns < IDLE_NS)) {
        r->used_ns = now;
        return;
    }
    for (uint32_t i = 0; i < r->n_set; i++) {
        if (r->changed) mtl_commit_set(r->sets[i]);
        mtl_request_residency(r->sets[i]);
    }
    r->changed = false;
    r->used_ns = now;
}

void metal_residency_deinit(struct metal_residency *r, id queue) {
    for (uint32_t i = 0; i < r->n_set; i++) {
        mtl_end_residency(r->sets[i]);
        mtl_remove_residency_set(queue, r->sets[i]);
        oc_drop(&r->sets[i]);
    }
    free(r->bufs);
    free(r->ids);
    *r = (struct metal_residency){0};
}
