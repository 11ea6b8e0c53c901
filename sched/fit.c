#include "sched/fit.h"

#include <string.h>

#include "runtime/size_text.h"

#define RING_LAYERS 2       /* slots for this many layers' tensors: one computes while the next loads */
#define TENSORS_PER_LAYER 3 /* gate, up, down */

struct fitter {
    const struct fit_request *r;
    struct fit *f;
    uint32_t *dense;       /* (f->n_dense) tensors of dense FFNs in order of use */
    uint64_t dense_bytes, dense_most;
};

/* What a tensor takes in memory: its bytes, and the rest of two pages when it begins a range of its own. */
static uint64_t held_bytes(uint64_t bytes) { return bytes + 2 * FIT_PAGE; }
static uint64_t slot_bytes(uint64_t bytes) { return (bytes + FIT_PAGE - 1) / FIT_PAGE * FIT_PAGE + 2 * FIT_PAGE; }
static uint64_t tensor_bytes(const struct fitter *x, uint32_t t) { return x->r->g->tensors[t].size_bytes; }
static uint64_t dense_held(const struct fitter *x) { return x->dense_bytes + x->f->n_dense * 2 * FIT_PAGE; }

static void add_dense(struct fitter *x, const struct weight *w) {
    struct fit *f = x->f;
    if (!weight_present(w) || (f->n_dense && x->dense[f->n_dense - 1] == w->tensor)) return; /* fused: one tensor */
    uint64_t bytes = tensor_bytes(x, w->tensor);
    x->dense[f->n_dense++] = w->tensor;
    x->dense_bytes += bytes;
    if (bytes > x->dense_most) x->dense_most = bytes;
}

static int add_experts(struct fitter *x, uint32_t il, struct err *e) {
    const struct layer_weights *l = &x->r->w->layers[il];
    const struct weight *w[3] = {&l->gate_experts, &l->up_experts, &l->down_experts};
    struct fit_class c = {.n_key = w[0]->n_expert};
    for (int i = 0; i < 3; i++) {
        c.part_bytes[i] = dtype_bytes(w[i]->type, (uint64_t)w[i]->n_in * w[i]->n_out);
        c.slot_bytes += slot_bytes(c.part_bytes[i]);
    }
    uint32_t k = 0;
    struct fit *f = x->f;
    while (k < f->n_class && memcmp(f->cls[k].part_bytes, c.part_bytes, sizeof c.part_bytes) != 0) k++;
    if (k == FIT_MAX_CLASS) return err_set(e, ERR_UNSUPPORTED, "the experts have more than %u different sizes", FIT_MAX_CLASS);
    if (k == f->n_class) f->cls[f->n_class++] = c;
    else f->cls[k].n_key += c.n_key;
    f->layer_class[il] = (uint8_t)k;
    return ERR_OK;
}

static int gather(struct fitter *x, struct err *e) {
    const struct fit_request *r = x->r;
    int rc = ERR_OK;
    for (uint32_t il = 0; il < r->h->n_layer && !rc; il++) {
        const struct layer_weights *l = &r->w->layers[il];
        add_dense(x, &l->ffn_gate);
        add_dense(x, &l->ffn_up);
        add_dense(x, &l->ffn_down);
        if (weight_present(&l->route)) rc = add_experts(x, il, e);
    }
    return rc;
}

/* Experts or dense tensors that the pass so far has not put elsewhere become resident. */
static void sum_resident(struct fitter *x) {
    x->f->resident_bytes = 0;
    for (uint64_t t = 0; t < x->r->g->n_tensor; t++)
        if (x->f->where[t] == FIT_RESIDENT) x->f->resident_bytes += held_bytes(tensor_bytes(x, (uint32_t)t));
}

static void place_experts(struct fitter *x, enum fit_place where) {
    for (uint32_t il = 0; il < x->r->h->n_layer; il++) {
        const struct layer_weights *l = &x->r->w->layers[il];
        if (!weight_present(&l->route)) continue;
        x->f->where[l->gate_experts.tensor] = x->f->where[l->up_experts.tensor] = x->f->where[l->down_experts.tensor] = (uint8_t)where;
    }
}

