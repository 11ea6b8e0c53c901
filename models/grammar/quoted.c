#include "models/grammar/quoted.h"

#include <stdlib.h>
#include <string.h>

void quoted_init(struct quoted *t, struct nfa *n) { *t = (struct quoted){n, NFA_NONE, NFA_NONE}; }

/* The JSON form of a byte that must be escaped, or its own; NUL-terminated. */
static void escape(unsigned char c, char out[8]) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *p = c ? strchr(from, c) : NULL;
    if (p)
        snprintf(out, 8, "\\%c", to[p - from]);
    else if (c < 32)
        snprintf(out, 8, "\\u%04x", c);
    else
        snprintf(out, 8, "%c", c);
}

static uint32_t literal_body(struct nfa *n, const char *value, size_t len, uint32_t from) {
    char form[8];
    for (size_t i = 0; i < len && !n->rc; i++) {
        escape((unsigned char)value[i], form);
        from = nfa_text(n, from, form, strlen(form));
    }
    return from;
}

void quoted_literal(struct quoted *t, const char *value, size_t len, uint32_t from, uint32_t to) {
    uint32_t at = literal_body(t->n, value, len, nfa_text(t->n, from, "\"", 1));
    nfa_bytes(t->n, at, '"', '"', to);
}

/* Bytes lo[0]..hi[0], lo[1]..hi[1], ... */
static void byte_ranges(struct nfa *n, const uint8_t *lo, const uint8_t *hi, int len, uint32_t from, uint32_t to) {
    for (int i = 0; i < len; i++) {
        uint32_t next = i == len - 1 ? to : nfa_state(n);
        nfa_bytes(n, from, lo[i], hi[i], next);
        from = next;
    }
}

static int utf8(uint32_t code, uint8_t out[4]) {
    if (code < 0x80) return out[0] = (uint8_t)code, 1;
    int len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = len - 1; i > 0; i--, code >>= 6) out[i] = (uint8_t)(0x80 | (code & 63));
    out[0] = (uint8_t)((0xf00 >> len & 0xff) | code);
    return len;
}

/* Code points lo..hi in UTF-8. A range is cut until all its characters have one length and, from the first byte that
 * differs on, the bytes behind run through all their values. */
static void code_range(struct nfa *n, uint32_t lo, uint32_t hi, uint32_t from, uint32_t to) {
    static const uint32_t last[] = {0x7f, 0x7ff, 0xd7ff, 0xdfff, 0xffff};
    if (lo > hi || n->rc) return;
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        if (lo > last[i] || hi <= last[i]) continue;
        code_range(n, lo, last[i], from, to);
        code_range(n, last[i] + 1, hi, from, to);
        return;
    }
    if (lo >= 0xd800 && hi <= 0xdfff) return; /* surrogates are no characters */
    uint8_t a[4], b[4];
    int len = utf8(lo, a);
    utf8(hi, b);
    for (int i = 1; i < len; i++) {
        uint32_t low_bits = (1u << 6 * i) - 1;
        if ((lo & ~low_bits) == (hi & ~low_bits)) continue;
        if (lo & low_bits) {
            code_range(n, lo, lo | low_bits, from, to);
            code_range(n, (lo | low_bits) + 1, hi, from, to);
            return;
        }
        if ((hi & low_bits) != low_bits) {
            code_range(n, lo, (hi & ~low_bits) - 1, from, to);
            code_range(n, hi & ~low_bits, hi, from, to);
            return;
        }
    }
    byte_ranges(n, a, b, len, from, to);
}

/* A class's characters, each in one form. \u0000 is left out. */
static void class_body(struct nfa *n, const struct pattern_range *r, uint32_t n_range, uint32_t from, uint32_t to) {
    char form[8];
    for (uint32_t i = 0; i < n_range; i++) {
        uint32_t lo = r[i].lo, hi = r[i].hi;
        for (uint32_t c = lo ? lo : 1; c <= hi && c <= '\\'; c++) {
            if (c >= 32 && c != '"' && c != '\\') continue;
            escape((unsigned char)c, form);
            size_t len = strlen(form);
            uint32_t at = nfa_text(n, from, form, len - 1);
            nfa_bytes(n, at, (uint8_t)form[len - 1], (uint8_t)form[len - 1], to);
        }
        static const struct pattern_range own[] = {{32, '"' - 1}, {'"' + 1, '\\' - 1}, {'\\' + 1, 0x10ffff}};
        for (int k = 0; k < 3; k++)
            code_range(n, lo > own[k].lo ? lo : own[k].lo, hi < own[k].hi ? hi : own[k].hi, from, to);
    }
}

