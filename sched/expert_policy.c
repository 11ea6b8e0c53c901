#include "sched/expert_policy.h"

#include <math.h>
#include <string.h>

#include "runtime/err.h"

/* Of n_rate estimates each the share of about the last 1 / rate tokens, the slowest of all tokens at first; and the
 * even share. */
#define N_RATE 6
#define N_ESTIMATE (N_RATE + 1)
#define EVEN N_RATE
static const float rates[N_RATE] = {1 / 1.02f, 1 / 4.f, 1 / 14.f, 1 / 50.f, 1 / 200.f, 1 / 2048.f};

#define MIN_SHARE 1e-9f    /* averages decay to this; to zero they would go through denormals, which are slow */
#define MIN_CHANCE 1e-6f   /* no wait is longer than a million steps */
#define MIN_WEIGHT 1e-4f   /* no estimate is ever given up */
#define N_SAMPLE 2048      /* recent choices that the weights are learnt from */
#define SAMPLES_A_STEP 96  /* so that these span about 20 steps */
#define MIN_SAMPLES 64
#define SEED_TOK 64        /* a seed weighs as many tokens */
#define START_USES 0.5     /* before any token each expert counts as used so often */
#define AHEAD 0.01f        /* part of the steps that a slot is held for, at which its use is weighed */
#define LEFT_FORGET 0.95f  /* of what left, per step */
#define FRESH_RANK 1e-3f   /* behind all others */
#define PHASE_FADES 0.95f
#define POPULAR 4u         /* the estimate that says who is popular: of 200 tokens */
#define FORGET 0.999f      /* of what repeated and what was popular, per step */

struct layer {
    float *share[N_RATE];  /* (n_expert) estimates: tokens choose the expert with this chance */
    float *wait;           /* (n_expert) steps from the last visit to the next use */
    uint8_t *resident;     /* (n_expert) */
    uint8_t *fresh;        /* (n_expert) chosen at the last visit, */
    uint32_t n_fresh;      /* so many */
    double n_tok;          /* seen so far */
    double visited_step;   /* with the layer's place as fraction */
    uint32_t n_resident;
    uint32_t last;         /* the resident expert that goes first, unless stale */
    bool stale;
};

struct expert_policy {
    uint32_t n_layer, n_expert, n_resident;
    uint32_t n_fresh;                    /* of all layers: what a step uses */
    float repeated, popular;             /* recent choices that were the last ones, that were the most popular */
    bool scarce;                         /* no more slots than a step uses, and it is better to keep the last ones */
    uint64_t n_step;
    double now;                          /* step of the latest visit */
    float weight[N_ESTIMATE];            /* of the mixture; they sum to 1 */
    float lasting[N_ESTIMATE];           /* the same for as far ahead as a slot is held */
    float n_left;                        /* residents that went, recent steps' */
    float (*sample)[N_ESTIMATE];         /* (N_SAMPLE) what each estimate said of a choice before it was made */
    uint64_t n_sampled;
    uint64_t n_choice, n_choice_of_step; /* tokens times experts, so far and in this step */
    uint64_t sample_every, sample_at;    /* in choices */
    float *seen;                         /* (n_expert) share of the step's tokens; MIN_SHARE between visits */
    struct layer *layers;
};

struct expert_policy *expert_policy_new(uint32_t n_layer, uint32_t n_expert, struct arena *a) {
    struct expert_policy *p = arena_alloc(a, sizeof *p);
    if (!p) return NULL;
    *p = (struct expert_policy){.n_layer = n_layer, .n_expert = n_expert, .sample_every = 1};
    p->layers = arena_array(a, n_layer, sizeof *p->layers);
    p->sample = arena_array(a, N_SAMPLE, sizeof *p->sample);
    p->seen = arena_array(a, n_expert, sizeof *p->seen);
    bool ok = p->layers && p->sample && p->seen;
    for (uint32_t l = 0; ok && l < n_layer; l++) {
        struct layer *y = &p->layers[l];
        float *floats = arena_array(a, n_expert, (N_RATE + 1) * sizeof *floats);
        y->resident = arena_array(a, n_expert, 1);
        y->fresh = arena_array(a, n_expert, 1);
        ok = floats && y->resident && y->fresh;
        if (!ok) break;
        for (uint32_t i = 0; i < N_RATE; i++) y->share[i] = floats + (size_t)i * n_expert;
        y->wait = floats + (size_t)N_RATE * n_expert;
        for (uint32_t e = 0; e < n_expert; e++) y->wait[e] = (float)n_expert;
        y->visited_step = (double)l / n_layer - 1;
    }
    for (uint32_t e = 0; ok && e < n_expert; e++) p->seen[e] = MIN_SHARE;
    for (uint32_t i = 0; i < N_ESTIMATE; i++) p->weight[i] = p->lasting[i] = 1.0f / N_ESTIMATE;
    return ok ? p : NULL;
}

