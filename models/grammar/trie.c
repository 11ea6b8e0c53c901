#include "models/grammar/trie.h"

#include <stdlib.h>
#include <string.h>

#define NO_TEXT (TOKEN_CONTROL | TOKEN_UNKNOWN | TOKEN_UNUSED | TOKEN_EOG)

static int copy_bytes(struct grammar_vocab *v, const struct tokenizer *t) {
    size_t total = 0;
    for (uint32_t id = 0; id < v->n_id; id++) total += tokenizer_piece(t, (int32_t)id).len;
    v->at = calloc((size_t)v->n_id + 1, sizeof *v->at);
    v->token = malloc(((size_t)v->n_id + 1) * sizeof *v->token);
    v->eog = malloc(((size_t)v->n_id + 1) * sizeof *v->eog);
    v->bytes = malloc(total + 1);
    if (!v->at || !v->token || !v->eog || !v->bytes || total > UINT32_MAX) return ERR_NOMEM;
    for (uint32_t id = 0; id < v->n_id; id++) {
        struct token_bytes b = tokenizer_piece(t, (int32_t)id);
        uint32_t attr = tokenizer_attr(t, (int32_t)id);
        if (attr & TOKEN_EOG) v->eog[v->n_eog++] = (int32_t)id;
        if ((attr & NO_TEXT) || b.len > UINT16_MAX) b.len = 0;
        v->at[id + 1] = v->at[id] + (uint32_t)b.len;
        if (!b.len) continue;
        memcpy(v->bytes + v->at[id], b.p, b.len);
        v->token[v->n_token++] = (int32_t)id;
    }
    return ERR_OK;
}

struct key {
    const uint8_t *p;
    uint32_t len;
    int32_t id;
    bool plain;
};

static int by_bytes(const void *a, const void *b) {
    const struct key *x = a, *y = b;
    if (x->plain != y->plain) return x->plain ? -1 : 1;
    int c = memcmp(x->p, y->p, x->len < y->len ? x->len : y->len);
    if (c) return c;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool is_plain(const uint8_t *p, uint32_t len) {
    for (uint32_t i = 0; i < len; i++)
        if (!trie_is_plain(p[i])) return false;
    return len <= TRIE_MAX_PLAIN;
}

static int sort_tokens(struct grammar_vocab *v) {
    struct key *key = malloc(((size_t)v->n_token + 1) * sizeof *key);
    if (!key) return ERR_NOMEM;
    for (uint32_t i = 0; i < v->n_token; i++) {
        int32_t id = v->token[i];
        key[i] = (struct key){v->bytes + v->at[id], v->at[id + 1] - v->at[id], id, false};
        key[i].plain = is_plain(key[i].p, key[i].len);
        v->n_plain += key[i].plain;
    }
    qsort(key, v->n_token, sizeof *key, by_bytes);
    for (uint32_t i = 0; i < v->n_token; i++) v->token[i] = key[i].id;
    free(key);
    return ERR_OK;
}

static int sort_by_length(struct grammar_vocab *v) {
    v->by_length = malloc(((size_t)v->n_plain + 1) * sizeof *v->by_length);
    if (!v->by_length) return ERR_NOMEM;
    uint32_t n = 0;
    for (uint32_t len = 1; len <= TRIE_MAX_PLAIN; len++) {
        for (uint32_t i = 0; i < v->n_plain; i++)
            if (v->at[v->token[i] + 1] - v->at[v->token[i]] == len) v->by_length[n++] = v->token[i];
        v->n_upto[len] = n;
    }
    return ERR_OK;
}

static int push_node(struct trie *x, uint8_t byte, uint32_t depth) {
    if (x->n_node == x->cap_node) {
        uint32_t cap = x->cap_node ? x->cap_node * 2 : 4096;
        struct trie_node *node = realloc(x->node, cap * sizeof *node);
        if (!node) return ERR_NOMEM;
        x->node = node;
        x->cap_node = cap;
    }
    x->node[x->n_node++] = (struct trie_node){.depth = (uint16_t)depth, .byte = byte};
    return ERR_OK;
}

/* open[d] is the last node of depth d. A token that equals the one before it joins its node, or when that is
 * full opens another of the same byte. */
static int add_token(const struct grammar_vocab *v, struct trie *x, uint32_t i, uint32_t *open, uint32_t *n_open) {
    const uint8_t *p = v->bytes + v->at[v->token[i]];
    uint32_t len = v->at[v->token[i] + 1] - v->at[v->token[i]], same = 0;
    while (same < len && same < *n_open && x->node[open[same]].byte == p[same]) same++;
    if (same == len && x->node[open[same - 1]].n_token == UINT8_MAX) same--;
    while (*n_open > same) x->node[open[--*n_open]].end = x->n_node;
    for (; *n_open < len; ++*n_open) {
        open[*n_open] = x->n_node;
        if (push_node(x, p[*n_open], *n_open)) return ERR_NOMEM;
    }
    struct trie_node *last = &x->node[open[len - 1]];
    if (!last->n_token++) last->token = i;
    return ERR_OK;
}

/* Tokens from .. to. */
static int build(struct grammar_vocab *v, struct trie *x, uint32_t from, uint32_t to) {
    uint32_t *open = malloc(((size_t)UINT16_MAX + 1) * sizeof *open), n_open = 0;
    int rc = open ? ERR_OK : ERR_NOMEM;
    for (uint32_t i = from; i < to && !rc; i++) rc = add_token(v, x, i, open, &n_open);
    while (n_open) x->node[open[--n_open]].end = x->n_node;
    for (uint32_t i = 0; i < x->n_node; i++)
        if (x->node[i].depth >= v->max_depth) v->max_depth = x->node[i].depth + 1u;
    free(open);
    return rc;
}

int grammar_vocab_new(const struct tokenizer *t, uint32_t n_row, struct grammar_vocab **out, struct err *e) {
    *out = NULL;
    uint32_t n_vocab = tokenizer_info(t)->n_vocab;
    struct grammar_vocab *v = calloc(1, sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "no memory for the vocabulary of grammars");
    v->n_row = n_row;
    v->n_id = n_vocab < n_row ? n_vocab : n_row;
    int rc = copy_bytes(v, t);
    if (!rc) rc = sort_tokens(v);
    if (!rc) rc = sort_by_length(v);
    if (!rc) rc = build(v, &v->plain, 0, v->n_plain);
    if (!rc) rc = build(v, &v->other, v->n_plain, v->n_token);
    if (rc) {
        grammar_vocab_free(v);
        return err_set(e, ERR_NOMEM, "no memory for the vocabulary of grammars");
    }
    *out = v;
    return ERR_OK;
}

void grammar_vocab_free(struct grammar_vocab *v) {
    if (!v) return;
    free(v->plain.node);
    free(v->other.node);
    free(v->token);
    free(v->by_length);
    free(v->eog);
    free(v->at);
    free(v->bytes);
    free(v);
}