static uint32_t class_rule(struct nfa *n, const struct pattern_range *r, uint32_t n_range) {
    uint32_t rule = nfa_rule(n);
    if (!n->rc) class_body(n, r, n_range, n->rule[rule].start, n->rule[rule].end);
    return rule;
}

static const struct pattern_range all[] = {{0, 0x10ffff}};

#define HEX "0123456789abcdefABCDEF"

/* The digits behind \u: each a set of bytes, of which any may come. */
static void hex_digits(struct nfa *n, uint32_t from, const char *const set[4], uint32_t to) {
    for (int i = 0; i < 4; i++) {
        uint32_t next = i == 3 ? to : nfa_state(n);
        nfa_any_of(n, from, set[i], next);
        from = next;
    }
}

/* Any character but a lone surrogate and 0. */
static void unicode_escape(struct nfa *n, uint32_t from, uint32_t to) {
    static const char *const one[][4] = {
        {"123456789abcefABCEF", HEX, HEX, HEX}, {"dD", "01234567", HEX, HEX}, {"0", "123456789abcdefABCDEF", HEX, HEX},
        {"0", "0", "123456789abcdefABCDEF", HEX}, {"0", "0", "0", "123456789abcdefABCDEF"}};
    static const char *const high[4] = {"dD", "89abAB", HEX, HEX}, *const low[4] = {"dD", "cdefCDEF", HEX, HEX};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) hex_digits(n, from, one[i], to);
    uint32_t between = nfa_state(n);
    hex_digits(n, from, high, between);
    hex_digits(n, nfa_text(n, between, "\\u", 2), low, to);
}

static uint32_t any_rule(struct quoted *t) {
    struct nfa *n = t->n;
    if (t->any != NFA_NONE) return t->any;
    t->any = nfa_rule(n);
    if (n->rc) return 0;
    uint32_t from = n->rule[t->any].start, to = n->rule[t->any].end;
    code_range(n, 32, '"' - 1, from, to);
    code_range(n, '"' + 1, '\\' - 1, from, to);
    code_range(n, '\\' + 1, 0x10ffff, from, to);
    uint32_t escaped = nfa_text(n, from, "\\", 1);
    nfa_any_of(n, escaped, "\"\\/bfnrt", to);
    unicode_escape(n, nfa_text(n, escaped, "u", 1), to);
    return t->any;
}

static uint32_t plain_rule(struct quoted *t) {
    if (t->plain == NFA_NONE) t->plain = class_rule(t->n, all, 1);
    return t->plain;
}

/* The product of a pattern and a count of characters, which stops growing at `top`, where it no longer matters. */
struct product {
    struct quoted *t;
    const struct pattern *p;
    uint32_t *first, *edge; /* edges of pattern state s: edge[first[s]] .. edge[first[s + 1]] */
    uint32_t *rule;         /* of each class */
    uint32_t *state;        /* of the automaton, for count * n_state + pattern state; NFA_NONE: not met */
    uint32_t *todo, n_todo; /* such pairs */
    uint32_t min, max, top;
};

static uint32_t product_state(struct product *x, uint32_t count, uint32_t s) {
    size_t i = (size_t)count * x->p->n_state + s;
    if (x->state[i] == NFA_NONE) {
        x->state[i] = nfa_state(x->t->n);
        x->todo[x->n_todo++] = (uint32_t)i;
    }
    return x->state[i];
}

static uint32_t rule_of(struct product *x, uint32_t class) {
    const struct pattern_class *c = &x->p->class[class];
    if (x->rule[class] == NFA_NONE) x->rule[class] = class_rule(x->t->n, c->n ? x->p->range + c->at : NULL, c->n);
    return x->rule[class];
}

