/* Types of 32 weights by Q8_0 activations. */
#ifndef SLM_X86_BLOCK32_AVX2_H
#define SLM_X86_BLOCK32_AVX2_H

#include "x86/panel_avx2.h"

/* Sums of the activations of each block. */
SLM_INLINE void slm_prepare_32(slm_prepared *prepared, const void *a, size_t n) {
    const slm_act_q8_0 *x = a;
    for (size_t b = 0; b < n; b++)
        prepared->v[b] = _mm256_cvtsi256_si32(slm_sum_32(x[b].q));
}

/* zero: the level that stands for 0, taken off by way of the sum of the activations.
 * has_min: panel->m times that sum is added. */
SLM_INLINE void slm_multiply_32(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                                const uint8_t *a, size_t a_bytes, size_t n_a, size_t n, int chain,
                                int is_signed, int zero, int has_min) {
    const slm_act_q8_0 *x[4];
    __m256 c[4];
    for (size_t j = 0; j < 4; j++)
        x[j] = (const slm_act_q8_0 *)(a + (j < n_a ? j : n_a - 1) * a_bytes);
    SLM_UNROLL
    for (size_t j = 0; j < n_a; j++)
        c[j] = acc[j];
    for (size_t b = 0; b < n; b++) {
        __m256i sum[4];
        slm_dot4(sum, panel->q + 8 * b, NULL, 1, 8, chain, is_signed, x[0][b].q, x[1][b].q,
                 x[2][b].q, x[3][b].q);
        SLM_UNROLL
        for (size_t j = 0; j < n_a; j++) {
            if (zero)
                sum[j] = _mm256_sub_epi32(sum[j], _mm256_set1_epi32(zero * prepared[j].v[b]));
            c[j] = slm_add_scaled(c[j], panel->d[b], _mm256_set1_ps(x[j][b].d), sum[j]);
            if (has_min)
                c[j] = slm_add_product(c[j], panel->m[b], _mm256_set1_ps(x[j][b].sum));
        }
    }
    SLM_UNROLL
    for (size_t j = 0; j < n_a; j++)
        acc[j] = c[j];
}

/* What is left of a dot after the sum of the products. */
SLM_INLINE __m256 slm_finish_32(__m256 acc, __m256 d, __m256i sum, const slm_act_q8_0 *a, int zero) {
    if (zero) /* a power of two */
        sum = _mm256_sub_epi32(
            sum, _mm256_slli_epi32(slm_sum_32(a->q), __builtin_ctz((unsigned)zero)));
    return slm_add_scaled(acc, d, _mm256_set1_ps(a->d), sum);
}

/* Fifth bits of the weights, 16 in each byte where set: step j of 8 of a row whose 32 bits lie in
 * its lane of h. h4 = h shifted left by 4. */
SLM_INLINE __m256i slm_fifth_bits(__m256i h, __m256i h4, int j) {
    const uint32_t byte = (uint32_t)(j / 2) * 0x01010101u;
    const __m256i bit = _mm256_set1_epi32((int32_t)0x80402010u);
    return _mm256_min_epu8(_mm256_and_si256(slm_shuffle4(j % 2 ? h : h4, byte, 0), bit),
                           _mm256_set1_epi8(16));
}

#endif
