#include "models/grammar/pattern.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 60
#define MAX_COUNT 65536u
#define CODE_MAX 0x10ffffu

enum node_kind { EMPTY, CLASS, CAT, ALT, REPEAT };

/* Children are lists by `next`; a REPEAT has one. */
struct node {
    enum node_kind kind;
    uint32_t class, min, max; /* max UINT32_MAX: no end */
    uint32_t child, next;     /* 0: none */
};

struct parser {
    struct pattern *p;
    const char *at, *end;
    struct node *node;
    uint32_t n_node, cap_node, depth;
    struct err *e;
    int rc;
};

static int fail(struct parser *ps, int code, const char *what) {
    if (!ps->rc) ps->rc = err_set(ps->e, code, "the schema's pattern %s", what);
    return ps->rc;
}

static bool grow(struct parser *ps, void **p, uint32_t *cap, uint32_t n, size_t size_bytes) {
    if (ps->rc) return false;
    if (n < *cap) return true;
    uint32_t want = *cap ? *cap * 2 : 32;
    void *q = realloc(*p, want * size_bytes);
    if (!q) return fail(ps, ERR_NOMEM, "needs more memory than there is"), false;
    *p = q;
    *cap = want;
    return true;
}

static uint32_t new_node(struct parser *ps, struct node x) {
    if (!grow(ps, (void **)&ps->node, &ps->cap_node, ps->n_node, sizeof *ps->node)) return 0;
    ps->node[ps->n_node] = x;
    return ps->n_node++;
}

static void add_range(struct parser *ps, uint32_t lo, uint32_t hi) {
    struct pattern *p = ps->p;
    if (!grow(ps, (void **)&p->range, &p->cap_range, p->n_range, sizeof *p->range)) return;
    p->range[p->n_range++] = (struct pattern_range){lo, hi};
}

