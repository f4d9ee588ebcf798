/* What the kernels of the AVX2 + FMA + F16C level share.
 *
 * Weights are worked on in panels of eight rows: lane r of every vector belongs to row r of the
 * panel. Four neighbouring weights of a row fill its lane, one broadcast of the four activations
 * beside them serves all eight rows, and nothing is ever summed across lanes. The integer sum of a
 * block is exact and goes into one float accumulator per output, block by block, by the operations
 * of the portable level: results are bit for bit the same, on every path, for one activation row or
 * many. A panel short of rows repeats its last one and stores less. */
#ifndef SLM_X86_AVX2_H
#define SLM_X86_AVX2_H

/* The kernels are written in the order in which registers suffice; gcc undoes that by balancing sums
 * into trees and by moving them to where they are used. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-reassoc,no-tree-ter")
#endif

#include "kernels.h"
#include "x86/unroll.h"

#include <immintrin.h>
#include <string.h>

#define SLM_INLINE static inline __attribute__((always_inline))

enum { SLM_PANEL = 8 };

typedef struct slm_rows8 {
    const uint8_t *p[SLM_PANEL];
} slm_rows8;

SLM_INLINE slm_rows8 slm_rows8_at(const uint8_t *w, size_t w_bytes, size_t n) {
    slm_rows8 rows;
    for (size_t r = 0; r < SLM_PANEL; r++)
        rows.p[r] = w + (r < n ? r : n - 1) * w_bytes;
    return rows;
}

/* One activation row reads the matrix as fast as memory gives it. Eight rows at once are eight
 * short streams that hardware prefetchers follow badly; but panels lie one behind the other, so
 * that while one is worked on, a later one is asked for from its first byte to its last. This many
 * bytes further on: whole panels, and no less than the second-level cache needs time for.
 * Addresses past the end of the matrix are harmless. */
SLM_INLINE size_t slm_ahead(size_t w_bytes) {
    const size_t panel = SLM_PANEL * w_bytes, least = 32 * 1024;
    return panel >= least ? panel : (least + panel - 1) / panel * panel;
}

SLM_INLINE void slm_prefetch(const uint8_t *p, size_t ahead, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i += 64)
        _mm_prefetch((const char *)((uintptr_t)p + ahead + i), _MM_HINT_T1);
}

SLM_INLINE void slm_store_lanes(float *y, __m256 v, size_t n) {
    if (n >= SLM_PANEL) {
        _mm256_storeu_ps(y, v);
    } else {
        float t[SLM_PANEL];
        _mm256_storeu_ps(t, v);
        memcpy(y, t, n * sizeof(float));
    }
}

SLM_INLINE int16_t slm_load_i16(const void *p) {
    int16_t v;
    memcpy(&v, p, 2);
    return v;
}

SLM_INLINE int32_t slm_load_i32(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return v;
}

SLM_INLINE __m256i slm_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

SLM_INLINE __m128i slm_load128(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

/* Four bytes to every lane. */
SLM_INLINE __m256i slm_bcast4(const void *p) {
    return _mm256_set1_epi32(slm_load_i32(p));
}

SLM_INLINE __m256i slm_load_2x128(const void *low, const void *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(slm_load128(low)), slm_load128(high), 1);
}

/* t[j] lane r = bytes 4j .. 4j+3 of the 16 at offset in row r. */
SLM_INLINE void slm_transpose16(__m256i t[4], const slm_rows8 *rows, size_t offset) {
    const __m256i a0 = slm_load_2x128(rows->p[0] + offset, rows->p[4] + offset);
    const __m256i a1 = slm_load_2x128(rows->p[1] + offset, rows->p[5] + offset);
    const __m256i a2 = slm_load_2x128(rows->p[2] + offset, rows->p[6] + offset);
    const __m256i a3 = slm_load_2x128(rows->p[3] + offset, rows->p[7] + offset);
    const __m256i b0 = _mm256_unpacklo_epi32(a0, a1), b1 = _mm256_unpackhi_epi32(a0, a1);
    const __m256i b2 = _mm256_unpacklo_epi32(a2, a3), b3 = _mm256_unpackhi_epi32(a2, a3);
    t[0] = _mm256_unpacklo_epi64(b0, b2);
    t[1] = _mm256_unpackhi_epi64(b0, b2);
    t[2] = _mm256_unpacklo_epi64(b1, b3);
    t[3] = _mm256_unpackhi_epi64(b1, b3);
}

SLM_INLINE void slm_transpose32(__m256i t[8], const slm_rows8 *rows, size_t offset) {
    slm_transpose16(t, rows, offset);
    slm_transpose16(t + 4, rows, offset + 16);
}

/* Lane r = the two bytes at offset in row r, as a half. */
SLM_INLINE __m256 slm_load_halves(const slm_rows8 *rows, size_t offset) {
    const uint8_t *const *p = rows->p;
    __m128i low = _mm_cvtsi32_si128(slm_load_i16(p[0] + offset));
    __m128i high = _mm_cvtsi32_si128(slm_load_i16(p[4] + offset));
    low = _mm_insert_epi16(low, slm_load_i16(p[1] + offset), 1);
    high = _mm_insert_epi16(high, slm_load_i16(p[5] + offset), 1);
    low = _mm_insert_epi16(low, slm_load_i16(p[2] + offset), 2);
    high = _mm_insert_epi16(high, slm_load_i16(p[6] + offset), 2);
    low = _mm_insert_epi16(low, slm_load_i16(p[3] + offset), 3);
    high = _mm_insert_epi16(high, slm_load_i16(p[7] + offset), 3);
    return _mm256_cvtph_ps(_mm_unpacklo_epi64(low, high));
}

