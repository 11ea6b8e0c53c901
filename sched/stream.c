#include "sched/stream.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "sched/engine.h"
#include "sched/routes.h"

#define RING_TAG 0x80000000u /* marks reads of the ring; the others' tags are keys of experts */
#define SHRINK_EVERY_NS 1000000000ull
#define GROW_AFTER_NS 15000000000ull /* of quiet; the averages of PSI are over 10 s */
#define GROW_EVERY_NS 2000000000ull
#define ROWS_PER_ASK 16u     /* of the embedding that are read between two looks at whether to go on */
#define MOST_OF_LAYER 3      /* a chunk that chooses this many experts per expert of the layer needs nearly all of them */

struct run {
    struct hy_engine *en;
    struct stream *st;
    const struct step_shape *s;
    struct exec x;
    bool open;          /* a list is being encoded, */
    uint32_t first_op;  /* from this op on */
    bool acquired;      /* the layer holds ring slots */
    uint32_t n_routed;  /* rows that the layer's router saw */
};

/* Events */

static void add_event(struct run *r, enum trace_kind kind, uint64_t t0, uint64_t t1, uint64_t bytes, uint32_t layer, uint32_t n) {
    trace_add(r->en->trace, &(struct trace_event){.t0_ns = t0, .t1_ns = t1, .bytes = bytes, .step = (uint32_t)r->st->step, .n = n,
                                                  .layer = (uint16_t)layer, .expert = TRACE_NO_EXPERT, .kind = (uint8_t)kind});
}

static void add_wait(struct run *r, uint64_t ns, uint64_t bytes, uint32_t layer) {
    r->st->stats.wait_ns += ns;
    uint64_t now = r->en->trace && ns ? clock_ns() : 0;
    if (now) add_event(r, TRACE_WAIT, now - ns, now, bytes, layer, 0);
}

static void note_read(void *ctx, const struct read_event *ev) {
    struct hy_engine *en = ctx;
    if (!en->trace) return;
    struct trace_event t = {.t0_ns = ev->t0_ns, .t1_ns = ev->t1_ns, .bytes = ev->bytes, .step = (uint32_t)en->stream.step,
                            .n = (uint32_t)ev->priority, .expert = TRACE_NO_EXPERT, .kind = TRACE_READ, .lane = (uint8_t)ev->lane,
                            .part = (uint8_t)ev->part};
    uint32_t tag = ev->job->tag;
    if (tag & RING_TAG) {
        t.layer = en->stream.unit_layer[tag & ~RING_TAG];
        t.part = en->stream.unit_part[tag & ~RING_TAG];
    } else {
        t.layer = (uint16_t)(tag / en->h.n_expert);
        t.expert = (uint16_t)(tag % en->h.n_expert);
    }
    trace_add(en->trace, &t);
}

static int check_piece(void *ctx, const struct read_part *piece, struct err *e) {
    const struct hy_engine *en = ctx;
    return sidecar_check(&en->stream.sidecar, piece, e);
}

/* Lists */

static void open_list(struct run *r, uint32_t op) {
    if (r->open) return;
    r->x.c = cmd_begin(r->en->dev);
    r->open = true;
    r->first_op = op;
}

/* Lets the device work on what is encoded. The CPU device has finished it on return; a traced run waits for any, to see its end. */
static int hand_over(struct run *r, struct err *e) {
    if (!r->open) return ERR_OK;
    uint64_t t0 = clock_ns();
    r->open = false;
    int rc = cmd_commit(r->x.c, &r->st->fence, e);
    if (!rc && r->en->trace) rc = device_wait(r->en->dev, r->st->fence, e);
    uint64_t t1 = clock_ns();
    r->st->stats.compute_ns += t1 - t0;
    if (r->en->trace) add_event(r, TRACE_COMPUTE, t0, t1, 0, r->en->p.ops[r->first_op].layer, r->first_op);
    return rc;
}

static int await(struct run *r, uint64_t fence, struct err *e) {
    uint64_t t0 = clock_ns();
    int rc = device_wait(r->en->dev, fence, e);
    r->st->stats.compute_ns += clock_ns() - t0;
    return rc;
}

static int finish(struct run *r, struct err *e) {
    int rc = hand_over(r, e);
    return rc ? rc : await(r, r->st->fence, e);
}

