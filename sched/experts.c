#include "sched/experts.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"

#define SLAB_BYTES ((uint64_t)256 << 20) /* few large buffers; also the step of shrinking under memory pressure, */
#define SLAB_SHARE 8 /* which is at most this part of the cache */
#define NO_SLOT UINT32_MAX
#define NO_SLAB UINT32_MAX
#define GATE_AND_UP 2u /* parts */

enum given { NOT_WANTED, WANTED, GIVEN };

static uint32_t key_of(const struct experts *x, uint32_t layer, uint32_t expert) { return layer * x->o.h->n_expert + expert; }
static uint32_t layer_of(const struct experts *x, uint32_t key) { return key / x->o.h->n_expert; }
static uint32_t class_of(const struct experts *x, uint32_t layer) { return x->o.fit->layer_class[layer]; }

static struct expert_slot *slot_of_key(const struct experts *x, uint32_t key) {
    return x->slot_of[key] == NO_SLOT ? NULL : &x->slots[x->slot_of[key]];
}

static void note(const struct experts *x, enum trace_kind kind, uint32_t key, uint32_t n) {
    if (!x->trace) return;
    uint64_t now = clock_ns();
    trace_add(x->trace, &(struct trace_event){.t0_ns = now, .t1_ns = now, .step = x->step, .n = n, .layer = (uint16_t)layer_of(x, key),
                                              .expert = (uint16_t)(key % x->o.h->n_expert), .kind = (uint8_t)kind});
}

/* Setting up */

static void lay_out_class(struct experts *x, uint32_t k) {
    const struct fit_class *c = &x->o.fit->cls[k];
    uint64_t off = 0;
    for (int p = 0; p < 3; p++) {
        x->part_off[k][p] = off;
        off += (c->part_bytes[p] + IO_PAGE - 1) / IO_PAGE * IO_PAGE + IO_PAGE;
    }
    uint64_t share = x->o.fit->pool_bytes / SLAB_SHARE, n = (share < SLAB_BYTES ? share : SLAB_BYTES) / c->slot_bytes;
    x->per_slab[k] = n < 1 ? 1 : n > c->n_slot ? c->n_slot : (uint32_t)n;
}

/* The memory of a slab's slots. */
static int make_slab(struct experts *x, uint32_t slab, struct err *e) {
    const struct slab_slots *in = &x->in_slab[slab];
    const uint64_t *at = x->part_off[in->cls], slot_bytes = x->o.fit->cls[in->cls].slot_bytes, end[3] = {at[1], at[2], slot_bytes};
    int rc = buf_new(x->o.dev, in->n * slot_bytes, "the expert cache", &x->slabs[slab], e);
    if (rc) return rc;
    for (uint32_t i = 0; i < in->n; i++)
        for (int p = 0; p < 3; p++) buf_mark(x->o.dev, &x->slabs[slab], i * slot_bytes + at[p], end[p] - at[p], "expert");
    x->n_live[in->cls] += in->n;
    x->n_empty[in->cls] += in->n;
    return ERR_OK;
}

static int make_slots(struct experts *x, struct err *e) {
    uint32_t at = 0;
    int rc = ERR_OK;
    for (uint32_t k = 0; k < x->o.fit->n_class; k++) {
        const struct fit_class *c = &x->o.fit->cls[k];
        for (uint32_t i = 0; i < c->n_slot && !rc; i += x->per_slab[k]) {
            uint32_t n = c->n_slot - i < x->per_slab[k] ? c->n_slot - i : x->per_slab[k];
            x->in_slab[x->n_slab] = (struct slab_slots){at, n, (uint8_t)k};
            for (uint32_t s = 0; s < n; s++)
                x->slots[at++] = (struct expert_slot){.key = EXPERT_NO_KEY, .cls = (uint8_t)k, .slab = x->n_slab, .off = s * c->slot_bytes};
            rc = make_slab(x, x->n_slab++, e);
        }
    }
    return rc;
}

