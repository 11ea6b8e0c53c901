#include "models/grammar/sets.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* A place: the state above, the frame below. Frame 0 is that of rule 0; its end is the place PLACE_END. */
#define PLACE(state, frame) ((uint64_t)(state) << 32 | (frame))
#define PLACE_END UINT64_MAX
#define SETS_MAX_PLACES (1u << 16)

struct call {
    uint32_t order, rule;
    uint64_t back; /* the place to return to */
};

/* Scratch of one step: the places met so far (a list, and a table that finds them), and calls that wait, as a heap. */
struct closure {
    uint64_t *place;
    uint32_t *slot, *stamp;
    struct call *call;
    uint64_t *back; /* the frame that is being made */
    uint32_t n, cap, n_slot, n_call, cap_call, cap_back, round;
    bool failed;
};

static bool grow(void **p, uint32_t *cap, uint32_t need, size_t size_bytes) {
    if (need <= *cap) return true;
    uint32_t want = *cap ? *cap : 64;
    while (want < need) want *= 2;
    void *q = realloc(*p, want * size_bytes);
    if (!q) return false;
    *p = q;
    *cap = want;
    return true;
}

static uint32_t hash_list(const uint64_t *list, uint32_t n) { return (uint32_t)XXH3_64bits(list, n * sizeof *list); }

static void intern_deinit(struct intern *t) {
    free(t->pool);
    free(t->at);
    free(t->slot);
}

static void intern_place(struct intern *t, uint32_t i) {
    uint32_t k = hash_list(t->pool + t->at[i], t->at[i + 1] - t->at[i]) & (t->n_slot - 1);
    while (t->slot[k]) k = (k + 1) & (t->n_slot - 1);
    t->slot[k] = i + 1;
}

static bool intern_rehash(struct intern *t) {
    uint32_t n_slot = t->n_slot ? t->n_slot * 2 : 256;
    uint32_t *slot = calloc(n_slot, sizeof *slot);
    if (!slot) return false;
    free(t->slot);
    t->slot = slot;
    t->n_slot = n_slot;
    for (uint32_t i = 0; i < t->n; i++) intern_place(t, i);
    return true;
}

/* The number of a list, a new one perhaps; SETS_NONE: no memory. */
static uint32_t intern_list(struct intern *t, const uint64_t *list, uint32_t n) {
    if (2 * (t->n + 1) >= t->n_slot && !intern_rehash(t)) return SETS_NONE;
    uint32_t k = hash_list(list, n) & (t->n_slot - 1);
    for (; t->slot[k]; k = (k + 1) & (t->n_slot - 1)) {
        uint32_t i = t->slot[k] - 1;
        if (t->at[i + 1] - t->at[i] == n && (!n || !memcmp(t->pool + t->at[i], list, n * sizeof *list))) return i;
    }
    uint32_t used = t->n ? t->at[t->n] : 0;
    if (!grow((void **)&t->pool, &t->cap_pool, used + n, sizeof *t->pool)) return SETS_NONE;
    if (!grow((void **)&t->at, &t->cap, t->n + 2, sizeof *t->at)) return SETS_NONE;
    if (n) memcpy(t->pool + used, list, n * sizeof *list);
    t->at[t->n] = used;
    t->at[t->n + 1] = used + n;
    t->slot[k] = ++t->n;
    return t->n - 1;
}

static bool closure_rehash(struct closure *c) {
    uint32_t n_slot = c->n_slot ? c->n_slot * 2 : 256;
    uint32_t *slot = malloc(n_slot * sizeof *slot), *stamp = calloc(n_slot, sizeof *stamp);
    if (!slot || !stamp) {
        free(slot);
        free(stamp);
        return false;
    }
    free(c->slot);
    free(c->stamp);
    c->slot = slot;
    c->stamp = stamp;
    c->n_slot = n_slot;
    c->round = 1;
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t k = hash_list(&c->place[i], 1) & (n_slot - 1);
        while (stamp[k] == 1) k = (k + 1) & (n_slot - 1);
        slot[k] = i;
        stamp[k] = 1;
    }
    return true;
}