/* Hands over a long step's list and lets the device come to it: layers that wait for no bytes are not encoded far ahead. */
static int end_list(struct run *r, struct err *e) {
    uint64_t before = r->st->fence;
    if (!r->open || r->s->n_tok <= LONG_STEP) return ERR_OK;
    int rc = hand_over(r, e);
    if (!rc) rc = await(r, before, e);
    if (!rc && r->st->ring.slots) ring_pump(&r->st->ring);
    return rc;
}

/* Leaves a step that nobody waits for any more, when the device has done what is encoded. */
static int heed_stop(struct run *r, struct err *e) {
    if (!r->s->stop) return ERR_OK;
    int rc = end_list(r, e);
    if (rc || !r->s->stop(r->s->ctx)) return rc;
    rc = finish(r, e);
    return rc ? rc : err_set(e, ERR_CANCELLED, "interrupted");
}

/* Dense tensors */

static int acquire(struct run *r, const struct weight *w, uint32_t layer, struct err *e) {
    struct hy_engine *en = r->en;
    if (!weight_present(w) || en->fit.where[w->tensor] != FIT_RING || en->tensor_at[w->tensor].buf) return ERR_OK;
    uint64_t waited = 0;
    int rc = ERR_OK;
    if (!ring_ready(&r->st->ring)) {
        rc = hand_over(r, e); /* the device works while we wait */
        if (!rc) rc = heed_stop(r, e);
    }
    if (!rc) rc = ring_acquire(&r->st->ring, r->st->unit_of[w->tensor], &en->tensor_at[w->tensor], &waited, e);
    if (rc) return rc;
    r->acquired = true;
    add_wait(r, waited, en->mf->gguf.tensors[w->tensor].size_bytes, layer);
    return ERR_OK;
}

static int acquire_for(struct run *r, const struct op *o, struct err *e) {
    if (o->kind != OP_MATMUL && o->kind != OP_MATMUL_GLU) return ERR_OK;
    int rc = acquire(r, &o->w, o->layer, e);
    return rc || o->kind != OP_MATMUL_GLU ? rc : acquire(r, &o->up.w, o->layer, e);
}

/* The layer's slots are free when the device has done what is encoded so far. */
static int release(struct run *r, uint32_t layer, struct err *e) {
    if (!r->acquired) return ERR_OK;
    int rc = hand_over(r, e);
    if (rc) return rc;
    const struct layer_weights *l = &r->en->w.layers[layer];
    const struct weight *w[] = {&l->ffn_gate, &l->ffn_up, &l->ffn_down};
    for (int i = 0; i < 3; i++)
        if (weight_present(w[i]) && r->en->fit.where[w[i]->tensor] == FIT_RING) r->en->tensor_at[w[i]->tensor].buf = NULL;
    r->acquired = false;
    ring_release(&r->st->ring, r->st->fence);
    return ERR_OK;
}

/* Experts */

/* The chosen ids, with -1 for experts that are not in the group. */
static void mask_ids(struct run *r, const int32_t *routed, uint32_t n_id, uint32_t n_group) {
    int32_t *ids = (int32_t *)r->st->ids.host;
    memset(r->st->in_group, 0, r->en->h.n_expert);
    for (uint32_t k = 0; k < n_group; k++) r->st->in_group[r->st->group[k]] = true;
    for (uint32_t i = 0; i < n_id; i++) ids[i] = r->st->in_group[routed[i]] ? routed[i] : -1;
}

static void write_addresses(struct run *r, uint32_t layer, uint32_t n_group) {
    for (uint32_t part = 0; part < 3; part++) {
        uint64_t *table = ref_host(expert_table(r->en, layer, part));
        memset(table, 0, r->en->h.n_expert * sizeof *table);
        for (uint32_t k = 0; k < n_group; k++) table[r->st->group[k]] = experts_address(&r->st->experts, layer, r->st->group[k], part);
    }
}

/* Before the down products: the device works on gate and up while the rest of the group arrives. */
static int complete_group(struct run *r, uint32_t layer, uint32_t n_group, uint32_t op, struct err *e) {
    uint64_t waited;
    if (!experts_incomplete(&r->st->experts, r->st->group, n_group)) return ERR_OK;
    int rc = hand_over(r, e);
    if (!rc) rc = experts_complete(&r->st->experts, r->st->group, n_group, &waited, e);
    if (rc) return rc;
    add_wait(r, waited, 0, layer);
    open_list(r, op);
    return ERR_OK;
}

/* Experts' outputs are independent of each other, so groups of them may be computed as they arrive: an output row has the same
 * bits in whichever group it comes. Earlier groups' rows of gate and up are overwritten, those of down are not. */
