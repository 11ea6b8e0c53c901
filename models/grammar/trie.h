/* The tokens of a vocabulary as a trie over their bytes, in the order of a walk from the root: after a node come those
 * below it, up to `end`. Tokens that stand for no text (control, unknown, unused) are not in it; those that end the
 * generation are a list of their own. Immutable. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "models/grammar/grammar.h"

struct trie_node {
    uint32_t end;   /* the node after all below this one */
    uint32_t token; /* of n_token ids: those whose last byte this is */
    uint16_t depth; /* 0: the token's first byte */
    uint8_t n_token, byte;
};

struct trie {
    struct trie_node *node;
    uint32_t n_node, cap_node;
};

/* Plain tokens are short and of printable ASCII without '"' and '\\': in the middle of a JSON string they do all the
 * same, so that only their lengths count. They have a trie of their own. */
#define TRIE_MAX_PLAIN 24
static inline bool trie_is_plain(uint8_t byte) { return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\'; }

struct grammar_vocab {
    struct trie plain, other;
    int32_t *token;  /* ids by their bytes: the plain ones, then the others */
    uint32_t n_plain, n_token;
    int32_t *by_length;                   /* plain ids by their length */
    uint32_t n_upto[TRIE_MAX_PLAIN + 1]; /* how many have at most so many bytes */
    int32_t *eog;    /* ids that end the generation */
    uint32_t n_eog;
    uint32_t n_row, n_id, max_depth;
    uint32_t *at;    /* the bytes of id: bytes[at[id]] .. bytes[at[id + 1]] */
    uint8_t *bytes;
};
