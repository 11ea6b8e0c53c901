#include "sched/kv.h"

static uint32_t blocks_of(uint32_t len) { return (len + KV_BLOCK_TOK - 1) / KV_BLOCK_TOK; }

int kv_init(struct kv *kv, uint32_t n_seq, uint32_t n_ctx, uint32_t *table, struct arena *a, struct err *e) {
    uint32_t stride = kv_stride(n_ctx);
    *kv = (struct kv){.n_seq = n_seq, .n_ctx = n_ctx, .stride = stride, .n_block = n_seq * stride, .table = table};
    kv->free_blocks = arena_array(a, kv->n_block, sizeof *kv->free_blocks);
    kv->len = arena_array(a, n_seq, sizeof *kv->len);
    kv->used = arena_array(a, n_seq, sizeof *kv->used);
    if (!kv->free_blocks || !kv->len || !kv->used) return err_set(e, ERR_NOMEM, "no memory for the KV block tables");
    while (kv->n_free < kv->n_block) { /* so that block 0 is handed out first */
        kv->free_blocks[kv->n_free] = kv->n_block - 1 - kv->n_free;
        kv->n_free++;
    }
    return ERR_OK;
}

int kv_seq_new(struct kv *kv, uint32_t *seq, struct err *e) {
    for (uint32_t i = 0; i < kv->n_seq; i++)
        if (!kv->used[i]) {
            kv->used[i] = true;
            kv->len[i] = 0;
            *seq = i;
            return ERR_OK;
        }
    return err_set(e, ERR_LIMIT, "all %u sequences are in use", kv->n_seq);
}

void kv_truncate(struct kv *kv, uint32_t seq, uint32_t len) {
    CHECK(seq < kv->n_seq && kv->used[seq]);
    if (len >= kv->len[seq]) return;
    const uint32_t *row = kv->table + (uint64_t)seq * kv->stride;
    for (uint32_t i = blocks_of(kv->len[seq]); i > blocks_of(len); i--) kv->free_blocks[kv->n_free++] = row[i - 1];
    kv->len[seq] = len;
}

void kv_seq_free(struct kv *kv, uint32_t seq) {
    kv_truncate(kv, seq, 0);
    kv->used[seq] = false;
}

int kv_extend(struct kv *kv, uint32_t seq, uint32_t len, struct err *e) {
    CHECK(seq < kv->n_seq && kv->used[seq]);
    if (len <= kv->len[seq]) return ERR_OK;
    if (len > kv->n_ctx)
        return err_set(e, ERR_LIMIT, "%u tokens do not fit the context of %u; give a larger -c or a shorter text", len, kv->n_ctx);
    uint32_t have = blocks_of(kv->len[seq]), want = blocks_of(len);
    if (want - have > kv->n_free)
        return err_set(e, ERR_LIMIT, "the KV cache is full: %u more blocks are needed, %u are free", want - have, kv->n_free);
    uint32_t *row = kv->table + (uint64_t)seq * kv->stride;
    for (uint32_t i = have; i < want; i++) row[i] = kv->free_blocks[--kv->n_free];
    kv->len[seq] = len;
    return ERR_OK;
}

uint32_t kv_slot(const struct kv *kv, uint32_t seq, uint32_t pos) {
    CHECK(pos < kv->len[seq]);
    return kv->table[(uint64_t)seq * kv->stride + pos / KV_BLOCK_TOK] * KV_BLOCK_TOK + pos % KV_BLOCK_TOK;
}
