/* A work item is a tile of tokens and one kv head (and, when the context is split, one segment).
 * The tile's tokens of one sequence, times the query heads of the kv head, are its rows. Chunk by chunk,
 * keys are converted to f32 and transposed, so that scores are products with keys in the
 * lanes; values are converted as they lie. Both products are `product` below, whose every element is a chain of fma in
 * ascending order: how rows and columns are grouped does not show in the result. */
#include "kernels/attention.h"

#include <math.h>

#include "gguf/blocks.h"
#include "gguf/dtype.h"
#include "kernels/cpu_ops.h"
#include "kernels/kv_write.h"
#include "kernels/simd.h"

#define CHUNK ATTENTION_CHUNK
#define MAX_ROWS ATTENTION_MAX_GROUP /* a tile is never more than TILE_ROWS or one token's group */
_Static_assert(((3 * MAX_ROWS + 2 * CHUNK) * ATTENTION_MAX_HEAD_DIM + MAX_ROWS * CHUNK) * sizeof(float) <= CPU_SCRATCH_BYTES, "scratch");
#define TILE_R 4                     /* register tile of products: rows and vectors of columns */
#define TILE_V (VF_N_REG >= 32 ? 4 : 2)

struct rows {
    uint32_t n, head_dim, width; /* width: head_dim_v in whole vectors */
    const unsigned char *k_pool, *v_pool;
    const uint32_t *table;
    uint32_t kv_head;
    int32_t begin[MAX_ROWS], end[MAX_ROWS]; /* positions that a row sees */
    float top[MAX_ROWS], sum[MAX_ROWS];     /* online softmax of the current segment */
    float top_all[MAX_ROWS], sum_all[MAX_ROWS];
    float *q;       /* (n, head_dim), scaled */
    float *s;       /* (n, CHUNK) scores, then weights */
    float *keys;    /* (head_dim, CHUNK) */
    float *values;  /* (CHUNK, width) */
    float *out;     /* (n, width) of the current segment */
    float *out_all; /* (n, width) of the segments before */
};

/* c (R, V vectors) += a (R, n_k) b (n_k, V vectors) */
VF_INLINE void product_tile(const uint32_t R, const uint32_t V, float *c, uint32_t ldc, const float *a, uint32_t lda,
                            const float *b, uint32_t ldb, uint32_t n_k, bool from_zero) {
    vf acc[TILE_R][4];
    for (uint32_t r = 0; r < R; r++)
        for (uint32_t v = 0; v < V; v++) acc[r][v] = from_zero ? vf_zero() : vf_load(c + r * ldc + v * VF_N);
    for (uint32_t k = 0; k < n_k; k++, b += ldb) {
        vf x[4];
        for (uint32_t v = 0; v < V; v++) x[v] = vf_load(b + v * VF_N);
        for (uint32_t r = 0; r < R; r++) {
            vf y = vf_set1(a[r * lda + k]);
            for (uint32_t v = 0; v < V; v++) acc[r][v] = vf_fma(y, x[v], acc[r][v]);
        }
    }
    for (uint32_t r = 0; r < R; r++)
        for (uint32_t v = 0; v < V; v++) vf_store(c + r * ldc + v * VF_N, acc[r][v]);
}

VF_INLINE void product_columns(const uint32_t V, float *c, uint32_t ldc, const float *a, uint32_t lda, const float *b,
                               uint32_t ldb, uint32_t n_row, uint32_t n_k, bool from_zero) {
    uint32_t r = 0;
    for (; r + TILE_R <= n_row; r += TILE_R)
        product_tile(TILE_R, V, c + r * ldc, ldc, a + r * lda, lda, b, ldb, n_k, from_zero);
    if (n_row - r == 3) product_tile(3, V, c + r * ldc, ldc, a + r * lda, lda, b, ldb, n_k, from_zero);
    if (n_row - r == 2) product_tile(2, V, c + r * ldc, ldc, a + r * lda, lda, b, ldb, n_k, from_zero);
    if (n_row - r == 1) product_tile(1, V, c + r * ldc, ldc, a + r * lda, lda, b, ldb, n_k, from_zero);
}

