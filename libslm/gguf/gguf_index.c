#include "gguf/gguf_internal.h"

#include "base/rng.h"

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = slm_rotl64(v[1], 13) ^ v[0];
    v[0] = slm_rotl64(v[0], 32);
    v[2] += v[3];
    v[3] = slm_rotl64(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = slm_rotl64(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = slm_rotl64(v[1], 17) ^ v[2];
    v[2] = slm_rotl64(v[2], 32);
}

static uint64_t siphash_1_3(const uint64_t key[2], const char *text, size_t len) {
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                     key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    const uint8_t *p = (const uint8_t *)text;
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t m = slm_le64(p);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t last = (uint64_t)len << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const slm_str *name_of(const void *entries, size_t stride, uint64_t i) {
    return (const slm_str *)(const void *)((const uint8_t *)entries + stride * (size_t)i);
}

/* The slot that holds the name, or the free one where it belongs. */
static uint64_t probe(const slm_gguf_index *index, const void *entries, size_t stride,
                      const char *name, size_t len) {
    uint64_t slot = siphash_1_3(index->key, name, len) & index->mask;
    while (index->slots[slot] != 0) {
        const slm_str *have = name_of(entries, stride, index->slots[slot] - 1u);
        if (have->len == len && memcmp(have->ptr, name, len) == 0)
            break;
        slot = (slot + 1) & index->mask;
    }
    return slot;
}

slm_status slm_gguf_index_build(slm_host *host, slm_gguf_index *index, const void *entries,
                                size_t stride, uint64_t count, uint64_t *first, uint64_t *twice,
                                slm_error *error) {
    uint64_t n_slots = 4;
    while (n_slots < 2 * count)
        n_slots *= 2;
    index->slots = slm_calloc(host, (size_t)n_slots, sizeof *index->slots);
    if (!index->slots)
        return slm_fail_nomem(error, n_slots * sizeof *index->slots, "an index of names");
    index->mask = n_slots - 1;
    uint64_t seed = slm_now_ns() ^ (uint64_t)(uintptr_t)index->slots;
    index->key[0] = slm_splitmix64(&seed);
    index->key[1] = slm_splitmix64(&seed);
    *twice = count;
    for (uint64_t i = 0; i < count; i++) {
        const slm_str *name = name_of(entries, stride, i);
        uint64_t slot = probe(index, entries, stride, name->ptr, name->len);
        if (index->slots[slot] != 0) {
            *first = index->slots[slot] - 1u;
            *twice = i;
            return SLM_OK;
        }
        index->slots[slot] = (uint32_t)i + 1u;
    }
    return SLM_OK;
}

const void *slm_gguf_index_find(const slm_gguf_index *index, const void *entries, size_t stride,
                                const char *name, size_t len) {
    uint32_t found = index->slots[probe(index, entries, stride, name, len)];
    return found ? name_of(entries, stride, found - 1u) : NULL;
}
