#include "models/grammar/nfa.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void nfa_init(struct nfa *n, struct err *e) { *n = (struct nfa){.err = e}; }

void nfa_deinit(struct nfa *n) {
    free(n->edge);
    free(n->rule);
    free(n->first);
    free(n->is_end);
}

void nfa_fail(struct nfa *n, int code, const char *fmt, ...) {
    if (n->rc) return;
    char text[ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    n->rc = err_set(n->err, code, "%s", text);
}

void nfa_no_memory(struct nfa *n) { nfa_fail(n, ERR_NOMEM, "no memory for the schema's grammar"); }

static void *grown(struct nfa *n, void *p, uint32_t *cap, size_t size_bytes) {
    uint32_t want = *cap ? *cap * 2 : 256;
    void *q = realloc(p, want * size_bytes);
    if (!q) {
        nfa_no_memory(n);
        return p;
    }
    *cap = want;
    return q;
}

uint32_t nfa_state(struct nfa *n) { return n->rc ? 0 : n->n_state++; }

uint32_t nfa_rule(struct nfa *n) {
    if (!n->rc && n->n_rule == n->cap_rule) n->rule = grown(n, n->rule, &n->cap_rule, sizeof *n->rule);
    if (n->rc) return 0;
    struct nfa_rule r = {.start = nfa_state(n), .end = nfa_state(n)};
    n->rule[n->n_rule] = r;
    return n->n_rule++;
}

static void add(struct nfa *n, struct nfa_edge x) {
    if (!n->rc && n->n_edge == NFA_MAX_EDGES)
        nfa_fail(n, ERR_LIMIT, "the schema is too large: lower its maxima, or its size");
    if (!n->rc && n->n_edge == n->cap_edge) n->edge = grown(n, n->edge, &n->cap_edge, sizeof *n->edge);
    if (!n->rc) n->edge[n->n_edge++] = x;
}

void nfa_eps(struct nfa *n, uint32_t from, uint32_t to) { add(n, (struct nfa_edge){from, to, 0, NFA_EPS, 0, 0}); }

void nfa_bytes(struct nfa *n, uint32_t from, uint8_t lo, uint8_t hi, uint32_t to) {
    add(n, (struct nfa_edge){from, to, 0, NFA_BYTES, lo, hi});
}

void nfa_call(struct nfa *n, uint32_t from, uint32_t rule, uint32_t to) {
    add(n, (struct nfa_edge){from, to, rule, NFA_CALL, 0, 0});
}

uint32_t nfa_text(struct nfa *n, uint32_t from, const char *text, size_t len) {
    for (size_t i = 0; i < len && !n->rc; i++) {
        uint32_t to = nfa_state(n);
        nfa_bytes(n, from, (uint8_t)text[i], (uint8_t)text[i], to);
        from = to;
    }
    return from;
}

void nfa_any_of(struct nfa *n, uint32_t from, const char *set, uint32_t to) {
    for (; *set; set++) nfa_bytes(n, from, (uint8_t)*set, (uint8_t)*set, to);
}

/* Edges by a key below n_key, as counting sort leaves them: those of key k are at[k] .. at[k + 1]. */
struct index {
    uint32_t *at, *edge;
};

enum index_key { BY_FROM, BY_TO, BY_CALL };

static uint32_t key_of(const struct nfa *n, const struct nfa_edge *x, enum index_key by) {
    if (by == BY_FROM) return x->from;
    return by == BY_TO ? x->to : x->kind == NFA_CALL ? n->rule[x->rule].start : NFA_NONE;
}

static bool index_init(struct index *ix, const struct nfa *n, enum index_key by) {
    ix->at = calloc((size_t)n->n_state + 2, sizeof *ix->at);
    ix->edge = malloc((size_t)(n->n_edge + 1) * sizeof *ix->edge);
    if (!ix->at || !ix->edge) return false;
    for (uint32_t i = 0; i < n->n_edge; i++) {
        uint32_t k = key_of(n, &n->edge[i], by);
        if (k != NFA_NONE) ix->at[k + 2]++;
    }
    for (uint32_t s = 2; s <= n->n_state + 1; s++) ix->at[s] += ix->at[s - 1];
    for (uint32_t i = 0; i < n->n_edge; i++) {
        uint32_t k = key_of(n, &n->edge[i], by);
        if (k != NFA_NONE) ix->edge[ix->at[k + 1]++] = i;
    }
    return true;
}

static void index_deinit(struct index *ix) {
    free(ix->at);
    free(ix->edge);
}

struct live {
    uint8_t *state;
    uint32_t *todo, n_todo;
};

static bool edge_live(const struct nfa *n, const struct live *l, const struct nfa_edge *x) {
    return l->state[x->to] && (x->kind != NFA_CALL || l->state[n->rule[x->rule].start]);
}

static void live_add(struct live *l, uint32_t state) {
    if (l->state[state]) return;
    l->state[state] = 1;
    l->todo[l->n_todo++] = state;
}

/* Marks the states from which the end of their rule can be reached. */
static void find_live(const struct nfa *n, struct live *l, const struct index *into, const struct index *calls) {
    for (uint32_t r = 0; r < n->n_rule; r++) live_add(l, n->rule[r].end);
    while (l->n_todo) {
        uint32_t s = l->todo[--l->n_todo];
        for (uint32_t i = into->at[s]; i < into->at[s + 1]; i++)
            if (edge_live(n, l, &n->edge[into->edge[i]])) live_add(l, n->edge[into->edge[i]].from);
        for (uint32_t i = calls->at[s]; i < calls->at[s + 1]; i++)
            if (edge_live(n, l, &n->edge[calls->edge[i]])) live_add(l, n->edge[calls->edge[i]].from);
    }
}

static int drop_dead(struct nfa *n) {
    struct live l = {calloc((size_t)n->n_state + 1, 1), malloc(((size_t)n->n_state + 1) * sizeof(uint32_t)), 0};
    struct index into = {0}, calls = {0};
    bool ok = l.state && l.todo && index_init(&into, n, BY_TO) && index_init(&calls, n, BY_CALL);
    if (ok) {
        find_live(n, &l, &into, &calls);
        uint32_t n_kept = 0;
        for (uint32_t i = 0; i < n->n_edge; i++)
            if (edge_live(n, &l, &n->edge[i])) n->edge[n_kept++] = n->edge[i];
        n->n_edge = n_kept;
        if (!l.state[n->rule[0].start]) nfa_fail(n, ERR_ARG, "no value satisfies the schema");
    } else {
        nfa_no_memory(n);
    }
    index_deinit(&into);
    index_deinit(&calls);
    free(l.state);
    free(l.todo);
    return n->rc;
}

static int sort_edges(struct nfa *n) {
    struct index ix = {0};
    struct nfa_edge *sorted = malloc((size_t)(n->n_edge + 1) * sizeof *sorted);
    if (!sorted || !index_init(&ix, n, BY_FROM)) {
        free(sorted);
        index_deinit(&ix);
        nfa_no_memory(n);
        return n->rc;
    }
    for (uint32_t i = 0; i < n->n_edge; i++) sorted[i] = n->edge[ix.edge[i]];
    free(n->edge);
    free(ix.edge);
    n->edge = sorted;
    n->cap_edge = n->n_edge + 1;
    n->first = ix.at;
    return ERR_OK;
}

/* The rules that r calls before it has read a byte, each as often as it is called. seen: the states visited. */
static uint32_t left_calls(const struct nfa *n, uint32_t r, uint8_t *seen, uint32_t *todo, uint32_t *called) {
    uint32_t n_todo = 0, n_called = 0;
    todo[n_todo++] = n->rule[r].start;
    seen[n->rule[r].start] = 1;
    while (n_todo) {
        uint32_t s = todo[--n_todo];
        for (uint32_t i = n->first[s]; i < n->first[s + 1]; i++) {
            const struct nfa_edge *x = &n->edge[i];
            if (x->kind == NFA_CALL) called[n_called++] = x->rule;
            if (x->kind != NFA_EPS || seen[x->to]) continue;
            seen[x->to] = 1;
            todo[n_todo++] = x->to;
        }
    }
    CHECK(!seen[n->rule[r].end]);
    return n_called;
}

/* Kahn's order of the graph of left calls: rule r's are called[at[r]] .. called[at[r + 1]]. */
static void order_rules(struct nfa *n, const uint32_t *at, const uint32_t *called, uint32_t *n_caller, uint32_t *todo) {
    uint32_t n_todo = 0, n_done = 0;
    for (uint32_t i = 0; i < at[n->n_rule]; i++) n_caller[called[i]]++;
    for (uint32_t r = 0; r < n->n_rule; r++)
        if (!n_caller[r]) todo[n_todo++] = r;
    while (n_todo) {
        uint32_t r = todo[--n_todo];
        n->rule[r].order = n_done++;
        for (uint32_t i = at[r]; i < at[r + 1]; i++)
            if (!--n_caller[called[i]]) todo[n_todo++] = called[i];
    }
    if (n_done < n->n_rule) nfa_fail(n, ERR_ARG, "a $ref of the schema leads to itself");
}

static int find_order(struct nfa *n) {
    size_t n_any = (size_t)n->n_state + n->n_rule + n->n_edge + 2;
    uint8_t *seen = calloc(n_any, 1);
    uint32_t *todo = malloc(n_any * sizeof *todo), *called = malloc(n_any * sizeof *called);
    uint32_t *at = calloc((size_t)n->n_rule + 1, sizeof *at),
             *n_caller = calloc((size_t)n->n_rule + 1, sizeof *n_caller);
    if (seen && todo && called && at && n_caller) {
        for (uint32_t r = 0; r < n->n_rule; r++) at[r + 1] = at[r] + left_calls(n, r, seen, todo, called + at[r]);
        order_rules(n, at, called, n_caller, todo);
    } else {
        nfa_no_memory(n);
    }
    free(seen);
    free(todo);
    free(called);
    free(at);
    free(n_caller);
    return n->rc;
}

static void find_classes(struct nfa *n) {
    bool cut[257] = {false};
    for (uint32_t i = 0; i < n->n_edge; i++) {
        if (n->edge[i].kind != NFA_BYTES) continue;
        cut[n->edge[i].lo] = cut[n->edge[i].hi + 1] = true;
    }
    for (uint32_t b = 0; b < 256; b++) {
        if (!b || cut[b]) n->byte_of[n->n_class++] = (uint8_t)b;
        n->class_of[b] = (uint8_t)(n->n_class - 1);
    }
}

int nfa_freeze(struct nfa *n) {
    if (n->rc || drop_dead(n) || sort_edges(n)) return n->rc;
    n->is_end = calloc((size_t)n->n_state + 1, 1);
    if (!n->is_end) nfa_no_memory(n);
    if (n->rc || find_order(n)) return n->rc;
    for (uint32_t r = 0; r < n->n_rule; r++) n->is_end[n->rule[r].end] = 1;
    find_classes(n);
    return ERR_OK;
}