/* c (n_row, n_col) = or += a (n_row, n_k) b (n_k, n_col); n_col is a whole number of vectors. */
static void product(float *c, uint32_t ldc, const float *a, uint32_t lda, const float *b, uint32_t ldb, uint32_t n_row,
                    uint32_t n_k, uint32_t n_col, bool from_zero) {
    uint32_t j = 0;
    for (; j + TILE_V * VF_N <= n_col; j += TILE_V * VF_N)
        product_columns(TILE_V, c + j, ldc, a, lda, b + j, ldb, n_row, n_k, from_zero);
    for (; j < n_col; j += VF_N) product_columns(1, c + j, ldc, a, lda, b + j, ldb, n_row, n_k, from_zero);
}

/* Elements i.. of a pool row as one vector. */
VF_INLINE vf load_kv(uint32_t dtype, const unsigned char *row, uint32_t i, uint32_t n) {
    if (dtype == DT_F16) return n - i >= VF_N ? vf_load_f16(row + i * 2) : vf_load_f16_n(row + i * 2, n - i);
    const struct block_q8_0 *b = (const struct block_q8_0 *)(const void *)row + i / 32;
    return vf_mul(vf_load_i8(b->qs + i % 32), vf_set1_f16(b->d));
}

/* Addresses of a head's rows at positions first..last-1 of the chunk at `chunk`; NULL outside. */
static void find_rows(const struct attention_args *a, const unsigned char *pool, const uint32_t *table, uint32_t kv_head,
                      uint64_t row_bytes, uint32_t chunk, uint32_t first, uint32_t last, const unsigned char *row[CHUNK]) {
    for (uint32_t j = 0; j < CHUNK; j++) {
        row[j] = NULL;
        if (chunk + j < first || chunk + j >= last) continue;
        uint32_t in_block = (chunk + j) % a->block_tok;
        if (j > 0 && row[j - 1] && in_block > 0) {
            row[j] = row[j - 1] + row_bytes;
            continue;
        }
        uint64_t block = table[(chunk + j) / a->block_tok];
        if (block >= a->n_block) block = a->n_block - 1;
        row[j] = pool + ((block * a->n_head_kv + kv_head) * a->block_tok + in_block) * row_bytes;
    }
}

VF_INLINE void convert_keys(const uint32_t dtype, float *keys, const unsigned char *const row[CHUNK], uint32_t head_dim) {
    for (uint32_t j = 0; j < CHUNK; j += VF_N)
        for (uint32_t i = 0; i < head_dim; i += VF_N) {
            vf x[VF_N];
            for (uint32_t k = 0; k < VF_N; k++)
                x[k] = row[j + k] ? load_kv(dtype, row[j + k], i, head_dim) : vf_zero();
            vf_transpose(x);
            uint32_t n = head_dim - i < VF_N ? head_dim - i : VF_N;
            for (uint32_t k = 0; k < n; k++) vf_store(keys + (i + k) * CHUNK + j, x[k]);
        }
}

VF_INLINE void convert_values(const uint32_t dtype, float *values, const unsigned char *const row[CHUNK], uint32_t dim,
                              uint32_t width) {
    for (uint32_t j = 0; j < CHUNK; j++)
        if (row[j])
            for (uint32_t i = 0; i < dim; i += VF_N) vf_store(values + j * width + i, load_kv(dtype, row[j], i, dim));
}

static void load_keys(const struct attention_args *a, struct rows *t, uint32_t chunk, uint32_t first, uint32_t last) {
    const unsigned char *row[CHUNK];
    find_rows(a, t->k_pool, t->table, t->kv_head, kv_row_bytes(a->dtype, a->head_dim), chunk, first, last, row);
    if (a->dtype == DT_F16) convert_keys(DT_F16, t->keys, row, a->head_dim);
    else convert_keys(DT_Q8_0, t->keys, row, a->head_dim);
}

static void load_values(const struct attention_args *a, struct rows *t, uint32_t chunk, uint32_t first, uint32_t last) {
    const unsigned char *row[CHUNK];
    find_rows(a, t->v_pool, t->table, t->kv_head, kv_row_bytes(a->dtype, a->head_dim_v), chunk, first, last, row);
    if (a->dtype == DT_F16) convert_values(DT_F16, t->values, row, a->head_dim_v, t->width);
    else convert_values(DT_Q8_0, t->values, row, a->head_dim_v, t->width);
}

