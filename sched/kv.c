#include "sched/kv.h"

#include <string.h>

static uint32_t blocks_of(uint32_t len) { return (len + KV_BLOCK_TOK - 1) / KV_BLOCK_TOK; }
static uint32_t *row_of(const struct kv *kv, uint32_t seq) { return kv->table + (uint64_t)seq * kv->stride; }

uint64_t kv_list_bytes(uint64_t n_block) {
    return prefix_bytes(n_block) + n_block * (sizeof(uint32_t) + sizeof(uint32_t)) + (n_block + 1) * sizeof(struct kv_link);
}

int kv_init(struct kv *kv, uint32_t n_seq, uint32_t n_ctx, uint32_t n_block, uint32_t *table, struct arena *a, struct err *e) {
    *kv = (struct kv){.n_seq = n_seq, .n_ctx = n_ctx, .stride = kv_stride(n_ctx), .n_block = n_block, .table = table};
    kv->free_blocks = arena_array(a, n_block, sizeof *kv->free_blocks);
    kv->len = arena_array(a, n_seq, sizeof *kv->len);
    kv->done = arena_array(a, n_seq, sizeof *kv->done);
    kv->used = arena_array(a, n_seq, sizeof *kv->used);
    kv->refs = arena_array(a, n_block, sizeof *kv->refs);
    kv->links = arena_array(a, (size_t)n_block + 1, sizeof *kv->links);
    if (!kv->free_blocks || !kv->len || !kv->done || !kv->used || !kv->refs || !kv->links || prefix_init(&kv->prefix, n_block, a))
        return err_set(e, ERR_NOMEM, "no memory for the KV block tables");
    kv->links[n_block] = (struct kv_link){n_block, n_block};
    while (kv->n_free < n_block) { /* so that block 0 is handed out first */
        kv->free_blocks[kv->n_free] = n_block - 1 - kv->n_free;
        kv->n_free++;
    }
    return ERR_OK;
}

/* The ring of cached blocks: older of its end is the newest, newer of its end the oldest. */

static void cache(struct kv *kv, uint32_t block) {
    uint32_t end = kv->n_block, newest = kv->links[end].older;
    kv->links[block] = (struct kv_link){newest, end};
    kv->links[newest].newer = kv->links[end].older = block;
    kv->n_cached++;
}

static void uncache(struct kv *kv, uint32_t block) {
    struct kv_link l = kv->links[block];
    kv->links[l.older].newer = l.newer;
    kv->links[l.newer].older = l.older;
    kv->n_cached--;
}

/* References. */

static void hold(struct kv *kv, uint32_t block) {
    if (kv->refs[block]++ == 0) uncache(kv, block);
}

static void let_go(struct kv *kv, uint32_t block) {
    CHECK(kv->refs[block]);
    if (--kv->refs[block]) return;
    if (prefix_n_tok(&kv->prefix, block)) cache(kv, block);
    else kv->free_blocks[kv->n_free++] = block;
}

/* A block of the caller's own, or PREFIX_NONE. */
static uint32_t take(struct kv *kv) {
    uint32_t block = kv->links[kv->n_block].newer;
    if (kv->n_free) {
        block = kv->free_blocks[--kv->n_free];
    } else if (kv->n_cached) {
        uncache(kv, block);
        prefix_remove(&kv->prefix, block);
        kv->n_reused++;
    } else {
        return PREFIX_NONE;
    }
    kv->refs[block] = 1;
    return block;
}

static uint32_t parent_of(const struct kv *kv, const uint32_t *row, uint32_t i) { return i ? row[i - 1] : kv->prefix.root; }

/* Takes a block with one reference out of the tree, and with it all that follows: no sequence can have that, for it
 * would have this block, too. */
static void unlearn(struct kv *kv, uint32_t block) {
    struct prefix *p = &kv->prefix;
    for (uint32_t b = block;;) {
        while (p->nodes[b].child != PREFIX_NONE) b = p->nodes[b].child;
        uint32_t up = p->nodes[b].parent;
        prefix_remove(p, b);
        if (b == block) return;
        uncache(kv, b);
        kv->free_blocks[kv->n_free++] = b;
        b = up;
    }
}

/* Sequences. */

int kv_seq_new(struct kv *kv, uint32_t *seq, struct err *e) {
    for (uint32_t i = 0; i < kv->n_seq; i++)
        if (!kv->used[i]) {
            kv->used[i] = true;
            kv->len[i] = kv->done[i] = 0;
            *seq = i;
            return ERR_OK;
        }
    return err_set(e, ERR_LIMIT, "all %u sequences are in use", kv->n_seq);
}

void kv_truncate(struct kv *kv, uint32_t seq, uint32_t len) {
    CHECK(seq < kv->n_seq && kv->used[seq]);
    if (len >= kv->len[seq]) return;
    const uint32_t *row = row_of(kv, seq);
    for (uint32_t i = blocks_of(kv->len[seq]); i > blocks_of(len); i--) let_go(kv, row[i - 1]); /* children first */
    kv->len[seq] = len;
    if (kv->done[seq] > len) kv->done[seq] = len;
}

/* The last block, which is not full, goes to the tree, too, unless its tokens are there already. */
static void learn_end(struct kv *kv, uint32_t seq) {
    const uint32_t *row = row_of(kv, seq);
    uint32_t i = kv->len[seq] / KV_BLOCK_TOK, n = kv->len[seq] % KV_BLOCK_TOK, n_same;
    if (!n || prefix_n_tok(&kv->prefix, row[i])) return;
    prefix_closest(&kv->prefix, parent_of(kv, row, i), prefix_token(&kv->prefix, row[i]), n, &n_same);
    if (n_same < n) prefix_add(&kv->prefix, row[i], parent_of(kv, row, i), n);
}

