#include "models/grammar/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "models/grammar/nfa.h"
#include "models/grammar/schema.h"
#include "models/grammar/sets.h"
#include "models/grammar/trie.h"

#define N_KEPT 32                   /* masks */
#define MAX_WORK ((uint64_t)1 << 26) /* places visited for one mask: about a second */

struct grammar {
    struct nfa nfa;
    uint8_t plain[96]; /* a byte of each class that has plain bytes (trie.h) */
    uint32_t n_plain;
};

struct grammar_state {
    const struct grammar *g;
    const struct grammar_vocab *v;
    struct sets sets;
    uint32_t *path; /* path[0]: where the text is; path[d + 1]: after the walk's byte at depth d */
    uint32_t *mask; /* N_KEPT masks and one to hand out that has `instead` too */
    uint32_t kept[N_KEPT], next_kept; /* the set that a kept mask belongs to, or SETS_NONE */
    uint32_t n_word;
    int32_t instead;
    bool on, begun; /* begun: more than white space has been accepted */
};

static void find_plain(struct grammar *g) {
    bool seen[256] = {false};
    for (uint32_t b = 0; b < 128; b++) {
        if (!trie_is_plain((uint8_t)b) || seen[g->nfa.class_of[b]]) continue;
        seen[g->nfa.class_of[b]] = true;
        g->plain[g->n_plain++] = (uint8_t)b;
    }
}

static int compile(const char *json, size_t len, struct grammar **out, struct err *e) {
    *out = NULL;
    struct grammar *g = calloc(1, sizeof *g);
    if (!g) return err_set(e, ERR_NOMEM, "no memory for a grammar");
    nfa_init(&g->nfa, e);
    schema_compile(&g->nfa, json, len);
    int rc = nfa_freeze(&g->nfa);
    if (rc) {
        grammar_free(g);
        return rc;
    }
    find_plain(g);
    *out = g;
    return ERR_OK;
}

int grammar_compile_json(struct grammar **out, struct err *e) {
    static const char object[] = "{\"type\": \"object\"}";
    return compile(object, sizeof object - 1, out, e);
}

int grammar_compile_schema(const char *json, size_t len, struct grammar **out, struct err *e) {
    return compile(json, len, out, e);
}

void grammar_free(struct grammar *g) {
    if (!g) return;
    nfa_deinit(&g->nfa);
    free(g);
}

int grammar_state_new(const struct grammar *g, const struct grammar_vocab *v, struct grammar_state **out,
                      struct err *e) {
    *out = NULL;
    struct grammar_state *s = calloc(1, sizeof *s);
    if (!s) return err_set(e, ERR_NOMEM, "no memory for the state of a grammar");
    *s = (struct grammar_state){.g = g, .v = v, .n_word = (v->n_row + 31) / 32, .instead = -1};
    s->path = calloc((size_t)v->max_depth + 2, sizeof *s->path);
    s->mask = malloc((size_t)(N_KEPT + 1) * (s->n_word + 1) * sizeof *s->mask);
    memset(s->kept, 0xff, sizeof s->kept);
    int rc = s->path && s->mask ? sets_init(&s->sets, &g->nfa, e)
                                : err_set(e, ERR_NOMEM, "no memory for the state of a grammar");
    if (rc)
        grammar_state_free(s);
    else
        *out = s;
    return rc;
}

void grammar_state_free(struct grammar_state *s) {
    if (!s) return;
    sets_deinit(&s->sets);
    free(s->path);
    free(s->mask);
    free(s);
}

static int too_much(struct err *e) {
    return err_set(e, ERR_LIMIT,
                   "the schema leaves too many ways open here; make it smaller or its alternatives more different");
}

int grammar_state_clone(const struct grammar_state *from, struct grammar_state **out, struct err *e) {
    int rc = grammar_state_new(from->g, from->v, out, e);
    if (rc) return rc;
    struct grammar_state *s = *out;
    s->instead = from->instead;
    s->on = from->on;
    s->begun = from->begun;
    s->path[0] = from->path[0];
    if (!s->on || s->path[0] == SETS_NONE || sets_move(&s->sets, &from->sets, s->path, 1)) return ERR_OK;
    grammar_state_free(s);
    *out = NULL;
    return err_set(e, ERR_NOMEM, "no memory for the state of a grammar");
}

void grammar_start(struct grammar_state *s, int32_t instead) {
    s->on = true;
    s->begun = false;
    s->instead = instead;
    s->sets.work = 0;
    s->path[0] = sets_start(&s->sets);
}

bool grammar_on(const struct grammar_state *s) { return s->on; }

bool grammar_complete(const struct grammar_state *s) {
    return s->on && s->path[0] != SETS_NONE && sets_complete(&s->sets, s->path[0]);
}

/* Makes room; the numbers of kept masks' sets are gone then. */
static bool make_room(struct grammar_state *s, uint32_t n_path) {
    if (!sets_full(&s->sets)) return true;
    memset(s->kept, 0xff, sizeof s->kept);
    return sets_compact(&s->sets, s->path, n_path) && !sets_full(&s->sets);
}

static void allow(uint32_t *mask, int32_t id) { mask[id / 32] |= 1u << (id % 32); }

/* Walks a trie along the automaton: a subtree is left as soon as a byte leads nowhere. */
static bool walk(struct grammar_state *s, const struct trie *t, uint32_t *mask) {
    for (uint32_t i = 0; i < t->n_node;) {
        const struct trie_node *x = &t->node[i];
        uint32_t n_set = s->sets.set.n;
        uint32_t to = sets_step(&s->sets, s->path[x->depth], x->byte);
        if (to == SETS_DEAD) {
            i = x->end;
            continue;
        }
        if (to == SETS_NONE || s->sets.work > MAX_WORK) return false;
        s->path[x->depth + 1] = to;
        if (s->sets.set.n != n_set && !make_room(s, x->depth + 2u)) return false;
        for (uint32_t k = 0; k < x->n_token; k++) allow(mask, s->v->token[x->token + k]);
        i++;
    }
    return true;
}