/* The mixture */

static void take_sample(struct expert_policy *p, const struct layer *y, uint32_t e, float even) {
    float *s = p->sample[p->n_sampled++ % N_SAMPLE];
    for (uint32_t i = 0; i < N_RATE; i++) s[i] = y->share[i][e];
    s[EVEN] = even;
}

/* Every sample_every-th choice, so that a step yields about SAMPLES_A_STEP whatever its size. */
static void sample_choices(struct expert_policy *p, const struct layer *y, const uint16_t *experts,
                           const uint32_t *n_each, uint32_t n, float even) {
    for (uint32_t i = 0; i < n; i++) {
        p->n_choice += n_each ? n_each[i] : 1;
        if (p->n_choice < p->sample_at) continue;
        p->sample_at = p->n_choice + p->sample_every;
        if (y->n_tok >= 2) take_sample(p, y, experts[i], even);
    }
}

/* One round of expectation maximization over the samples, with steps twice as long (the square) for speed. */
static void learn_weights(struct expert_policy *p) {
    uint32_t n = p->n_sampled < N_SAMPLE ? (uint32_t)p->n_sampled : N_SAMPLE;
    if (n < MIN_SAMPLES) return;
    float gain[N_ESTIMATE] = {0}, sum = 0;
    for (uint32_t s = 0; s < n; s++) {
        float chance = 1e-12f;
        for (uint32_t i = 0; i < N_ESTIMATE; i++) chance += p->weight[i] * p->sample[s][i];
        float r = 1 / chance;
        for (uint32_t i = 0; i < N_ESTIMATE; i++) gain[i] += p->sample[s][i] * r;
    }
    for (uint32_t i = 0; i < N_ESTIMATE; i++) {
        float g = gain[i] / (float)n;
        p->weight[i] = fmaxf(p->weight[i] * g * g, MIN_WEIGHT);
        sum += p->weight[i];
    }
    for (uint32_t i = 0; i < N_ESTIMATE; i++) p->weight[i] /= sum;
}

/* What the last few tokens say has passed by the time that a slot is given away, the more so the longer slots are held:
 * then the slower estimates speak, and at last the even share. */
static void weigh_for_life(struct expert_policy *p) {
    p->n_left *= LEFT_FORGET;
    float left_a_step = fmaxf(p->n_left * (1 - LEFT_FORGET) / LEFT_FORGET, 1e-6f);
    float ahead = AHEAD * (float)p->n_resident / left_a_step, passed = 0;
    for (uint32_t i = 0; i < N_RATE; i++) {
        float all = p->weight[i] + passed;
        p->lasting[i] = all / (1 + rates[i] * ahead);
        passed = all - p->lasting[i];
    }
    p->lasting[EVEN] = p->weight[EVEN] + passed;
}

void expert_policy_end_step(struct expert_policy *p) {
    learn_weights(p);
    weigh_for_life(p);
    p->n_step++;
    p->repeated *= FORGET;
    p->popular *= FORGET;
    p->sample_every = (p->n_choice - p->n_choice_of_step) / SAMPLES_A_STEP + 1;
    p->n_choice_of_step = p->n_choice;
}

/* Estimates */

/* Chances are the same until something is known: a share of zero would be a strong claim after one token. */
static void start_even(const struct expert_policy *p, struct layer *y, float even) {
    for (uint32_t i = 0; i < N_RATE; i++)
        for (uint32_t e = 0; e < p->n_expert; e++) y->share[i][e] = even;
}

