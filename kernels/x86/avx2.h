/* What the kernels of the AVX2 + FMA + F16C level share.
 *
 * Weight matrices are worked on in panels of eight rows: lane r of every vector belongs to row r.
 * Four neighbouring weights of a row fill its lane, and one broadcast of the four activations
 * beside them serves all eight rows; nothing is summed across lanes. The integer sum of a block is
 * exact and goes into one float accumulator per output, block by block. So every path, for one
 * activation row or many, gives the same bits. A panel short of rows repeats its last one. */
#ifndef SLM_X86_AVX2_H
#define SLM_X86_AVX2_H

#include "kernels.h"

#include <immintrin.h>
#include <string.h>

#define SLM_INLINE static inline __attribute__((always_inline))

enum {
    SLM_PANEL = 8,          /* rows of a panel                                                   */
    SLM_PREFETCH_AHEAD = 1024 /* bytes of each row                                               */
};

typedef struct slm_rows8 {
    const uint8_t *p[SLM_PANEL];
} slm_rows8;

SLM_INLINE slm_rows8 slm_rows8_at(const uint8_t *w, size_t w_bytes, size_t n) {
    slm_rows8 rows;
    for (size_t r = 0; r < SLM_PANEL; r++)
        rows.p[r] = w + (r < n ? r : n - 1) * w_bytes;
    return rows;
}

/* Asks for n_lines lines SLM_PREFETCH_AHEAD bytes further on in each row; past the end of a row
 * that is the start of the row eight below it. Addresses past the matrix are harmless. */
SLM_INLINE void slm_prefetch8(const slm_rows8 *rows, size_t offset, size_t w_bytes, size_t n_lines) {
    offset += SLM_PREFETCH_AHEAD;
    if (offset >= w_bytes)
        offset += (SLM_PANEL - 1) * w_bytes;
    for (size_t r = 0; r < SLM_PANEL; r++)
        for (size_t i = 0; i < n_lines; i++)
            _mm_prefetch((const char *)((uintptr_t)rows->p[r] + offset + 64 * i), _MM_HINT_T0);
}

SLM_INLINE void slm_store8(float *y, __m256 v, size_t n) {
    if (n >= SLM_PANEL) {
        _mm256_storeu_ps(y, v);
    } else {
        float t[SLM_PANEL];
        _mm256_storeu_ps(t, v);
        memcpy(y, t, n * sizeof(float));
    }
}

SLM_INLINE __m256i slm_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

/* Four bytes to every lane. */
SLM_INLINE __m256i slm_bcast4(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

SLM_INLINE __m256i slm_load_2x128(const uint8_t *lo, const uint8_t *hi) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)lo)),
                                   _mm_loadu_si128((const __m128i *)hi), 1);
}

/* t[j] lane r = bytes 4j..4j+3 of the 16 bytes at offset in row r. */
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

/* The halves in the low (lo) and high (hi) 16 bits of the lanes. */
SLM_INLINE void slm_unpack_2xf16(__m256 *lo, __m256 *hi, __m256i v) {
    const __m256i l = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    const __m256i h = _mm256_srli_epi32(v, 16);
    const __m256i p = _mm256_permute4x64_epi64(_mm256_packus_epi32(l, h), 0xd8);
    *lo = _mm256_cvtph_ps(_mm256_castsi256_si128(p));
    *hi = _mm256_cvtph_ps(_mm256_extracti128_si256(p, 1));
}

#endif
