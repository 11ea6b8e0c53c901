#include "models/grammar/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_MAX 999999999999999999u

void number_text(double x, char out[32]) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, x);
        if (strtod(out, NULL) == x) return;
    }
}

static bool from_real(double x, struct number *out) {
    char text[32];
    *out = (struct number){.neg = signbit(x) && x != 0};
    x = fabs(x);
    if (x >= 1e18) return out->whole = WHOLE_MAX, true;
    if (x == 0) return true;
    number_text(x, text);
    const char *e = strchr(text, 'e');
    int point = 1 + (e ? atoi(e + 1) : 0); /* of the digits, where the point is */
    const char *dot = strchr(text, '.');
    if (!e) point = dot ? (int)(dot - text) : (int)strlen(text);
    int at = 0;
    for (const char *p = text; *p && *p != 'e'; p++) {
        if (*p == '.') continue;
        uint8_t digit = (uint8_t)(*p - '0');
        if (at < point) {
            out->whole = out->whole * 10 + digit;
        } else {
            int i = at - point;
            if (i >= NUMBER_MAX_FRACTION) return false;
            out->frac[i] = digit;
            if (digit) out->n_frac = (uint8_t)(i + 1);
        }
        at++;
    }
    for (; at < point; at++) out->whole *= 10;
    return true;
}

bool number_from_json(const json_t *j, struct number *out) {
    if (json_is_real(j)) return from_real(json_real_value(j), out);
    json_int_t i = json_integer_value(j);
    uint64_t whole = i < 0 ? (uint64_t)0 - (uint64_t)i : (uint64_t)i;
    *out = (struct number){.neg = i < 0, .whole = whole > WHOLE_MAX ? WHOLE_MAX : whole};
    return true;
}

static int digits_of(uint64_t x, uint8_t out[20]) {
    int len = 1;
    for (uint64_t y = x; y >= 10; y /= 10) len++;
    for (int i = len - 1; i >= 0; i--, x /= 10) out[i] = (uint8_t)(x % 10);
    return len;
}

static void digit(struct nfa *n, uint32_t from, int lo, int hi, uint32_t to) {
    if (lo <= hi) nfa_bytes(n, from, (uint8_t)('0' + lo), (uint8_t)('0' + hi), to);
}

/* Numbers of len digits from a to b. tail[k]: a state from which k digits of any kind lead to the end. */
static void same_length(struct nfa *n, const uint8_t *a, const uint8_t *b, int len, uint32_t from,
                        const uint32_t *tail) {
    uint32_t low = from, high = from; /* so far the digits of a, of b */
    bool split = false;
    for (int i = 0; i < len; i++) {
        uint32_t rest = tail[len - i - 1], low_next = i == len - 1 ? rest : nfa_state(n);
        if (!split && a[i] == b[i]) {
            digit(n, low, a[i], a[i], low_next);
            low = high = low_next;
            continue;
        }
        uint32_t high_next = i == len - 1 ? rest : nfa_state(n);
        if (!split) digit(n, low, a[i] + 1, b[i] - 1, rest);
        if (split) digit(n, low, a[i] + 1, 9, rest);
        if (split) digit(n, high, 0, b[i] - 1, rest);
        digit(n, low, a[i], a[i], low_next);
        digit(n, high, b[i], b[i], high_next);
        low = low_next;
        high = high_next;
        split = true;
    }
}

/* Whole numbers from lo to hi. */
static void whole_between(struct nfa *n, uint64_t lo, uint64_t hi, uint32_t from, uint32_t to) {
    if (lo > hi) return;
    uint32_t tail[NUMBER_MAX_DIGITS + 1] = {to};
    for (int k = 1; k <= NUMBER_MAX_DIGITS; k++) {
        tail[k] = nfa_state(n);
        digit(n, tail[k], 0, 9, tail[k - 1]);
    }
    uint64_t first = 0, last = 9; /* with as many digits */
    for (int len = 1; len <= NUMBER_MAX_DIGITS; len++) {
        uint64_t a = lo > first ? lo : first, b = hi < last ? hi : last;
        uint8_t a_digit[20], b_digit[20];
        if (a <= b) {
            digits_of(a, a_digit);
            digits_of(b, b_digit);
            same_length(n, a_digit, b_digit, len, from, tail);
        }
        first = last + 1;
        last = last * 10 + 9;
    }
}

/* The bounds of what is behind the point; NULL: none on that side. */
struct fraction {
    const struct number *lo, *hi;
    bool lo_strict, hi_strict;
};

static bool zeros_from(const struct number *x, uint32_t i) { return i >= x->n_frac; }
static uint8_t frac_digit(const struct number *x, uint32_t i) { return i < x->n_frac ? x->frac[i] : 0; }

/* A fraction of i digits may end; tight: so far its digits are those of the bound. */
static bool may_end(const struct fraction *f, uint32_t i, bool tight_lo, bool tight_hi) {
    if (tight_lo && (!zeros_from(f->lo, i) || f->lo_strict)) return false;
    return !tight_hi || !zeros_from(f->hi, i) || !f->hi_strict;
}

