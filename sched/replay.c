#include "sched/replay.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/arena.h"
#include "sched/expert_policy.h"

#define NEVER UINT32_MAX

const char *replay_name(enum replay_policy policy) {
    static const char *const names[N_REPLAY_POLICIES] = {"LRU", "LFU", "decayed", "hy", "Belady"};
    CHECK(policy < N_REPLAY_POLICIES);
    return names[policy];
}

/* From rows of tokens to visits */

/* Appends the union of the layer's rows; count is zero before and after. */
static void add_visit(struct replay *p, const struct routes *r, uint32_t step, uint32_t layer, uint32_t *count) {
    uint64_t from = p->n_use;
    for (uint32_t t = 0; t < r->steps[step].n_tok; t++)
        for (uint32_t i = 0; i < r->shape.n_used; i++) {
            uint16_t id = routes_id(r, step, t, layer, i);
            if (id != ROUTES_NO_EXPERT && count[id]++ == 0) p->experts[p->n_use++] = id;
        }
    for (uint64_t u = from; u < p->n_use; u++) {
        p->n_each[u] = count[p->experts[u]];
        count[p->experts[u]] = 0;
    }
    if (p->n_use - from > p->max_uses) p->max_uses = (uint32_t)(p->n_use - from);
}

static int link_uses(struct replay *p, struct err *e) {
    uint32_t n_key = p->shape.n_layer * p->shape.n_expert;
    uint32_t *later = malloc(n_key * sizeof *later);
    if (!later) return err_set(e, ERR_NOMEM, "no memory to replay");
    memset(later, 0xff, n_key * sizeof *later);
    for (uint32_t v = p->n_step * p->shape.n_layer; v-- > 0;)
        for (uint32_t u = p->visits[v]; u < p->visits[v + 1]; u++) {
            uint32_t key = v % p->shape.n_layer * p->shape.n_expert + p->experts[u];
            p->next[u] = later[key];
            later[key] = v;
        }
    free(later);
    return ERR_OK;
}

static int allocate(struct replay *p, uint64_t max_use, struct err *e) {
    uint64_t n_visit = (uint64_t)p->n_step * p->shape.n_layer;
    if (max_use >= NEVER || n_visit >= NEVER)
        return err_set(e, ERR_LIMIT, "routings of %llu choices are more than a replay takes",
                       (unsigned long long)max_use);
    p->visits = calloc(n_visit + 1, sizeof *p->visits);
    p->experts = malloc((max_use + 1) * sizeof *p->experts);
    p->n_each = malloc((max_use + 1) * sizeof *p->n_each);
    p->next = malloc((max_use + 1) * sizeof *p->next);
    p->n_tok = malloc((p->n_step + 1) * sizeof *p->n_tok);
    if (p->visits && p->experts && p->n_each && p->next && p->n_tok) return ERR_OK;
    return err_set(e, ERR_NOMEM, "no memory to replay %llu choices", (unsigned long long)max_use);
}

int replay_new(const struct routes *r, struct replay *out, struct err *e) {
    *out = (struct replay){.shape = r->shape, .n_step = r->n_step};
    uint32_t *count = calloc(r->shape.n_expert, sizeof *count);
    int rc = count ? allocate(out, r->n_tok_total * r->shape.n_layer * r->shape.n_used, e)
                   : err_set(e, ERR_NOMEM, "no memory to replay");
    for (uint32_t s = 0; s < r->n_step && !rc; s++) {
        out->n_tok[s] = r->steps[s].n_tok;
        for (uint32_t l = 0; l < r->shape.n_layer; l++) {
            add_visit(out, r, s, l, count);
            out->visits[s * r->shape.n_layer + l + 1] = (uint32_t)out->n_use;
        }
    }
    free(count);
    if (!rc) rc = link_uses(out, e);
    if (rc) replay_free(out);
    return rc;
}

void replay_free(struct replay *r) {
    free(r->visits);
    free(r->experts);
    free(r->n_each);
    free(r->next);
    free(r->n_tok);
    *r = (struct replay){0};
}

/* The simple policies: residents that no visit uses lie in a heap, the one that goes next on top */

