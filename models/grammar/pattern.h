/* Regular expressions of JSON Schema's pattern (ECMAScript's, by code points), as automata over characters.
 *
 * Known: literals, '.', classes [a-z] and [^...], \d \w \s and their opposites, \t \n \r \f \v \0 \xHH \uHHHH \u{H}
 * \cX, escaped punctuation, groups ( ) (?: ) (?<name> ), alternatives, * + ? {n} {n,} {n,m} also lazy, ^ and $ at the
 * beginning and end of an outermost alternative. Without ^ or $ anything may come before or behind, as in the standard.
 * Look-around, back references, \b and \p are refused by name (ERR_UNSUPPORTED); what is no pattern is ERR_FORMAT. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

#define PATTERN_MAX_STATES 50000u

struct pattern_range {
    uint32_t lo, hi; /* code points */
};

/* A set of code points: n ranges from `at` on, ascending, apart from each other. */
struct pattern_class {
    uint32_t at, n;
};

struct pattern_edge {
    uint32_t from, to;
    uint32_t class; /* PATTERN_EPS: reads nothing */
};
#define PATTERN_EPS UINT32_MAX

struct pattern {
    struct pattern_range *range;
    struct pattern_class *class;
    struct pattern_edge *edge;
    uint32_t n_range, n_class, n_edge, n_state; /* from state 0 to state 1 */
    uint32_t cap_range, cap_class, cap_edge;
};

/* Zero-initialises p first; pattern_deinit always frees. */
int pattern_parse(struct pattern *p, const char *text, size_t len, struct err *e);
void pattern_deinit(struct pattern *p);
