/* Made-up routings for tests of cache policies: what recorded ones look like, with every property on its own knob.
 *
 * A token's logit of expert e in layer l is the sum of: popularity (Zipf ranks in an order of the layer's own), the
 * liking of the present topic (topics switch at random), a bonus for the experts of the token before, a liking of what
 * the layer before chose, and Gumbel noise of scale 1, so that all knobs at 0 give uniform choices. The n_used highest
 * are chosen. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "sched/routes.h"

struct routes_make {
    struct routes_shape shape;
    uint32_t n_tok;
    float zipf;         /* exponent */
    float topic;        /* standard deviation of a topic's likings */
    float stay;         /* added to the experts of the token before */
    float link;         /* standard deviation of what one expert of the layer before adds */
    uint32_t n_topic, topic_tok; /* a topic lasts topic_tok tokens on average */
    uint64_t seed;
};

static inline uint32_t routes_make_next(uint64_t *s) { /* SplitMix64 */
    uint64_t z = *s += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}
static inline float routes_make_unit(uint64_t *s) { return ((float)(routes_make_next(s) >> 8) + 0.5f) * 0x1p-24f; }
static inline float routes_make_gumbel(uint64_t *s) { return -logf(-logf(routes_make_unit(s))); }

/* About normal, the same for the same (a, b, c): a table without memory. */
static inline float routes_make_fixed(uint64_t seed, uint32_t a, uint32_t b, uint32_t c) {
    uint64_t s = seed ^ (uint64_t)a << 42 ^ (uint64_t)b << 21 ^ c;
    float sum = 0;
    for (int i = 0; i < 4; i++) sum += routes_make_unit(&s) - 0.5f;
    return sum * 1.7320508f;
}

/* Popularity's part of the logits: (n_layer, n_expert); the caller frees. */
static inline float *routes_make_popularity(const struct routes_make *m, uint64_t *s) {
    uint32_t n = m->shape.n_expert;
    float *logit = malloc((size_t)m->shape.n_layer * n * sizeof *logit);
    for (uint32_t l = 0; l < m->shape.n_layer; l++) {
        float *row = logit + (size_t)l * n;
        for (uint32_t e = 0; e < n; e++) row[e] = -m->zipf * logf((float)(e + 1));
        for (uint32_t e = n; e > 1; e--) {
            uint32_t other = routes_make_next(s) % e;
            float t = row[e - 1];
            row[e - 1] = row[other];
            row[other] = t;
        }
    }
    return logit;
}

static inline void routes_make_top(float *logit, uint32_t n_expert, uint32_t n_used, uint16_t *out) {
    for (uint32_t i = 0; i < n_used; i++) {
        uint32_t best = 0;
        for (uint32_t e = 1; e < n_expert; e++)
            if (logit[e] > logit[best]) best = e;
        out[i] = (uint16_t)best;
        logit[best] = -INFINITY;
    }
}

/* ids: (n_tok, n_layer, n_used); the caller frees. */
static inline uint16_t *routes_make_ids(const struct routes_make *m) {
    uint32_t n_layer = m->shape.n_layer, n_expert = m->shape.n_expert, n_used = m->shape.n_used, topic = 0;
    uint64_t s = m->seed;
    float *popular = routes_make_popularity(m, &s);
    float *logit = malloc(n_expert * sizeof *logit);
    uint16_t *ids = malloc((size_t)m->n_tok * n_layer * n_used * sizeof *ids);
    for (uint32_t t = 0; t < m->n_tok; t++) {
        if (m->n_topic && routes_make_next(&s) % m->topic_tok == 0) topic = routes_make_next(&s) % m->n_topic;
        for (uint32_t l = 0; l < n_layer; l++) {
            uint16_t *row = ids + ((size_t)t * n_layer + l) * n_used;
            for (uint32_t e = 0; e < n_expert; e++) {
                logit[e] = popular[(size_t)l * n_expert + e] + routes_make_gumbel(&s);
                if (m->topic > 0) logit[e] += m->topic * routes_make_fixed(m->seed + 1, topic, l, e);
                for (uint32_t i = 0; m->link > 0 && l && i < n_used; i++)
                    logit[e] += m->link * routes_make_fixed(m->seed + 2, l, row[(int)i - (int)n_used], e);
            }
            for (uint32_t i = 0; t && i < n_used; i++) logit[row[(int64_t)i - (int64_t)n_layer * n_used]] += m->stay;
            routes_make_top(logit, n_expert, n_used, row);
        }
    }
    free(logit);
    free(popular);
    return ids;
}
