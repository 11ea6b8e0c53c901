#include "kernels/kv_write.h"

#include "gguf/blocks.h"
#include "gguf/dtype.h"
#include "kernels/rope_turn.h"

static void write_f16(unsigned char *out, const float *x, uint32_t n) {
    const vf top = vf_set1(65504.0f), bottom = vf_set1(-65504.0f);
    for (uint32_t i = 0; i < n; i += VF_N) {
        uint16_t half[VF_N];
        vf_store_f16(half, vf_min(top, vf_max(bottom, vf_load_left(x + i, n - i))));
        memcpy(out + i * 2, half, (n - i < VF_N ? n - i : VF_N) * 2);
    }
}

static void write_q8_block(struct block_q8_0 *b, const float *x) {
    vf top = vf_zero();
    for (uint32_t i = 0; i < 32; i += VF_N) {
        vf v = vf_load(x + i);
        top = vf_max(top, vf_max(v, vf_sub(vf_zero(), v)));
    }
    float d = vf_hmax(top) / 127, inv = d > 0 ? 1 / d : 0;
    uint16_t bits = f16_from_f32(d < 65504 ? d : 65504);
    memcpy(&b->d, &bits, 2);
    for (uint32_t i = 0; i < 32; i += VF_N) {
        float q[VF_N];
        vf v = vf_max(vf_mul(vf_load(x + i), vf_set1(inv)), vf_set1(-127));
        vf_store(q, vf_round(vf_min(v, vf_set1(127))));
        for (uint32_t j = 0; j < VF_N; j++) b->qs[i + j] = (int8_t)q[j];
    }
}

static void write_row(uint32_t dtype, unsigned char *out, const float *x, uint32_t n) {
    if (dtype == DT_F16) write_f16(out, x, n);
    else
        for (uint32_t i = 0; i < n / 32; i++) write_q8_block((struct block_q8_0 *)(void *)out + i, x + i * 32);
}

/* The rows of one token, one per head: block_tok rows apart in the pool. With a turner they are turned on the way, in head. */
static void write_token(const struct kv_write_args *a, unsigned char *pool, uint32_t slot, const float *x, uint32_t dim,
                        const struct rope_turner *turner, float *head) {
    uint64_t row_bytes = dtype_bytes((enum dtype)a->dtype, dim);
    uint64_t row = (uint64_t)(slot / a->block_tok) * a->n_head_kv * a->block_tok + slot % a->block_tok;
    for (uint32_t h = 0; h < a->n_head_kv; h++, row += a->block_tok, x += dim) {
        if (turner) rope_turn_head(turner, memcpy(head, x, dim * sizeof *x));
        write_row(a->dtype, pool + row * row_bytes, turner ? head : x, dim);
    }
}

void ISA_FN(kv_write)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct kv_write_cpu_args *args = (const struct kv_write_cpu_args *)c->args;
    const struct kv_write_args *a = &args->kv;
    const float *k = c->bind[2], *v = c->bind[3];
    const int32_t *pos = c->bind[5];
    float *head = (float *)w->scratch;
    struct rope_turner turner;
    if (pos) rope_turner_init(&turner, &args->rope, head + a->head_dim);
    for (uint64_t t = begin; t < end; t++) {
        uint32_t slot = ((const uint32_t *)c->bind[4])[t];
        if (slot / a->block_tok >= a->n_block) continue;
        if (pos) rope_turner_set(&turner, pos[t], c->bind[6]);
        write_token(a, c->bind[0], slot, k + t * a->n_head_kv * a->head_dim, a->head_dim, pos ? &turner : NULL, head);
        write_token(a, c->bind[1], slot, v + t * a->n_head_kv * a->head_dim_v, a->head_dim_v, NULL, NULL);
    }
}