static int by_lo(const void *a, const void *b) {
    const struct pattern_range *x = a, *y = b;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

/* The ranges from `at` on become ascending and apart, or what they leave out. */
static void tidy(struct parser *ps, uint32_t at, bool negate) {
    struct pattern *p = ps->p;
    if (ps->rc) return;
    if (p->n_range > at) qsort(p->range + at, p->n_range - at, sizeof *p->range, by_lo);
    uint32_t n = at;
    for (uint32_t i = at; i < p->n_range; i++) {
        struct pattern_range r = p->range[i];
        if (n > at && r.lo <= p->range[n - 1].hi + 1) {
            if (r.hi > p->range[n - 1].hi) p->range[n - 1].hi = r.hi;
        } else {
            p->range[n++] = r;
        }
    }
    p->n_range = n;
    if (!negate) return;
    uint32_t lo = 0;
    for (uint32_t i = at; i < n; i++) {
        struct pattern_range r = p->range[i];
        if (r.lo > lo) add_range(ps, lo, r.lo - 1);
        lo = r.hi + 1;
    }
    if (lo <= CODE_MAX) add_range(ps, lo, CODE_MAX);
    if (ps->rc) return;
    memmove(p->range + at, p->range + n, (p->n_range - n) * sizeof *p->range);
    p->n_range -= n - at;
}

static uint32_t class_node(struct parser *ps, uint32_t at) {
    struct pattern *p = ps->p;
    if (!grow(ps, (void **)&p->class, &p->cap_class, p->n_class, sizeof *p->class)) return 0;
    p->class[p->n_class] = (struct pattern_class){at, p->n_range - at};
    return new_node(ps, (struct node){.kind = CLASS, .class = p->n_class++});
}

/* The ranges of \d, \w, \s and their opposites; false: c is none of these. */
static bool add_shorthand(struct parser *ps, char c) {
    uint32_t at = ps->p->n_range;
    switch (c | 0x20) {
    case 'd': add_range(ps, '0', '9'); break;
    case 'w':
        add_range(ps, '0', '9');
        add_range(ps, 'A', 'Z');
        add_range(ps, '_', '_');
        add_range(ps, 'a', 'z');
        break;
    case 's': {
        static const struct pattern_range blank[] = {
            {9, 13},          {32, 32},         {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
            {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
        for (size_t i = 0; i < sizeof blank / sizeof *blank; i++) add_range(ps, blank[i].lo, blank[i].hi);
        break;
    }
    default: return false;
    }
    tidy(ps, at, c < 'a');
    return true;
}

/* One code point of the text (which is UTF-8, as JSON's parser has checked). */
static uint32_t next_code(struct parser *ps) {
    unsigned char c = (unsigned char)*ps->at++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    uint32_t code = more ? c & (0x3fu >> more) : c;
    for (; more && ps->at < ps->end; more--) code = code << 6 | ((unsigned char)*ps->at++ & 0x3f);
    return code;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t hex_code(struct parser *ps, int n_digit) {
    uint32_t code = 0;
    for (; n_digit > 0; n_digit--, ps->at++) {
        int d = ps->at < ps->end ? hex(*ps->at) : -1;
        if (d < 0) return (uint32_t)fail(ps, ERR_FORMAT, "has an escape without its hexadecimal digits");
        code = code << 4 | (uint32_t)d;
    }
    return code;
}

static uint32_t unicode_code(struct parser *ps) {
    if (ps->at < ps->end && *ps->at == '{') {
        const char *close = memchr(ps->at, '}', (size_t)(ps->end - ps->at));
        int n = close ? (int)(close - ps->at) - 1 : 0;
        ps->at++;
        uint32_t code =
            n >= 1 && n <= 6 ? hex_code(ps, n) : (uint32_t)fail(ps, ERR_FORMAT, "has a \\u{...} that is no character");
        ps->at++;
        return code <= CODE_MAX ? code : 0;
    }
    uint32_t code = hex_code(ps, 4);
    if (code < 0xd800 || code > 0xdbff || ps->end - ps->at < 6 || ps->at[0] != '\\' || ps->at[1] != 'u') return code;
    ps->at += 2;
    uint32_t low = hex_code(ps, 4);
    return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : code;
}

/* What is behind a backslash and stands for one character. */
static uint32_t escape_code(struct parser *ps) {
    static const char plain[] = "^$\\.*+?()[]{}|/-\"'#&,:;<=>@`~!% _";
    if (ps->at == ps->end) return (uint32_t)fail(ps, ERR_FORMAT, "ends with a backslash");
    char c = *ps->at;
    if (strchr(plain, c) && c) return next_code(ps);
    ps->at++;
    switch (c) {
    case 't': return 9;
    case 'n': return 10;
    case 'v': return 11;
    case 'f': return 12;
    case 'r': return 13;
    case '0': return 0;
    case 'x': return hex_code(ps, 2);
    case 'u': return unicode_code(ps);
    case 'c': return ps->at < ps->end ? (uint32_t)*ps->at++ & 31 : 0;
    default: break;
    }
    char what[80];
    snprintf(what, sizeof what, "uses \\%c, which is not supported", c > 32 && c < 127 ? c : '?');
    return (uint32_t)fail(ps, ERR_UNSUPPORTED, what);
}

/* One end of a range in a class, or a shorthand (then true). */
static bool class_item(struct parser *ps, uint32_t *code) {
    if (*ps->at != '\\') {
        *code = next_code(ps);
        return false;
    }
    ps->at++;
    if (ps->at < ps->end && *ps->at == 'b') {
        ps->at++;
        *code = 8;
        return false;
    }
    if (ps->at < ps->end && add_shorthand(ps, *ps->at)) {
        ps->at++;
        return true;
    }
    *code = escape_code(ps);
    return false;
}

static uint32_t parse_class(struct parser *ps) {
    uint32_t at = ps->p->n_range, lo = 0, hi = 0;
    bool negate = ps->at < ps->end && *ps->at == '^';
    ps->at += negate;
    while (!ps->rc && ps->at < ps->end && *ps->at != ']') {
        if (class_item(ps, &lo)) continue;
        hi = lo;
        if (ps->end - ps->at >= 2 && ps->at[0] == '-' && ps->at[1] != ']') {
            ps->at++;
            if (class_item(ps, &hi)) {
                add_range(ps, '-', '-');
                hi = lo;
            }
        }
        if (hi < lo) fail(ps, ERR_FORMAT, "has a class whose range runs backwards");
        add_range(ps, lo, hi);
    }
    if (ps->at == ps->end) fail(ps, ERR_FORMAT, "has a class without its ']'");
    ps->at++;
    tidy(ps, at, negate);
    return class_node(ps, at);
}

static uint32_t parse_alternatives(struct parser *ps, bool outermost);

static uint32_t parse_group(struct parser *ps) {
    if (ps->end - ps->at >= 2 && ps->at[0] == '?') {
        const char *close = memchr(ps->at, '>', (size_t)(ps->end - ps->at));
        if (ps->at[1] == ':')
            ps->at += 2;
        else if (ps->at[1] == '<' && ps->end - ps->at >= 3 && ps->at[2] != '=' && ps->at[2] != '!' && close)
            ps->at = close + 1;
        else
            fail(ps, ERR_UNSUPPORTED, "uses look-around or another group (?...), which is not supported");
    }
    if (++ps->depth > MAX_DEPTH) fail(ps, ERR_LIMIT, "has too many groups inside each other");
    uint32_t n = ps->rc ? 0 : parse_alternatives(ps, false);
    ps->depth--;
    if (!ps->rc && ps->at == ps->end) fail(ps, ERR_FORMAT, "has a group without its ')'");
    ps->at++;
    return n;
}

static uint32_t single(struct parser *ps, uint32_t code) {
    uint32_t at = ps->p->n_range;
    add_range(ps, code, code);
    return class_node(ps, at);
}

static uint32_t parse_dot(struct parser *ps) {
    uint32_t at = ps->p->n_range;
    add_range(ps, 10, 10);
    add_range(ps, 13, 13);
    add_range(ps, 0x2028, 0x2029);
    tidy(ps, at, true);
    return class_node(ps, at);
}

static uint32_t parse_atom(struct parser *ps) {
    char c = *ps->at;
    if (c == '^' || c == '$')
        return (uint32_t)fail(ps, ERR_UNSUPPORTED,
                              "uses ^ or $ inside, which is only supported at its beginning and end");
    if (strchr("*+?{", c)) return (uint32_t)fail(ps, ERR_FORMAT, "repeats nothing");
    if (c == '(' || c == '[' || c == '.') ps->at++;
    if (c == '(') return parse_group(ps);
    if (c == '[') return parse_class(ps);
    if (c == '.') return parse_dot(ps);
    if (c != '\\') return single(ps, next_code(ps));
    ps->at++;
    uint32_t at = ps->p->n_range;
    if (ps->at < ps->end && add_shorthand(ps, *ps->at)) {
        ps->at++;
        return class_node(ps, at);
    }
    return single(ps, escape_code(ps));
}

static uint32_t parse_count(struct parser *ps) {
    uint32_t n = 0;
    if (ps->at == ps->end || *ps->at < '0' || *ps->at > '9') fail(ps, ERR_FORMAT, "has a {count} without a number");
    for (; ps->at < ps->end && *ps->at >= '0' && *ps->at <= '9'; ps->at++)
        if ((n = n * 10 + (uint32_t)(*ps->at - '0')) > MAX_COUNT) n = MAX_COUNT + 1;
    if (n > MAX_COUNT) fail(ps, ERR_LIMIT, "repeats more than 65536 times");
    return n;
}

static uint32_t repeat(struct parser *ps, uint32_t atom, uint32_t min, uint32_t max) {
    if (max < min) fail(ps, ERR_FORMAT, "has a {count} whose end is before its beginning");
    if (ps->at < ps->end && *ps->at == '?') ps->at++; /* lazy: the same texts match */
    return new_node(ps, (struct node){.kind = REPEAT, .min = min, .max = max, .child = atom});
}

static uint32_t parse_repeated(struct parser *ps) {
    uint32_t atom = parse_atom(ps);
    if (ps->rc || ps->at == ps->end || !strchr("*+?{", *ps->at) || !*ps->at) return atom;
    char c = *ps->at++;
    if (c != '{') return repeat(ps, atom, c == '+', c == '?' ? 1 : UINT32_MAX);
    uint32_t min = parse_count(ps), max = min;
    if (!ps->rc && ps->at < ps->end && *ps->at == ',') {
        ps->at++;
        max = ps->at < ps->end && *ps->at == '}' ? UINT32_MAX : parse_count(ps);
    }
    if (!ps->rc && (ps->at == ps->end || *ps->at != '}')) fail(ps, ERR_FORMAT, "has a {count} without its '}'");
    ps->at++;
    return ps->rc ? 0 : repeat(ps, atom, min, max);
}

static void append(struct parser *ps, uint32_t list, uint32_t *last, uint32_t item) {
    if (ps->rc || !item) return;
    if (*last)
        ps->node[*last].next = item;
    else
        ps->node[list].child = item;
    *last = item;
}

static uint32_t anything(struct parser *ps) {
    uint32_t at = ps->p->n_range;
    add_range(ps, 0, CODE_MAX);
    uint32_t any = class_node(ps, at);
    return new_node(ps, (struct node){.kind = REPEAT, .min = 0, .max = UINT32_MAX, .child = any});
}

static uint32_t parse_sequence(struct parser *ps, bool outermost) {
    uint32_t list = new_node(ps, (struct node){.kind = CAT}), last = 0;
    bool begins = outermost && ps->at < ps->end && *ps->at == '^';
    ps->at += begins;
    if (outermost && !begins) append(ps, list, &last, anything(ps));
    while (!ps->rc && ps->at < ps->end && *ps->at != '|' && *ps->at != ')') {
        bool ends = outermost && *ps->at == '$' && (ps->at + 1 == ps->end || ps->at[1] == '|');
        if (ends) {
            ps->at++;
            return list;
        }
        append(ps, list, &last, parse_repeated(ps));
    }
    if (outermost) append(ps, list, &last, anything(ps));
    return list;
}

static uint32_t parse_alternatives(struct parser *ps, bool outermost) {
    uint32_t list = new_node(ps, (struct node){.kind = ALT}), last = 0;
    append(ps, list, &last, parse_sequence(ps, outermost));
    while (!ps->rc && ps->at < ps->end && *ps->at == '|') {
        ps->at++;
        append(ps, list, &last, parse_sequence(ps, outermost));
    }
    return list;
}

static uint32_t new_state(struct parser *ps) {
    if (ps->p->n_state >= PATTERN_MAX_STATES) fail(ps, ERR_LIMIT, "is too large: lower its counts");
    return ps->p->n_state++;
}

static void add_edge(struct parser *ps, uint32_t from, uint32_t class, uint32_t to) {
    struct pattern *p = ps->p;
    if (p->n_edge >= 8 * PATTERN_MAX_STATES) fail(ps, ERR_LIMIT, "is too large: lower its counts");
    if (!grow(ps, (void **)&p->edge, &p->cap_edge, p->n_edge, sizeof *p->edge)) return;
    p->edge[p->n_edge++] = (struct pattern_edge){from, to, class};
}

static void emit(struct parser *ps, uint32_t node, uint32_t from, uint32_t to);

static void emit_repeat(struct parser *ps, struct node x, uint32_t from, uint32_t to) {
    for (uint32_t i = 0; i < x.min && !ps->rc; i++) {
        uint32_t next = new_state(ps);
        emit(ps, x.child, from, next);
        from = next;
    }
    if (x.max == UINT32_MAX) {
        uint32_t loop = new_state(ps);
        add_edge(ps, from, PATTERN_EPS, loop);
        emit(ps, x.child, loop, loop);
        from = loop;
    } else {
        for (uint32_t i = x.min; i < x.max && !ps->rc; i++) {
            uint32_t next = new_state(ps);
            add_edge(ps, from, PATTERN_EPS, to);
            emit(ps, x.child, from, next);
            from = next;
        }
    }
    add_edge(ps, from, PATTERN_EPS, to);
}

static void emit(struct parser *ps, uint32_t node, uint32_t from, uint32_t to) {
    if (ps->rc) return;
    struct node x = ps->node[node];
    if (x.kind == CLASS) add_edge(ps, from, x.class, to);
    if (x.kind == EMPTY) add_edge(ps, from, PATTERN_EPS, to);
    if (x.kind == REPEAT) emit_repeat(ps, x, from, to);
    if (x.kind == ALT)
        for (uint32_t c = x.child; c; c = ps->node[c].next) emit(ps, c, from, to);
    if (x.kind != CAT) return;
    for (uint32_t c = x.child; c && !ps->rc; c = ps->node[c].next) {
        uint32_t next = new_state(ps);
        emit(ps, c, from, next);
        from = next;
    }
    add_edge(ps, from, PATTERN_EPS, to);
}

int pattern_parse(struct pattern *p, const char *text, size_t len, struct err *e) {
    *p = (struct pattern){0};
    struct parser ps = {.p = p, .at = text, .end = text + len, .e = e};
    new_node(&ps, (struct node){.kind = EMPTY}); /* node 0 stands for none */
    uint32_t root = parse_alternatives(&ps, true);
    if (!ps.rc && ps.at < ps.end) fail(&ps, ERR_FORMAT, "has a ')' without its group");
    p->n_state = 2;
    emit(&ps, root, 0, 1);
    free(ps.node);
    return ps.rc;
}

void pattern_deinit(struct pattern *p) {
    free(p->range);
    free(p->class);
    free(p->edge);
}