static int run_group(struct run *r, uint32_t route, uint32_t sum, uint32_t n_group, struct err *e) {
    const struct op *o = &r->en->p.ops[route];
    uint32_t n_id = r->n_routed * o->route.n_used;
    const int32_t *routed = exec_routed(&r->x, route);
    write_addresses(r, o->layer, n_group);
    mask_ids(r, routed, n_id, n_group);
    open_list(r, route + 1);
    int rc = exec_lists(&r->x, o, r->n_routed, e);
    for (uint32_t i = route + 1; i < sum && !rc; i++) {
        if (r->en->p.ops[i].w.tensor == r->en->w.layers[o->layer].down_experts.tensor && weight_present(&r->en->p.ops[i].w))
            rc = complete_group(r, o->layer, n_group, i, e);
        if (!rc) rc = exec_op(&r->x, i, e);
    }
    return rc;
}

/* A prompt's chunk needs nearly all experts of the next layer: their reads run under this layer's compute. */
static void read_next_layer(struct run *r, uint32_t layer, uint32_t n_id) {
    const struct hy_engine *en = r->en;
    uint32_t next = layer + 1 < en->h.n_layer ? layer + 1 : 0;
    if (n_id < MOST_OF_LAYER * en->h.n_expert || en->fit.layer_class[next] == FIT_NO_CLASS || next == 0) return;
    for (uint32_t k = 0; k < en->h.n_expert; k++) r->st->group[k] = (uint16_t)k;
    experts_ahead(&r->st->experts, next, r->st->group, en->h.n_expert, EXPERT_AHEAD);
}

/* Remembers what the router chose, for --routes. */
static int note_routes(struct run *r, const struct op *o, uint32_t route, struct err *e) {
    const struct hy_engine *en = r->en;
    int rc = finish(r, e);
    if (rc) return rc;
    const int32_t *routed = exec_routed(&r->x, route);
    uint32_t n_used = o->route.n_used;
    for (uint32_t i = 0; i < r->x.n_row; i++) {
        uint64_t tok = exec_token(&r->x, route, i);
        for (uint32_t k = 0; k < n_used; k++)
            r->st->routes[(tok * en->h.n_layer + o->layer) * n_used + k] = (uint16_t)routed[i * n_used + k];
    }
    return ERR_OK;
}

/* From the router's choice to the last expert's down projection. */
static int run_experts(struct run *r, uint32_t chunk, uint32_t route, uint32_t sum, struct err *e) {
    struct experts *x = &r->st->experts;
    const struct op *o = &r->en->p.ops[route];
    int rc = ahead_encode(&r->x, route, e);
    if (!rc) rc = finish(r, e);
    if (rc) return rc;
    experts_release(x); /* of the layer before */
    const int32_t *routed = exec_routed(&r->x, route);
    r->n_routed = r->x.n_row; /* fewer than the chunk's tokens in the last layer */
    uint32_t n_id = r->n_routed * o->route.n_used, n = 0;
    for (uint32_t i = 0; i < n_id; i++)
        if (routed[i] < 0 || (uint32_t)routed[i] >= r->en->h.n_expert)
            return err_set(e, ERR_DEVICE, "layer %u: the router chose expert %d of %u", o->layer, routed[i], r->en->h.n_expert);
    experts_visit(x, o->layer, routed, n_id, r->n_routed, chunk + 1 < r->s->n_chunk);
    read_next_layer(r, o->layer, n_id);
    ahead_routed(r->en, &r->x, route, routed, r->n_routed);
    r->x.pooled = true;
    r->x.ids = (struct ref){&r->st->ids, 0};
    do {
        uint64_t waited;
        rc = experts_next(x, r->st->group, &n, &waited, e);
        if (!rc && n) rc = run_group(r, route, sum, n, e);
        add_wait(r, waited, 0, o->layer);
        if (!rc && experts_left(x)) {
            rc = finish(r, e); /* the next group overwrites the ids, and may need these slots */
            if (!rc) rc = heed_stop(r, e);
            experts_release(x);
        }
    } while (!rc && experts_left(x));
    return rc;
}

/* The step */