static void fraction(struct nfa *n, const struct fraction *f, uint32_t max_frac, uint32_t from, uint32_t to) {
    if (may_end(f, 0, f->lo, f->hi)) nfa_eps(n, from, to);
    uint32_t at[4] = {NFA_NONE, NFA_NONE, NFA_NONE, NFA_NONE}; /* by tight_lo + 2 * tight_hi */
    if (max_frac) at[(f->lo ? 1 : 0) + (f->hi ? 2 : 0)] = nfa_text(n, from, ".", 1);
    for (uint32_t i = 0; i < max_frac; i++) {
        uint32_t next[4] = {NFA_NONE, NFA_NONE, NFA_NONE, NFA_NONE};
        for (int k = 0; k < 4; k++) {
            if (at[k] == NFA_NONE) continue;
            uint8_t lo = k & 1 ? frac_digit(f->lo, i) : 0, hi = k & 2 ? frac_digit(f->hi, i) : 9;
            for (uint8_t d = lo; d <= hi; d++) {
                int to_k = ((k & 1) && d == lo ? 1 : 0) + ((k & 2) && d == hi ? 2 : 0);
                if (next[to_k] == NFA_NONE) next[to_k] = nfa_state(n);
                digit(n, at[k], d, d, next[to_k]);
            }
        }
        for (int k = 0; k < 4; k++)
            if (next[k] != NFA_NONE && may_end(f, i + 1, k & 1, k & 2)) nfa_eps(n, next[k], to);
        memcpy(at, next, sizeof at);
    }
}

/* Numbers without a sign from lo to hi (NULL: no end). */
static void positive(struct nfa *n, const struct fraction *b, uint32_t max_frac, uint32_t from, uint32_t to) {
    uint64_t first = b->lo ? b->lo->whole : 0, last = b->hi ? b->hi->whole : WHOLE_MAX;
    struct fraction free_ends = {0};
    uint32_t between = nfa_state(n), at_first = nfa_state(n), at_last = nfa_state(n);
    bool one = b->lo && b->hi && first == last;
    if (one) {
        whole_between(n, first, first, from, at_first);
        fraction(n, b, max_frac, at_first, to);
        return;
    }
    struct fraction low = {.lo = b->lo, .lo_strict = b->lo_strict}, high = {.hi = b->hi, .hi_strict = b->hi_strict};
    if (b->lo) {
        whole_between(n, first, first, from, at_first);
        fraction(n, &low, max_frac, at_first, to);
    }
    if (b->hi) {
        whole_between(n, last, last, from, at_last);
        fraction(n, &high, max_frac, at_last, to);
    }
    if (b->lo) first++;
    if (b->hi && !last) return;
    whole_between(n, first, b->hi ? last - 1 : last, from, between);
    fraction(n, &free_ends, max_frac, between, to);
}

static bool is_zero(const struct number *x) { return !x->whole && !x->n_frac; }

static bool number_less(const struct number *a, const struct number *b) {
    if (a->neg != b->neg) return a->neg;
    const struct number *x = a->neg ? b : a, *y = a->neg ? a : b;
    if (x->whole != y->whole) return x->whole < y->whole;
    for (uint32_t i = 0; i < NUMBER_MAX_FRACTION; i++)
        if (frac_digit(x, i) != frac_digit(y, i)) return frac_digit(x, i) < frac_digit(y, i);
    return false;
}

void number_between(struct nfa *n, const struct number_bounds *b, uint32_t from, uint32_t to) {
    if (b->has_lo && b->has_hi && number_less(&b->hi, &b->lo)) return;
    struct fraction up = {0}, down = {0};
    if (b->has_lo && !b->lo.neg) up.lo = &b->lo, up.lo_strict = b->lo_strict;
    if (b->has_hi && !b->hi.neg) up.hi = &b->hi, up.hi_strict = b->hi_strict;
    if (!b->has_hi || !b->hi.neg) positive(n, &up, b->max_frac, from, to);
    if (b->has_lo && !b->lo.neg) return;
    static const struct number zero;
    down.lo = &zero; /* an integer is never -0 */
    down.lo_strict = !b->max_frac;
    if (b->has_hi && (b->hi.neg || is_zero(&b->hi)))
        down.lo = &b->hi, down.lo_strict = b->hi_strict || (down.lo_strict && is_zero(&b->hi));
    if (b->has_lo) down.hi = &b->lo, down.hi_strict = b->lo_strict;
    positive(n, &down, b->max_frac, nfa_text(n, from, "-", 1), to);
}

void number_any(struct nfa *n, uint32_t from, uint32_t to) {
    uint32_t mantissa = nfa_state(n), sign = nfa_state(n), exponent = nfa_state(n), digit2 = nfa_state(n);
    struct number_bounds b = {.max_frac = 17};
    number_between(n, &b, from, mantissa);
    nfa_eps(n, mantissa, to);
    nfa_any_of(n, mantissa, "eE", sign);
    nfa_eps(n, sign, exponent);
    nfa_any_of(n, sign, "+-", exponent);
    digit(n, exponent, 0, 9, digit2);
    digit(n, exponent, 0, 9, to);
    digit(n, digit2, 0, 9, to);
}
