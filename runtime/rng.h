/* Random numbers that are the same on every machine: xoshiro256** by Blackman and Vigna (public domain), seeded by splitmix64. */
#pragma once
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

static inline void rng_seed(struct rng *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r->s[i] = z ^ z >> 31;
    }
}

static inline uint64_t rng_rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

static inline uint64_t rng_next(struct rng *r) {
    uint64_t *s = r->s, out = rng_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rng_rotl(s[3], 45);
    return out;
}

static inline float rng_uniform(struct rng *r) { return (float)(rng_next(r) >> 40) * 0x1p-24f; } /* [0, 1) */