/* Lane r = the four bytes at offset in row r. */
SLM_INLINE __m256i slm_load_dwords(const slm_rows8 *rows, size_t offset) {
    const uint8_t *const *p = rows->p;
    return _mm256_setr_epi32(slm_load_i32(p[0] + offset), slm_load_i32(p[1] + offset),
                             slm_load_i32(p[2] + offset), slm_load_i32(p[3] + offset),
                             slm_load_i32(p[4] + offset), slm_load_i32(p[5] + offset),
                             slm_load_i32(p[6] + offset), slm_load_i32(p[7] + offset));
}

/* The halves in the low and the high 16 bits of each lane. */
SLM_INLINE void slm_split_halves(__m256 *low, __m256 *high, __m256i v) {
    const __m256i l = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    const __m256i h = _mm256_srli_epi32(v, 16);
    const __m256i p = _mm256_permute4x64_epi64(_mm256_packus_epi32(l, h), 0xd8);
    *low = _mm256_cvtph_ps(_mm256_castsi256_si128(p));
    *high = _mm256_cvtph_ps(_mm256_extracti128_si256(p, 1));
}

/* A shuffle within lanes. Each byte of control counts from byte first of the lane; 0x80 gives 0. */
SLM_INLINE __m256i slm_shuffle4(__m256i v, uint32_t control, uint32_t first) {
    const int32_t c = (int32_t)(control + first * 0x01010101u), lane = 0x04040404;
    return _mm256_shuffle_epi8(v, _mm256_setr_epi32(c, c + lane, c + 2 * lane, c + 3 * lane, c,
                                                    c + lane, c + 2 * lane, c + 3 * lane));
}

/* Byte i of each lane in both its halves, zero- or sign-extended. */
SLM_INLINE __m256i slm_spread_u8(__m256i v, uint32_t i) { return slm_shuffle4(v, 0x80008000u, i); }

SLM_INLINE __m256i slm_spread_i8(__m256i v, uint32_t i) {
    return _mm256_srai_epi16(slm_shuffle4(v, 0x00800080u, i), 8);
}

/* Bytes i and i + 1 of each lane in its halves, zero- or sign-extended. */
SLM_INLINE __m256i slm_widen_u8(__m256i v, uint32_t i) { return slm_shuffle4(v, 0x80018000u, i); }

SLM_INLINE __m256i slm_widen_i8(__m256i v, uint32_t i) {
    return _mm256_srai_epi16(slm_shuffle4(v, 0x01800080u, i), 8);
}

SLM_INLINE void slm_nibbles(__m256i *low, __m256i *high, __m256i v) {
    const __m256i mask = _mm256_set1_epi8(15);
    *low = _mm256_and_si256(v, mask);
    *high = _mm256_and_si256(_mm256_srli_epi16(v, 4), mask);
}

SLM_INLINE __m256i slm_add_madd(__m256i sum, __m256i a, __m256i b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

/* Four weights of each row times the four activations at x, in 16-bit pairs. Unsigned weights, or
 * signed ones down to -128: |q| * (x with the sign of q), where no x is -128. */
SLM_INLINE __m256i slm_products(__m256i q, const int8_t *x, int is_signed) {
    const __m256i a = slm_bcast4(x);
    return is_signed ? _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(a, q))
                     : _mm256_maddubs_epi16(q, a);
}

SLM_INLINE __m256i slm_add_products(__m256i sum, __m256i q, const int8_t *x) {
    return _mm256_add_epi16(sum, slm_products(q, x, 0));
}

/* The sum of all lanes in every lane. */
SLM_INLINE __m256i slm_sum_lanes(__m256i v) {
    v = _mm256_add_epi32(v, _mm256_permute2x128_si256(v, v, 1));
    v = _mm256_add_epi32(v, _mm256_shuffle_epi32(v, 0x4e));
    return _mm256_add_epi32(v, _mm256_shuffle_epi32(v, 0xb1));
}

/* Lane r = the sum of the lanes of v[r]. */
SLM_INLINE __m256i slm_sum_each(const __m256i v[8]) {
    __m256i s[4];
    SLM_UNROLL
    for (int i = 0; i < 4; i++)
        s[i] = _mm256_add_epi32(_mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]),
                                _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]));
    const __m256i low = _mm256_add_epi32(_mm256_unpacklo_epi64(s[0], s[1]),
                                         _mm256_unpackhi_epi64(s[0], s[1]));
    const __m256i high = _mm256_add_epi32(_mm256_unpacklo_epi64(s[2], s[3]),
                                          _mm256_unpackhi_epi64(s[2], s[3]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                            _mm256_permute2x128_si256(low, high, 0x31));
}

/* The sum of 32 activations in every lane. */
SLM_INLINE __m256i slm_sum_32(const int8_t *x) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), slm_load(x));
    return slm_sum_lanes(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* acc + (d * a) * sum, as the portable level rounds it. */
SLM_INLINE __m256 slm_add_scaled(__m256 acc, __m256 d, __m256 a, __m256i sum) {
    const __m256 scale = _mm256_mul_ps(d, a);
    return _mm256_add_ps(acc, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sum)));
}

SLM_INLINE __m256 slm_add_product(__m256 acc, __m256 a, __m256 b) {
    return _mm256_add_ps(acc, _mm256_mul_ps(a, b));
}

SLM_INLINE __m256 slm_sub_scaled(__m256 acc, __m256 d, __m256 a, __m256i sum) {
    const __m256 scale = _mm256_mul_ps(d, a);
    return _mm256_sub_ps(acc, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sum)));
}

#endif
