/* Recursive automata over bytes: nondeterministic ones (rules) whose edges may call each other.
 *
 * Built by adding states and edges; errors stick (rc, and err where one is given), further calls then do nothing.
 * A rule never matches the empty text, and nothing calls itself without having read a byte: nfa_freeze refuses it,
 * so that the calls open at one place of the text are finitely many.
 * After nfa_freeze: every state left with an edge can reach the end of its rule; edges lie sorted by state; bytes that
 * no edge tells apart form one class. One owner while it is built; immutable afterwards. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "runtime/err.h"

#define NFA_NONE UINT32_MAX
#define NFA_MAX_EDGES (1u << 21)

enum nfa_kind { NFA_EPS, NFA_BYTES, NFA_CALL };

struct nfa_edge {
    uint32_t from, to;
    uint32_t rule; /* of a call */
    uint8_t kind, lo, hi;
};

struct nfa_rule {
    uint32_t start, end; /* states */
    uint32_t order;      /* callers that have read nothing yet come before those whom they call */
};

struct nfa {
    struct nfa_edge *edge;
    struct nfa_rule *rule;
    uint32_t n_state, n_edge, n_rule, cap_edge, cap_rule;
    int rc;
    struct err *err;
    /* after nfa_freeze */
    uint32_t *first;   /* edges of state s: first[s] .. first[s + 1] */
    uint8_t *is_end;   /* of a rule */
    uint8_t class_of[256], byte_of[256]; /* the class of a byte, a byte of a class */
    uint32_t n_class;
};

void nfa_init(struct nfa *n, struct err *e);
void nfa_deinit(struct nfa *n);
/* The first failure counts. */
void nfa_fail(struct nfa *n, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void nfa_no_memory(struct nfa *n);

uint32_t nfa_state(struct nfa *n);
uint32_t nfa_rule(struct nfa *n); /* with a start and an end and nothing between */
void nfa_eps(struct nfa *n, uint32_t from, uint32_t to);
void nfa_bytes(struct nfa *n, uint32_t from, uint8_t lo, uint8_t hi, uint32_t to);
void nfa_call(struct nfa *n, uint32_t from, uint32_t rule, uint32_t to);
/* The state behind the text. */
uint32_t nfa_text(struct nfa *n, uint32_t from, const char *text, size_t len);
/* Any byte of a NUL-terminated set. */
void nfa_any_of(struct nfa *n, uint32_t from, const char *set, uint32_t to);

/* ERR_ARG: rule 0 matches nothing, or a rule calls itself at once. */
int nfa_freeze(struct nfa *n);
