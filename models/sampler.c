#include "models/sampler.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rng.h"

struct cand {
    double weight; /* e^(logit - best), perhaps at a temperature; see weigh */
    float logit;
    float key; /* what the present step orders by, best is largest */
    int32_t id;
};

struct sampler {
    struct sampler_params p;
    uint32_t n_vocab;
    const uint32_t *allowed;
    struct rng rng;
    int32_t *recent; /* ring of repeat_last_n tokens */
    uint32_t n_recent, recent_at;
    int32_t *count; /* of each token in the ring */
    struct cand *cand;
    uint32_t n; /* candidates */
};

struct sampler_params sampler_defaults(void) {
    return (struct sampler_params){
        .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .typical_p = 1, .repeat_penalty = 1,
        .repeat_last_n = 64,
    };
}

static int check_range(const char *name, float v, float lo, float hi, struct err *e) {
    if (v >= lo && v <= hi) return ERR_OK; /* NaN fails */
    return err_set(e, ERR_ARG, "%s is %g; it must be from %g to %g", name, (double)v, (double)lo, (double)hi);
}

static int check_params(const struct sampler_params *p, struct err *e) {
    int rc = check_range("temperature", p->temperature, 0, 100, e);
    if (!rc) rc = check_range("top_p", p->top_p, 0, 1, e);
    if (!rc) rc = check_range("min_p", p->min_p, 0, 1, e);
    if (!rc) rc = check_range("typical_p", p->typical_p, 0, 1, e);
    if (!rc) rc = check_range("repeat_penalty", p->repeat_penalty, 0.01f, 100, e);
    if (!rc) rc = check_range("presence_penalty", p->presence_penalty, -100, 100, e);
    if (!rc) rc = check_range("frequency_penalty", p->frequency_penalty, -100, 100, e);
    if (!rc && p->repeat_last_n > SAMPLER_LAST_N_MAX)
        rc = err_set(e, ERR_ARG, "repeat_last_n is %u; the most is %d", p->repeat_last_n, SAMPLER_LAST_N_MAX);
    return rc;
}

int sampler_new(const struct sampler_params *p, uint32_t n_vocab, struct sampler **out, struct err *e) {
    *out = NULL;
    int rc = check_params(p, e);
    if (rc) return rc;
    if (!n_vocab || n_vocab > INT32_MAX)
        return err_set(e, ERR_ARG, "a sampler needs a vocabulary, not %u tokens", n_vocab);
    struct sampler *s = calloc(1, sizeof *s);
    if (!s) return err_set(e, ERR_NOMEM, "no memory for the sampler");
    s->p = *p;
    s->n_vocab = n_vocab;
    s->recent = calloc((size_t)p->repeat_last_n + 1, sizeof *s->recent);
    s->count = calloc(n_vocab, sizeof *s->count);
    s->cand = malloc(n_vocab * sizeof *s->cand);
    if (!s->recent || !s->count || !s->cand) {
        sampler_free(s);
        return err_set(e, ERR_NOMEM, "no memory for the sampler");
    }
    sampler_reset(s, p->seed);
    *out = s;
    return ERR_OK;
}

void sampler_free(struct sampler *s) {
    if (!s) return;
    free(s->recent);
    free(s->count);
    free(s->cand);
    free(s);
}

void sampler_set_mask(struct sampler *s, const uint32_t *allowed) { s->allowed = allowed; }

void sampler_reset(struct sampler *s, uint64_t seed) {
    rng_seed(&s->rng, seed);
    s->n_recent = s->recent_at = 0;
    memset(s->count, 0, s->n_vocab * sizeof *s->count);
}

/* e^x for x <= 0 from +, * and an exponent: libm's exp differs between systems in the last bit, and then
 * one seed would give two texts. Good to 2 ulp. */
static double exp_neg(double x) {
    if (x < -708) return 0;
    double n = (double)(int)(x * 1.4426950408889634 - 0.5);
    double r = x - n * 0.693147180369123816490; /* high part of ln 2: n times it is exact */
    r -= n * 1.90821492927058770002e-10;
    static const double inv_factorial[] = {
        1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
        1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1,           1,
    };
    double sum = inv_factorial[0];
    for (size_t i = 1; i < sizeof inv_factorial / sizeof *inv_factorial; i++) sum = sum * r + inv_factorial[i];
    union {
        uint64_t bits;
        double v;
    } scale = {.bits = (uint64_t)(1023 + (int)n) << 52};
    return sum * scale.v;
}

void sampler_accept(struct sampler *s, int32_t token) {
    if (!s->p.repeat_last_n || token < 0 || (uint32_t)token >= s->n_vocab) return;
    if (s->n_recent == s->p.repeat_last_n)
        s->count[s->recent[s->recent_at]]--;
    else
        s->n_recent++;
    s->recent[s->recent_at] = token;
    s->recent_at = (s->recent_at + 1) % s->p.repeat_last_n;
    s->count[token]++;
}

