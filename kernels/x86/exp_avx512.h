/* The exponential of sixteen floats, for the files of the AVX-512 level. */
#ifndef SLM_X86_EXP_AVX512_H
#define SLM_X86_EXP_AVX512_H

#include "ref/ref.h"

#include <immintrin.h>

SLM_INLINE __m512 slm_mul_add16(__m512 a, __m512 b, float c) {
    return _mm512_add_ps(_mm512_mul_ps(a, b), _mm512_set1_ps(c));
}

/* exp of sixteen floats by the operations of slm_expf: the same bits. The power of two is scaled
 * once, which rounds where the two exact steps of slm_expf round. */
SLM_INLINE __m512 slm_exp16(__m512 x) {
    const __m512 magic = _mm512_set1_ps(12582912.0f);
    x = _mm512_max_ps(_mm512_set1_ps(-105.0f), x); /* NaN, the second operand, stays */
    x = _mm512_min_ps(_mm512_set1_ps(89.0f), x);
    const __m512 t = slm_mul_add16(x, _mm512_set1_ps(0x1.715476p+0f), 12582912.0f);
    const __m512 n = _mm512_sub_ps(t, magic);
    __m512 r = _mm512_sub_ps(x, _mm512_mul_ps(n, _mm512_set1_ps(0x1.62e4p-1f)));
    r = _mm512_sub_ps(r, _mm512_mul_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f)));
    __m512 p = _mm512_set1_ps(0x1.6a2434p-10f);
    p = slm_mul_add16(p, r, 0x1.1239e2p-7f);
    p = slm_mul_add16(p, r, 0x1.5558f2p-5f);
    p = slm_mul_add16(p, r, 0x1.555492p-3f);
    p = slm_mul_add16(p, r, 0x1.fffffcp-2f);
    p = _mm512_add_ps(_mm512_mul_ps(_mm512_mul_ps(p, r), r), r);
    return _mm512_scalef_ps(_mm512_add_ps(p, _mm512_set1_ps(1.0f)), n);
}

#endif
