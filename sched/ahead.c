#include "sched/ahead.h"

#include <string.h>
#include <xxhash.h>

#include "kernels/rms_norm.h"
#include "kernels/route.h"
#include "sched/engine.h"

#define GUESS_CONFIDENCE 0.4f /* below, a read on a guess is wasted more often than not, and may delay a demand read */
#define NONE UINT32_MAX

static uint64_t hash_of_header(const struct model_file *mf) { return XXH3_64bits(mf->heads[0], mf->gguf.data_offset); }

/* The op that wrote `a` last before op `before`. */
static uint32_t writer_of(const struct program *p, act a, uint32_t before) {
    while (before-- > 0)
        if (p->ops[before].out == a) return before;
    return NONE;
}

/* The three ops of a router: norm, product (its input perhaps quantized on the way), choice. */
struct router {
    const struct op *norm, *quant, *product, *route;
};

static bool find_router(const struct program *p, uint32_t route, struct router *r) {
    *r = (struct router){.route = &p->ops[route]};
    uint32_t product = writer_of(p, p->ops[route].in, route);
    if (product == NONE || p->ops[product].kind != OP_MATMUL) return false;
    r->product = &p->ops[product];
    uint32_t norm = writer_of(p, r->product->in, product);
    if (norm != NONE && p->ops[norm].kind == OP_ACT_QUANT) {
        r->quant = &p->ops[norm];
        norm = writer_of(p, r->quant->in, norm);
    }
    if (norm == NONE || p->ops[norm].kind != OP_RMS_NORM) return false;
    r->norm = &p->ops[norm];
    return true;
}

/* Where the early router's results lie in its room, for AHEAD_ROWS rows. */
struct room {
    uint64_t norm, quant, logits, ids, weights, end;
};

static struct room room_of(const struct hy_engine *en) {
    struct room r;
    uint64_t row = AHEAD_ROWS * 4;
    r.norm = 0;
    r.quant = r.norm + row * en->h.n_embd;
    r.logits = r.quant + row * en->h.n_embd + 4096; /* no activation format is wider than f32 by more than its scales */
    r.ids = r.logits + row * en->h.n_expert;
    r.weights = r.ids + row * en->h.n_expert_used;
    r.end = r.weights + row * en->h.n_expert_used;
    return r;
}

static void find_next_routes(struct hy_engine *en) {
    struct ahead *a = &en->stream.ahead;
    uint32_t next = NONE;
    for (uint32_t i = en->p.n_op; i-- > 0;) {
        if (en->p.ops[i].kind != OP_ROUTE) continue;
        a->next_route[en->p.ops[i].layer] = next;
        next = i;
    }
    a->first_route = next;
}

int ahead_open(struct hy_engine *en, bool guesses, struct err *e) {
    struct ahead *a = &en->stream.ahead;
    char warning[160];
    int rc = popularity_init(&a->popularity, en->h.n_layer, en->h.n_expert, &en->arena, e);
    if (rc) return rc;
    a->guesses = guesses;
    a->model_hash = hash_of_header(en->mf);
    a->predict = predict_new(en->h.n_layer, en->h.n_expert, &a->popularity, &en->arena);
    a->next_route = arena_array(&en->arena, en->h.n_layer, sizeof *a->next_route);
    a->before = arena_array(&en->arena, (uint64_t)en->plan.n_step * en->h.n_expert_used, sizeof *a->before);
    a->ids = arena_array(&en->arena, en->h.n_expert, sizeof *a->ids);
    if (!a->predict || !a->next_route || !a->before || !a->ids) return err_set(e, ERR_NOMEM, "no memory for predictions");
    popularity_load(&a->popularity, a->model_hash, warning, sizeof warning);
    find_next_routes(en);
    return buf_new(en->dev, room_of(en).end, "the early router", &a->room, e);
}

void ahead_close(struct hy_engine *en) {
    struct ahead *a = &en->stream.ahead;
    if (a->popularity.n_new_tok) popularity_save(&a->popularity, a->model_hash, NULL);
    buf_free(en->dev, &a->room);
}

void ahead_warm(struct hy_engine *en) {
    struct ahead *a = &en->stream.ahead;
    struct experts *x = &en->stream.experts;
    uint32_t n_expert = en->h.n_expert, n = 0;
    uint32_t *keys = arena_array(&en->arena, (size_t)en->h.n_layer * n_expert, sizeof *keys);
    if (!keys) return;
    n = popularity_order(&a->popularity, keys);
    for (uint32_t i = 0; i < n; i++) {
        expert_policy_seed(x->policy[en->fit.layer_class[keys[i] / n_expert]], keys[i], popularity_share(&a->popularity, keys[i]));
        experts_ahead(x, keys[i] / n_expert, &(uint16_t){(uint16_t)(keys[i] % n_expert)}, 1, EXPERT_WARM);
    }
    for (uint32_t k = 0; k < n_expert; k++) /* nothing is known of the rest: the same share of each layer */
        for (uint32_t il = 0; il < en->h.n_layer; il++)
            if (en->fit.layer_class[il] != FIT_NO_CLASS) experts_ahead(x, il, &(uint16_t){(uint16_t)k}, 1, EXPERT_WARM);
}

