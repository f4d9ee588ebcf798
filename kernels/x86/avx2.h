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

#include "kernels.h"

#include <immintrin.h>
#include <string.h>

#define SLM_INLINE static inline __attribute__((always_inline))
#define SLM_UNROLL _Pragma("GCC unroll 16")

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

SLM_INLINE __m256i slm_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

SLM_INLINE __m128i slm_load128(const void *p) { return _mm_loadu_si128((const __m128i *)p); }

/* Four bytes to every lane. */
SLM_INLINE __m256i slm_bcast4(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
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
    int16_t h[SLM_PANEL];
    for (int r = 0; r < SLM_PANEL; r++)
        memcpy(h + r, rows->p[r] + offset, 2);
    return _mm256_cvtph_ps(_mm_setr_epi16(h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]));
}

/* The halves in the low and the high 16 bits of each lane. */
SLM_INLINE void slm_split_halves(__m256 *low, __m256 *high, __m256i v) {
    const __m256i l = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    const __m256i h = _mm256_srli_epi32(v, 16);
    const __m256i p = _mm256_permute4x64_epi64(_mm256_packus_epi32(l, h), 0xd8);
    *low = _mm256_cvtph_ps(_mm256_castsi256_si128(p));
    *high = _mm256_cvtph_ps(_mm256_extracti128_si256(p, 1));
}

/* Byte i of each lane, zero-extended, in both halves of the lane. */
SLM_INLINE __m256i slm_spread_u8(__m256i v, int i) {
    const __m256i control = _mm256_setr_epi8(0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12,
                                             -1, 0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1,
                                             12, -1);
    return _mm256_shuffle_epi8(v, _mm256_add_epi8(control, _mm256_set1_epi16((short)i)));
}

/* Bytes i and i + 1 of each lane, zero-extended, in the halves of the lane. */
SLM_INLINE __m256i slm_widen_u8(__m256i v, int i) {
    const __m256i control = _mm256_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13,
                                             -1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1,
                                             13, -1);
    return _mm256_shuffle_epi8(v, _mm256_add_epi8(control, _mm256_set1_epi16((short)i)));
}

/* acc + (d * a) * sum, as the portable level rounds it. */
SLM_INLINE __m256 slm_add_scaled(__m256 acc, __m256 d, __m256 a, __m256i sum) {
    const __m256 scale = _mm256_mul_ps(d, a);
    return _mm256_add_ps(acc, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sum)));
}

SLM_INLINE __m256 slm_sub_scaled(__m256 acc, __m256 d, __m256 a, __m256i sum) {
    const __m256 scale = _mm256_mul_ps(d, a);
    return _mm256_sub_ps(acc, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sum)));
}

#endif