static void expand(struct product *x, uint32_t pair, uint32_t end) {
    uint32_t count = pair / x->p->n_state, s = pair % x->p->n_state, from = x->state[pair];
    if (s == 1 && count >= x->min) nfa_bytes(x->t->n, from, '"', '"', end);
    for (uint32_t i = x->first[s]; i < x->first[s + 1]; i++) {
        const struct pattern_edge *e = &x->p->edge[x->edge[i]];
        if (e->class == PATTERN_EPS) {
            nfa_eps(x->t->n, from, product_state(x, count, e->to));
        } else if (count < x->max) {
            uint32_t rule = rule_of(x, e->class);
            nfa_call(x->t->n, from, rule, product_state(x, count < x->top ? count + 1 : count, e->to));
        }
    }
}

static bool product_init(struct product *x) {
    const struct pattern *p = x->p;
    size_t n_pair = (size_t)p->n_state * (x->top + 1);
    if (n_pair > NFA_MAX_EDGES)
        return nfa_fail(x->t->n, ERR_LIMIT, "the schema's pattern and lengths are too large together"), false;
    x->first = calloc((size_t)p->n_state + 2, sizeof *x->first);
    x->edge = malloc((size_t)(p->n_edge + 1) * sizeof *x->edge);
    x->rule = malloc((size_t)(p->n_class + 1) * sizeof *x->rule);
    x->state = malloc(n_pair * sizeof *x->state);
    x->todo = malloc(n_pair * sizeof *x->todo);
    if (!x->first || !x->edge || !x->rule || !x->state || !x->todo)
        return nfa_no_memory(x->t->n), false;
    memset(x->rule, 0xff, (size_t)(p->n_class + 1) * sizeof *x->rule);
    memset(x->state, 0xff, n_pair * sizeof *x->state);
    for (uint32_t i = 0; i < p->n_edge; i++) x->first[p->edge[i].from + 2]++;
    for (uint32_t s = 2; s <= p->n_state; s++) x->first[s] += x->first[s - 1];
    for (uint32_t i = 0; i < p->n_edge; i++) x->edge[x->first[p->edge[i].from + 1]++] = i;
    return true;
}

static void pattern_string(struct quoted *t, const struct pattern *p, uint32_t min, uint32_t max, uint32_t from,
                           uint32_t end) {
    struct product x = {.t = t, .p = p, .min = min, .max = max, .top = max == QUOTED_NO_MAX ? min : max};
    if (product_init(&x)) {
        nfa_eps(t->n, from, product_state(&x, 0, 0));
        while (x.n_todo && !t->n->rc) expand(&x, x.todo[--x.n_todo], end);
    }
    free(x.first);
    free(x.edge);
    free(x.rule);
    free(x.state);
    free(x.todo);
}

static void any_string(struct quoted *t, uint32_t min, uint32_t max, uint32_t from, uint32_t end) {
    struct nfa *n = t->n;
    uint32_t any = any_rule(t), top = max == QUOTED_NO_MAX ? min : max;
    for (uint32_t i = 0; i < top && !n->rc; i++) {
        if (i >= min) nfa_bytes(n, from, '"', '"', end);
        uint32_t next = nfa_state(n);
        nfa_call(n, from, any, next);
        from = next;
    }
    if (max == QUOTED_NO_MAX) {
        uint32_t loop = nfa_state(n); /* from may have other ways out */
        nfa_eps(n, from, loop);
        nfa_call(n, loop, any, loop);
        from = loop;
    }
    nfa_bytes(n, from, '"', '"', end);
}

void quoted_string(struct quoted *t, const struct pattern *pattern, uint32_t min, uint32_t max, uint32_t from,
                 uint32_t to) {
    if (min > QUOTED_MAX_COUNT)
        nfa_fail(t->n, ERR_LIMIT, "the schema asks for strings of more than %u characters", QUOTED_MAX_COUNT);
    if (max > QUOTED_MAX_COUNT) max = QUOTED_NO_MAX;
    if (min > max || t->n->rc) return;
    uint32_t open = nfa_text(t->n, from, "\"", 1);
    if (pattern)
        pattern_string(t, pattern, min, max, open, to);
    else
        any_string(t, min, max, open, to);
}

