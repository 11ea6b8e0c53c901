/* Which expert leaves when another needs its slot.
 *
 * Owns the bookkeeping of one pool of slots that all layers share: which keys (layer * n_expert + expert) are resident,
 * how soon each is expected again, and hence who goes next. It knows no memory and no reads: the expert cache tells it
 * what the router chose, what became resident and what left, and asks it for victims. Experts of several sizes: one
 * policy per class, with keys of that class's layers only. The size of the pool is the caller's and may change at any
 * time.
 *
 * How: the chance that a token chooses an expert is estimated several ways, by its share of the last 1, 4, 14, 50,
 * 200 and of all tokens and by the even share; the mixture of these that best explains the recent choices is learnt
 * while running, so that it becomes recency where tokens resemble their neighbours, frequency where popularity is
 * fixed, and nothing at all where routing is even. A slot is worth the chance of a hit over the time that it must be held for,
 * which ends with the layer's next visit; so an expert of the layer just passed goes before one of the layer to come, the more so
 * the fewer slots there are. (The rule is Gittins' index of a slot, cut off at the first visit.)
 *
 * Invariants: a key is resident from expert_policy_insert to expert_policy_remove; a victim is resident and may_go said
 * yes; the same calls give the same victims (no clock, no random). A step visits layers in rising order.
 *
 * A visit costs O(n_expert), a victim O(n_layer + n_expert); nothing allocates after expert_policy_new.
 * Threads: one at a time; the expert cache's lock. Memory: the arena's. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "runtime/arena.h"

#define EXPERT_POLICY_NONE UINT32_MAX

struct expert_policy;

/* NULL when the arena refuses. */
struct expert_policy *expert_policy_new(uint32_t n_layer, uint32_t n_expert, struct arena *a);

/* The router of `layer` has chosen: the n different experts of this step, resident or not. n_tok: tokens of the step;
 * n_each[i]: how many of them chose experts[i] (NULL: one each). Comes before the misses' victims are asked for. */
void expert_policy_visit(struct expert_policy *p, uint32_t layer, const uint16_t *experts, const uint32_t *n_each,
                         uint32_t n, uint32_t n_tok);
void expert_policy_end_step(struct expert_policy *p);

/* A key counts as resident from the moment its slot is taken; may_go keeps it while it loads. */
void expert_policy_insert(struct expert_policy *p, uint32_t key);
void expert_policy_remove(struct expert_policy *p, uint32_t key);
bool expert_policy_has(const struct expert_policy *p, uint32_t key);
uint32_t expert_policy_n_resident(const struct expert_policy *p);

/* The resident key that is expected again last, or EXPERT_POLICY_NONE. may_go (NULL: all may) is false for keys in use,
 * loading or wanted by the present layer. Removing it is the caller's: expert_policy_remove. */
uint32_t expert_policy_victim(struct expert_policy *p, bool (*may_go)(void *ctx, uint32_t key), void *ctx);

/* What victims are compared by: the larger goes first. */
float expert_policy_rank(const struct expert_policy *p, uint32_t key);

/* Steps until the key is expected again, from the latest visit on: what a read on a guess is worth, and what it costs
 * when asked of the victim. */
float expert_policy_wait(const struct expert_policy *p, uint32_t key);

/* Before the first step: the share of tokens that chose this key in earlier runs (0..1). */
void expert_policy_seed(struct expert_policy *p, uint32_t key, float share);