static uint64_t pool_min(const struct fitter *x) {
    uint64_t sum = 0;
    for (uint32_t k = 0; k < x->f->n_class; k++) sum += x->f->cls[k].slot_bytes * x->r->h->n_expert_used;
    return sum;
}

/* Slots in proportion to each class's experts; what rounding leaves goes to the first class that can use it. */
static void size_pool(struct fitter *x, uint64_t bytes) {
    struct fit *f = x->f;
    uint64_t whole = 0, used = 0;
    uint32_t n_key = 0, most = x->r->n_expert_slot;
    for (uint32_t k = 0; k < f->n_class; k++) {
        whole += f->cls[k].slot_bytes * f->cls[k].n_key;
        n_key += f->cls[k].n_key;
    }
    for (uint32_t k = 0; k < f->n_class; k++) {
        struct fit_class *c = &f->cls[k];
        double share = bytes < whole ? (double)bytes / (double)whole : 1;
        uint64_t n = (uint64_t)(share * c->n_key);
        if (most && n > (uint64_t)most * c->n_key / n_key) n = (uint64_t)most * c->n_key / n_key;
        if (n < x->r->h->n_expert_used) n = x->r->h->n_expert_used;
        c->n_slot = n > c->n_key ? c->n_key : (uint32_t)n;
        used += c->n_slot * c->slot_bytes;
    }
    for (uint32_t k = 0; k < f->n_class && !most; k++) {
        struct fit_class *c = &f->cls[k];
        while (c->n_slot < c->n_key && used + c->slot_bytes <= bytes) {
            c->n_slot++;
            used += c->slot_bytes;
        }
    }
    for (uint32_t k = 0; k < f->n_class; k++) { /* the least of one class may have come out of another's share */
        struct fit_class *c = &f->cls[k];
        for (; used > bytes && c->n_slot > x->r->h->n_expert_used; c->n_slot--) used -= c->slot_bytes;
    }
    f->pool_bytes = used;
}

/* Pins up to `bytes` of dense tensors, evenly over the order of use; the others go to `elsewhere`. */
static void pin_dense(struct fitter *x, uint64_t bytes, enum fit_place elsewhere) {
    struct fit *f = x->f;
    double share = x->dense_bytes ? (double)bytes / (double)x->dense_bytes : 0, due = 0;
    f->n_ring = f->n_dense_pinned = 0;
    f->ring_step_bytes = 0;
    for (uint32_t i = 0; i < f->n_dense; i++) {
        uint32_t t = x->dense[i];
        due += share * (double)tensor_bytes(x, t);
        bool pin = due >= (double)held_bytes(tensor_bytes(x, t));
        if (pin) due -= (double)held_bytes(tensor_bytes(x, t));
        f->where[t] = pin ? FIT_RESIDENT : (uint8_t)elsewhere;
        if (pin) f->n_dense_pinned++;
        else if (elsewhere == FIT_RING) {
            f->ring_tensor[f->n_ring++] = t;
            f->ring_step_bytes += tensor_bytes(x, t);
        }
    }
}

static void stream_dense(struct fitter *x, uint64_t bytes) {
    struct fit *f = x->f;
    if (!x->r->n_ring_slot && bytes >= dense_held(x)) { /* all fit without a ring */
        pin_dense(x, UINT64_MAX / 2, FIT_RING);
        return;
    }
    f->ring_slot_bytes = slot_bytes(x->dense_most);
    uint32_t n = x->r->n_ring_slot ? x->r->n_ring_slot : RING_LAYERS * TENSORS_PER_LAYER;
    while (n > f->ring_slot_min && n * f->ring_slot_bytes > bytes) n--;
    if (n < f->ring_slot_min) n = f->ring_slot_min;
    if (bytes >= dense_held(x)) bytes = 0; /* asked to stream what fits */
    f->n_ring_slot = n;
    f->ring_bytes = n * f->ring_slot_bytes;
    pin_dense(x, bytes > f->ring_bytes ? bytes - f->ring_bytes : 0, FIT_RING);
    if (f->n_ring == 0) f->ring_bytes = f->n_ring_slot = 0;
}