/* Names as a trie of characters. */
struct name_node {
    uint32_t state, child, next, code;
    bool end; /* a name ends here */
};

struct names {
    struct quoted *t;
    struct name_node *node;
    uint32_t n, cap;
    uint32_t but[128]; /* the rule of all characters but one, or NFA_NONE */
};

/* One character of UTF-8, which jansson has checked. */
static uint32_t next_code(const char **p) {
    unsigned char c = (unsigned char)*(*p)++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    uint32_t code = more ? c & (0x3fu >> more) : c;
    for (; more; more--) code = code << 6 | ((unsigned char)*(*p)++ & 0x3f);
    return code;
}

static uint32_t name_child(struct names *x, uint32_t at, const char *p, size_t len, uint32_t code) {
    for (uint32_t c = x->node[at].child; c; c = x->node[c].next)
        if (x->node[c].code == code) return c;
    if (x->n == x->cap) {
        struct name_node *node = realloc(x->node, 2 * (size_t)x->cap * sizeof *node);
        if (!node) return nfa_no_memory(x->t->n), 0;
        x->node = node;
        x->cap *= 2;
    }
    uint32_t to = literal_body(x->t->n, p, len, x->node[at].state);
    x->node[x->n] = (struct name_node){.state = to, .next = x->node[at].child, .code = code};
    x->node[at].child = x->n;
    return x->n++;
}

static void add_name(struct names *x, const char *name) {
    uint32_t at = 0;
    while (*name && !x->t->n->rc) {
        const char *p = name;
        uint32_t code = next_code(&name);
        at = name_child(x, at, p, (size_t)(name - p), code);
    }
    x->node[at].end = true;
}

static int by_lo(const void *a, const void *b) {
    const struct pattern_range *x = a, *y = b;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

/* All characters but those of a node's children. */
static uint32_t rule_but(struct names *x, uint32_t node) {
    uint32_t n_child = 0, c = x->node[node].child, n = 0, lo = 0;
    uint32_t one = c && !x->node[c].next && x->node[c].code < 128 ? x->node[c].code : NFA_NONE;
    if (!c) return plain_rule(x->t);
    if (one != NFA_NONE && x->but[one] != NFA_NONE) return x->but[one];
    for (uint32_t k = c; k; k = x->node[k].next) n_child++;
    struct pattern_range *r = malloc(((size_t)n_child + 1) * sizeof *r);
    if (!r) return nfa_no_memory(x->t->n), 0;
    for (; c; c = x->node[c].next) r[n++].lo = x->node[c].code;
    qsort(r, n, sizeof *r, by_lo);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t code = r[i].lo;
        r[i] = (struct pattern_range){lo, code - 1}; /* empty when lo is code; from 0 to -1 cannot be: code > 0 */
        lo = code + 1;
    }
    r[n] = (struct pattern_range){lo, 0x10ffff};
    uint32_t rule = class_rule(x->t->n, r, n + 1);
    free(r);
    if (one != NFA_NONE) x->but[one] = rule;
    return rule;
}

void quoted_other_key(struct quoted *t, const json_t *not, uint32_t from, uint32_t to) {
    struct nfa *n = t->n;
    struct names x = {.t = t, .node = malloc(16 * sizeof *x.node), .n = 1, .cap = 16};
    if (!x.node) {
        nfa_no_memory(n);
        return;
    }
    memset(x.but, 0xff, sizeof x.but);
    x.node[0] = (struct name_node){.state = nfa_text(n, from, "\"", 1)};
    for (void *it = json_object_iter((json_t *)not); it && !n->rc; it = json_object_iter_next((json_t *)not, it))
        add_name(&x, json_object_iter_key(it));
    uint32_t free_text = nfa_state(n);
    nfa_call(n, free_text, plain_rule(t), free_text);
    nfa_bytes(n, free_text, '"', '"', to);
    for (uint32_t i = 0; i < x.n && !n->rc; i++) {
        nfa_call(n, x.node[i].state, rule_but(&x, i), free_text);
        if (!x.node[i].end) nfa_bytes(n, x.node[i].state, '"', '"', to);
    }
    free(x.node);
}