static void closure_begin(struct closure *c) {
    c->n = c->n_call = 0;
    if (++c->round) return;
    memset(c->stamp, 0, c->n_slot * sizeof *c->stamp);
    c->round = 1;
}

static void closure_add(struct closure *c, uint64_t place) {
    bool ok = (2 * (c->n + 1) < c->n_slot || closure_rehash(c)) && c->n < SETS_MAX_PLACES &&
              grow((void **)&c->place, &c->cap, c->n + 1, sizeof *c->place);
    if (!ok) c->failed = true;
    if (c->failed) return;
    uint32_t k = hash_list(&place, 1) & (c->n_slot - 1);
    for (; c->stamp[k] == c->round; k = (k + 1) & (c->n_slot - 1))
        if (c->place[c->slot[k]] == place) return;
    c->stamp[k] = c->round;
    c->slot[k] = c->n;
    c->place[c->n++] = place;
}

static bool call_before(const struct call *a, const struct call *b) {
    return a->order < b->order || (a->order == b->order && a->back < b->back);
}

static void call_push(struct closure *c, struct call x) {
    if (!grow((void **)&c->call, &c->cap_call, c->n_call + 1, sizeof *c->call)) {
        c->failed = true;
        return;
    }
    uint32_t i = c->n_call++;
    for (; i && call_before(&x, &c->call[(i - 1) / 2]); i = (i - 1) / 2) c->call[i] = c->call[(i - 1) / 2];
    c->call[i] = x;
}

static struct call call_pop(struct closure *c) {
    struct call top = c->call[0], x = c->call[--c->n_call];
    uint32_t i = 0;
    for (uint32_t k = 1; k < c->n_call; k = 2 * i + 1) {
        if (k + 1 < c->n_call && call_before(&c->call[k + 1], &c->call[k])) k++;
        if (!call_before(&c->call[k], &x)) break;
        c->call[i] = c->call[k];
        i = k;
    }
    c->call[i] = x;
    return top;
}

static void leave_rule(struct sets *s, uint32_t frame) {
    if (!frame) {
        closure_add(s->closure, PLACE_END);
        return;
    }
    const struct intern *t = &s->frame;
    for (uint32_t i = t->at[frame]; i < t->at[frame + 1]; i++) closure_add(s->closure, t->pool[i]);
}

/* Follows what needs no byte from the places that are not done; calls wait. */
static void follow(struct sets *s, uint32_t *done) {
    struct closure *c = s->closure;
    for (; *done < c->n && !c->failed; ++*done) {
        uint64_t place = c->place[*done];
        s->work++;
        if (place == PLACE_END) continue;
        uint32_t state = (uint32_t)(place >> 32), frame = (uint32_t)place;
        if (s->nfa->is_end[state]) leave_rule(s, frame);
        for (uint32_t i = s->nfa->first[state]; i < s->nfa->first[state + 1]; i++) {
            const struct nfa_edge *x = &s->nfa->edge[i];
            if (x->kind == NFA_EPS) closure_add(c, PLACE(x->to, frame));
            if (x->kind == NFA_CALL)
                call_push(c, (struct call){s->nfa->rule[x->rule].order, x->rule, PLACE(x->to, frame)});
        }
    }
}

/* All waiting calls of one rule become one frame. Rules called first come first in the order, so nobody will call this
 * rule again at this byte. */
