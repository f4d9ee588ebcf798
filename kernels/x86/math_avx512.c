/* Exponentials and what is made of them, at the AVX-512 level. The sum is taken in the order of
 * ref/softmax.c. */
#include "x86/exp_avx512.h"
#include "x86/level_avx512.h"

double slm_sum_exp_avx512(const float *x, size_t n, float max) {
    const __m512 maxes = _mm512_set1_ps(max);
    __m512d sum = _mm512_setzero_pd(); /* lanes 0 .. 7 */
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 there = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffffu);
        const __m512 e = _mm512_maskz_mov_ps(
            there, slm_exp16(_mm512_sub_ps(_mm512_maskz_loadu_ps(there, x + i), maxes)));
        sum = _mm512_add_pd(sum, _mm512_cvtps_pd(_mm512_castps512_ps256(e)));
        sum = _mm512_add_pd(sum, _mm512_cvtps_pd(_mm512_extractf32x8_ps(e, 1)));
    }
    const __m256d s4 = _mm256_add_pd(_mm512_castpd512_pd256(sum), _mm512_extractf64x4_pd(sum, 1));
    const __m128d s2 = _mm_add_pd(_mm256_castpd256_pd128(s4), _mm256_extractf128_pd(s4, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s2, _mm_unpackhi_pd(s2, s2)));
}

/* x / (1 + exp(-x)) * up */
void slm_silu_mul_avx512(float *h, const float *g, const float *up, size_t n) {
    const __m512 one = _mm512_set1_ps(1.0f), sign = _mm512_set1_ps(-0.0f);
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 there = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffffu);
        const __m512 x = _mm512_maskz_loadu_ps(there, g + i);
        const __m512 s = _mm512_add_ps(one, slm_exp16(_mm512_xor_ps(x, sign)));
        const __m512 u = _mm512_maskz_loadu_ps(there, up + i);
        _mm512_mask_storeu_ps(h + i, there, _mm512_mul_ps(_mm512_div_ps(x, s), u));
    }
}
