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

/* Where an early router's results lie in its part of the room, for AHEAD_ROWS rows. */
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
    r.end = (r.weights + row * en->h.n_expert_used + 255) / 256 * 256;
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
    return buf_new(en->dev, N_PREDICT_ROUTERS * room_of(en).end, "the early routers", &a->room, e);
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

/* The router of `next` on the input of the router of `route`. */
static int encode_router(struct exec *x, uint32_t depth, const struct router *here, const struct router *r, struct err *e) {
    struct hy_engine *en = x->en;
    struct buf *b = &en->stream.ahead.room;
    struct room at = room_of(en);
    uint64_t from = depth * at.end;
    struct ref norm = {b, from + at.norm}, quant = {b, from + at.quant}, logits = {b, from + at.logits}, none = {0};
    struct rms_norm_args na = {.n_row = x->n_row, .dim = r->norm->norm.dim, .eps = r->norm->norm.eps};
    struct matmul_args ma = {.n_tok = x->n_row, .n_in = r->product->w.n_in, .n_out = r->product->w.n_out, .w_type = (uint32_t)r->product->w.type};
    struct route_args ra = {.n_tok = x->n_row, .n_expert = r->route->route.n_expert, .n_used = r->route->route.n_used};
    int rc = rms_norm_encode(x->c, &na, norm, exec_act(x, here->norm->in), none, exec_weight(x, &r->norm->w), e);
    cmd_barrier(x->c);
    if (r->quant && !rc) {
        struct act_quant_args qa = {.n_row = x->n_row, .dim = r->quant->quant.dim, .fmt = r->quant->quant.fmt};
        rc = act_quant_encode(x->c, &qa, quant, norm, e);
        cmd_barrier(x->c);
    }
    if (!rc) rc = matmul_encode(x->c, &ma, logits, r->quant ? quant : norm, exec_weight(x, &r->product->w), exec_weight(x, &r->product->bias), e);
    cmd_barrier(x->c);
    return rc ? rc : route_encode(x->c, &ra, (struct ref){b, from + at.ids}, (struct ref){b, from + at.weights}, logits, e);
}

int ahead_encode(struct exec *x, uint32_t route, struct err *e) {
    struct hy_engine *en = x->en;
    struct ahead *a = &en->stream.ahead;
    struct router here, r;
    int rc = ERR_OK;
    a->n_early = 0;
    if (x->n_row > AHEAD_ROWS || !find_router(&en->p, route, &here)) return ERR_OK;
    for (uint32_t next = route; a->n_early < N_PREDICT_ROUTERS && !rc; a->n_early++) {
        next = a->next_route[en->p.ops[next].layer];
        if (next == NONE || !find_router(&en->p, next, &r)) break;
        if (en->p.acts[r.route->out].rows != en->p.acts[here.route->out].rows && x->n_out != x->n_tok) break;
        rc = encode_router(x, a->n_early, &here, &r, e);
    }
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

/* Guesses of every kind are made, so that their precision is known; those of routers are read. */
static void guess(struct hy_engine *en, enum predictor which, uint32_t layer, uint32_t n_row) {
    struct ahead *a = &en->stream.ahead;
    struct guess g[PREDICT_MAX];
    uint32_t most = n_row * en->h.n_expert_used;
    uint32_t n = predict_next(a->predict, which, layer, g, most < PREDICT_MAX ? most : PREDICT_MAX);
    for (uint32_t i = 0; i < n && which < N_PREDICT_ROUTERS && a->guesses; i++)
        if (g[i].confidence >= GUESS_CONFIDENCE && experts_ahead(&en->stream.experts, layer, &g[i].expert, 1, EXPERT_GUESS))
            predict_read(a->predict, which, layer, g[i].expert);
}

static void guess_early(struct hy_engine *en, uint32_t depth, uint32_t layer, uint32_t n_row) {
    struct ahead *a = &en->stream.ahead;
    enum predictor which = (enum predictor)(PREDICT_ROUTER + depth);
    struct room at = room_of(en);
    const int32_t *ids = (const int32_t *)(a->room.host + depth * at.end + at.ids);
    predict_offer(a->predict, which, layer, a->ids, distinct(ids, n_row * en->h.n_expert_used, a->ids, en->h.n_expert));
    guess(en, which, layer, n_row);
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
    learn(en, x, route, routed, n_row);
    if (n_row > AHEAD_ROWS) return;
    predict_routed(a->predict, o->layer, a->ids, distinct(routed, n_row * o->route.n_used, a->ids, en->h.n_expert));
    uint32_t next = a->next_route[o->layer];
    for (uint32_t depth = 0, at = next; depth < a->n_early; depth++, at = a->next_route[en->p.ops[at].layer])
        guess_early(en, depth, en->p.ops[at].layer, n_row);
    for (int which = N_PREDICT_ROUTERS; which < N_PREDICTORS && next != NONE; which++)
        guess(en, (enum predictor)which, en->p.ops[next].layer, n_row);
}

void ahead_end_step(struct hy_engine *en, uint32_t n_tok) { popularity_end_tokens(&en->stream.ahead.popularity, n_tok); }
