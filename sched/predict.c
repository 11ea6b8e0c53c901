#include "sched/predict.h"

#include <string.h>

#define FORGET_AT 4096u /* a rank's record is halved then */

struct list {
    uint16_t *ids; /* best first */
    uint32_t n;
};

struct rank {
    uint32_t n_guess, n_right;
};

struct layer {
    struct list chosen;               /* the last time */
    struct list offered[N_PREDICT_ROUTERS]; /* by the router run early, until it is routed */
    struct list guessed[N_PREDICTORS]; /* until it is routed */
    uint8_t *read;                    /* (n_expert) 1 + the predictor that it was read for */
};

struct predict {
    uint32_t n_layer, n_expert;
    const struct popularity *pop;
    struct layer *layers;
    uint32_t last_layer;              /* routed latest */
    bool any;                         /* routed at all */
    float *score;                     /* (n_expert) */
    uint8_t *is_chosen;               /* (n_expert) zero between calls */
    struct rank ranks[N_PREDICTORS][PREDICT_MAX];
    struct predict_stats stats[N_PREDICTORS];
};

const char *predict_name(enum predictor which) {
    static const char *const names[N_PREDICTORS] = {"router run early", "router run two layers early", "across layers",
                                                    "within a layer", "token before"};
    CHECK(which < N_PREDICTORS);
    return names[which];
}

struct predict *predict_new(uint32_t n_layer, uint32_t n_expert, const struct popularity *pop, struct arena *a) {
    struct predict *p = arena_alloc(a, sizeof *p);
    if (!p) return NULL;
    CHECK(!pop || (pop->n_layer == n_layer && pop->n_expert == n_expert));
    *p = (struct predict){.n_layer = n_layer, .n_expert = n_expert, .pop = pop && pop->within ? pop : NULL};
    p->layers = arena_array(a, n_layer, sizeof *p->layers);
    p->score = arena_array(a, n_expert, sizeof *p->score);
    p->is_chosen = arena_array(a, n_expert, 1);
    bool ok = p->layers && p->score && p->is_chosen;
    for (uint32_t l = 0; ok && l < n_layer; l++) {
        struct layer *y = &p->layers[l];
        ok = (y->chosen.ids = arena_array(a, n_expert, 2)) && (y->read = arena_array(a, n_expert, 1));
        for (int w = 0; ok && w < N_PREDICT_ROUTERS; w++) ok = (y->offered[w].ids = arena_array(a, n_expert, 2));
        for (int w = 0; ok && w < N_PREDICTORS; w++) ok = (y->guessed[w].ids = arena_array(a, PREDICT_MAX, 2));
    }
    return ok ? p : NULL;
}

static struct layer *layer_at(struct predict *p, uint32_t layer) {
    CHECK(layer < p->n_layer);
    return &p->layers[layer];
}

static void list_set(const struct predict *p, struct list *to, const uint16_t *ids, uint32_t n) {
    CHECK(n <= p->n_expert);
    for (uint32_t i = 0; i < n; i++) CHECK(ids[i] < p->n_expert);
    memcpy(to->ids, ids, n * sizeof *ids);
    to->n = n;
}

void predict_offer(struct predict *p, enum predictor which, uint32_t layer, const uint16_t *ids, uint32_t n) {
    CHECK(which < N_PREDICT_ROUTERS);
    list_set(p, &layer_at(p, layer)->offered[which], ids, n);
}

/* Ranking */

/* Adds up rows of pairs, each as proportions. */
static void score_rows(struct predict *p, const uint8_t *rows, const struct list *given) {
    memset(p->score, 0, p->n_expert * sizeof *p->score);
    for (uint32_t i = 0; i < given->n; i++) {
        const uint8_t *row = rows + (size_t)given->ids[i] * p->n_expert;
        uint32_t sum = 0;
        for (uint32_t e = 0; e < p->n_expert; e++) sum += row[e];
        for (uint32_t e = 0; sum && e < p->n_expert; e++) p->score[e] += (float)row[e] / (float)sum;
    }
}