static int run_ops(struct run *r, uint32_t chunk, uint32_t begin, uint32_t end, struct err *e) {
    const struct hy_engine *en = r->en;
    exec_chunk(&r->x, r->s, chunk);
    r->x.pooled = false;
    open_list(r, begin);
    cmd_barrier(r->x.c);
    for (uint32_t i = begin; i < end; i++) {
        const struct op *o = &en->p.ops[i];
        int rc = acquire_for(r, o, e);
        if (rc) return rc;
        open_list(r, i);
        rc = exec_op(&r->x, i, e);
        if (rc) return rc;
        if (o->kind == OP_ROUTE && en->routes && r->x.n_row) rc = note_routes(r, o, i, e);
        if (rc) return rc;
        if (o->kind != OP_ROUTE || !en->fit.n_class || en->fit.layer_class[o->layer] == FIT_NO_CLASS) continue;
        uint32_t sum = i + 1;
        while (en->p.ops[sum].kind != OP_EXPERT_SUM) sum++;
        if (r->x.n_row) rc = run_experts(r, chunk, i, sum, e);
        if (rc) return rc;
        i = sum - 1;
    }
    return ERR_OK;
}

static int run_layers(struct run *r, struct err *e) {
    const struct program *p = &r->en->p;
    for (uint32_t begin = 0, end; begin < p->n_op; begin = end) {
        uint32_t layer = p->ops[begin].layer;
        for (end = begin; end < p->n_op && p->ops[end].layer == layer;) end++;
        int rc = ERR_OK;
        for (uint32_t c = 0; c < r->s->n_chunk && !rc; c++) {
            rc = heed_stop(r, e);
            if (!rc) rc = run_ops(r, c, begin, end, e);
        }
        if (!rc) rc = release(r, layer, e);
        if (!rc && r->en->trace) rc = hand_over(r, e); /* a stretch per layer */
        else if (!rc && r->open && layer % FLUSH_LAYERS == FLUSH_LAYERS - 1) rc = cmd_flush(r->x.c, e);
        if (rc) return rc;
    }
    open_list(r, p->n_op - 1);
    int rc = exec_best(r->en, r->x.c, r->s, e);
    return rc ? rc : finish(r, e);
}

/* The step's rows of an embedding that is not resident. Through the page cache: they are few and small, and some come often. */
static int read_rows(struct run *r, struct err *e) {
    struct hy_engine *en = r->en;
    if (!en->rows.host) return ERR_OK;
    const struct weight *w = &en->w.token_embd;
    const struct gguf_tensor *t = &en->mf->gguf.tensors[w->tensor];
    uint64_t row_bytes = dtype_bytes(w->type, w->n_in);
    const int32_t *token = ref_host(en->in.token);
    int rc = ERR_OK;
    for (uint32_t i = 0; i < r->s->n_tok && !rc; i++) {
        if (i % ROWS_PER_ASK == 0) rc = heed_stop(r, e);
        if (!rc)
            rc = file_read(&en->mf->files[t->file], t->offset + w->offset_bytes + (uint64_t)token[i] * row_bytes,
                           en->rows.host + i * row_bytes, row_bytes, false, e);
    }
    return rc;
}

/* After a failure or a stop: nothing in flight, nothing acquired, so that the next step can begin. */
static void recover(struct run *r) {
    device_wait(r->en->dev, r->st->fence, NULL);
    for (uint32_t i = 0; i < r->en->fit.n_ring; i++) r->en->tensor_at[r->en->fit.ring_tensor[i]].buf = NULL;
    if (r->st->ring.slots) ring_reset(&r->st->ring);
}

/* Gives memory back while the system wants it, a slab per step, and takes it again when it has been quiet for a while. */
static void heed_pressure(struct run *r, uint64_t now) {
    struct stream *st = r->st;
    enum pressure p = pressure_now(&st->pressure, now);
    if (p != PRESSURE_NONE) {
        if (now >= st->shrink_ns && experts_shrink(&st->experts)) st->shrink_ns = now + (p == PRESSURE_CRITICAL ? 0 : SHRINK_EVERY_NS);
        st->grow_ns = now + GROW_AFTER_NS;
    } else if (now >= st->grow_ns && experts_grow(&st->experts)) {
        st->grow_ns = now + GROW_EVERY_NS;
    }
}

static void end_step_of_experts(struct run *r, bool whole) {
    experts_end_step(&r->st->experts);
    if (whole) ahead_end_step(r->en, r->s->n_tok);
    heed_pressure(r, clock_ns());
}

static int check_files(const struct hy_engine *en, struct err *e) {
    int rc = model_file_check_unchanged(en->mf, e);
    return rc || !en->stream.sidecar.open ? rc : file_check_unchanged(&en->stream.sidecar.file, e);
}