void kv_seq_free(struct kv *kv, uint32_t seq) {
    CHECK(seq < kv->n_seq && kv->used[seq] && kv->done[seq] == kv->len[seq]);
    learn_end(kv, seq);
    kv_truncate(kv, seq, 0);
    kv->used[seq] = false;
}

/* A block of its own in place of one that others may have or find. */
static bool make_writable(struct kv *kv, uint32_t *entry) {
    uint32_t old = *entry;
    if (kv->refs[old] == 1) {
        if (prefix_n_tok(&kv->prefix, old)) unlearn(kv, old);
        return true;
    }
    uint32_t block = take(kv);
    if (block == PREFIX_NONE) return false;
    kv->copy(kv->copy_ctx, block, old);
    memcpy(prefix_token(&kv->prefix, block), prefix_token(&kv->prefix, old), KV_BLOCK_TOK * sizeof(int32_t));
    let_go(kv, old);
    *entry = block;
    return true;
}

int kv_push(struct kv *kv, uint32_t seq, int32_t token, struct err *e) {
    CHECK(seq < kv->n_seq && kv->used[seq]);
    uint32_t len = kv->len[seq], *entry = &row_of(kv, seq)[len / KV_BLOCK_TOK];
    if (len >= kv->n_ctx)
        return err_set(e, ERR_LIMIT, "%u tokens do not fit the context of %u; give a larger -c or a shorter text", len + 1, kv->n_ctx);
    bool got = true;
    if (len % KV_BLOCK_TOK) got = make_writable(kv, entry);
    else got = (*entry = take(kv)) != PREFIX_NONE;
    if (!got)
        return err_set(e, ERR_LIMIT, "the KV cache is full: all its %u blocks of %u tokens are in use", kv->n_block, KV_BLOCK_TOK);
    prefix_token(&kv->prefix, *entry)[len % KV_BLOCK_TOK] = token;
    kv->len[seq]++;
    return ERR_OK;
}

/* A full block goes to the tree, or gives way to one there with the same tokens behind the same beginning. */
static void learn(struct kv *kv, uint32_t *row, uint32_t i) {
    uint32_t twin = prefix_find(&kv->prefix, parent_of(kv, row, i), prefix_token(&kv->prefix, row[i]));
    if (twin == PREFIX_NONE) {
        prefix_add(&kv->prefix, row[i], parent_of(kv, row, i), KV_BLOCK_TOK);
        return;
    }
    hold(kv, twin);
    let_go(kv, row[i]);
    row[i] = twin;
}

void kv_commit(struct kv *kv, uint32_t seq) {
    CHECK(seq < kv->n_seq && kv->used[seq]);
    for (uint32_t i = kv->done[seq] / KV_BLOCK_TOK; i < kv->len[seq] / KV_BLOCK_TOK; i++) learn(kv, row_of(kv, seq), i);
    kv->done[seq] = kv->len[seq];
}

/* The beginning of a block that only begins with these tokens. */
static uint32_t attach_part(struct kv *kv, uint32_t *row, uint32_t i, const int32_t *token, uint32_t n) {
    uint32_t n_same, from = prefix_closest(&kv->prefix, parent_of(kv, row, i), token, n, &n_same);
    if (from == PREFIX_NONE) return 0;
    hold(kv, from); /* so that it is not the one that makes room */
    uint32_t block = take(kv);
    if (block != PREFIX_NONE) {
        kv->copy(kv->copy_ctx, block, from);
        memcpy(prefix_token(&kv->prefix, block), token, n_same * sizeof *token);
        row[i] = block;
    }
    let_go(kv, from);
    return block == PREFIX_NONE ? 0 : n_same;
}

uint32_t kv_attach(struct kv *kv, uint32_t seq, const int32_t *token, uint32_t n) {
    CHECK(seq < kv->n_seq && kv->used[seq] && kv->done[seq] == kv->len[seq]);
    uint32_t *row = row_of(kv, seq), *len = &kv->len[seq], i = *len / KV_BLOCK_TOK;
    if (n > kv->n_ctx) n = kv->n_ctx;
    for (; (i + 1) * KV_BLOCK_TOK <= n; i++) {
        uint32_t block = prefix_find(&kv->prefix, parent_of(kv, row, i), token + i * KV_BLOCK_TOK);
        if (block == PREFIX_NONE) break;
        hold(kv, block);
        if (*len > i * KV_BLOCK_TOK) let_go(kv, row[i]);
        row[i] = block;
        *len = (i + 1) * KV_BLOCK_TOK;
    }
    if (*len == i * KV_BLOCK_TOK && *len < n) {
        uint32_t rest = n - *len < KV_BLOCK_TOK ? n - *len : KV_BLOCK_TOK;
        *len += attach_part(kv, row, i, token + *len, rest);
    }
    kv->done[seq] = *len;
    return *len;
}

uint32_t kv_slot(const struct kv *kv, uint32_t seq, uint32_t pos) {
    CHECK(pos < kv->len[seq]);
    return row_of(kv, seq)[pos / KV_BLOCK_TOK] * KV_BLOCK_TOK + pos % KV_BLOCK_TOK;
}
