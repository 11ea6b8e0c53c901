/* JSON numbers between bounds, as automata: digit by digit along the bounds, which are exact decimals. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "models/grammar/nfa.h"

#define NUMBER_MAX_DIGITS 18 /* before the point */
#define NUMBER_MAX_FRACTION 40

/* -whole.frac or whole.frac; digits behind n_frac are zeros. */
struct number {
    bool neg;
    uint64_t whole; /* below 10^18 */
    uint8_t n_frac, frac[NUMBER_MAX_FRACTION];
};

struct number_bounds {
    struct number lo, hi;
    bool has_lo, has_hi, lo_strict, hi_strict;
    uint8_t max_frac; /* digits behind the point: 0 for integers */
};

/* A number of the schema; one beyond 18 digits becomes the largest. false: it has too many digits behind the point. */
bool number_from_json(const json_t *j, struct number *out);
/* The shortest text that reads as this real number. */
void number_text(double x, char out[32]);

void number_between(struct nfa *n, const struct number_bounds *b, uint32_t from, uint32_t to);
/* Any number, with an exponent perhaps. */
void number_any(struct nfa *n, uint32_t from, uint32_t to);
