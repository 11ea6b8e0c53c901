#include "kernels/attention.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/dequant.h"
#include "kernels/kv_write.h"

/* One kv head of one sequence, exact, and the scratch for one query head. */
struct head_ref {
    double *keys, *values; /* (n_pos_max, head_dim or head_dim_v) */
    double *score, *sum_abs; /* (n_pos_max); (head_dim_v): sum of weight * |v| */
    double worst;            /* largest sum of |q k| * scale: what a score's rounding scales with */
    double largest;          /* largest |score| before the cap */
};

static void decode_head(const struct attention_args *a, const void *pool, const uint32_t *table, uint32_t kv_head,
                        uint32_t dim, double *out) {
    uint64_t row_bytes = kv_row_bytes(a->dtype, dim);
    for (uint32_t pos = 0; pos < a->n_pos_max; pos++) {
        uint64_t row = ((uint64_t)table[pos / a->block_tok] * a->n_head_kv + kv_head) * a->block_tok + pos % a->block_tok;
        dequant_row_f64((enum dtype)a->dtype, (const char *)pool + row * row_bytes, out + (uint64_t)pos * dim, dim);
    }
}

static void scores(const struct attention_args *a, struct head_ref *h, const float *q, uint32_t begin, uint32_t end) {
    h->worst = h->largest = 0;
    for (uint32_t j = begin; j < end; j++) {
        double s = 0, abs_sum = 0;
        for (uint32_t i = 0; i < a->head_dim; i++) {
            double product = (double)q[i] * h->keys[(uint64_t)j * a->head_dim + i];
            s += product;
            abs_sum += fabs(product);
        }
        s *= (double)a->scale;
        h->worst = fmax(h->worst, abs_sum * fabs((double)a->scale));
        h->largest = fmax(h->largest, fabs(s));
        h->score[j] = a->softcap > 0 ? (double)a->softcap * tanh(s / (double)a->softcap) : s;
    }
}

static void weigh(const struct attention_args *a, struct head_ref *h, uint32_t begin, uint32_t end, const float *sink,
                  double *out) {
    double top = sink ? (double)*sink : -INFINITY, sum;
    for (uint32_t j = begin; j < end; j++) top = fmax(top, h->score[j]);
    sum = sink ? exp((double)*sink - top) : 0;
    for (uint32_t j = begin; j < end; j++) sum += exp(h->score[j] - top);
    for (uint32_t i = 0; i < a->head_dim_v; i++) out[i] = h->sum_abs[i] = 0;
    for (uint32_t j = begin; j < end; j++) {
        double p = exp(h->score[j] - top) / sum;
        const double *v = h->values + (uint64_t)j * a->head_dim_v;
        for (uint32_t i = 0; i < a->head_dim_v; i++) {
            out[i] += p * v[i];
            h->sum_abs[i] += p * fabs(v[i]);
        }
    }
}

/* First-order bound of the f32 kernel's error, eps = 2^-24: a score is a chain of head_dim fma over
 * rounded q * scale, so it is off by (head_dim + 1) eps worst; the cap passes that on and adds 4 eps of the cap's size; the
 * difference to the top and the exponential add eps |s - top| + 4 eps, at every one of up to n / CHUNK changes
 * of top and 3 merges, but the differences themselves only add up to the range of scores. A
 * weight off by a share f, in numerator and denominator, moves the result by 2 f sum(p |v|). The sums over
 * n positions are chains too: n eps each. Metal: steps are of 8 positions at least; the fast exponential is off by
 * 3 + |2 x| units in the last place (6 + 4 |x| eps), and the precise tanh by 5 (10, and 2 more for its argument and the product). */
static double error_share(const struct attention_args *a, const struct head_ref *h, uint32_t n, double sink,
                          enum device_kind dev) {
    bool metal = dev == DEVICE_METAL;
    double n_step = (metal ? n / 8 : n / ATTENTION_CHUNK) + n / ATTENTION_SEGMENT + 4, range = 2 * h->largest + fabs(sink);
    double score = (a->head_dim + 2.0) * h->worst + (a->softcap > 0 ? (metal ? 12.0 : 4.0) * (double)a->softcap : 0);
    double exps = metal ? 6 * range + 6 * n_step : 2 * range + 4 * n_step;
    return 0x1p-24 * (2 * (score + exps) + 2.0 * n);
}

static void one_head(const struct attention_args *a, struct head_ref *h, const float *q, int32_t pos, const float *sink,
                     enum device_kind dev, double *out, double *limit) {
    uint32_t end = (uint32_t)pos + 1, begin = a->window && end > a->window ? end - a->window : 0;
    scores(a, h, q, begin, end);
    weigh(a, h, begin, end, sink, out);
    double share = error_share(a, h, end - begin, sink ? (double)*sink : 0, dev);
    for (uint32_t i = 0; limit && i < a->head_dim_v; i++) limit[i] = share * h->sum_abs[i];
}

void attention_ref(const struct attention_args *a, const float *q, const void *k_pool, const void *v_pool,
                   const uint32_t *tables, const uint32_t *seqs, const int32_t *pos, const float *sinks, enum device_kind dev,
                   double *out, double *limit) {
    uint64_t n = a->n_pos_max, group = a->n_head / a->n_head_kv;
    double *memory = calloc(n * (a->head_dim + a->head_dim_v + 1) + a->head_dim_v, sizeof *memory);
    CHECK(memory);
    struct head_ref h = {.keys = memory, .values = memory + n * a->head_dim};
    h.score = h.values + n * a->head_dim_v;
    h.sum_abs = h.score + n;
    for (uint32_t kv_head = 0; kv_head < a->n_head_kv; kv_head++)
        for (uint64_t t = 0; t < a->n_tok; t++) {
            const uint32_t *table = tables + (uint64_t)seqs[t] * a->table_stride;
            if (t == 0 || seqs[t] != seqs[t - 1]) {
                decode_head(a, k_pool, table, kv_head, a->head_dim, h.keys);
                decode_head(a, v_pool, table, kv_head, a->head_dim_v, h.values);
            }
            for (uint64_t head = kv_head * group; head < (kv_head + 1) * group; head++) {
                uint64_t row = t * a->n_head + head, at = row * a->head_dim_v;
                one_head(a, &h, q + row * a->head_dim, pos[t], sinks ? sinks + head : NULL, dev, out + at,
                         limit ? limit + at : NULL);
            }
        }
    free(memory);
}