/* How far n tokens move an estimate: never less than a plain average would that begins with n_start tokens. */
static float rate_of(const struct layer *y, uint32_t i, uint32_t n_tok, double n_start) {
    float rate = n_tok == 1 ? rates[i] : 1 - powf(1 - rates[i], (float)n_tok);
    return fmaxf(rate, (float)(n_tok / (y->n_tok + n_tok + n_start)));
}

static void update_shares(const struct expert_policy *p, struct layer *y, float even, uint32_t n_tok) {
    if (y->n_tok < 1) start_even(p, y, even);
    for (uint32_t i = 0; i < N_RATE; i++) {
        float rate = rate_of(y, i, n_tok, START_USES / even), *share = y->share[i];
        for (uint32_t e = 0; e < p->n_expert; e++) share[e] += rate * (p->seen[e] - share[e]);
    }
    y->n_tok += n_tok;
}

/* Mean of the geometric distribution over tokens; with many tokens a step, over steps. */
static void update_waits(const struct expert_policy *p, struct layer *y, float even, uint32_t n_tok) {
    const float *w = p->lasting;
    for (uint32_t e = 0; e < p->n_expert; e++) {
        float chance = w[EVEN] * even;
        for (uint32_t i = 0; i < N_RATE; i++) chance += w[i] * y->share[i][e];
        y->wait[e] = 1 / fmaxf(chance, MIN_CHANCE);
    }
    for (uint32_t e = 0; n_tok > 1 && e < p->n_expert; e++)
        y->wait[e] = 1 / -expm1f(-(float)n_tok / y->wait[e]);
    y->stale = true;
}

/* Whether fewer than n experts of the layer are more popular. */
static bool among_popular(const struct expert_policy *p, const struct layer *y, uint32_t e, uint32_t n) {
    const float *share = y->share[POPULAR];
    uint32_t n_more = 0;
    for (uint32_t i = 0; i < p->n_expert; i++) n_more += share[i] > share[e];
    return n_more < n;
}

/* What was chosen again, and what would have been there had the layer kept its most popular. */
static void compare_habits(struct expert_policy *p, const struct layer *y, const uint16_t *experts, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        p->repeated += y->fresh[experts[i]];
        p->popular += among_popular(p, y, experts[i], n);
    }
}

static void note_fresh(struct expert_policy *p, struct layer *y, const uint16_t *experts, uint32_t n) {
    memset(y->fresh, 0, p->n_expert);
    for (uint32_t i = 0; i < n; i++) y->fresh[experts[i]] = 1;
    p->n_fresh += n - y->n_fresh;
    y->n_fresh = n;
    bool scarce = p->n_resident <= p->n_fresh && p->repeated >= p->popular;
    for (uint32_t l = 0; scarce != p->scarce && l < p->n_layer; l++) p->layers[l].stale = true;
    p->scarce = scarce;
}

void expert_policy_visit(struct expert_policy *p, uint32_t layer, const uint16_t *experts, const uint32_t *n_each,
                         uint32_t n, uint32_t n_tok) {
    CHECK(layer < p->n_layer && n <= p->n_expert && n_tok > 0);
    struct layer *y = &p->layers[layer];
    uint64_t n_choice = 0;
    for (uint32_t i = 0; i < n; i++) {
        CHECK(experts[i] < p->n_expert);
        p->seen[experts[i]] = (float)(n_each ? n_each[i] : 1) / (float)n_tok;
        n_choice += n_each ? n_each[i] : 1;
    }
    float even = (float)n_choice / ((float)n_tok * (float)p->n_expert);
    sample_choices(p, y, experts, n_each, n, even);
    if (y->n_tok >= 1) compare_habits(p, y, experts, n);
    update_shares(p, y, even, n_tok);
    update_waits(p, y, even, n_tok);
    note_fresh(p, y, experts, n);
    for (uint32_t i = 0; i < n; i++) p->seen[experts[i]] = MIN_SHARE;
    y->visited_step = p->now = (double)p->n_step + (double)layer / p->n_layer;
}

