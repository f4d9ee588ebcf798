/* Softmax, the sum of exponentials, and the largest value, in the order of ref/softmax.c: the same
 * bits. */
#include "x86/exp_avx2.h"
#include "x86/level_avx2.h"

typedef struct lanes {
    __m256d low, high; /* lanes 0 .. 3 and 4 .. 7 */
} lanes;

SLM_INLINE void add(lanes *sum, __m256 v) {
    sum->low = _mm256_add_pd(sum->low, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
    sum->high = _mm256_add_pd(sum->high, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
}

SLM_INLINE double total(lanes sum) {
    const __m256d s4 = _mm256_add_pd(sum.low, sum.high);
    const __m128d s2 = _mm_add_pd(_mm256_castpd256_pd128(s4), _mm256_extractf128_pd(s4, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s2, _mm_unpackhi_pd(s2, s2)));
}

void slm_softmax_avx2(float *s, size_t n) {
    size_t index, i = 0;
    int finite;
    const __m256 max = _mm256_set1_ps(slm_max_index_avx2(s, n, &index, &finite));
    lanes sum = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    for (; i + 8 <= n; i += 8) {
        const __m256 e = slm_exp8(_mm256_sub_ps(_mm256_loadu_ps(s + i), max));
        _mm256_storeu_ps(s + i, e);
        add(&sum, e);
    }
    if (i < n) {
        slm_store_lanes(s + i, slm_exp8(_mm256_sub_ps(slm_load_rest(s + i, n - i, 0), max)), n - i);
        add(&sum, slm_load_rest(s + i, n - i, 0));
    }
    const float scale = (float)(1.0 / total(sum));
    const __m256 scales = _mm256_set1_ps(scale);
    for (i = 0; i + 8 <= n; i += 8)
        _mm256_storeu_ps(s + i, _mm256_mul_ps(_mm256_loadu_ps(s + i), scales));
    for (; i < n; i++)
        s[i] *= scale;
}

double slm_sum_exp_avx2(const float *x, size_t n, float max) {
    const __m256 maxes = _mm256_set1_ps(max);
    lanes sum = {_mm256_setzero_pd(), _mm256_setzero_pd()};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        add(&sum, slm_exp8(_mm256_sub_ps(_mm256_loadu_ps(x + i), maxes)));
    if (i < n) {
        float t[8];
        _mm256_storeu_ps(t, slm_exp8(_mm256_sub_ps(slm_load_rest(x + i, n - i, 0), maxes)));
        add(&sum, slm_load_rest(t, n - i, 0));
    }
    return total(sum);
}

float slm_max_index_avx2(const float *x, size_t n, size_t *index, int *finite) {
    const __m256 inf = _mm256_set1_ps(__builtin_inff());
    __m256 max0 = _mm256_set1_ps(-__builtin_inff()), max1 = max0, bad = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256 v0 = _mm256_loadu_ps(x + i), v1 = _mm256_loadu_ps(x + i + 8);
        max0 = _mm256_max_ps(v0, max0); /* the second operand where the first is NaN */
        max1 = _mm256_max_ps(v1, max1);
        bad = _mm256_or_ps(bad, _mm256_cmp_ps(v0, inf, _CMP_NLT_UQ));
        bad = _mm256_or_ps(bad, _mm256_cmp_ps(v1, inf, _CMP_NLT_UQ));
    }
    int n_bad = _mm256_movemask_ps(bad);
    float t[8];
    _mm256_storeu_ps(t, _mm256_max_ps(max0, max1));
    float max = t[0];
    for (int l = 1; l < 8; l++)
        max = t[l] > max ? t[l] : max;
    for (; i < n; i++) {
        max = x[i] > max ? x[i] : max;
        n_bad |= !(x[i] < __builtin_inff());
    }
    const __m256 maxes = _mm256_set1_ps(max);
    int found = 0;
    for (i = 0; i + 8 <= n; i += 8) {
        found = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + i), maxes, _CMP_EQ_OQ));
        if (found)
            break;
    }
    if (found)
        i += (size_t)__builtin_ctz((unsigned)found);
    else
        while (i < n && x[i] != max)
            i++;
    *index = i < n ? i : 0; /* NaN only */
    *finite = n_bad == 0;
    return x[*index];
}
