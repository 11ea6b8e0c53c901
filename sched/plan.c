#include "sched/plan.h"

#include <string.h>

#include "kernels/attention.h"
#include "sched/kv.h"

#define ACT_ALIGN 64u
#define DEFAULT_BATCH 512u
#define MIN_BATCH 16u
#define ACTS_TARGET_BYTES ((uint64_t)80 << 20) /* prompts are cut so that activations stay below this */
#define BASE_BYTES ((uint64_t)10 << 20)        /* the program, libraries, small tables, threads: 8.4 to 9.4 MB with 1 to 8 (Debian 12, 2026) */
#define HEADS_HELD 4                           /* a header and its tokenizer take 3.4 to 4.0 times the header's bytes */
#define HUGE_PAGE_BYTES ((uint64_t)2 << 20)

static uint64_t align_up(uint64_t n) { return (n + ACT_ALIGN - 1) / ACT_ALIGN * ACT_ALIGN; }

/* An activation's first and last op, as far as sharing of memory goes. */
struct lifetime {
    uint32_t first, last;
};

static uint64_t act_bytes_of(const struct program *p, const struct plan *pl, act a) {
    uint32_t n_tok = pl->carried[a] ? pl->n_step : pl->n_batch;
    return align_up(p->acts[a].row_bytes * (p->acts[a].rows == ROWS_TOK ? n_tok : pl->n_logits));
}

static uint32_t last_op_of_layer(const struct program *p, uint32_t op) {
    while (op + 1 < p->n_op && p->ops[op + 1].layer == p->ops[op].layer) op++;
    return op;
}

static uint32_t first_op_of_layer(const struct program *p, uint32_t op) {
    while (op > 0 && p->ops[op - 1].layer == p->ops[op].layer) op--;
    return op;
}

/* Streaming runs a layer's ops several times: once per chunk of tokens, and those between the router and the sum of the experts
 * once per group of experts that has arrived. What lives across such a stretch lives through all of it. */
static void stretch_lifetimes(const struct program *p, struct plan *pl, struct lifetime *life) {
    for (uint32_t a = 0; a < p->n_act; a++) {
        if (life[a].last >= p->n_op) { /* the caller reads it */
            pl->carried[a] = true;
            life[a].first = first_op_of_layer(p, life[a].first);
        } else if (p->ops[life[a].first].layer != p->ops[life[a].last].layer) {
            pl->carried[a] = true;
            life[a].first = first_op_of_layer(p, life[a].first);
            life[a].last = last_op_of_layer(p, life[a].last);
        }
    }
    for (uint32_t route = 0, sum = 0; route < p->n_op; route = sum + 1) {
        while (route < p->n_op && p->ops[route].kind != OP_ROUTE) route++;
        for (sum = route; sum < p->n_op && p->ops[sum].kind != OP_EXPERT_SUM;) sum++;
        for (uint32_t a = 0; a < p->n_act && sum < p->n_op; a++) {
            if (life[a].last < route || life[a].first > sum) continue;
            if (life[a].first > route) life[a].first = route;
            if (life[a].last < sum) life[a].last = sum;
        }
    }
}

/* Nearly sorted already, so by insertion. */
static void sort_by_first_op(uint32_t *order, uint32_t n, const struct lifetime *life) {
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && life[order[k - 1]].first > life[order[k]].first; k--) {
            uint32_t t = order[k];
            order[k] = order[k - 1];
            order[k - 1] = t;
        }
}

/* First fit by lifetime, in order of creation: each activation takes the lowest gap between those still alive.
 * `live` is kept sorted by offset. Returns the bytes of the whole buffer. */
static uint64_t place_acts(const struct program *p, struct plan *pl, const struct lifetime *life, uint32_t *order, uint32_t *live) {
    uint64_t top = 0;
    uint32_t n_live = 0;
    for (uint32_t k = 0; k < p->n_act; k++) {
        uint32_t n = 0, a = order[k];
        for (uint32_t i = 0; i < n_live; i++)
            if (life[live[i]].last >= life[a].first) live[n++] = live[i];
        uint64_t off = 0, need = act_bytes_of(p, pl, a);
        uint32_t at = 0;
        for (; at < n; at++) {
            if (pl->act_off[live[at]] >= off + need) break;
            off = pl->act_off[live[at]] + act_bytes_of(p, pl, live[at]);
        }
        memmove(live + at + 1, live + at, (n - at) * sizeof *live);
        live[at] = a;
        n_live = n + 1;
        pl->act_off[a] = off;
        if (off + need > top) top = off + need;
    }
    return top;
}

struct range {
    uint64_t begin, end;
    bool write;
};

struct hazards {
    const struct program *p;
    const struct plan *pl;
    struct range *seen;  /* since the last barrier */
    uint32_t n_seen;
    struct range mine[8]; /* of the op at hand */
    uint32_t n_mine;
};

static void note_act(void *ctx, act a, bool write) {
    struct hazards *z = ctx;
    uint64_t off = z->pl->act_off[a];
    z->mine[z->n_mine++] = (struct range){off, off + act_bytes_of(z->p, z->pl, a), write};
}

static bool conflicts(const struct hazards *z) {
    for (uint32_t m = 0; m < z->n_mine; m++)
        for (uint32_t s = 0; s < z->n_seen; s++) {
            const struct range *x = &z->mine[m], *y = &z->seen[s];
            if ((x->write || y->write) && x->begin < y->end && y->begin < x->end) return true;
        }
    return false;
}

