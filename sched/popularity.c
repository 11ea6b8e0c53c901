#include "sched/popularity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "runtime/bytes.h"
#include "sched/cache_dir.h"

#define VERSION 1u
#define HEAD_BYTES 40u /* magic, version, n_layer, n_expert, pairs or not, model, n_tok */
#define HASH_BYTES 8u

static const char magic[8] = {'h', 'y', 'E', 'X', 'P', 'U', 'S', 'E'};

static size_t n_key(const struct popularity *p) { return (size_t)p->n_layer * p->n_expert; }
static size_t pair_bytes(const struct popularity *p) { return n_key(p) * p->n_expert; }

int popularity_init(struct popularity *p, uint32_t n_layer, uint32_t n_expert, struct arena *a, struct err *e) {
    *p = (struct popularity){.n_layer = n_layer, .n_expert = n_expert};
    bool pairs = pair_bytes(p) <= POPULARITY_PAIR_BYTES;
    p->count = arena_array(a, n_key(p), sizeof *p->count);
    if (pairs) p->within = arena_alloc(a, pair_bytes(p));
    if (pairs) p->across = arena_alloc(a, pair_bytes(p));
    if (!p->count || (pairs && (!p->within || !p->across)))
        return err_set(e, ERR_NOMEM, "no memory for the experts' statistics");
    return ERR_OK;
}

/* Counting */

static void bump(const struct popularity *p, uint8_t *row, uint32_t e) {
    if (row[e] == UINT8_MAX)
        for (uint32_t i = 0; i < p->n_expert; i++) row[i] /= 2;
    row[e]++;
}

void popularity_add(struct popularity *p, uint32_t layer, const uint16_t *ids, uint32_t n, const uint16_t *before,
                    uint32_t n_before) {
    CHECK(layer < p->n_layer);
    size_t base = (size_t)layer * p->n_expert;
    for (uint32_t i = 0; i < n; i++) {
        CHECK(ids[i] < p->n_expert);
        p->count[base + ids[i]]++;
    }
    if (!p->within) return;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            if (k != i) bump(p, p->within + (base + ids[i]) * p->n_expert, ids[k]);
    for (uint32_t i = 0; i < n_before; i++) {
        CHECK(before[i] < p->n_expert);
        for (uint32_t k = 0; k < n; k++) bump(p, p->across + (base + before[i]) * p->n_expert, ids[k]);
    }
}

void popularity_end_tokens(struct popularity *p, uint32_t n_tok) {
    p->n_tok += n_tok;
    p->n_new_tok += n_tok;
    for (; p->n_tok >= 2 * POPULARITY_TOK; p->n_tok /= 2)
        for (size_t k = 0; k < n_key(p); k++) p->count[k] /= 2;
}

/* Answers */

float popularity_share(const struct popularity *p, uint32_t key) {
    CHECK(key < n_key(p));
    return p->n_tok ? (float)p->count[key] / (float)p->n_tok : 0;
}