int experts_init(struct experts *x, const struct experts_options *o, struct err *e) {
    *x = (struct experts){.o = *o};
    arena_init(&x->arena, 0);
    uint32_t n_key = o->h->n_layer * o->h->n_expert, n_slab = 0;
    for (uint32_t k = 0; k < o->fit->n_class; k++) {
        lay_out_class(x, k);
        x->n_slot += o->fit->cls[k].n_slot;
        n_slab += (o->fit->cls[k].n_slot + x->per_slab[k] - 1) / x->per_slab[k];
        x->policy[k] = expert_policy_new(o->h->n_layer, o->h->n_expert, &x->arena);
        if (!x->policy[k]) return err_set(e, ERR_NOMEM, "no memory for the expert cache");
    }
    x->slots = arena_array(&x->arena, x->n_slot, sizeof *x->slots);
    x->loading = arena_array(&x->arena, x->n_slot, sizeof *x->loading);
    x->slabs = arena_array(&x->arena, n_slab, sizeof *x->slabs);
    x->in_slab = arena_array(&x->arena, n_slab, sizeof *x->in_slab);
    x->slot_of = arena_array(&x->arena, n_key, sizeof *x->slot_of);
    x->want = arena_array(&x->arena, o->h->n_expert, sizeof *x->want);
    x->count = arena_array(&x->arena, o->h->n_expert, sizeof *x->count);
    x->given = arena_array(&x->arena, o->h->n_expert, 1);
    x->waiting = arena_array(&x->arena, o->h->n_expert, sizeof(void *));
    if (!x->slots || !x->loading || !x->slabs || !x->in_slab || !x->slot_of || !x->want || !x->count || !x->given || !x->waiting)
        return err_set(e, ERR_NOMEM, "no memory for the expert cache");
    memset(x->slot_of, 0xff, n_key * sizeof *x->slot_of);
    return make_slots(x, e);
}

void experts_deinit(struct experts *x) {
    for (uint32_t i = 0; x->slots && i < x->n_slot; i++) {
        struct read_job *j = &x->slots[i].job;
        if (x->slots[i].state != EXPERT_LOADING) continue;
        readers_cancel(x->o.readers, j);
        readers_wait(x->o.readers, j, j->n_part, NULL);
    }
    for (uint32_t i = 0; i < x->n_slab; i++) buf_free(x->o.dev, &x->slabs[i]);
    arena_deinit(&x->arena);
    *x = (struct experts){0};
}

/* Slots */

static void begin_loading(struct experts *x, struct expert_slot *s) {
    x->n_empty[s->cls]--;
    s->state = EXPERT_LOADING;
    s->at = x->n_loading;
    x->loading[x->n_loading++] = (uint32_t)(s - x->slots);
}

static void end_loading(struct experts *x, struct expert_slot *s, enum expert_state state) {
    uint32_t last = x->loading[--x->n_loading];
    x->loading[s->at] = last;
    x->slots[last].at = s->at;
    s->state = state;
}

static void empty_slot(struct experts *x, struct expert_slot *s) {
    expert_policy_remove(x->policy[s->cls], s->key);
    x->slot_of[s->key] = NO_SLOT;
    s->key = EXPERT_NO_KEY;
    if (s->state == EXPERT_LOADING) end_loading(x, s, EXPERT_EMPTY);
    else s->state = EXPERT_EMPTY;
    x->n_empty[s->cls]++;
    s->dropped = false;
}

/* Whether the read of a loading slot is over; it becomes ready, or empty when it failed. */
static bool settle(struct experts *x, struct expert_slot *s, struct err *e, int *rc) {
    if (s->state != EXPERT_LOADING || !readers_ended(x->o.readers, &s->job)) return false;
    *rc = readers_wait(x->o.readers, &s->job, s->job.n_part, e);
    if (*rc) {
        empty_slot(x, s);
    } else {
        end_loading(x, s, EXPERT_READY);
        s->dropped = false; /* all was read before it could be cancelled */
    }
    return true;
}

