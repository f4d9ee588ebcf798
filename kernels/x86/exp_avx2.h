/* exp of eight floats by the operations of slm_expf in ref/exp.h: the same bits. */
#ifndef SLM_X86_EXP_AVX2_H
#define SLM_X86_EXP_AVX2_H

#include "x86/avx2.h"

SLM_INLINE __m256 slm_mul_add(__m256 a, __m256 b, float c) {
    return _mm256_add_ps(_mm256_mul_ps(a, b), _mm256_set1_ps(c));
}

SLM_INLINE __m256 slm_exp8(__m256 x) {
    const __m256 magic = _mm256_set1_ps(12582912.0f);
    x = _mm256_max_ps(_mm256_set1_ps(-105.0f), x); /* NaN, the second operand, stays */
    x = _mm256_min_ps(_mm256_set1_ps(89.0f), x);
    const __m256 t = slm_mul_add(x, _mm256_set1_ps(0x1.715476p+0f), 12582912.0f);
    const __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_sub_ps(x, _mm256_mul_ps(n, _mm256_set1_ps(0x1.62e4p-1f)));
    r = _mm256_sub_ps(r, _mm256_mul_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f)));
    __m256 p = _mm256_set1_ps(0x1.6a2434p-10f);
    p = slm_mul_add(p, r, 0x1.1239e2p-7f);
    p = slm_mul_add(p, r, 0x1.5558f2p-5f);
    p = slm_mul_add(p, r, 0x1.555492p-3f);
    p = slm_mul_add(p, r, 0x1.fffffcp-2f);
    p = _mm256_add_ps(_mm256_mul_ps(_mm256_mul_ps(p, r), r), r);
    const __m256i e = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_castps_si256(magic));
    const __m256i half = _mm256_srai_epi32(e, 1), bias = _mm256_set1_epi32(127);
    const __m256i e0 = _mm256_add_epi32(half, bias);
    const __m256i e1 = _mm256_add_epi32(_mm256_sub_epi32(e, half), bias);
    const __m256 s0 = _mm256_castsi256_ps(_mm256_slli_epi32(e0, 23));
    const __m256 s1 = _mm256_castsi256_ps(_mm256_slli_epi32(e1, 23));
    return _mm256_mul_ps(_mm256_add_ps(_mm256_mul_ps(p, s0), s0), s1);
}

/* The last n < 8 values of an array, then value. */
SLM_INLINE __m256 slm_load_rest(const float *x, size_t n, float value) {
    float t[8] = {value, value, value, value, value, value, value, value};
    memcpy(t, x, n * sizeof *x);
    return _mm256_loadu_ps(t);
}

#endif