static void scale_span(float *x, float factor, uint32_t n) {
    for (uint32_t i = 0; i < n; i += VF_N) vf_store(x + i, vf_mul(vf_load(x + i), vf_set1(factor)));
}

static float exp1(float x) {
    float lanes[VF_N];
    vf_store(lanes, vf_exp(vf_set1(x)));
    return lanes[0];
}

/* One step of a row's online softmax: s becomes weights, what was summed before shrinks to the new top. */
static void softmax_row(const struct attention_args *a, struct rows *t, uint32_t r, uint32_t chunk) {
    float *s = t->s + r * CHUNK;
    if (a->softcap > 0)
        for (uint32_t j = 0; j < CHUNK; j += VF_N)
            vf_store(s + j, vf_mul(vf_set1(a->softcap), vf_tanh(vf_div(vf_load(s + j), vf_set1(a->softcap)))));
    uint32_t begin = (uint32_t)t->begin[r], end = (uint32_t)t->end[r];
    for (uint32_t j = 0; j < CHUNK && chunk + j < begin; j++) s[j] = -INFINITY;
    for (uint32_t j = CHUNK; j > 0 && chunk + j > end; j--) s[j - 1] = -INFINITY;
    vf top = vf_set1(t->top[r]);
    for (uint32_t j = 0; j < CHUNK; j += VF_N) top = vf_max(top, vf_load(s + j));
    float new_top = vf_hmax(top);
    vf base = vf_set1(new_top == -INFINITY ? 0 : new_top); /* nothing visible yet: all weights are 0 */
    vf sum = vf_zero();
    for (uint32_t j = 0; j < CHUNK; j += VF_N) {
        vf p = vf_exp(vf_sub(vf_load(s + j), base));
        vf_store(s + j, p);
        sum = vf_add(sum, p);
    }
    if (new_top != t->top[r]) {
        float shrink = exp1(t->top[r] - new_top);
        t->sum[r] *= shrink;
        scale_span(t->out + r * t->width, shrink, t->width);
        t->top[r] = new_top;
    }
    t->sum[r] += vf_sum(sum);
}

/* Rows that see any of the chunk are consecutive when positions ascend; those between are masked. */
static void attend_chunk(const struct attention_args *a, struct rows *t, uint32_t chunk) {
    uint32_t r0 = t->n, r1 = 0, first = UINT32_MAX, last = 0;
    for (uint32_t r = 0; r < t->n; r++) {
        uint32_t begin = (uint32_t)t->begin[r], end = (uint32_t)t->end[r];
        if (begin < chunk) begin = chunk;
        if (end > chunk + CHUNK) end = chunk + CHUNK;
        if (begin >= end) continue;
        if (r0 == t->n) r0 = r;
        r1 = r + 1;
        if (begin < first) first = begin;
        if (end > last) last = end;
    }
    if (r0 >= r1) return;
    load_keys(a, t, chunk, first, last);
    product(t->s + r0 * CHUNK, CHUNK, t->q + r0 * t->head_dim, t->head_dim, t->keys, CHUNK, r1 - r0, t->head_dim, CHUNK,
            true);
    for (uint32_t r = r0; r < r1; r++) softmax_row(a, t, r, chunk);
    load_values(a, t, chunk, first, last);
    uint32_t skip = first - chunk;
    product(t->out + r0 * t->width, t->width, t->s + r0 * CHUNK + skip, CHUNK, t->values + skip * t->width, t->width,
            r1 - r0, last - first, t->width, false);
}

static void begin_segment(struct rows *t) {
    for (uint32_t r = 0; r < t->n; r++) {
        t->top[r] = -INFINITY;
        t->sum[r] = 0;
    }
    memset(t->out, 0, (size_t)t->n * t->width * sizeof *t->out);
}

/* Adds a segment's (top, sum, out) to the running ones. n is a whole number of vectors. */
static void merge(float *top_all, float *sum_all, float *out_all, float top, float sum, const float *out, uint32_t n) {
    if (top == -INFINITY) return;
    float new_top = *top_all > top ? *top_all : top;
    float keep = exp1(*top_all - new_top), take = exp1(top - new_top);
    *sum_all = *sum_all * keep + sum * take;
    *top_all = new_top;
    for (uint32_t i = 0; i < n; i += VF_N)
        vf_store(out_all + i, vf_fma(vf_load(out + i), vf_set1(take), vf_mul(vf_load(out_all + i), vf_set1(keep))));
}

