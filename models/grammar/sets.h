/* What an automaton (nfa.h) can be in the middle of, as numbered sets, and where each byte leads from each.
 *
 * A set holds places: a state, and the frame that its rule returns to. A frame is again a set of places: all that
 * called the same rule at the same byte share one, so that ambiguity makes frames wider and never makes more of them,
 * and what can be open after n bytes is at most n times the size of the automaton. Sets and frames are interned: equal
 * ones have one number. Set 0 is empty: no way on. Steps are worked out when they are first asked for, and kept.
 *
 * Everything that is kept grows until sets_full; sets_compact then forgets all but the sets that are named.
 * Work is counted, so that the caller can bound it. One owner. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/grammar/nfa.h"

#define SETS_DEAD 0u
#define SETS_NONE UINT32_MAX /* no memory, or too much work */
#define SETS_FULL_BYTES (12u << 20)

/* Interned lists of numbers; list i is pool[at[i]] .. pool[at[i + 1]]. */
struct intern {
    uint64_t *pool;
    uint32_t *at, *slot;
    uint32_t n, cap, cap_pool, n_slot;
};

struct sets {
    const struct nfa *nfa;
    struct intern frame, set;
    uint32_t *row; /* n_class per set: where a byte of the class leads, or SETS_NONE when unknown */
    uint32_t cap_row;
    struct closure *closure;
    uint64_t work; /* places visited since the caller set it to 0 */
};

int sets_init(struct sets *s, const struct nfa *n, struct err *e);
void sets_deinit(struct sets *s);

/* The set at the beginning of rule 0. */
uint32_t sets_start(struct sets *s);
uint32_t sets_step_new(struct sets *s, uint32_t set, uint32_t class);
static inline uint32_t sets_step(struct sets *s, uint32_t set, uint8_t byte) {
    uint32_t class = s->nfa->class_of[byte];
    uint32_t to = s->row[(size_t)set * s->nfa->n_class + class];
    return __builtin_expect(to != SETS_NONE, 1) ? to : sets_step_new(s, set, class);
}
/* Rule 0 may end here. */
bool sets_complete(const struct sets *s, uint32_t set);

bool sets_full(const struct sets *s);
/* Copies n sets, and what they need, into `to`, new and of the same automaton, and writes their numbers there.
 * false: no memory; both remain to be freed. */
bool sets_move(struct sets *to, const struct sets *from, uint32_t *set, uint32_t n);
/* Keeps these n sets alone and writes their new numbers. false: no memory, and s is as it was. */
bool sets_compact(struct sets *s, uint32_t *set, uint32_t n);