static float penalized(const struct sampler_params *p, float logit, int32_t count) {
    logit = logit <= 0 ? logit * p->repeat_penalty : logit / p->repeat_penalty;
    return logit - (float)count * p->frequency_penalty - p->presence_penalty;
}

/* A token that is several times in the ring is met once: its count is negative from then until the end. */
static void apply_penalties(struct sampler *s, float *logits, uint32_t n_vocab) {
    const struct sampler_params *p = &s->p;
    if (p->repeat_penalty == 1 && p->presence_penalty == 0 && p->frequency_penalty == 0) return;
    for (uint32_t i = 0; i < s->n_recent; i++) {
        int32_t id = s->recent[i];
        if (s->count[id] <= 0) continue;
        if ((uint32_t)id < n_vocab) logits[id] = penalized(p, logits[id], s->count[id]);
        s->count[id] = -s->count[id];
    }
    for (uint32_t i = 0; i < s->n_recent; i++)
        if (s->count[s->recent[i]] < 0) s->count[s->recent[i]] = -s->count[s->recent[i]];
}

static bool before(const struct cand *a, const struct cand *b) {
    return a->key > b->key || (a->key == b->key && a->id < b->id);
}

/* Restores the heap c[0..n), whose root is the last in order, after its root has changed. */
static void sift_down(struct cand *c, uint32_t n, uint32_t i) {
    struct cand x = c[i];
    for (uint32_t k = 2 * i + 1; k < n; k = 2 * i + 1) {
        if (k + 1 < n && before(&c[k], &c[k + 1])) k++;
        if (!before(&x, &c[k])) break;
        c[i] = c[k];
        i = k;
    }
    c[i] = x;
}

static void heapify(struct cand *c, uint32_t n) {
    for (uint32_t i = n / 2; i-- > 0;) sift_down(c, n, i);
}

/* Best first. */
static void sort_best(struct cand *c, uint32_t n) {
    heapify(c, n);
    for (uint32_t i = n; i-- > 1;) {
        struct cand t = c[i];
        c[i] = c[0];
        c[0] = t;
        sift_down(c, i, 0);
    }
}

static bool candidate(const struct sampler *s, float *logits, uint32_t id, struct cand *c) {
    if (s->allowed && !(s->allowed[id / 32] >> (id % 32) & 1)) return false;
    float l = logits[id];
    if (!(l >= -FLT_MAX)) return false; /* NaN and -infinity */
    if (l > FLT_MAX) l = FLT_MAX;
    *c = (struct cand){.logit = l, .key = l, .id = (int32_t)id};
    return true;
}

static int32_t pick_greedy(const struct sampler *s, float *logits, uint32_t n_vocab) {
    struct cand best = {.id = ERR_FORMAT}, c;
    for (uint32_t id = 0; id < n_vocab; id++)
        if (candidate(s, logits, id, &c) && (best.id < 0 || c.logit > best.logit)) best = c;
    return best.id;
}

/* All of them, or with top-k the k best in order. */
static void collect(struct sampler *s, float *logits, uint32_t n_vocab) {
    struct cand c;
    uint32_t k = s->p.top_k, id = 0;
    s->n = 0;
    for (; id < n_vocab && (!k || s->n < k); id++)
        if (candidate(s, logits, id, &c)) s->cand[s->n++] = c;
    if (!k) return;
    heapify(s->cand, s->n);
    for (; id < n_vocab; id++) {
        if (!(logits[id] > s->cand[0].key) || !candidate(s, logits, id, &c)) continue;
        if (c.key == s->cand[0].key) continue; /* two infinities: the lower id stays */
        s->cand[0] = c;
        sift_down(s->cand, s->n, 0);
    }
    sort_best(s->cand, s->n);
}

static float max_logit(const struct sampler *s) {
    float max = s->cand[0].logit;
    for (uint32_t i = 1; i < s->n; i++)
        if (s->cand[i].logit > max) max = s->cand[i].logit;
    return max;
}

/* Sets every weight, e^((logit - max) / temperature); returns their sum. */
static double weigh(struct sampler *s, double temperature) {
    double max = max_logit(s), sum = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        s->cand[i].weight = exp_neg(((double)s->cand[i].logit - max) / temperature);
        sum += s->cand[i].weight;
    }
    return sum;
}

#define N_BUCKET 256

/* Candidates by key, best bucket first; a better key is never in a worse bucket. */
struct buckets {
    double best, scale;
};

static struct buckets buckets_of(const struct cand *c, uint32_t n) {
    double best = (double)c[0].key, worst = best;
    for (uint32_t i = 1; i < n; i++) {
        if ((double)c[i].key > best) best = (double)c[i].key;
        if ((double)c[i].key < worst) worst = (double)c[i].key;
    }
    return (struct buckets){best, best > worst ? (N_BUCKET - 1) / (best - worst) : 0};
}

