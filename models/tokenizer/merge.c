/* The merge engine of SPM and BPE: a list of symbols and a heap of the pairs that may join. O(n log n). */
#include "models/tokenizer/impl.h"

static bool pair_before(const struct pair *a, const struct pair *b) {
    return a->key < b->key || (a->key == b->key && a->left < b->left);
}

static bool heap_push(struct scratch *sc, struct pair p) {
    if (!SCRATCH_GROW(sc->heap, sc->heap_cap, sc->n_heap + 1)) return false;
    size_t i = sc->n_heap++;
    for (; i && pair_before(&p, &sc->heap[(i - 1) / 2]); i = (i - 1) / 2) sc->heap[i] = sc->heap[(i - 1) / 2];
    sc->heap[i] = p;
    return true;
}

static struct pair heap_pop(struct scratch *sc) {
    struct pair top = sc->heap[0], last = sc->heap[--sc->n_heap];
    size_t i = 0;
    for (size_t c = 1; c < sc->n_heap; c = 2 * i + 1) {
        if (c + 1 < sc->n_heap && pair_before(&sc->heap[c + 1], &sc->heap[c])) c++;
        if (!pair_before(&sc->heap[c], &last)) break;
        sc->heap[i] = sc->heap[c];
        i = c;
    }
    sc->heap[i] = last;
    return top;
}

static bool try_pair(const struct tokenizer *t, const char *text, merge_join *join, struct scratch *sc, int32_t left) {
    const struct symbol *l = left >= 0 ? &sc->symbol[left] : NULL;
    if (!l || l->next < 0) return true;
    const struct symbol *r = &sc->symbol[l->next];
    struct pair p = {.left = (uint32_t)left, .len = l->len + r->len};
    return !join(t, text, l, r, &p.key, &p.id) || heap_push(sc, p);
}

bool merge_run(const struct tokenizer *t, const char *text, merge_join *join, struct scratch *sc) {
    sc->n_heap = 0;
    for (size_t i = 0; i + 1 < sc->n_symbol; i++)
        if (!try_pair(t, text, join, sc, (int32_t)i)) return false;
    while (sc->n_heap) {
        struct pair p = heap_pop(sc);
        struct symbol *l = &sc->symbol[p.left];
        struct symbol *r = l->len && l->next >= 0 ? &sc->symbol[l->next] : NULL;
        if (!r || l->len + r->len != p.len) continue; /* one of the two has joined another since */
        l->len = p.len;
        l->id = p.id;
        l->next = r->next;
        r->len = 0;
        if (l->next >= 0) sc->symbol[l->next].prev = (int32_t)p.left;
        if (!try_pair(t, text, join, sc, l->prev) || !try_pair(t, text, join, sc, (int32_t)p.left)) return false;
    }
    return true;
}