static void end_segment(struct rows *t) {
    for (uint32_t r = 0; r < t->n; r++)
        merge(&t->top_all[r], &t->sum_all[r], t->out_all + r * t->width, t->top[r], t->sum[r], t->out + r * t->width,
              t->width);
}

/* The sink joins the sum as one more score without a value. */
static void finish_row(float *out, uint32_t n, float top, float sum, const float *all, const float *sink) {
    float factor = 1;
    if (sink) {
        float new_top = *sink > top ? *sink : top;
        factor = exp1(top - new_top);
        sum = sum * factor + exp1(*sink - new_top);
    }
    factor = sum > 0 ? factor / sum : 0;
    for (uint32_t i = 0; i < n; i += VF_N)
        vf_store_left(out + i, vf_mul(vf_load(all + i), vf_set1(factor)), n - i);
}

static float *take_floats(unsigned char **at, uint64_t n) {
    float *p = (float *)(void *)*at;
    *at += (n * sizeof *p + 63) / 64 * 64;
    return p;
}

/* The row of a token's query head and the positions that it sees. */
static void add_token(const struct attention_args *a, struct rows *t, const float *q, int32_t pos) {
    uint32_t group = a->n_head / a->n_head_kv;
    for (uint32_t g = 0; g < group; g++, t->n++) {
        float *to = t->q + t->n * a->head_dim;
        const float *from = q + ((uint64_t)t->kv_head * group + g) * a->head_dim;
        for (uint32_t i = 0; i < a->head_dim; i++) to[i] = from[i] * a->scale;
        uint32_t n_pos = (uint32_t)pos < a->n_pos_max ? (uint32_t)pos + 1 : a->n_pos_max;
        t->end[t->n] = (int32_t)n_pos;
        t->begin[t->n] = a->window && n_pos > a->window ? (int32_t)(n_pos - a->window) : 0;
        t->top_all[t->n] = -INFINITY;
        t->sum_all[t->n] = 0;
    }
}

/* Tokens t0.. of the same sequence, up to t1; returns where the next sequence begins. */
static uint32_t rows_init(const struct cpu_call *c, struct rows *t, uint32_t kv_head, uint32_t t0, uint32_t t1,
                          struct cpu_worker *w) {
    const struct attention_args *a = (const struct attention_args *)c->args;
    const uint32_t *seqs = c->bind[5];
    uint32_t n_max = a->tile_tok * (a->n_head / a->n_head_kv);
    unsigned char *at = w->scratch;
    t->n = 0;
    t->head_dim = a->head_dim;
    t->width = vf_round_up(a->head_dim_v);
    t->kv_head = kv_head;
    t->k_pool = c->bind[2];
    t->v_pool = c->bind[3];
    uint32_t seq = seqs[t0] < a->n_seq ? seqs[t0] : a->n_seq - 1;
    t->table = (const uint32_t *)c->bind[4] + (uint64_t)seq * a->table_stride;
    t->q = take_floats(&at, (uint64_t)n_max * a->head_dim);
    t->s = take_floats(&at, (uint64_t)n_max * CHUNK);
    t->keys = take_floats(&at, (uint64_t)a->head_dim * CHUNK);
    t->values = take_floats(&at, (uint64_t)CHUNK * t->width);
    t->out = take_floats(&at, (uint64_t)n_max * t->width);
    t->out_all = take_floats(&at, (uint64_t)n_max * t->width);
    memset(t->out_all, 0, (size_t)n_max * t->width * sizeof *t->out_all);
    uint32_t i = t0;
    for (; i < t1 && seqs[i] == seqs[t0]; i++)
        add_token(a, t, (const float *)c->bind[1] + (uint64_t)i * a->n_head * a->head_dim, ((const int32_t *)c->bind[6])[i]);
    return i;
}