static bool is_wanted(const struct experts *x, uint32_t key) {
    return layer_of(x, key) == x->layer && x->given[key % x->o.h->n_expert] == WANTED;
}

/* Settles the reads ahead that are over and that nobody asked about, so that their slots can be had. */
static void settle_unasked(struct experts *x) {
    for (uint32_t i = x->n_loading; i-- > 0;) { /* a settled one leaves its place to one that was looked at */
        struct expert_slot *s = &x->slots[x->loading[i]];
        int ignored;
        if (!s->in_use && !is_wanted(x, s->key)) settle(x, s, NULL, &ignored);
    }
}

/* Stops a read and empties its slot. */
static void give_up(struct experts *x, struct expert_slot *s) {
    readers_cancel(x->o.readers, &s->job);
    readers_wait(x->o.readers, &s->job, s->job.n_part, NULL);
    empty_slot(x, s);
}

static bool may_go(void *ctx, uint32_t key) {
    const struct experts *x = ctx;
    const struct expert_slot *s = slot_of_key(x, key);
    if (!s || s->in_use || s->state != EXPERT_READY) return false;
    if (layer_of(x, key) != x->layer) return true;
    return !x->keep_layer && x->given[key % x->o.h->n_expert] != WANTED;
}

/* The same when nothing else is left: the layer's own experts may go before their next visit, but for those still to be given. */
static bool may_go_at_last(void *ctx, uint32_t key) {
    const struct experts *x = ctx;
    const struct expert_slot *s = slot_of_key(x, key);
    return s && !s->in_use && s->state == EXPERT_READY && (layer_of(x, key) != x->layer || x->given[key % x->o.h->n_expert] != WANTED);
}

static struct expert_slot *empty_one(struct experts *x, uint32_t cls) {
    for (uint32_t i = x->n_loading; i-- > 0;) {
        struct expert_slot *s = &x->slots[x->loading[i]];
        int ignored;
        if (s->cls == cls && s->dropped) settle(x, s, NULL, &ignored);
    }
    for (uint32_t i = 0; i < x->n_slot && x->n_empty[cls]; i++) {
        struct expert_slot *s = &x->slots[(x->look + i) % x->n_slot];
        if (s->cls != cls || s->state != EXPERT_EMPTY || !x->slabs[s->slab].host) continue;
        x->look = (uint32_t)(s - x->slots);
        return s;
    }
    return NULL;
}

static struct expert_slot *evict(struct experts *x, uint32_t key) {
    struct expert_slot *s = slot_of_key(x, key);
    note(x, TRACE_EVICT, key, 0);
    x->stats.n_evict++;
    empty_slot(x, s);
    return s;
}

/* A late read on a guess that has not ended. */
static struct expert_slot *loading_guess(struct experts *x, uint32_t cls) {
    for (uint32_t i = x->n_loading; i-- > 0;) {
        struct expert_slot *s = &x->slots[x->loading[i]];
        if (s->cls == cls && s->why != EXPERT_DEMAND && !is_wanted(x, s->key)) return s;
    }
    return NULL;
}

/* A slot for an expert that is needed now, or NULL when all are in use or loading for this visit. */
static struct expert_slot *slot_for_demand(struct experts *x, uint32_t cls) {
    struct expert_slot *s = empty_one(x, cls);
    if (s) return s;
    settle_unasked(x);
    uint32_t key = expert_policy_victim(x->policy[cls], may_go, x);
    if (key == EXPERT_POLICY_NONE) key = expert_policy_victim(x->policy[cls], may_go_at_last, x);
    if (key != EXPERT_POLICY_NONE) return evict(x, key);
    if ((s = loading_guess(x, cls))) give_up(x, s);
    return s;
}