/* Where every plain byte leads to from a set, if that is one place; SETS_NONE: it is not. */
static uint32_t plain_step(struct grammar_state *s, uint32_t set) {
    uint32_t to = sets_step(&s->sets, set, s->g->plain[0]);
    for (uint32_t i = 1; i < s->g->n_plain && to != SETS_NONE; i++)
        if (sets_step(&s->sets, set, s->g->plain[i]) != to) to = SETS_NONE;
    return to;
}

/* How many plain bytes of any kind may come, up to TRIE_MAX_PLAIN; UINT32_MAX: it depends on which. */
static uint32_t plain_run(struct grammar_state *s) {
    uint32_t set = s->path[0];
    for (uint32_t n = 0; n < TRIE_MAX_PLAIN; n++) {
        uint32_t to = plain_step(s, set);
        if (to == SETS_NONE) return UINT32_MAX;
        if (to == SETS_DEAD) return n;
        if (to == set) break;
        set = to;
    }
    return TRIE_MAX_PLAIN;
}

static bool fill_mask(struct grammar_state *s, uint32_t *mask) {
    const struct grammar_vocab *v = s->v;
    uint32_t run = plain_run(s);
    if (!make_room(s, 1)) return false;
    if (run == UINT32_MAX && !walk(s, &v->plain, mask)) return false;
    if (run != UINT32_MAX)
        for (uint32_t i = 0; i < v->n_upto[run]; i++) allow(mask, v->by_length[i]);
    if (!walk(s, &v->other, mask)) return false;
    if (sets_complete(&s->sets, s->path[0]))
        for (uint32_t i = 0; i < v->n_eog; i++) allow(mask, v->eog[i]);
    return true;
}

static uint32_t *mask_at(const struct grammar_state *s, uint32_t i) { return s->mask + (size_t)i * s->n_word; }

/* The mask of the present set: a kept one, or a new one in the place of the oldest. */
static const uint32_t *find_mask(struct grammar_state *s) {
    for (uint32_t i = 0; i < N_KEPT; i++)
        if (s->kept[i] == s->path[0]) return mask_at(s, i);
    uint32_t i = s->next_kept, *mask = mask_at(s, i);
    s->kept[i] = SETS_NONE;
    memset(mask, 0, s->n_word * sizeof *mask);
    if (!fill_mask(s, mask)) return NULL;
    s->kept[i] = s->path[0];
    s->next_kept = (i + 1) % N_KEPT;
    return mask;
}

static bool any_bit(const uint32_t *mask, uint32_t n_word) {
    uint32_t all = 0;
    for (uint32_t i = 0; i < n_word; i++) all |= mask[i];
    return all;
}

int grammar_mask(struct grammar_state *s, const uint32_t **allowed, struct err *e) {
    *allowed = NULL;
    if (!s->on) return ERR_OK;
    s->sets.work = 0;
    const uint32_t *mask = s->path[0] == SETS_NONE ? NULL : find_mask(s);
    if (!mask) return too_much(e);
    if (s->instead >= 0 && !s->begun && (uint32_t)s->instead < s->v->n_row) {
        uint32_t *copy = mask_at(s, N_KEPT);
        memcpy(copy, mask, s->n_word * sizeof *copy);
        allow(copy, s->instead);
        mask = copy;
    }
    if (!any_bit(mask, s->n_word))
        return err_set(e, ERR_UNSUPPORTED, "the model has no token that continues this text as the schema asks");
    *allowed = mask;
    return ERR_OK;
}

static bool is_eog(const struct grammar_vocab *v, int32_t token) {
    for (uint32_t i = 0; i < v->n_eog; i++)
        if (v->eog[i] == token) return true;
    return false;
}

static int accept_bytes(struct grammar_state *s, const uint8_t *p, uint32_t n, struct err *e) {
    bool blank = true;
    uint32_t *at = &s->path[1]; /* path[0] stays until all is well */
    *at = s->path[0];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t to = *at == SETS_NONE ? SETS_NONE : sets_step(&s->sets, *at, p[i]);
        if (to == SETS_NONE) return too_much(e);
        if (to == SETS_DEAD) return err_set(e, ERR_ARG, "the token '%.*s' does not fit the schema here", (int)n, p);
        *at = to;
        blank = blank && strchr(" \t\r\n", p[i]) && p[i];
    }
    if (!n) return err_set(e, ERR_ARG, "a token without text does not fit the schema");
    s->path[0] = *at;
    if (!blank) s->begun = true;
    return make_room(s, 1) ? ERR_OK : too_much(e);
}

int grammar_accept(struct grammar_state *s, int32_t token, struct err *e) {
    if (!s->on) return ERR_OK;
    s->sets.work = 0;
    if (token == s->instead && token >= 0 && !s->begun) {
        s->on = false;
        return ERR_OK;
    }
    if (is_eog(s->v, token))
        return grammar_complete(s) ? ERR_OK : err_set(e, ERR_ARG, "the text ends before the schema's value does");
    if (token < 0 || (uint32_t)token >= s->v->n_id)
        return err_set(e, ERR_ARG, "token %d is not one of the vocabulary", token);
    return accept_bytes(s, s->v->bytes + s->v->at[token], s->v->at[token + 1] - s->v->at[token], e);
}