static void attend(const struct attention_args *a, struct rows *t, uint32_t segment_begin, uint32_t segment_end) {
    uint32_t first = UINT32_MAX, last = 0;
    for (uint32_t r = 0; r < t->n; r++) {
        if ((uint32_t)t->begin[r] < first) first = (uint32_t)t->begin[r];
        if ((uint32_t)t->end[r] > last) last = (uint32_t)t->end[r];
    }
    if (segment_begin < first / ATTENTION_SEGMENT) segment_begin = first / ATTENTION_SEGMENT;
    for (uint32_t s = segment_begin; s < segment_end && s * ATTENTION_SEGMENT < last; s++) {
        begin_segment(t);
        for (uint32_t i = 0; i < ATTENTION_SEGMENT; i += CHUNK) attend_chunk(a, t, s * ATTENTION_SEGMENT + i);
        end_segment(t);
    }
}

/* A partial result in work: (n_tok, n_head_kv, n_segment, group) of top, sum, out (head_dim_v). */
static float *work_at(const struct cpu_call *c, uint32_t tok, uint32_t kv_head, uint32_t segment, uint32_t g) {
    const struct attention_args *a = (const struct attention_args *)c->args;
    uint64_t row = ((uint64_t)tok * a->n_head_kv + kv_head) * a->n_segment + segment;
    return (float *)c->bind[8] + (row * (a->n_head / a->n_head_kv) + g) * (a->head_dim_v + 2);
}

static float *out_at(const struct cpu_call *c, uint32_t tok, uint32_t head) {
    const struct attention_args *a = (const struct attention_args *)c->args;
    return (float *)c->bind[0] + ((uint64_t)tok * a->n_head + head) * a->head_dim_v;
}

static void store_rows(const struct cpu_call *c, const struct rows *t, uint32_t t0, uint32_t segment) {
    const struct attention_args *a = (const struct attention_args *)c->args;
    const float *sinks = c->bind[7];
    uint32_t group = a->n_head / a->n_head_kv;
    for (uint32_t r = 0; r < t->n; r++) {
        uint32_t tok = t0 + r / group, g = r % group, head = t->kv_head * group + g;
        const float *all = t->out_all + r * t->width;
        if (a->n_segment == 1) {
            finish_row(out_at(c, tok, head), a->head_dim_v, t->top_all[r], t->sum_all[r], all, sinks ? sinks + head : NULL);
            continue;
        }
        float *part = work_at(c, tok, t->kv_head, segment, g);
        part[0] = t->top_all[r];
        part[1] = t->sum_all[r];
        memcpy(part + 2, all, a->head_dim_v * sizeof *all);
    }
}

void ISA_FN(attention)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct attention_args *a = (const struct attention_args *)c->args;
    struct rows t;
    for (uint32_t item = begin; item < end; item++) {
        uint32_t segment = item % a->n_segment, kv_head = item / a->n_segment % a->n_head_kv;
        uint32_t t0 = item / a->n_segment / a->n_head_kv * a->tile_tok;
        uint32_t t1 = a->n_tok - t0 < a->tile_tok ? a->n_tok : t0 + a->tile_tok;
        while (t0 < t1) {
            uint32_t next = rows_init(c, &t, kv_head, t0, t1, w);
            if (a->n_segment == 1) attend(a, &t, 0, UINT32_MAX);
            else attend(a, &t, segment, segment + 1);
            store_rows(c, &t, t0, segment);
            t0 = next;
        }
    }
}

/* Item: a token and a kv head. Merges the segments in order, as `attention` does when it has them all. */
void ISA_FN(attention_merge)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct attention_args *a = (const struct attention_args *)c->args;
    const float *sinks = c->bind[7];
    uint32_t group = a->n_head / a->n_head_kv, width = vf_round_up(a->head_dim_v);
    float *all = (float *)(void *)w->scratch, *part_out = all + width;
    memset(part_out, 0, width * sizeof *part_out);
    for (uint32_t item = begin; item < end; item++)
        for (uint32_t g = 0; g < group; g++) {
            uint32_t tok = item / a->n_head_kv, kv_head = item % a->n_head_kv, head = kv_head * group + g;
            float top = -INFINITY, sum = 0;
            memset(all, 0, width * sizeof *all);
            for (uint32_t s = 0; s < a->n_segment; s++) {
                const float *part = work_at(c, tok, kv_head, s, g);
                memcpy(part_out, part + 2, a->head_dim_v * sizeof *part);
                merge(&top, &sum, all, part[0], part[1], part_out, width);
            }
            finish_row(out_at(c, tok, head), a->head_dim_v, top, sum, all, sinks ? sinks + head : NULL);
        }
}