/* A slot for one that may be needed: of an expert that is expected again later. */
static struct expert_slot *slot_for_guess(struct experts *x, uint32_t key, enum expert_why why) {
    uint32_t cls = class_of(x, layer_of(x, key));
    struct expert_slot *s = empty_one(x, cls);
    if (s || why == EXPERT_WARM) return s;
    settle_unasked(x);
    uint32_t victim = expert_policy_victim(x->policy[cls], may_go, x);
    if (victim == EXPERT_POLICY_NONE || layer_of(x, victim) == layer_of(x, key)) return NULL;
    if (why == EXPERT_AHEAD) return layer_of(x, victim) <= x->layer ? evict(x, victim) : NULL; /* whose turn is over in this step */
    return expert_policy_wait(x->policy[cls], victim) > 1 ? evict(x, victim) : NULL; /* a guess is for this step */
}

static uint64_t part_at(const struct experts *x, const struct expert_slot *s, uint32_t layer, uint32_t expert, uint32_t part) {
    const struct expert_layer *l = &x->o.layers[layer];
    if (l->joined) return s->off + l->rel[part];
    return s->off + x->part_off[s->cls][part] + (l->part[part].offset + expert * l->stride[part]) % IO_PAGE;
}

static void start_read(struct experts *x, struct expert_slot *s, uint32_t key, enum expert_why why) {
    static const enum read_priority priority[] = {READ_DEMAND, READ_SCHEDULE, READ_SPECULATE, READ_SPECULATE};
    uint32_t layer = layer_of(x, key), expert = key % x->o.h->n_expert;
    const struct expert_layer *l = &x->o.layers[layer];
    s->job = (struct read_job){.n_part = l->joined ? 1 : 3, .tag = key};
    for (uint32_t p = 0; p < s->job.n_part; p++)
        s->job.part[p] = (struct read_part){l->part[p].file, l->part[p].offset + expert * l->stride[p], l->part[p].len,
                                            x->slabs[s->slab].host + (l->joined ? s->off : part_at(x, s, layer, expert, p))};
    s->key = key;
    begin_loading(x, s);
    s->why = why;
    s->used = false;
    x->slot_of[key] = (uint32_t)(s - x->slots);
    expert_policy_insert(x->policy[s->cls], key);
    for (uint32_t p = 0; p < s->job.n_part; p++)
        *(why == EXPERT_DEMAND ? &x->stats.miss_bytes : &x->stats.ahead_bytes) += s->job.part[p].len;
    readers_submit(x->o.readers, &s->job, priority[why]);
}

/* Visits */

static void count_wants(struct experts *x, const int32_t *ids, uint32_t n_id) {
    uint32_t n_expert = x->o.h->n_expert;
    memset(x->count, 0, n_expert * sizeof *x->count);
    memset(x->given, NOT_WANTED, n_expert);
    for (uint32_t i = 0; i < n_id; i++) x->count[ids[i]]++;
    x->n_want = x->n_given = 0;
    for (uint32_t k = 0; k < n_expert; k++) {
        if (!x->count[k]) continue;
        x->count[x->n_want] = x->count[k]; /* from here on by place in want; k >= n_want */
        x->given[k] = WANTED;
        x->want[x->n_want++] = (uint16_t)k;
    }
}

/* Guesses for this layer that were wrong: what they have not read yet would only delay what is needed. */
static void drop_guesses(struct experts *x) {
    for (uint32_t i = 0; i < x->n_loading; i++) {
        struct expert_slot *s = &x->slots[x->loading[i]];
        bool guess = s->why == EXPERT_GUESS && !s->dropped && layer_of(x, s->key) == x->layer;
        if (!guess || x->given[s->key % x->o.h->n_expert] == WANTED) continue;
        readers_cancel(x->o.readers, &s->job);
        s->dropped = true;
    }
}