static uint32_t bucket(const struct buckets *b, const struct cand *c) {
    return (uint32_t)((b->best - (double)c->key) * b->scale);
}

/* Finds the bucket in which the weights reach *want, takes what the better ones hold off *want, moves those to
 * the front of c[0..*n), the bucket itself after them, and forgets the rest. Returns how many are in front. */
static uint32_t narrow(struct cand *c, uint32_t *n, double *want) {
    struct buckets b = buckets_of(c, *n);
    double held[N_BUCKET] = {0};
    for (uint32_t i = 0; i < *n; i++) held[bucket(&b, &c[i])] += c[i].weight;
    uint32_t at = 0;
    while (at < N_BUCKET - 1 && held[at] < *want) *want -= held[at++];
    uint32_t n_better = 0, n_keep = 0;
    for (uint32_t i = 0; i < *n; i++) {
        uint32_t k = bucket(&b, &c[i]);
        if (k > at) continue;
        struct cand x = c[i];
        c[i] = c[n_keep];
        if (k < at) {
            c[n_keep] = c[n_better];
            c[n_better++] = x;
        } else {
            c[n_keep] = x;
        }
        n_keep++;
    }
    *n = n_keep;
    return n_better;
}

/* Keeps the shortest run of the best by key whose weights reach `want`. Only what is near the border is
 * sorted: buckets settle the rest. */
static void keep_share(struct sampler *s, double want) {
    uint32_t kept = 0, n = s->n, n_before = n + 1;
    while (n > N_BUCKET && n < n_before) {
        n_before = n;
        uint32_t better = narrow(s->cand + kept, &n, &want);
        kept += better;
        n -= better;
    }
    sort_best(s->cand + kept, n);
    for (uint32_t i = 0; i < n; i++) {
        want -= s->cand[kept++].weight;
        if (want <= 0) break;
    }
    s->n = kept;
}

/* Typical sampling: order by how near a token's surprise is to the mean surprise (the entropy). The
 * logarithm of the sum cancels in the difference. */
static void keep_typical(struct sampler *s) {
    double sum = weigh(s, 1), max = max_logit(s), mean = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->cand[i].weight > 0) mean += s->cand[i].weight / sum * ((double)s->cand[i].logit - max);
    for (uint32_t i = 0; i < s->n; i++) s->cand[i].key = (float)-fabs((double)s->cand[i].logit - max - mean);
    keep_share(s, (double)s->p.typical_p * sum);
    for (uint32_t i = 0; i < s->n; i++) s->cand[i].key = s->cand[i].logit;
}

static void keep_min_p(struct sampler *s) {
    double max = max_logit(s);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (exp_neg((double)s->cand[i].logit - max) >= (double)s->p.min_p) s->cand[n++] = s->cand[i];
    s->n = n;
}

static int32_t draw(struct sampler *s) {
    double sum = weigh(s, (double)s->p.temperature);
    double u = (double)(rng_next(&s->rng) >> 11) * 0x1p-53 * sum;
    uint32_t last = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->cand[i].weight <= 0) continue;
        last = i;
        if (u < s->cand[i].weight) break;
        u -= s->cand[i].weight;
    }
    return s->cand[last].id;
}

/* From candidates that are all, or the top_k best in order. */
static int32_t pick_from_candidates(struct sampler *s) {
    if (!s->n) return ERR_FORMAT;
    if (s->p.typical_p < 1) keep_typical(s);
    if (s->p.top_p < 1) keep_share(s, (double)s->p.top_p * weigh(s, 1));
    if (s->p.min_p > 0) keep_min_p(s);
    return draw(s);
}

int32_t sampler_pick(struct sampler *s, float *logits, uint32_t n_vocab) {
    CHECK(n_vocab <= s->n_vocab);
    apply_penalties(s, logits, n_vocab);
    if (s->p.temperature == 0) return pick_greedy(s, logits, n_vocab);
    collect(s, logits, n_vocab);
    return pick_from_candidates(s);
}

uint32_t sampler_n_best(const struct sampler *s, uint32_t most) {
    const struct sampler_params *p = &s->p;
    bool penalties = p->repeat_last_n && (p->repeat_penalty != 1 || p->presence_penalty != 0 || p->frequency_penalty != 0);
    uint32_t n = p->temperature == 0 ? 1 : p->top_k;
    if (n > s->n_vocab) n = s->n_vocab;
    return penalties || s->allowed || n > most ? 0 : n;
}

int32_t sampler_pick_best(struct sampler *s, const int32_t *ids, const float *logits, uint32_t n) {
    CHECK(n <= s->n_vocab);
    s->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        float l = logits[i] > FLT_MAX ? FLT_MAX : logits[i];
        if (l >= -FLT_MAX) s->cand[s->n++] = (struct cand){.logit = l, .key = l, .id = ids[i]};
    }
    if (s->p.temperature == 0) return s->n ? s->cand[0].id : ERR_FORMAT;
    return pick_from_candidates(s);
}