int stream_run(struct hy_engine *en, const struct step_shape *s, struct err *e) {
    struct run r = {.en = en, .st = &en->stream, .s = s, .x = {.en = en}};
    uint64_t t0 = clock_ns();
    r.st->experts.trace = en->trace;
    int rc = check_files(en, e);
    if (!rc) rc = read_rows(&r, e);
    if (!rc && r.st->ring.slots) ring_pump(&r.st->ring);
    uint64_t n_route = (uint64_t)s->n_tok * en->h.n_layer * en->h.n_expert_used;
    if (en->routes) memset(r.st->routes, 0xff, n_route * sizeof *r.st->routes); /* ROUTES_NO_EXPERT */
    if (!rc) rc = run_layers(&r, e);
    if (!rc) rc = check_files(en, e); /* what was read while it changed is of neither */
    if (!rc && en->routes) rc = routes_step(en->routes, r.st->routes, s->n_tok, e);
    if (rc) recover(&r);
    if (r.st->experts.slots) end_step_of_experts(&r, rc == ERR_OK);
    uint64_t t1 = clock_ns();
    r.st->stats.step_ns += t1 - t0;
    if (en->trace) add_event(&r, TRACE_STEP, t0, t1, 0, 0, s->n_tok);
    r.st->step++;
    return rc;
}

/* Opening */

static int open_ring(struct hy_engine *en, struct err *e) {
    struct stream *st = &en->stream;
    const struct fit *f = &en->fit;
    if (!f->n_ring) return ERR_OK;
    st->units = arena_array(&en->arena, f->n_ring, sizeof *st->units);
    st->unit_layer = arena_array(&en->arena, f->n_ring, sizeof *st->unit_layer);
    st->unit_part = arena_array(&en->arena, f->n_ring, 1);
    st->unit_of = arena_array(&en->arena, en->mf->gguf.n_tensor, sizeof *st->unit_of);
    if (!st->units || !st->unit_layer || !st->unit_part || !st->unit_of) return err_set(e, ERR_NOMEM, "no memory for the stream");
    for (uint32_t i = 0; i < f->n_ring; i++) {
        const struct gguf_tensor *t = &en->mf->gguf.tensors[f->ring_tensor[i]];
        st->units[i] = (struct source){&en->mf->files[t->file], t->offset, t->size_bytes};
        sidecar_tensor(&st->sidecar, f->ring_tensor[i], &st->units[i]);
        st->unit_of[f->ring_tensor[i]] = i;
    }
    for (uint32_t il = 0; il < en->h.n_layer; il++) {
        const struct layer_weights *l = &en->w.layers[il];
        const struct weight *w[] = {&l->ffn_gate, &l->ffn_up, &l->ffn_down};
        for (uint8_t part = 0; part < 3; part++) {
            if (!weight_present(w[part]) || f->where[w[part]->tensor] != FIT_RING) continue;
            st->unit_layer[st->unit_of[w[part]->tensor]] = (uint16_t)il;
            st->unit_part[st->unit_of[w[part]->tensor]] = part;
        }
    }
    return ring_init(&st->ring, en->dev, st->readers, st->units, f->n_ring, f->n_ring_slot, f->ring_slot_bytes, RING_TAG, e);
}

static int open_experts(struct hy_engine *en, bool no_guesses, struct err *e) {
    struct stream *st = &en->stream;
    if (!en->fit.n_class) return ERR_OK;
    st->layers = arena_array(&en->arena, en->h.n_layer, sizeof *st->layers);
    st->group = arena_array(&en->arena, en->h.n_expert, sizeof *st->group);
    st->in_group = arena_array(&en->arena, en->h.n_expert, sizeof *st->in_group);
    if (!st->layers || !st->group || !st->in_group) return err_set(e, ERR_NOMEM, "no memory for the stream");
    for (uint32_t il = 0; il < en->h.n_layer; il++) {
        const struct layer_weights *l = &en->w.layers[il];
        const struct weight *w[] = {&l->gate_experts, &l->up_experts, &l->down_experts};
        for (uint32_t p = 0; p < 3 && weight_present(&l->route); p++) {
            const struct gguf_tensor *t = &en->mf->gguf.tensors[w[p]->tensor];
            uint64_t bytes = dtype_bytes(w[p]->type, (uint64_t)w[p]->n_in * w[p]->n_out);
            st->layers[il].part[p] = (struct source){&en->mf->files[t->file], t->offset + w[p]->offset_bytes, bytes};
            st->layers[il].stride[p] = bytes;
        }
        sidecar_experts(&st->sidecar, il, &st->layers[il]);
    }
    int rc = buf_new(en->dev, (uint64_t)en->plan.n_batch * en->h.n_expert_used * 4, "the expert ids", &st->ids, e);
    if (rc) return rc;
    pressure_watch_init(&st->pressure);
    rc = experts_init(&st->experts, &(struct experts_options){en->dev, st->readers, &en->fit, &en->h, st->layers}, e);
    if (!rc) rc = ahead_open(en, !no_guesses, e);
    if (!rc) ahead_warm(en);
    return rc;
}