static void enter_rule(struct sets *s) {
    struct closure *c = s->closure;
    uint32_t rule = c->call[0].rule, n = 0;
    if (!grow((void **)&c->back, &c->cap_back, c->n_call, sizeof *c->back)) {
        c->failed = true;
        return;
    }
    while (c->n_call && c->call[0].rule == rule) {
        struct call x = call_pop(c);
        if (!n || c->back[n - 1] != x.back) c->back[n++] = x.back;
        s->work++;
    }
    uint32_t frame = intern_list(&s->frame, c->back, n);
    if (frame == SETS_NONE)
        c->failed = true;
    else
        closure_add(c, PLACE(s->nfa->rule[rule].start, frame));
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool reads_bytes(const struct nfa *n, uint64_t place) {
    if (place == PLACE_END) return true;
    uint32_t state = (uint32_t)(place >> 32);
    for (uint32_t i = n->first[state]; i < n->first[state + 1]; i++)
        if (n->edge[i].kind == NFA_BYTES) return true;
    return false;
}

/* The set of what the added places lead to without a byte; only places that read one are worth keeping. */
static uint32_t closure_set(struct sets *s) {
    struct closure *c = s->closure;
    uint32_t done = 0, n = 0;
    follow(s, &done);
    while (c->n_call && !c->failed) {
        enter_rule(s);
        follow(s, &done);
    }
    if (c->failed) return SETS_NONE;
    for (uint32_t i = 0; i < c->n; i++)
        if (reads_bytes(s->nfa, c->place[i])) c->place[n++] = c->place[i];
    if (n) qsort(c->place, n, sizeof *c->place, by_value);
    uint32_t n_before = s->set.n, id = intern_list(&s->set, c->place, n);
    if (id == SETS_NONE || s->set.n == n_before) return id;
    uint32_t n_class = s->nfa->n_class;
    if (!grow((void **)&s->row, &s->cap_row, s->set.n * n_class, sizeof *s->row)) {
        c->failed = true;
        return SETS_NONE;
    }
    memset(s->row + (size_t)id * n_class, 0xff, n_class * sizeof *s->row);
    return id;
}

int sets_init(struct sets *s, const struct nfa *n, struct err *e) {
    *s = (struct sets){.nfa = n, .closure = calloc(1, sizeof(struct closure))};
    bool ok = s->closure != NULL;
    if (ok) {
        uint64_t nobody = PLACE_END; /* frame 0; another frame never holds this place */
        ok = intern_list(&s->frame, &nobody, 1) == 0;
        closure_begin(s->closure);
        ok = ok && closure_set(s) == SETS_DEAD;
    }
    if (ok) return ERR_OK;
    sets_deinit(s);
    return err_set(e, ERR_NOMEM, "no memory for the state of a grammar");
}

void sets_deinit(struct sets *s) {
    intern_deinit(&s->frame);
    intern_deinit(&s->set);
    free(s->row);
    if (s->closure) {
        free(s->closure->place);
        free(s->closure->slot);
        free(s->closure->stamp);
        free(s->closure->call);
        free(s->closure->back);
    }
    free(s->closure);
    *s = (struct sets){0};
}

uint32_t sets_start(struct sets *s) {
    closure_begin(s->closure);
    closure_add(s->closure, PLACE(s->nfa->rule[0].start, 0));
    return closure_set(s);
}

uint32_t sets_step_new(struct sets *s, uint32_t set, uint32_t class) {
    if (set == SETS_DEAD) return SETS_DEAD;
    uint8_t byte = s->nfa->byte_of[class];
    closure_begin(s->closure);
    for (uint32_t k = s->set.at[set]; k < s->set.at[set + 1]; k++) {
        uint64_t place = s->set.pool[k];
        s->work++;
        if (place == PLACE_END) continue;
        uint32_t state = (uint32_t)(place >> 32);
        for (uint32_t i = s->nfa->first[state]; i < s->nfa->first[state + 1]; i++) {
            const struct nfa_edge *x = &s->nfa->edge[i];
            if (x->kind == NFA_BYTES && byte >= x->lo && byte <= x->hi)
                closure_add(s->closure, PLACE(x->to, (uint32_t)place));
        }
    }
    uint32_t to = closure_set(s);
    if (to != SETS_NONE) s->row[(size_t)set * s->nfa->n_class + class] = to;
    return to;
}

bool sets_complete(const struct sets *s, uint32_t set) {
    return s->set.at[set + 1] > s->set.at[set] && s->set.pool[s->set.at[set + 1] - 1] == PLACE_END;
}

bool sets_full(const struct sets *s) {
    size_t bytes = (size_t)s->set.n * s->nfa->n_class * sizeof *s->row;
    bytes += (size_t)(s->set.at[s->set.n] + s->frame.at[s->frame.n]) * sizeof(uint64_t);
    return bytes + 16 * ((size_t)s->set.n + s->frame.n) > SETS_FULL_BYTES;
}

static void mark_frames(const uint64_t *place, uint32_t n, uint8_t *used) {
    for (uint32_t i = 0; i < n; i++)
        if (place[i] != PLACE_END) used[(uint32_t)place[i]] = 1;
}

/* Copies a list to another intern table with its frames renumbered, in order again. */
static uint32_t move_list(struct intern *to, const struct intern *from, uint32_t i, const uint32_t *number) {
    uint32_t n = from->at[i + 1] - from->at[i];
    uint64_t *copy = malloc((n + 1) * sizeof *copy);
    if (!copy) return SETS_NONE;
    for (uint32_t k = 0; k < n; k++) {
        uint64_t p = from->pool[from->at[i] + k];
        copy[k] = p == PLACE_END ? p : PLACE(p >> 32, number[(uint32_t)p]);
    }
    qsort(copy, n, sizeof *copy, by_value);
    uint32_t id = intern_list(to, copy, n);
    free(copy);
    return id;
}

/* A frame refers to frames with lower numbers only, so one pass downwards marks, one upwards moves. */
static bool move_frames(struct sets *to, const struct sets *from, const uint32_t *set, uint32_t n, uint8_t *used,
                        uint32_t *number) {
    const struct intern *f = &from->frame, *t = &from->set;
    for (uint32_t i = 0; i < n; i++) mark_frames(t->pool + t->at[set[i]], t->at[set[i] + 1] - t->at[set[i]], used);
    for (uint32_t i = f->n; i-- > 1;)
        if (used[i]) mark_frames(f->pool + f->at[i], f->at[i + 1] - f->at[i], used);
    for (uint32_t i = 1; i < f->n; i++) {
        if (!used[i]) continue;
        number[i] = move_list(&to->frame, f, i, number);
        if (number[i] == SETS_NONE) return false;
    }
    return true;
}

static bool move_sets(struct sets *to, const struct sets *from, uint32_t *set, uint32_t n, const uint32_t *number) {
    uint32_t n_class = from->nfa->n_class;
    for (uint32_t i = 0; i < n; i++) {
        set[i] = move_list(&to->set, &from->set, set[i], number);
        if (set[i] == SETS_NONE) return false;
    }
    if (!grow((void **)&to->row, &to->cap_row, to->set.n * n_class, sizeof *to->row)) return false;
    memset(to->row, 0xff, (size_t)to->set.n * n_class * sizeof *to->row);
    return true;
}

bool sets_move(struct sets *to, const struct sets *from, uint32_t *set, uint32_t n) {
    uint8_t *used = calloc(from->frame.n, 1);
    uint32_t *number = calloc(from->frame.n, sizeof *number);
    bool ok = used && number && move_frames(to, from, set, n, used, number) && move_sets(to, from, set, n, number);
    free(used);
    free(number);
    return ok;
}

bool sets_compact(struct sets *s, uint32_t *set, uint32_t n) {
    struct sets to;
    uint32_t *moved = malloc((n + 1) * sizeof *moved);
    if (!moved || sets_init(&to, s->nfa, NULL)) {
        free(moved);
        return false;
    }
    memcpy(moved, set, n * sizeof *moved);
    bool ok = sets_move(&to, s, moved, n);
    to.work = s->work + s->frame.n;
    struct sets old = ok ? *s : to;
    if (ok) {
        memcpy(set, moved, n * sizeof *moved);
        *s = to;
    }
    sets_deinit(&old);
    free(moved);
    return ok;
}