struct heap {
    uint64_t *worth;  /* (n_key) the least goes first */
    uint32_t *keys;   /* (n) */
    uint32_t *where;  /* (n_key) index in keys */
    uint32_t n;
};

static void heap_place(struct heap *h, uint32_t i, uint32_t key) {
    h->keys[i] = key;
    h->where[key] = i;
}

static void heap_rise(struct heap *h, uint32_t i) {
    uint32_t key = h->keys[i];
    for (; i && h->worth[key] < h->worth[h->keys[(i - 1) / 2]]; i = (i - 1) / 2) heap_place(h, i, h->keys[(i - 1) / 2]);
    heap_place(h, i, key);
}

static void heap_sink(struct heap *h, uint32_t i) {
    uint32_t key = h->keys[i];
    for (uint32_t c = 2 * i + 1; c < h->n; c = 2 * i + 1) {
        if (c + 1 < h->n && h->worth[h->keys[c + 1]] < h->worth[h->keys[c]]) c++;
        if (h->worth[key] <= h->worth[h->keys[c]]) break;
        heap_place(h, i, h->keys[c]);
        i = c;
    }
    heap_place(h, i, key);
}

static void heap_add(struct heap *h, uint32_t key) {
    heap_place(h, h->n++, key);
    heap_rise(h, h->n - 1);
}

static void heap_take(struct heap *h, uint32_t key) {
    uint32_t i = h->where[key], last = h->keys[--h->n];
    if (i == h->n) return;
    heap_place(h, i, last);
    heap_rise(h, i);
    heap_sink(h, h->where[last]);
}

struct simple {
    enum replay_policy policy;
    struct heap heap;
    uint32_t *count;    /* (n_key) uses, halved where the policy says so */
    uint8_t *resident;  /* (n_key) */
    uint32_t n_resident;
};

/* Of a key by its latest use: uses are numbered, so that there are no ties but among experts that Belady's optimum
 * needs at the same visit. */
static uint64_t worth(const struct simple *s, const struct replay *r, uint32_t key, uint32_t use) {
    if (s->policy == REPLAY_BELADY) return UINT64_MAX - r->next[use];
    return (s->policy == REPLAY_LRU ? 0 : (uint64_t)s->count[key] << 32) | use;
}

static void halve(struct simple *s, uint32_t n_key) {
    for (uint32_t k = 0; k < n_key; k++) {
        s->count[k] /= 2;
        s->heap.worth[k] = (uint64_t)s->count[k] << 32 | (uint32_t)s->heap.worth[k];
    }
    for (uint32_t i = s->heap.n / 2; i-- > 0;) heap_sink(&s->heap, i);
}

static uint64_t visit_simple(struct simple *s, const struct replay *r, uint32_t visit, uint32_t n_slot) {
    uint32_t base = visit % r->shape.n_layer * r->shape.n_expert;
    uint64_t n_hit = 0;
    for (uint32_t u = r->visits[visit]; u < r->visits[visit + 1]; u++) {
        uint32_t key = base + r->experts[u];
        s->count[key]++;
        if (!s->resident[key]) continue;
        heap_take(&s->heap, key);
        s->resident[key] = 2; /* in use */
        n_hit++;
    }
    for (uint32_t u = r->visits[visit]; u < r->visits[visit + 1]; u++) {
        uint32_t key = base + r->experts[u];
        if (s->resident[key]) continue;
        if (s->n_resident == n_slot) {
            if (!s->heap.n) continue;
            s->resident[s->heap.keys[0]] = 0;
            s->n_resident--;
            heap_take(&s->heap, s->heap.keys[0]);
        }
        s->resident[key] = 2;
        s->n_resident++;
    }
    for (uint32_t u = r->visits[visit]; u < r->visits[visit + 1]; u++) {
        uint32_t key = base + r->experts[u];
        s->heap.worth[key] = worth(s, r, key, u);
        if (s->resident[key] != 2) continue;
        s->resident[key] = 1;
        heap_add(&s->heap, key);
    }
    return n_hit;
}

