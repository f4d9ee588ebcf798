/* Floats to signed bytes. */
#ifndef SLM_X86_QUANTIZE_AVX2_H
#define SLM_X86_QUANTIZE_AVX2_H

#include "x86/avx2.h"

#define SLM_NAN_BITS   0x7fc00000u
#define SLM_INF_BITS   0x7f800000u
#define SLM_SMALL_BITS 0x0d800000u /* 2^-100: below it 127 / max could overflow */

/* The largest |x| as float bits; at or above SLM_INF_BITS where a value is NaN or infinite. */
SLM_INLINE uint32_t slm_max_bits(const float *x, size_t n) {
    const __m256i mask = _mm256_set1_epi32(0x7fffffff);
    __m256i max0 = _mm256_setzero_si256(), max1 = max0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        max0 = _mm256_max_epu32(max0, _mm256_and_si256(slm_load(x + i), mask));
        max1 = _mm256_max_epu32(max1, _mm256_and_si256(slm_load(x + i + 8), mask));
    }
    max0 = _mm256_max_epu32(max0, max1);
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(max0), _mm256_extracti128_si256(max0, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    uint32_t max = (uint32_t)_mm_cvtsi128_si32(m);
    for (; i < n; i++) {
        const uint32_t bits = (uint32_t)slm_load_i32(x + i) & 0x7fffffffu;
        max = bits > max ? bits : max;
    }
    return max;
}

SLM_INLINE __m256i slm_round8(const float *x, __m256 scale) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), scale));
}

/* q = x * scale to the nearest integer, halves to even. */
SLM_INLINE void slm_round_32(int8_t *q, const float *x, __m256 scale) {
    const __m256i v01 = _mm256_packs_epi32(slm_round8(x, scale), slm_round8(x + 8, scale));
    const __m256i v23 = _mm256_packs_epi32(slm_round8(x + 16, scale), slm_round8(x + 24, scale));
    const __m256i v = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(v01, v23),
                                                  _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)q, v);
}

SLM_INLINE void slm_round_bytes(int8_t *q, const float *x, size_t n, float scale) {
    const __m256 scales = _mm256_set1_ps(scale);
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        slm_round_32(q + i, x + i, scales);
    if (i < n) {
        float t[32] = {0};
        int8_t rest[32];
        memcpy(t, x + i, (n - i) * sizeof *x);
        slm_round_32(rest, t, scales);
        memcpy(q + i, rest, n - i);
    }
}

/* n <= 32 values, then zeros; returns the scale, max|x| / 127, or NaN. */
SLM_INLINE float slm_quantize_32(int8_t q[32], const float *x, size_t n) {
    const uint32_t bits = slm_max_bits(x, n), nan = SLM_NAN_BITS;
    float max;
    if (n < 32 || bits >= SLM_INF_BITS || bits < SLM_SMALL_BITS)
        memset(q, 0, 32);
    if (bits >= SLM_INF_BITS) {
        memcpy(&max, &nan, sizeof max);
        return max;
    }
    if (bits < SLM_SMALL_BITS)
        return 0.0f;
    memcpy(&max, &bits, sizeof max);
    slm_round_bytes(q, x, n, 127.0f / max);
    return max / 127.0f;
}

#endif