static void meet_want(struct experts *x, uint32_t key) {
    struct expert_slot *s = slot_of_key(x, key);
    struct err ignored;
    int rc = ERR_OK;
    if (s) settle(x, s, &ignored, &rc); /* a failed guess is asked for anew */
    if (s && s->dropped) give_up(x, s); /* dropped for an earlier step */
    if (s && s->state == EXPERT_EMPTY) s = NULL;
    bool hit = s && s->state == EXPERT_READY;
    note(x, hit ? TRACE_HIT : TRACE_MISS, key, s ? s->why : EXPERT_DEMAND);
    x->stats.n_hit += hit;
    x->stats.n_miss += !hit;
    if (!s) return;
    if (!s->used && s->why == EXPERT_GUESS) {
        note(x, TRACE_USEFUL, key, 0);
        x->stats.n_useful++;
    }
    for (uint32_t p = 0; p < s->job.n_part && !s->used && s->why != EXPERT_DEMAND; p++) x->stats.useful_bytes += s->job.part[p].len;
    s->used = true;
    if (s->state == EXPERT_LOADING) {
        s->why = EXPERT_DEMAND;
        readers_raise(x->o.readers, &s->job, READ_DEMAND);
    }
}

/* Begins the reads of wanted experts that are nowhere yet, as long as there are slots. */
static void start_missing(struct experts *x) {
    uint32_t cls = class_of(x, x->layer);
    for (uint32_t i = 0; i < x->n_want; i++) {
        uint32_t key = key_of(x, x->layer, x->want[i]);
        if (x->given[x->want[i]] != WANTED || x->slot_of[key] != NO_SLOT) continue;
        struct expert_slot *s = slot_for_demand(x, cls);
        if (!s) return;
        start_read(x, s, key, EXPERT_DEMAND);
        s->used = true;
    }
}

void experts_visit(struct experts *x, uint32_t layer, const int32_t *ids, uint32_t n_id, uint32_t n_tok, bool keep_layer) {
    x->layer = layer;
    x->keep_layer = keep_layer;
    count_wants(x, ids, n_id);
    expert_policy_visit(x->policy[class_of(x, layer)], layer, x->want, x->count, x->n_want, n_tok);
    for (uint32_t i = 0; i < x->n_want; i++) meet_want(x, key_of(x, layer, x->want[i]));
    drop_guesses(x);
    start_missing(x);
}

/* Gate and up are there, so its first products may begin. */
static bool may_begin(const struct expert_slot *s) {
    return s->state == EXPERT_READY || (s->state == EXPERT_LOADING && s->job.n_part == 3 && read_job_parts_done(&s->job) >= GATE_AND_UP);
}

/* Gives what may begin; collects the reads that are waited for. */
static int give_ready(struct experts *x, uint16_t *out, uint32_t *n, uint32_t *n_waiting, struct err *e) {
    int rc = ERR_OK;
    *n = *n_waiting = 0;
    for (uint32_t i = 0; i < x->n_want && !rc; i++) {
        uint16_t k = x->want[i];
        struct expert_slot *s = slot_of_key(x, key_of(x, x->layer, k));
        if (x->given[k] != WANTED || !s) continue;
        settle(x, s, e, &rc);
        if (s->state == EXPERT_LOADING) x->waiting[(*n_waiting)++] = &s->job;
        if (!may_begin(s)) continue;
        s->in_use = true;
        x->given[k] = GIVEN;
        x->n_given++;
        out[(*n)++] = k;
    }
    return rc;
}

int experts_next(struct experts *x, uint16_t *out, uint32_t *n, uint64_t *waited_ns, struct err *e) {
    uint32_t n_waiting;
    *waited_ns = *n = 0;
    if (!experts_left(x)) return ERR_OK;
    for (;;) {
        start_missing(x);
        int rc = give_ready(x, out, n, &n_waiting, e);
        if (rc || *n) return rc;
        CHECK(n_waiting); /* the caller released what it was given, so slots were free for the rest */
        uint64_t t0 = clock_ns();
        readers_wait_any(x->o.readers, x->waiting, n_waiting, GATE_AND_UP);
        *waited_ns += clock_ns() - t0;
    }
}

bool experts_incomplete(const struct experts *x, const uint16_t *experts, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (slot_of_key(x, key_of(x, x->layer, experts[i]))->state == EXPERT_LOADING) return true;
    return false;
}

