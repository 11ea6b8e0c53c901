/* Private to models/tokenizer: the vocabulary, the merge engine and the scratch memory of one encode call.
 *
 * bytes.c knows characters, vocab.c loads and looks up, special.c knows special tokens, pretok.c cuts text into
 * words, merge.c joins symbols, spm.c and bpe.c drive it, tokenizer.c is the public face. */
#pragma once
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer/tokenizer.h"

#define SPM_SPACE "\xe2\x96\x81" /* U+2581, how SPM vocabularies write a space */
#define TOKEN_MAX_BYTES 65535    /* of any token */
#define SPECIAL_MAX_BYTES 1024   /* of a token that is searched for at every place of a text */

struct vocab_token {
    uint32_t text, text_len; /* in the pool */
    uint32_t piece, piece_len;
    float score;
    uint32_t attr;
};

struct vocab_slot {
    uint32_t tag; /* high half of the text's hash */
    uint32_t id1; /* id + 1; 0: empty */
};

/* A token cut out of text before anything else. */
struct special {
    const char *text;
    uint32_t len;
    int32_t id;
};
/* Sorted by text; first[b]..first[b+1] is the range that begins with byte b. */
struct special_set {
    struct special *at;
    uint32_t n, first[257];
};

struct merge_rule { /* of BPE: left and right join into result */
    int32_t left, right, result;
    uint32_t rank1; /* rank + 1; 0: empty slot */
};

struct tokenizer {
    struct tokenizer_info info;
    bool spm, ignore_merges;
    bool word_split; /* SPM: no token has a space inside, so words are independent */
    struct vocab_token *token;
    char *pool;
    struct vocab_slot *slot;
    uint32_t slot_mask;
    uint32_t max_text_len;
    uint32_t max_piece_len;
    int32_t byte_id[256]; /* the token of one byte, or -1 */
    struct special_set special, user_defined;
    struct merge_rule *rule;
    uint64_t rule_mask;
    struct pretok *pretok;
    char *pre_name;
};

struct symbol {
    uint32_t begin, len;
    int32_t id; /* token of exactly these bytes, or -1 */
    int32_t prev, next;
};
struct pair {
    double key; /* smaller joins first; ties go to the left */
    uint32_t left, len;
    int32_t id;
};
struct piece {
    uint32_t len : 31;
    uint32_t raw : 1; /* not valid UTF-8: no regular expression sees it */
};

/* Memory of one encode call; every array only grows. */
struct scratch {
    struct symbol *symbol;
    size_t n_symbol, symbol_cap;
    struct pair *heap;
    size_t n_heap, heap_cap;
    struct piece *piece[2];
    size_t n_piece[2], piece_cap[2];
    char *text;
    size_t text_cap;
    void *match; /* pcre2_match_data */
};

/* Room for `need` elements; false when memory is out. */
bool tokenizer_grow(void **p, size_t *cap, size_t need, size_t elem_bytes);
#define SCRATCH_GROW(array, cap, need) tokenizer_grow((void **)&(array), &(cap), (need), sizeof *(array))

int vocab_load(struct tokenizer *t, const struct gguf *g, struct err *e);
void vocab_free(struct tokenizer *t);
/* Any token, or -1. */
int32_t vocab_find(const struct tokenizer *t, const char *text, size_t len);
/* A token that plain text may become: not control, unknown or byte. */
int32_t vocab_find_plain(const struct tokenizer *t, const char *text, size_t len);
/* The byte token of b, or the unknown token; ERR_FORMAT when there is neither. */
int vocab_push_byte(const struct tokenizer *t, unsigned char b, struct tokens *out, struct err *e);

struct pretok_flags { /* what goes with a pre-tokenizer */
    bool ignore_merges, add_bos;
};
/* Ids and flags that the file names; what tokens do, by their text; the sets that are searched for. In this order. */
int special_ids(struct tokenizer *t, const struct gguf *g, const struct pretok_flags *pf, struct err *e);
void special_mark(struct tokenizer *t, const struct gguf *g);
int special_sets(struct tokenizer *t, struct err *e);
/* The longest special token that text (at least one byte) begins with, or NULL. */
const struct special *special_match(const struct special_set *s, const char *text, size_t len);

/* Byte-level vocabularies write bytes as printable characters: byte to code point (below 0x200), and back
 * (-1 when the code point stands for no byte). */
uint32_t bytes_to_char(unsigned char b);
int bytes_of_char(uint32_t cp);

/* Length of the well-formed UTF-8 character at s (1..4), or 0. */
uint32_t bytes_utf8(const char *s, size_t len);

/* Joins neighbours until nothing joins. join fills key and id when the two symbols make a token. */
typedef bool merge_join(const struct tokenizer *t, const char *text, const struct symbol *l, const struct symbol *r,
                        double *key, int32_t *id);
bool merge_run(const struct tokenizer *t, const char *text, merge_join *join, struct scratch *sc);

int spm_encode(const struct tokenizer *t, const char *text, size_t len, bool space_before, struct scratch *sc,
               struct tokens *out, struct err *e);
int bpe_encode(const struct tokenizer *t, const char *text, size_t len, struct scratch *sc, struct tokens *out,
               struct err *e);
int bpe_load_merges(struct tokenizer *t, const struct gguf *g, struct err *e);

struct pretok;
/* The pre-tokenizer with that name; ERR_UNSUPPORTED names it when unknown. */
int pretok_new(const char *name, size_t len, struct pretok **out, struct pretok_flags *flags, struct err *e);
void pretok_free(struct pretok *p);
/* Cuts text into sc->piece[*which]. */
int pretok_split(const struct pretok *p, const char *text, size_t len, struct scratch *sc, int *which, struct err *e);
void pretok_scratch_free(struct scratch *sc);
