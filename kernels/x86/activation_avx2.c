/* Gated activations, by the operations of ref/activation.c: the same bits. */
#include "x86/exp_avx2.h"
#include "x86/level_avx2.h"

typedef __m256 (*act_fn)(__m256 gate);

SLM_INLINE __m256 sigmoid_of(__m256 gate, __m256 minus_exponent) {
    const __m256 e = slm_exp8(_mm256_xor_ps(minus_exponent, _mm256_set1_ps(-0.0f)));
    return _mm256_div_ps(gate, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
}

SLM_INLINE __m256 silu(__m256 g) { return sigmoid_of(g, g); }

SLM_INLINE __m256 gelu(__m256 g) {
    const __m256 cubic = _mm256_mul_ps(_mm256_set1_ps(0.071354814f), _mm256_mul_ps(g, g));
    return sigmoid_of(g, _mm256_mul_ps(g, _mm256_add_ps(_mm256_set1_ps(1.5957691f), cubic)));
}

SLM_INLINE __m256 relu2(__m256 g) {
    g = _mm256_max_ps(_mm256_setzero_ps(), g); /* NaN, the second operand, stays */
    return _mm256_mul_ps(g, g);
}

SLM_INLINE void gate(act_fn act, float *h, const float *g, const float *up, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(h + i,
                         _mm256_mul_ps(act(_mm256_loadu_ps(g + i)), _mm256_loadu_ps(up + i)));
    if (i < n) {
        const __m256 v = act(slm_load_rest(g + i, n - i, 0.0f));
        slm_store_lanes(h + i, _mm256_mul_ps(v, slm_load_rest(up + i, n - i, 0.0f)), n - i);
    }
}

void slm_silu_mul_avx2(float *h, const float *g, const float *up, size_t n) {
    gate(silu, h, g, up, n);
}

void slm_gelu_mul_avx2(float *h, const float *g, const float *up, size_t n) {
    gate(gelu, h, g, up, n);
}

void slm_relu2_mul_avx2(float *h, const float *g, const float *up, size_t n) {
    gate(relu2, h, g, up, n);
}