static int run_simple(const struct replay *r, enum replay_policy policy, uint32_t n_slot, struct replay_result *out,
                      struct err *e) {
    struct arena a;
    uint32_t n_key = r->shape.n_layer * r->shape.n_expert;
    arena_init(&a, 0);
    struct simple s = {.policy = policy, .count = arena_array(&a, n_key, 4), .resident = arena_array(&a, n_key, 1)};
    s.heap = (struct heap){arena_array(&a, n_key, 8), arena_array(&a, n_key, 4), arena_array(&a, n_key, 4), 0};
    bool ok = s.count && s.resident && s.heap.worth && s.heap.keys && s.heap.where;
    for (uint32_t step = 0; ok && step < r->n_step; step++) {
        if (policy == REPLAY_DECAYED && step && step % REPLAY_HALF_STEPS == 0) halve(&s, n_key);
        for (uint32_t l = 0; l < r->shape.n_layer; l++)
            out->n_hit += visit_simple(&s, r, step * r->shape.n_layer + l, n_slot);
    }
    arena_deinit(&a);
    return ok ? ERR_OK : err_set(e, ERR_NOMEM, "no memory to replay");
}

/* hy's own */

struct own {
    struct expert_policy *policy;
    const struct replay *r;
    uint32_t *used_at; /* (n_key) visit + 1 of the last use */
    uint32_t visit;
};

static bool not_in_use(void *ctx, uint32_t key) {
    const struct own *o = ctx;
    return o->used_at[key] != o->visit + 1;
}

static uint64_t visit_own(struct own *o, uint32_t n_slot) {
    const struct replay *r = o->r;
    uint32_t layer = o->visit % r->shape.n_layer, from = r->visits[o->visit], n = r->visits[o->visit + 1] - from;
    uint64_t n_hit = 0;
    if (!n) return 0;
    expert_policy_visit(o->policy, layer, r->experts + from, r->n_each + from, n,
                        r->n_tok[o->visit / r->shape.n_layer]);
    for (uint32_t i = 0; i < n; i++) o->used_at[layer * r->shape.n_expert + r->experts[from + i]] = o->visit + 1;
    for (uint32_t i = 0; i < n; i++)
        n_hit += expert_policy_has(o->policy, layer * r->shape.n_expert + r->experts[from + i]);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = layer * r->shape.n_expert + r->experts[from + i];
        if (expert_policy_has(o->policy, key)) continue;
        if (expert_policy_n_resident(o->policy) == n_slot) {
            uint32_t victim = expert_policy_victim(o->policy, not_in_use, o);
            if (victim == EXPERT_POLICY_NONE) continue;
            expert_policy_remove(o->policy, victim);
        }
        expert_policy_insert(o->policy, key);
    }
    return n_hit;
}

/* Processor time: a busy machine does not make the policy dearer. */
static double cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int run_own(const struct replay *r, uint32_t n_slot, struct replay_result *out, struct err *e) {
    struct arena a;
    arena_init(&a, 0);
    struct own o = {.r = r, .policy = expert_policy_new(r->shape.n_layer, r->shape.n_expert, &a)};
    o.used_at = arena_array(&a, r->shape.n_layer * r->shape.n_expert, sizeof *o.used_at);
    bool ok = o.policy && o.used_at;
    double t0 = cpu_ns();
    for (uint32_t step = 0; ok && step < r->n_step; step++) {
        for (uint32_t l = 0; l < r->shape.n_layer; l++, o.visit++) out->n_hit += visit_own(&o, n_slot);
        expert_policy_end_step(o.policy);
    }
    if (r->n_use) out->policy_ns = (cpu_ns() - t0) / (double)r->n_use;
    arena_deinit(&a);
    return ok ? ERR_OK : err_set(e, ERR_NOMEM, "no memory to replay");
}

int replay_run(const struct replay *r, enum replay_policy policy, uint32_t n_slot, struct replay_result *out,
               struct err *e) {
    *out = (struct replay_result){0};
    if (policy == REPLAY_HY) return run_own(r, n_slot, out, e);
    return run_simple(r, policy, n_slot, out, e);
}
