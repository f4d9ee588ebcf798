/* Packing with AVX2: the sixteen rows of a panel in two halves of eight. Four words of each row are
 * turned into four vectors of a word of each row, and the rest is done on all eight at once. */
#include "packed.h"
#include "x86/avx2.h"
#include "x86/level_avx2.h"

#include <string.h>

/* Rows of a half: where their blocks begin, and where their lanes of the body do. */
typedef struct half {
    const uint8_t *w;
    size_t w_bytes;
    uint8_t *body;
} half;

SLM_INLINE __m256i load_two(const uint8_t *a, const uint8_t *b) {
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)a)),
        _mm_loadu_si128((const __m128i *)(const void *)b), 1);
}

/* Lane r of x[i]: bytes [at + 4i, at + 4i + 4) of row r. */
SLM_INLINE void load_words(__m256i x[4], const half *h, size_t at) {
    const uint8_t *w = h->w + at;
    __m256i r0 = load_two(w, w + 4 * h->w_bytes);
    __m256i r1 = load_two(w + h->w_bytes, w + 5 * h->w_bytes);
    __m256i r2 = load_two(w + 2 * h->w_bytes, w + 6 * h->w_bytes);
    __m256i r3 = load_two(w + 3 * h->w_bytes, w + 7 * h->w_bytes);
    __m256i low01 = _mm256_unpacklo_epi32(r0, r1), high01 = _mm256_unpackhi_epi32(r0, r1);
    __m256i low23 = _mm256_unpacklo_epi32(r2, r3), high23 = _mm256_unpackhi_epi32(r2, r3);
    x[0] = _mm256_unpacklo_epi64(low01, low23);
    x[1] = _mm256_unpackhi_epi64(low01, low23);
    x[2] = _mm256_unpacklo_epi64(high01, high23);
    x[3] = _mm256_unpackhi_epi64(high01, high23);
}

SLM_INLINE void store(const half *h, size_t v, __m256i x) {
    _mm256_store_si256((__m256i *)(void *)(h->body + 64 * v), x);
}

/* d in the low halves of words and dmin in the high ones: eight of each, side by side. */
SLM_INLINE void put_d_dmin(const half *h, size_t i, __m256i x) {
    __m256i d = _mm256_and_si256(x, _mm256_set1_epi32(0xffff)), dmin = _mm256_srli_epi32(x, 16);
    __m256i both = _mm256_permute4x64_epi64(_mm256_packus_epi32(d, dmin), 0xd8);
    uint8_t *to = h->body - 32 * i + 16 * i; /* halves take half the room of words */
    _mm_store_si128((__m128i *)(void *)to, _mm256_castsi256_si128(both));
    _mm_store_si128((__m128i *)(void *)(to + 32), _mm256_extracti128_si256(both, 1));
}

/* Words [first, 4) of the 16 bytes at `at`, to vectors from v on. */
SLM_INLINE void put_words(const half *h, size_t v, size_t at, size_t first, __m256i flip) {
    __m256i x[4];
    load_words(x, h, at);
    SLM_UNROLL
    for (size_t i = first; i < 4; i++)
        store(h, v + i - first, _mm256_xor_si256(x[i], flip));
}

/* The low nibbles of 32 bytes to four vectors from low on, the high ones from high on. */
SLM_INLINE void put_nibbles(const half *h, size_t low, size_t high, size_t at) {
    __m256i mask = _mm256_set1_epi8(0x0f), a[4], b[4];
    load_words(a, h, at);
    load_words(b, h, at + 16);
    SLM_UNROLL
    for (size_t j = 0; j < 4; j++) {
        __m256i l = _mm256_and_si256(a[j], mask), g = _mm256_andnot_si256(mask, b[j]);
        __m256i m = _mm256_slli_epi32(_mm256_and_si256(b[j], mask), 4);
        __m256i k = _mm256_and_si256(_mm256_srli_epi32(a[j], 4), mask);
        store(h, low + j, _mm256_or_si256(l, m));
        store(h, high + j, _mm256_or_si256(k, g));
    }
}

/* Exchanges the high parts of the fields of 2 * shift bits of a with the low ones of b. */
SLM_INLINE void exchange(__m256i *a, __m256i *b, int shift, int8_t low) {
    __m256i t =
        _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi32(*a, shift), *b), _mm256_set1_epi8(low));
    *b = _mm256_xor_si256(*b, t);
    *a = _mm256_xor_si256(*a, _mm256_slli_epi32(t, shift));
}

/* 64 bytes of four pairs each: in every byte the matrix of pairs is transposed. */
SLM_INLINE void put_pairs(uint32_t type, const half *h, size_t at) {
    SLM_UNROLL
    for (size_t i = 0; i < 4; i++) {
        __m256i x[4];
        load_words(x, h, at + 16 * i);
        exchange(&x[0], &x[2], 4, 0x0f);
        exchange(&x[1], &x[3], 4, 0x0f);
        exchange(&x[0], &x[1], 2, 0x33);
        exchange(&x[2], &x[3], 2, 0x33);
        SLM_UNROLL
        for (size_t p = 0; p < 4; p++)
            store(h, slm_pairs_at(type, 4 * (i / 2) + p, i % 2), x[p]);
    }
}