int experts_complete(struct experts *x, const uint16_t *experts, uint32_t n, uint64_t *waited_ns, struct err *e) {
    uint64_t t0 = clock_ns();
    int rc = ERR_OK;
    for (uint32_t i = 0; i < n && !rc; i++) {
        struct expert_slot *s = slot_of_key(x, key_of(x, x->layer, experts[i]));
        if (s->state != EXPERT_LOADING) continue;
        rc = readers_wait(x->o.readers, &s->job, s->job.n_part, e);
        if (!rc) end_loading(x, s, EXPERT_READY);
    }
    *waited_ns = clock_ns() - t0;
    return rc;
}

void experts_release(struct experts *x) {
    for (uint32_t i = 0; i < x->n_want; i++) {
        struct expert_slot *s = slot_of_key(x, key_of(x, x->layer, x->want[i]));
        if (s) s->in_use = false;
    }
}

void experts_end_step(struct experts *x) {
    for (uint32_t i = 0; i < x->n_slot; i++) {
        struct expert_slot *s = &x->slots[i];
        s->in_use = false;
        if (s->state == EXPERT_LOADING && s->why == EXPERT_DEMAND) s->why = EXPERT_AHEAD; /* of a failed step: nobody waits for it now */
    }
    memset(x->given, NOT_WANTED, x->o.h->n_expert);
    x->n_want = x->n_given = 0;
    x->keep_layer = false;
    for (uint32_t k = 0; k < x->o.fit->n_class; k++) expert_policy_end_step(x->policy[k]);
    x->step++;
}

uint32_t experts_ahead(struct experts *x, uint32_t layer, const uint16_t *experts, uint32_t n, enum expert_why why) {
    uint32_t begun = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = key_of(x, layer, experts[i]);
        if (x->slot_of[key] != NO_SLOT) continue;
        struct expert_slot *s = slot_for_guess(x, key, why);
        if (!s) continue;
        start_read(x, s, key, why);
        begun++;
        if (why != EXPERT_GUESS) continue;
        x->stats.n_guess++;
        note(x, TRACE_PREDICT, key, why);
    }
    return begun;
}

uint64_t experts_address(const struct experts *x, uint32_t layer, uint32_t expert, uint32_t part) {
    const struct expert_slot *s = slot_of_key(x, key_of(x, layer, expert));
    CHECK(s && s->in_use);
    return buf_address(x->o.dev, &x->slabs[s->slab]) + part_at(x, s, layer, expert, part);
}

/* Memory pressure */

/* The slab that goes: of the class with the most slots, as long as enough for one token remain. */
static uint32_t slab_to_give_back(const struct experts *x) {
    uint32_t best = NO_SLAB, most = 0;
    for (uint32_t i = 0; i < x->n_slab; i++) {
        uint32_t live = x->n_live[x->in_slab[i].cls];
        if (!x->slabs[i].host || live < most || live - x->in_slab[i].n < x->o.h->n_expert_used) continue;
        most = live;
        best = i;
    }
    return best;
}

bool experts_shrink(struct experts *x) {
    uint32_t slab = slab_to_give_back(x);
    if (slab == NO_SLAB) return false;
    const struct slab_slots *in = &x->in_slab[slab];
    for (uint32_t i = in->first; i < in->first + in->n; i++) {
        struct expert_slot *s = &x->slots[i];
        CHECK(!s->in_use);
        if (s->state == EXPERT_LOADING) give_up(x, s);
        else if (s->state == EXPERT_READY) empty_slot(x, s);
    }
    buf_free(x->o.dev, &x->slabs[slab]);
    x->n_live[in->cls] -= in->n;
    x->n_empty[in->cls] -= in->n;
    return true;
}

bool experts_grow(struct experts *x) {
    uint32_t slab = 0;
    while (slab < x->n_slab && x->slabs[slab].host) slab++;
    return slab < x->n_slab && make_slab(x, slab, NULL) == ERR_OK;
}