static int most_first(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Sorted as numbers, the count above the key's complement: among equals the lower key comes first. */
uint32_t popularity_order(const struct popularity *p, uint32_t *keys) {
    uint32_t n = 0;
    uint64_t *sorted = malloc(n_key(p) * sizeof *sorted);
    if (!sorted) return 0;
    for (uint32_t k = 0; k < n_key(p); k++)
        if (p->count[k]) sorted[n++] = (uint64_t)p->count[k] << 32 | (UINT32_MAX - k);
    qsort(sorted, n, sizeof *sorted, most_first);
    for (uint32_t i = 0; i < n; i++) keys[i] = UINT32_MAX - (uint32_t)sorted[i];
    free(sorted);
    return n;
}

/* The file */

static size_t file_bytes(const struct popularity *p) {
    return HEAD_BYTES + 4 * n_key(p) + (p->within ? 2 * pair_bytes(p) : 0) + HASH_BYTES;
}

int popularity_pack(const struct popularity *p, uint64_t model_hash, unsigned char **bytes, size_t *n, struct err *e) {
    *n = file_bytes(p);
    unsigned char *to = *bytes = malloc(*n);
    if (!to) return err_set(e, ERR_NOMEM, "no memory to save the experts' statistics");
    memcpy(to, magic, sizeof magic);
    to += sizeof magic;
    bytes_store(&to, VERSION, 4);
    bytes_store(&to, p->n_layer, 4);
    bytes_store(&to, p->n_expert, 4);
    bytes_store(&to, p->within != NULL, 4);
    bytes_store(&to, model_hash, 8);
    bytes_store(&to, p->n_tok, 8);
    for (size_t k = 0; k < n_key(p); k++) bytes_store(&to, p->count[k], 4);
    if (p->within) {
        memcpy(to, p->within, pair_bytes(p));
        memcpy(to + pair_bytes(p), p->across, pair_bytes(p));
        to += 2 * pair_bytes(p);
    }
    bytes_store(&to, XXH3_64bits(*bytes, *n - HASH_BYTES), HASH_BYTES);
    return ERR_OK;
}

static int check(const struct popularity *p, uint64_t model_hash, const unsigned char *bytes, size_t n, struct err *e) {
    if (n < HEAD_BYTES + HASH_BYTES || memcmp(bytes, magic, sizeof magic) != 0)
        return err_set(e, ERR_FORMAT, "it is not a file of experts' statistics");
    const unsigned char *at = bytes + sizeof magic, *hash = bytes + n - HASH_BYTES;
    if (bytes_load(&at, 4) != VERSION) return err_set(e, ERR_UNSUPPORTED, "it is of another version of hy");
    if (bytes_load(&hash, HASH_BYTES) != XXH3_64bits(bytes, n - HASH_BYTES)) return err_set(e, ERR_FORMAT, "it is damaged");
    bool same = bytes_load(&at, 4) == p->n_layer;
    same &= bytes_load(&at, 4) == p->n_expert;
    same &= bytes_load(&at, 4) == (p->within != NULL);
    same &= bytes_load(&at, 8) == model_hash;
    if (!same || n != file_bytes(p)) return err_set(e, ERR_FORMAT, "it is of another model");
    const unsigned char *counts = bytes + HEAD_BYTES;
    uint64_t n_tok = bytes_load(&at, 8);
    bool possible = n_tok < 2 * POPULARITY_TOK;
    for (size_t k = 0; k < n_key(p); k++) possible &= bytes_load(&counts, 4) <= n_tok;
    return possible ? ERR_OK : err_set(e, ERR_FORMAT, "it counts more than there can be");
}

int popularity_unpack(struct popularity *p, uint64_t model_hash, const unsigned char *bytes, size_t n, struct err *e) {
    int rc = check(p, model_hash, bytes, n, e);
    if (rc) return rc;
    const unsigned char *at = bytes + HEAD_BYTES - 8;
    p->n_tok = bytes_load(&at, 8);
    p->n_new_tok = 0;
    for (size_t k = 0; k < n_key(p); k++) p->count[k] = (uint32_t)bytes_load(&at, 4);
    if (p->within) {
        memcpy(p->within, at, pair_bytes(p));
        memcpy(p->across, at + pair_bytes(p), pair_bytes(p));
    }
    return ERR_OK;
}

static void file_name(uint64_t model_hash, char *out, size_t cap) {
    snprintf(out, cap, "experts-%016" PRIx64, model_hash);
}

bool popularity_load(struct popularity *p, uint64_t model_hash, char *warning, size_t cap) {
    char name[40], *bytes;
    struct err e;
    size_t n;
    *warning = 0;
    file_name(model_hash, name, sizeof name);
    int rc = cache_read(name, file_bytes(p), &bytes, &n, &e);
    if (rc == ERR_NOT_FOUND) return false;
    if (!rc) {
        rc = popularity_unpack(p, model_hash, (const unsigned char *)bytes, n, &e);
        free(bytes);
    }
    if (rc) snprintf(warning, cap, "statistics '%s' of earlier runs are ignored: %s", name, e.text);
    return rc == ERR_OK;
}

int popularity_save(const struct popularity *p, uint64_t model_hash, struct err *e) {
    char name[40];
    unsigned char *bytes;
    size_t n;
    file_name(model_hash, name, sizeof name);
    int rc = popularity_pack(p, model_hash, &bytes, &n, e);
    if (!rc) rc = cache_write(name, bytes, n, e);
    free(bytes);
    return rc;
}
