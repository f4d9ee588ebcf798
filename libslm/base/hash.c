#include "base/hash.h"

#include "base/rng.h"

#define PRIME1 0x9e3779b185ebca87u
#define PRIME2 0xc2b2ae3d27d4eb4fu
#define PRIME3 0x165667b19e3779f9u
#define PRIME4 0x85ebca77c2b2ae63u
#define PRIME5 0x27d4eb2f165667c5u

static uint64_t load32(const uint8_t *p) {
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t load64(const uint8_t *p) {
    return load32(p) | load32(p + 4) << 32;
}

static uint64_t mix(uint64_t lane, uint64_t word) {
    return slm_rotl64(lane + word * PRIME2, 31) * PRIME1;
}

/* All whole stripes of 32 bytes, in four lanes. */
static uint64_t stripes(const uint8_t *p, size_t size, uint64_t seed) {
    uint64_t a = seed + PRIME1 + PRIME2, b = seed + PRIME2, c = seed, d = seed - PRIME1;
    for (; size >= 32; size -= 32, p += 32) {
        a = mix(a, load64(p));
        b = mix(b, load64(p + 8));
        c = mix(c, load64(p + 16));
        d = mix(d, load64(p + 24));
    }
    uint64_t h = slm_rotl64(a, 1) + slm_rotl64(b, 7) + slm_rotl64(c, 12) + slm_rotl64(d, 18);
    const uint64_t lanes[4] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        h = (h ^ mix(0, lanes[i])) * PRIME1 + PRIME4;
    return h;
}

uint64_t slm_hash64(const void *data, size_t size, uint64_t seed) {
    const uint8_t *p = data;
    size_t left = size % 32;
    uint64_t h = (size >= 32 ? stripes(p, size, seed) : seed + PRIME5) + size;
    for (p += size - left; left >= 8; left -= 8, p += 8)
        h = slm_rotl64(h ^ mix(0, load64(p)), 27) * PRIME1 + PRIME4;
    if (left >= 4) {
        h = slm_rotl64(h ^ load32(p) * PRIME1, 23) * PRIME2 + PRIME3;
        left -= 4;
        p += 4;
    }
    for (; left > 0; left--, p++)
        h = slm_rotl64(h ^ *p * PRIME5, 11) * PRIME1;
    h = (h ^ h >> 33) * PRIME2;
    h = (h ^ h >> 29) * PRIME3;
    return h ^ h >> 32;
}