static int find_barriers(const struct program *p, struct plan *pl, struct arena *a) {
    struct hazards z = {.p = p, .pl = pl, .seen = arena_array(a, (size_t)p->n_op * 8, sizeof *z.seen)};
    if (!z.seen) return ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_op; i++) {
        const struct op *o = &p->ops[i];
        z.n_mine = 0;
        op_acts(o, note_act, &z);
        if (o->kind == OP_KV_WRITE || o->kind == OP_ATTENTION) { /* a layer's KV stands behind the activations */
            uint64_t kv = pl->acts_bytes + o->layer;
            z.mine[z.n_mine++] = (struct range){kv, kv + 1, o->kind == OP_KV_WRITE};
        }
        pl->barrier[i] = conflicts(&z);
        if (pl->barrier[i]) z.n_seen = 0;
        memcpy(z.seen + z.n_seen, z.mine, z.n_mine * sizeof *z.mine);
        z.n_seen += z.n_mine;
    }
    return ERR_OK;
}

/* Tokens that a step may hold when weights stream: whole chunks, as many as carried activations have room for. */
static uint32_t choose_step(const struct program *p, const struct plan *pl, const struct plan_request *r) {
    uint64_t row = 1;
    for (uint32_t a = 0; a < p->n_act; a++)
        if (pl->carried[a] && p->acts[a].rows == ROWS_TOK) row += p->acts[a].row_bytes;
    uint64_t most = (uint64_t)r->n_ctx * r->n_seq, n = r->carried_bytes / row;
    if (n > most) n = most;
    n = (n + pl->n_batch - 1) / pl->n_batch;
    if (n > PLAN_MAX_CHUNK) n = PLAN_MAX_CHUNK;
    return pl->n_batch * (n < 1 ? 1 : (uint32_t)n);
}

static void place_all(const struct program *p, const struct plan_request *r, struct plan *pl, struct lifetime *life, uint32_t *order,
                      uint32_t *live) {
    memset(pl->carried, 0, p->n_act);
    for (uint32_t a = 0; a < p->n_act; a++) {
        life[a] = (struct lifetime){p->acts[a].first_op, p->acts[a].last_op};
        order[a] = a;
    }
    pl->n_step = pl->n_batch;
    if (r->streams) {
        stretch_lifetimes(p, pl, life);
        sort_by_first_op(order, p->n_act, life);
        pl->n_step = choose_step(p, pl, r);
    }
    pl->acts_bytes = place_acts(p, pl, life, order, live);
}

int plan_make(const struct hparams *h, const struct program *p, const struct plan_request *r, struct arena *a, struct plan *pl,
              struct err *e) {
    *pl = (struct plan){.n_ctx = r->n_ctx, .n_seq = r->n_seq};
    pl->act_off = arena_array(a, p->n_act, sizeof *pl->act_off);
    pl->carried = arena_array(a, p->n_act, sizeof *pl->carried);
    pl->barrier = arena_array(a, p->n_op, sizeof *pl->barrier);
    struct lifetime *life = arena_array(a, p->n_act, sizeof *life);
    uint32_t *order = arena_array(a, p->n_act, sizeof *order), *live = arena_array(a, (size_t)p->n_act + 1, sizeof *live);
    if (!pl->act_off || !pl->carried || !pl->barrier || !life || !order || !live)
        return err_set(e, ERR_NOMEM, "no memory for the memory plan");

    pl->n_batch = r->n_batch ? r->n_batch : DEFAULT_BATCH;
    if (pl->n_batch > r->n_ctx * r->n_seq) pl->n_batch = r->n_ctx * r->n_seq;
    struct plan_request resident = *r; /* the cut is the same whether weights stream or not */
    resident.streams = false;
    for (;; pl->n_batch /= 2) {
        pl->n_logits = r->n_logits < pl->n_batch ? r->n_logits : pl->n_batch;
        place_all(p, &resident, pl, life, order, live);
        if (r->n_batch || pl->n_batch <= MIN_BATCH || pl->acts_bytes <= ACTS_TARGET_BYTES) break;
    }
    if (r->streams) place_all(p, r, pl, life, order, live);
    if (find_barriers(p, pl, a)) return err_set(e, ERR_NOMEM, "no memory for the memory plan");

    pl->kv_row_bytes = r->kv_q8 ? (uint64_t)h->head_dim_k / 32 * 34 : (uint64_t)h->head_dim_k * 2;
    pl->n_kv_block = r->n_kv_block ? r->n_kv_block : r->n_seq * kv_stride(r->n_ctx);
    pl->kv_layer_bytes = (uint64_t)pl->n_kv_block * KV_BLOCK_TOK * h->n_head_kv * pl->kv_row_bytes;
    pl->kv_bytes = 2 * h->n_layer * pl->kv_layer_bytes;
    pl->attn_work_bytes = attention_work_bytes(&(struct attention_args){
        .n_tok = pl->n_batch, .n_head = h->n_head, .n_head_kv = h->n_head_kv, .head_dim = h->head_dim_k, .head_dim_v = h->head_dim_v,
        .block_tok = KV_BLOCK_TOK, .n_seq = r->n_seq, .table_stride = kv_stride(r->n_ctx), .n_pos_max = r->n_ctx});
    pl->work_bytes = pl->acts_bytes + pl->attn_work_bytes + r->scratch_bytes + HEADS_HELD * r->head_bytes + kv_list_bytes(pl->n_kv_block) + BASE_BYTES;
    return ERR_OK;
}