int ahead_encode(struct exec *x, uint32_t route, struct err *e) {
    struct hy_engine *en = x->en;
    struct ahead *a = &en->stream.ahead;
    uint32_t next = a->next_route[en->p.ops[route].layer];
    struct router here, r;
    a->early = false;
    if (next == NONE || x->n_row > AHEAD_ROWS || !find_router(&en->p, route, &here) || !find_router(&en->p, next, &r)) return ERR_OK;
    if (en->p.acts[r.route->out].rows != en->p.acts[here.route->out].rows && x->n_out != x->n_tok) return ERR_OK;
    struct room at = room_of(en);
    struct ref norm = {&a->room, at.norm}, quant = {&a->room, at.quant}, logits = {&a->room, at.logits}, none = {0};
    struct rms_norm_args na = {.n_row = x->n_row, .dim = r.norm->norm.dim, .eps = r.norm->norm.eps};
    struct matmul_args ma = {.n_tok = x->n_row, .n_in = r.product->w.n_in, .n_out = r.product->w.n_out, .w_type = (uint32_t)r.product->w.type};
    struct route_args ra = {.n_tok = x->n_row, .n_expert = r.route->route.n_expert, .n_used = r.route->route.n_used};
    int rc = rms_norm_encode(x->c, &na, norm, exec_act(x, here.norm->in), none, exec_weight(x, &r.norm->w), e);
    cmd_barrier(x->c);
    if (r.quant && !rc) {
        struct act_quant_args qa = {.n_row = x->n_row, .dim = r.quant->quant.dim, .fmt = r.quant->quant.fmt};
        rc = act_quant_encode(x->c, &qa, quant, norm, e);
        cmd_barrier(x->c);
    }
    if (!rc) rc = matmul_encode(x->c, &ma, logits, r.quant ? quant : norm, exec_weight(x, &r.product->w), exec_weight(x, &r.product->bias), e);
    cmd_barrier(x->c);
    if (!rc) rc = route_encode(x->c, &ra, (struct ref){&a->room, at.ids}, (struct ref){&a->room, at.weights}, logits, e);
    a->early = !rc;
    return rc;
}

static uint32_t distinct(const int32_t *ids, uint32_t n, uint16_t *out, uint32_t most) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool seen = false;
        for (uint32_t j = 0; j < k && !seen; j++) seen = out[j] == ids[i];
        if (!seen && k < most) out[k++] = (uint16_t)ids[i];
    }
    return k;
}

/* Guesses of every kind are made, so that their precision is known; those of the best are read. */
static void guess_next(struct hy_engine *en, uint32_t layer, uint32_t n_row) {
    struct ahead *a = &en->stream.ahead;
    struct guess g[PREDICT_MAX];
    uint32_t most = n_row * en->h.n_expert_used;
    if (most > PREDICT_MAX) most = PREDICT_MAX;
    for (int which = 0; which < N_PREDICTORS; which++) {
        uint32_t n = predict_next(a->predict, (enum predictor)which, layer, g, most);
        for (uint32_t i = 0; i < n && which == PREDICT_ROUTER && a->guesses; i++)
            if (g[i].confidence >= GUESS_CONFIDENCE && experts_ahead(&en->stream.experts, layer, &g[i].expert, 1, EXPERT_GUESS))
                predict_read(a->predict, (enum predictor)which, layer, g[i].expert);
    }
}

static void learn(struct hy_engine *en, const struct exec *x, uint32_t route, const int32_t *routed, uint32_t n_row) {
    struct ahead *a = &en->stream.ahead;
    const struct op *o = &en->p.ops[route];
    uint32_t n_used = o->route.n_used;
    for (uint32_t i = 0; i < n_row; i++) {
        uint16_t *before = a->before + (uint64_t)exec_token(x, route, i) * n_used;
        for (uint32_t k = 0; k < n_used; k++) a->ids[k] = (uint16_t)routed[i * n_used + k];
        popularity_add(&a->popularity, o->layer, a->ids, n_used, before, route == a->first_route ? 0 : n_used);
        memcpy(before, a->ids, n_used * sizeof *before);
    }
}

void ahead_routed(struct hy_engine *en, const struct exec *x, uint32_t route, const int32_t *routed, uint32_t n_row) {
    struct ahead *a = &en->stream.ahead;
    const struct op *o = &en->p.ops[route];
    uint32_t next = a->next_route[o->layer];
    learn(en, x, route, routed, n_row);
    if (n_row > AHEAD_ROWS) return;
    uint32_t n = distinct(routed, n_row * o->route.n_used, a->ids, en->h.n_expert);
    predict_routed(a->predict, o->layer, a->ids, n);
    if (next == NONE) return;
    uint32_t layer = en->p.ops[next].layer;
    if (a->early) {
        n = distinct((const int32_t *)(a->room.host + room_of(en).ids), n_row * o->route.n_used, a->ids, en->h.n_expert);
        predict_offer(a->predict, layer, a->ids, n);
    }
    guess_next(en, layer, n_row);
}

void ahead_end_step(struct hy_engine *en, uint32_t n_tok) { popularity_end_tokens(&en->stream.ahead.popularity, n_tok); }
