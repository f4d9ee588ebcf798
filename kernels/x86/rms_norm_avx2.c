/* In the order of ref/rms_norm.c: the same bits. Squares of floats are exact in double, so that a
 * fused multiply-add rounds as a sum does. */
#include "x86/exp_avx2.h"
#include "x86/level_avx2.h"

#include <math.h>

void slm_rms_norm_avx2(float *y, const float *x, const float *w, size_t n, float eps) {
    __m256d low = _mm256_setzero_pd(), high = low;
    size_t i = 0;
    for (; i < n; i += 8) {
        const __m256 v = i + 8 <= n ? _mm256_loadu_ps(x + i) : slm_load_rest(x + i, n - i, 0.0f);
        const __m256d v0 = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
        const __m256d v1 = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
        low = _mm256_fmadd_pd(v0, v0, low);
        high = _mm256_fmadd_pd(v1, v1, high);
    }
    const __m256d s4 = _mm256_add_pd(low, high);
    const __m128d s2 = _mm_add_pd(_mm256_castpd256_pd128(s4), _mm256_extractf128_pd(s4, 1));
    const double sum = _mm_cvtsd_f64(_mm_add_sd(s2, _mm_unpackhi_pd(s2, s2)));
    const float scale = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
    const __m256 scales = _mm256_set1_ps(scale);
    for (i = 0; i + 8 <= n; i += 8) {
        const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), scales);
        _mm256_storeu_ps(y + i, w ? _mm256_mul_ps(v, _mm256_loadu_ps(w + i)) : v);
    }
    for (; i < n; i++)
        y[i] = w ? x[i] * scale * w[i] : x[i] * scale;
}