static int open_rows(struct hy_engine *en, struct err *e) {
    const struct weight *w = &en->w.token_embd;
    if (en->fit.where[w->tensor] != FIT_ROWS) return ERR_OK;
    return buf_new(en->dev, en->plan.n_step * dtype_bytes(w->type, w->n_in), "rows of the embedding", &en->rows, e);
}

int stream_open(struct hy_engine *en, const struct hy_options *opt, struct err *e) {
    struct stream *st = &en->stream;
    st->on = true;
    int rc = ERR_OK;
    if (fit_streams(&en->fit)) rc = sidecar_open(opt->sidecar, opt->model_path, en->mf, &en->h, &en->w, &en->arena, &st->sidecar, e);
    struct readers_options ro = {en->planned.n_reader, opt->io == HY_IO_DIRECT, note_read, en, check_piece};
    if (!rc) rc = readers_open(&ro, &st->readers, e);
    if (!rc) rc = open_ring(en, e);
    if (!rc) rc = open_experts(en, opt->no_guesses, e);
    if (!rc && en->routes) {
        st->routes = arena_array(&en->arena, (uint64_t)en->plan.n_step * en->h.n_layer * en->h.n_expert_used, sizeof *st->routes);
        if (!st->routes) rc = err_set(e, ERR_NOMEM, "no memory to record routings");
    }
    return rc ? rc : open_rows(en, e);
}

void hy_stream_stats(struct hy_engine *en, struct hy_stream_stats *out) {
    *out = (struct hy_stream_stats){0};
    struct stream *st = &en->stream;
    if (!st->on) return;
    struct readers_stats rs;
    readers_stats(st->readers, &rs);
    const struct experts_stats *xs = &st->experts.stats;
    *out = (struct hy_stream_stats){
        .n_step = st->step, .step_ns = st->stats.step_ns, .wait_ns = st->stats.wait_ns, .compute_ns = st->stats.compute_ns, .disk_ns = rs.busy_ns,
        .read_bytes = rs.bytes[READ_DEMAND] + rs.bytes[READ_SCHEDULE] + rs.bytes[READ_SPECULATE], .ahead_bytes = xs->ahead_bytes,
        .needed_bytes = xs->miss_bytes + xs->useful_bytes + st->ring.read_bytes,
        .n_hit = xs->n_hit, .n_miss = xs->n_miss, .n_evict = xs->n_evict, .n_guess = xs->n_guess, .n_useful = xs->n_useful,
        .n_slot = st->experts.n_slot};
    for (uint32_t i = 0; i < st->experts.n_slot; i++) out->n_slot_live += st->experts.slabs[st->experts.slots[i].slab].host != NULL;
    _Static_assert(sizeof out->predictor / sizeof *out->predictor == N_PREDICTORS, "hy.h has room for every predictor");
    for (int p = 0; st->ahead.predict && p < N_PREDICTORS; p++) {
        struct predict_stats ps = predict_stats(st->ahead.predict, (enum predictor)p);
        out->predictor[p].name = predict_name((enum predictor)p);
        out->predictor[p].n_guess = ps.n_guess;
        out->predictor[p].n_right = ps.n_right;
        out->predictor[p].n_chosen = ps.n_chosen;
    }
}

void stream_close(struct hy_engine *en) {
    struct stream *st = &en->stream;
    if (!st->on) return;
    ring_deinit(&st->ring);
    if (st->experts.slots) {
        ahead_close(en);
        experts_deinit(&st->experts);
    }
    buf_free(en->dev, &st->ids);
    buf_free(en->dev, &en->rows);
    readers_close(st->readers);
    sidecar_close(&st->sidecar);
}
