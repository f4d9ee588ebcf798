/* xoshiro256** (Blackman and Vigna 2018), seeded by splitmix64. */
#ifndef SLM_BASE_RNG_H
#define SLM_BASE_RNG_H

#include <stdint.h>

typedef struct slm_rng {
    uint64_t s[4];
} slm_rng;

static inline uint64_t slm_splitmix64(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void slm_rng_seed(slm_rng *rng, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        rng->s[i] = slm_splitmix64(&seed);
}

static inline uint64_t slm_rotl64(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static inline uint64_t slm_rng_next(slm_rng *rng) {
    uint64_t *s = rng->s;
    uint64_t result = slm_rotl64(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = slm_rotl64(s[3], 45);
    return result;
}

/* Uniform in [0, 1) with 53 bits. */
static inline double slm_rng_double(slm_rng *rng) {
    return (double)(slm_rng_next(rng) >> 11) * 0x1p-53;
}

#endif