/* 32 bytes of eight bits each, likewise. */
SLM_INLINE void put_bits(uint32_t type, const half *h, size_t at) {
    __m256i w[8], x[8];
    load_words(w, h, at);
    load_words(w + 4, h, at + 16);
    SLM_UNROLL
    for (int i = 0; i < 8; i++)
        x[slm_bit_of(type, i)] = w[i];
    SLM_UNROLL
    for (size_t i = 0; i < 4; i++)
        exchange(&x[i], &x[i + 4], 4, 0x0f);
    SLM_UNROLL
    for (size_t i = 0; i < 8; i += 4) {
        exchange(&x[i], &x[i + 2], 2, 0x33);
        exchange(&x[i + 1], &x[i + 3], 2, 0x33);
    }
    SLM_UNROLL
    for (size_t i = 0; i < 8; i += 2)
        exchange(&x[i], &x[i + 1], 1, 0x55);
    SLM_UNROLL
    for (size_t p = 0; p < 8; p++)
        store(h, slm_bits_at(type, p), x[p]);
}

/* Half i of a block of each row; d of types that keep it apart is not done here. */
SLM_INLINE void put_block(uint32_t type, const half *h, size_t i) {
    __m256i none = _mm256_setzero_si256(), x[4];
    switch (type) {
    case SLM_DTYPE_Q4_K:
    case SLM_DTYPE_Q5_K:
        load_words(x, h, 0);
        put_d_dmin(h, i, x[0]);
        SLM_UNROLL
        for (size_t j = 1; j < 4; j++)
            store(h, j, x[j]);
        if (type == SLM_DTYPE_Q5_K)
            put_bits(type, h, 16);
        SLM_UNROLL
        for (size_t c = 0; c < 4; c++)
            put_nibbles(h, slm_nibbles_at(type, 2 * c, 0), slm_nibbles_at(type, 2 * c + 1, 0),
                        (type == SLM_DTYPE_Q5_K ? 48 : 16) + 32 * c);
        break;
    case SLM_DTYPE_Q2_K:
        load_words(x, h, 68);
        put_d_dmin(h, i, x[3]);
        put_words(h, 1, 0, 0, none);
        put_pairs(type, h, 16);
        break;
    case SLM_DTYPE_Q6_K:
        put_words(h, 0, 192, 0, none);
        put_pairs(type, h, 128);
        SLM_UNROLL
        for (size_t c = 0; c < 4; c++)
            put_nibbles(h, slm_nibbles_at(type, 4 * (c / 2) + c % 2, 0),
                        slm_nibbles_at(type, 4 * (c / 2) + 2 + c % 2, 0), 32 * c);
        break;
    case SLM_DTYPE_Q3_K:
        put_words(h, 0, 92, 1, none); /* the last three of four words */
        put_bits(type, h, 0);
        put_pairs(type, h, 32);
        break;
    case SLM_DTYPE_Q4_0:
        put_words(h, 0, 2, 0, none);
        break;
    case SLM_DTYPE_Q8_0:
        put_words(h, 0, 2, 0, _mm256_set1_epi8(-128));
        put_words(h, 4, 18, 0, _mm256_set1_epi8(-128));
        break;
    }
}

/* d_at: of d in a block, for types that keep it apart. */
SLM_INLINE void pack(uint32_t type, size_t block, size_t block_bytes, size_t d_at, uint8_t *panel,
                     const uint8_t *w, size_t w_bytes, size_t k) {
    const int apart = !slm_body_has_min(type);
    const size_t n_blocks = k / block;
    if (apart && n_blocks % 2) /* the free half of the last vector of d */
        memset(panel + slm_halves_at(type, n_blocks), 0, 32);
    for (size_t b = 0; b < n_blocks; b++, w += block_bytes) {
        SLM_UNROLL
        for (size_t i = 0; i < 2; i++) {
            half h = {w + i * SLM_PANEL * w_bytes, w_bytes, panel + slm_body_at(type, b) + 32 * i};
            put_block(type, &h, i);
        }
        for (size_t r = 0; apart && r < SLM_PANEL_ROWS; r++)
            memcpy(panel + slm_halves_at(type, b) + 2 * r, w + r * w_bytes + d_at, 2);
    }
}

void slm_pack_panel_avx2(uint32_t type, void *panel, const void *w, size_t w_bytes, size_t n_w,
                         size_t k) {
    if (n_w < SLM_PANEL_ROWS) {
        slm_pack_panel(type, panel, w, w_bytes, n_w, k);
        return;
    }
    switch (type) {
    case SLM_DTYPE_Q4_K:
        pack(SLM_DTYPE_Q4_K, 256, 144, 0, panel, w, w_bytes, k);
        break;
    case SLM_DTYPE_Q5_K:
        pack(SLM_DTYPE_Q5_K, 256, 176, 0, panel, w, w_bytes, k);
        break;
    case SLM_DTYPE_Q2_K:
        pack(SLM_DTYPE_Q2_K, 256, 84, 0, panel, w, w_bytes, k);
        break;
    case SLM_DTYPE_Q6_K:
        pack(SLM_DTYPE_Q6_K, 256, 210, 208, panel, w, w_bytes, k);
        break;
    case SLM_DTYPE_Q3_K:
        pack(SLM_DTYPE_Q3_K, 256, 110, 108, panel, w, w_bytes, k);
        break;
    case SLM_DTYPE_Q4_0:
        pack(SLM_DTYPE_Q4_0, 32, 18, 0, panel, w, w_bytes, k);
        break;
    case SLM_DTYPE_Q8_0:
        pack(SLM_DTYPE_Q8_0, 32, 34, 0, panel, w, w_bytes, k);
        break;
    }
}