/* The highest scores above zero, each taken once. */
static void take_best(struct predict *p, struct list *out, uint32_t max) {
    for (out->n = 0; out->n < max; out->n++) {
        uint32_t best = 0;
        for (uint32_t e = 1; e < p->n_expert; e++)
            if (p->score[e] > p->score[best]) best = e;
        if (p->score[best] <= 0) break;
        out->ids[out->n] = (uint16_t)best;
        p->score[best] = 0;
    }
}

static void copy_first(const struct list *from, struct list *out, uint32_t max) {
    out->n = from->n < max ? from->n : max;
    memcpy(out->ids, from->ids, out->n * sizeof *out->ids);
}

static void rank_experts(struct predict *p, enum predictor which, uint32_t layer, struct list *out, uint32_t max) {
    struct layer *y = &p->layers[layer];
    size_t at = (size_t)layer * p->n_expert * p->n_expert;
    out->n = 0;
    if (which < N_PREDICT_ROUTERS) copy_first(&y->offered[which], out, max);
    if (which == PREDICT_LAST) copy_first(&y->chosen, out, max);
    if (which == PREDICT_ACROSS && p->pop && p->any && p->last_layer < layer) {
        score_rows(p, p->pop->across + at, &p->layers[p->last_layer].chosen);
        take_best(p, out, max);
    }
    if (which == PREDICT_WITHIN && p->pop) {
        score_rows(p, p->pop->within + at, &y->chosen);
        take_best(p, out, max);
    }
}

uint32_t predict_next(struct predict *p, enum predictor which, uint32_t layer, struct guess *out, uint32_t max) {
    CHECK(which < N_PREDICTORS);
    struct list *guessed = &layer_at(p, layer)->guessed[which];
    rank_experts(p, which, layer, guessed, max < PREDICT_MAX ? max : PREDICT_MAX);
    for (uint32_t i = 0; i < guessed->n; i++) {
        const struct rank *r = &p->ranks[which][i];
        out[i] = (struct guess){guessed->ids[i], (float)(r->n_right + 1) / (float)(r->n_guess + 2)};
    }
    return guessed->n;
}

/* Accounts */

void predict_read(struct predict *p, enum predictor which, uint32_t layer, uint16_t expert) {
    CHECK(which < N_PREDICTORS && expert < p->n_expert);
    layer_at(p, layer)->read[expert] = (uint8_t)(which + 1);
    p->stats[which].n_read++;
}

static void settle_list(struct predict *p, enum predictor which, struct list *guessed, uint32_t n_chosen) {
    struct predict_stats *s = &p->stats[which];
    if (!guessed->n) return;
    for (uint32_t i = 0; i < guessed->n; i++) {
        struct rank *r = &p->ranks[which][i];
        bool right = p->is_chosen[guessed->ids[i]];
        s->n_right += right;
        r->n_right += right;
        if (++r->n_guess < FORGET_AT) continue;
        r->n_guess /= 2;
        r->n_right /= 2;
    }
    s->n_guess += guessed->n;
    s->n_chosen += n_chosen;
    guessed->n = 0;
}

static void settle_reads(struct predict *p, struct layer *y) {
    for (uint32_t e = 0; e < p->n_expert; e++) {
        if (!y->read[e]) continue;
        p->stats[y->read[e] - 1].n_wasted += !p->is_chosen[e];
        y->read[e] = 0;
    }
}

void predict_routed(struct predict *p, uint32_t layer, const uint16_t *ids, uint32_t n) {
    struct layer *y = layer_at(p, layer);
    list_set(p, &y->chosen, ids, n);
    for (uint32_t i = 0; i < n; i++) p->is_chosen[ids[i]] = 1;
    for (int w = 0; w < N_PREDICTORS; w++) settle_list(p, (enum predictor)w, &y->guessed[w], n);
    settle_reads(p, y);
    for (uint32_t i = 0; i < n; i++) p->is_chosen[ids[i]] = 0;
    for (int w = 0; w < N_PREDICT_ROUTERS; w++) y->offered[w].n = 0;
    p->last_layer = layer;
    p->any = true;
}

struct predict_stats predict_stats(const struct predict *p, enum predictor which) {
    CHECK(which < N_PREDICTORS);
    return p->stats[which];
}