/* Tensors of all kinds that may leave memory stay in the file once the bytes are used up. */
static void map_overflow(struct fitter *x, uint64_t bytes) {
    struct fit *f = x->f;
    pin_dense(x, bytes, FIT_MAPPED);
    for (uint32_t i = 0; i < f->n_dense; i++)
        if (f->where[x->dense[i]] == FIT_RESIDENT) bytes -= held_bytes(tensor_bytes(x, x->dense[i]));
    place_experts(x, FIT_MAPPED);
    for (uint32_t il = 0; il < x->r->h->n_layer; il++) {
        const struct layer_weights *l = &x->r->w->layers[il];
        const struct weight *w[3] = {&l->gate_experts, &l->up_experts, &l->down_experts};
        for (int i = 0; i < 3 && weight_present(&l->route); i++) {
            uint64_t need = held_bytes(tensor_bytes(x, w[i]->tensor));
            if (need > bytes) continue;
            bytes -= need;
            f->where[w[i]->tensor] = FIT_RESIDENT;
        }
    }
    f->n_class = 0;
    for (uint64_t t = 0; t < x->r->g->n_tensor; t++)
        if (f->where[t] == FIT_MAPPED) f->mapped_bytes += tensor_bytes(x, (uint32_t)t);
}

/* The places when not all fits: what cannot leave, then the ring, then pins or slots with all that is left. */
static int fit_less(struct fitter *x, struct err *e) {
    struct fit *f = x->f;
    uint32_t embd = x->r->w->token_embd.tensor;
    f->rows = !x->r->w->tied && !x->r->mapped;
    if (!x->r->w->tied) f->where[embd] = f->rows ? FIT_ROWS : FIT_MAPPED;
    for (uint32_t i = 0; i < f->n_dense; i++) f->where[x->dense[i]] = FIT_RING;
    place_experts(x, FIT_POOL);
    sum_resident(x);
    f->ring_slot_min = f->n_dense ? TENSORS_PER_LAYER : 0;
    uint64_t ring_min = f->ring_slot_min * slot_bytes(x->dense_most);
    if (!x->r->n_ring_slot && ring_min > dense_held(x)) ring_min = dense_held(x);
    uint64_t rows_bytes = f->rows ? x->r->rows_bytes : 0;
    f->min_bytes = f->resident_bytes + rows_bytes + (x->r->mapped ? 0 : ring_min + pool_min(x));
    if (x->r->bytes < f->min_bytes) return err_set(e, ERR_NOMEM, "%s are too few for the weights", size_there(x->r->bytes).s);
    uint64_t left = x->r->bytes - f->resident_bytes - rows_bytes;
    if (x->r->mapped) {
        map_overflow(x, left);
    } else if (f->n_class) {
        /* Experts come in by chance, dense tensors always: dense tensors stay when the pool still has its least. */
        uint64_t for_dense = left - pool_min(x) < dense_held(x) ? left - pool_min(x) : dense_held(x);
        stream_dense(x, for_dense);
        size_pool(x, left - for_dense);
    } else {
        stream_dense(x, left);
    }
    sum_resident(x);
    return ERR_OK;
}

int fit_make(const struct fit_request *r, struct arena *a, struct fit *f, struct err *e) {
    *f = (struct fit){.where = arena_array(a, r->g->n_tensor, 1), .layer_class = arena_array(a, r->h->n_layer, 1)};
    struct fitter x = {.r = r, .f = f};
    uint32_t n = r->h->n_layer * TENSORS_PER_LAYER;
    x.dense = arena_array(a, n, sizeof *x.dense);
    f->ring_tensor = arena_array(a, n, sizeof *f->ring_tensor);
    if (!f->where || !f->layer_class || !x.dense || !f->ring_tensor) return err_set(e, ERR_NOMEM, "no memory to place the weights");
    memset(f->layer_class, FIT_NO_CLASS, r->h->n_layer);
    memset(f->where, FIT_RESIDENT, r->g->n_tensor);
    f->resident_bytes = f->min_bytes = r->whole_bytes;
    if (r->whole_bytes <= r->bytes && !r->n_ring_slot && !r->n_expert_slot) return ERR_OK;
    int rc = gather(&x, e);
    return rc ? rc : fit_less(&x, e);
}