void expert_policy_seed(struct expert_policy *p, uint32_t key, float share) {
    CHECK(key < p->n_layer * p->n_expert);
    struct layer *y = &p->layers[key / p->n_expert];
    uint32_t e = key % p->n_expert;
    for (uint32_t i = 0; i < N_RATE; i++) y->share[i][e] = share;
    y->wait[e] = 1 / fmaxf(share, MIN_CHANCE);
    y->n_tok = SEED_TOK;
    y->stale = true;
}

/* Residents */

void expert_policy_insert(struct expert_policy *p, uint32_t key) {
    CHECK(key < p->n_layer * p->n_expert && !expert_policy_has(p, key));
    struct layer *y = &p->layers[key / p->n_expert];
    y->resident[key % p->n_expert] = 1;
    y->stale = true;
    y->n_resident++;
    p->n_resident++;
}

void expert_policy_remove(struct expert_policy *p, uint32_t key) {
    CHECK(key < p->n_layer * p->n_expert && expert_policy_has(p, key));
    struct layer *y = &p->layers[key / p->n_expert];
    y->resident[key % p->n_expert] = 0;
    p->n_left++;
    y->stale = true;
    y->n_resident--;
    p->n_resident--;
}

bool expert_policy_has(const struct expert_policy *p, uint32_t key) {
    return p->layers[key / p->n_expert].resident[key % p->n_expert];
}

uint32_t expert_policy_n_resident(const struct expert_policy *p) { return p->n_resident; }

float expert_policy_wait(const struct expert_policy *p, uint32_t key) {
    const struct layer *y = &p->layers[key / p->n_expert];
    return (float)(y->visited_step - p->now) + y->wait[key % p->n_expert];
}

/* Order within a layer. With no more slots than a step uses nothing lives longer than a step: what the last one used stays. */
static float rank_of(const struct expert_policy *p, const struct layer *y, uint32_t e) {
    return p->scarce && y->fresh[e] ? y->wait[e] * FRESH_RANK : y->wait[e];
}

/* What a slot yields is the chance of a hit over the time that it is held for: to the layer's next visit where slots are few and
 * soon given away, to the next use whenever that is where there are slots for nearly all. */
static float phase_of(const struct expert_policy *p, const struct layer *y) {
    float filled = (float)p->n_resident / ((float)p->n_layer * (float)p->n_expert);
    float to_go = fmaxf((float)(y->visited_step + 1 - p->now), 0.5f / (float)p->n_layer); /* a layer may be overdue */
    return powf(to_go, 1 - PHASE_FADES * filled);
}

float expert_policy_rank(const struct expert_policy *p, uint32_t key) {
    const struct layer *y = &p->layers[key / p->n_expert];
    return phase_of(p, y) * rank_of(p, y, key % p->n_expert);
}

static void find_last(const struct expert_policy *p, struct layer *y) {
    float longest = -1;
    for (uint32_t e = 0; e < p->n_expert; e++) {
        if (!y->resident[e] || rank_of(p, y, e) <= longest) continue;
        longest = rank_of(p, y, e);
        y->last = e;
    }
    y->stale = false;
}

uint32_t expert_policy_victim(struct expert_policy *p, bool (*may_go)(void *ctx, uint32_t key), void *ctx) {
    uint32_t victim = EXPERT_POLICY_NONE;
    float most = -1;
    for (uint32_t l = 0; l < p->n_layer; l++) {
        struct layer *y = &p->layers[l];
        if (!y->n_resident) continue;
        if (y->stale) find_last(p, y);
        float phase = phase_of(p, y);
        if (phase * rank_of(p, y, y->last) <= most) continue;
        if (!may_go || may_go(ctx, l * p->n_expert + y->last)) {
            victim = l * p->n_expert + y->last;
            most = phase * rank_of(p, y, y->last);
            continue;
        }
        for (uint32_t e = 0; e < p->n_expert; e++) {
            float x = phase * rank_of(p, y, e);
            if (!y->resident[e] || x <= most || !may_go(ctx, l * p->n_expert + e)) continue;
            victim = l * p->n_expert + e;
            most = x;
        }
    }
    return victim;
}
