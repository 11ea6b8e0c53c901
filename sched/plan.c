#include "sched/plan.h"

#include <string.h>

#include "kernels/attention.h"
#include "sched/kv.h"

#define ACT_ALIGN 64u
#define DEFAULT_BATCH 512u
#define MIN_BATCH 16u
#define ACTS_TARGET_BYTES ((uint64_t)80 << 20) /* prompts are cut so that activations stay below this */
#define BASE_BYTES ((uint64_t)12 << 20)        /* the program, libraries, small tables */
#define HUGE_PAGE_BYTES ((uint64_t)2 << 20)

static uint64_t align_up(uint64_t n) { return (n + ACT_ALIGN - 1) / ACT_ALIGN * ACT_ALIGN; }

static uint64_t act_bytes_of(const struct act_info *i, const struct plan *pl) {
    return align_up(i->row_bytes * (i->rows == ROWS_TOK ? pl->n_batch : pl->n_logits));
}

/* First fit by lifetime, in order of creation: each activation takes the lowest gap between those still alive.
 * `live` is kept sorted by offset. Returns the bytes of the whole buffer. */
static uint64_t place_acts(const struct program *p, struct plan *pl, uint32_t *live) {
    uint64_t top = 0;
    uint32_t n_live = 0;
    for (uint32_t a = 0; a < p->n_act; a++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < n_live; i++)
            if (p->acts[live[i]].last_op >= p->acts[a].first_op) live[n++] = live[i];
        uint64_t off = 0, need = act_bytes_of(&p->acts[a], pl);
        uint32_t at = 0;
        for (; at < n; at++) {
            if (pl->act_off[live[at]] >= off + need) break;
            off = pl->act_off[live[at]] + act_bytes_of(&p->acts[live[at]], pl);
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
    z->mine[z->n_mine++] = (struct range){off, off + act_bytes_of(&z->p->acts[a], z->pl), write};
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

static int check_fits(const struct plan *pl, const struct plan_request *r, struct err *e) {
    uint64_t need = pl->weights_bytes + pl->kv_bytes + pl->work_bytes;
    if (!r->memory_bytes || need <= r->memory_bytes) return ERR_OK;
    return err_set(e, ERR_NOMEM,
                   "the model needs %.2f GB (weights %.2f, KV cache for %u tokens %.2f, work space %.2f), but %s %.2f GB; "
                   "use a smaller model or quantization%s",
                   (double)need / 1e9, (double)pl->weights_bytes / 1e9, pl->n_ctx * pl->n_seq, (double)pl->kv_bytes / 1e9,
                   (double)pl->work_bytes / 1e9, r->memory_from, (double)r->memory_bytes / 1e9,
                   pl->kv_bytes > pl->work_bytes ? ", a shorter context (-c) or --kv q8_0" : "");
}

int plan_make(const struct place *place, const struct hparams *h, const struct program *p, const struct plan_request *r,
              struct arena *a, struct plan *pl, struct err *e) {
    *pl = (struct plan){.n_ctx = r->n_ctx, .n_seq = r->n_seq, .weights_bytes = place->size_bytes};
    pl->act_off = arena_array(a, p->n_act, sizeof *pl->act_off);
    pl->barrier = arena_array(a, p->n_op, sizeof *pl->barrier);
    uint32_t *live = arena_array(a, (size_t)p->n_act + 1, sizeof *live);
    if (!pl->act_off || !pl->barrier || !live) return err_set(e, ERR_NOMEM, "no memory for the memory plan");

    pl->n_batch = r->n_batch ? r->n_batch : DEFAULT_BATCH;
    if (pl->n_batch > r->n_ctx * r->n_seq) pl->n_batch = r->n_ctx * r->n_seq;
    for (;; pl->n_batch /= 2) {
        pl->n_logits = r->n_logits < pl->n_batch ? r->n_logits : pl->n_batch;
        pl->acts_bytes = place_acts(p, pl, live);
        if (r->n_batch || pl->n_batch <= MIN_BATCH || pl->acts_bytes <= ACTS_TARGET_BYTES) break;
    }
    if (find_barriers(p, pl, a)) return err_set(e, ERR_NOMEM, "no memory for the memory plan");

    pl->kv_row_bytes = r->kv_q8 ? (uint64_t)h->head_dim_k / 32 * 34 : (uint64_t)h->head_dim_k * 2;
    pl->kv_layer_bytes = (uint64_t)r->n_seq * kv_stride(r->n_ctx) * KV_BLOCK_TOK * h->n_head_kv * pl->kv_row_bytes;
    pl->kv_bytes = 2 * h->n_layer * pl->kv_layer_bytes;
    pl->attn_work_bytes = attention_work_bytes(&(struct attention_args){
        .n_tok = pl->n_batch, .n_head = h->n_head, .n_head_kv = h->n_head_kv, .head_dim = h->head_dim_k, .head_dim_v = h->head_dim_v,
        .block_tok = KV_BLOCK_TOK, .n_seq = r->n_seq, .table_stride = kv_stride(r->n_ctx), .n_pos_max = r->n_ctx});
    pl->work_bytes = pl->acts_bytes + pl->attn_work_bytes + r->scratch_bytes + 3 * r->head_bytes + BASE_BYTES;
    return check_fits(pl, r, e);
}
