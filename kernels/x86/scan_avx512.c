/* The selective scan and its convolution at the AVX-512 level: a group of channels is a vector. The
 * operations are those of scan.h in its order, and so are the bits. */
#include "x86/exp_avx512.h"
#include "x86/level_avx512.h"

#define G SLM_SCAN_GROUP
_Static_assert(G == 16, "a group is a vector of floats");

/* a * b + c, rounded twice. */
SLM_INLINE __m512 mul_add(__m512 a, __m512 b, __m512 c) {
    return _mm512_add_ps(_mm512_mul_ps(a, b), c);
}

SLM_INLINE __m512 silu(__m512 x) {
    const __m512 e = slm_exp16(_mm512_xor_ps(x, _mm512_set1_ps(-0.0f)));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

SLM_INLINE __m512 log1p_unit(__m512 e) {
    __m512 s = _mm512_div_ps(e, _mm512_add_ps(_mm512_set1_ps(2.0f), e)), s2 = _mm512_mul_ps(s, s);
    __m512 p = _mm512_set1_ps(1.0f / 15.0f);
    p = slm_mul_add16(p, s2, 1.0f / 13.0f);
    p = slm_mul_add16(p, s2, 1.0f / 11.0f);
    p = slm_mul_add16(p, s2, 1.0f / 9.0f);
    p = slm_mul_add16(p, s2, 1.0f / 7.0f);
    p = slm_mul_add16(p, s2, 1.0f / 5.0f);
    p = slm_mul_add16(p, s2, 1.0f / 3.0f);
    s = _mm512_add_ps(s, s);
    return mul_add(s, _mm512_mul_ps(s2, p), s);
}

SLM_INLINE __m512 softplus(__m512 x) {
    const __m512 zero = _mm512_setzero_ps(), sign = _mm512_set1_ps(-0.0f);
    const __mmask16 above = _mm512_cmp_ps_mask(x, zero, _CMP_GT_OQ);
    const __m512 e = slm_exp16(_mm512_mask_xor_ps(x, above, x, sign));
    return _mm512_add_ps(_mm512_max_ps(x, zero), log1p_unit(e)); /* NaN comes by way of e */
}

SLM_REF_CONV_SILU(slm_conv_silu_avx512) {
    const size_t n_past = n_conv - 1;
    for (size_t g = 0; g < n_groups; g++) {
        const __m512 b = _mm512_loadu_ps(bias + g * G);
        for (size_t t = 0; t < n_tokens; t++) {
            const __m512 newest = _mm512_loadu_ps(x + t * x_stride + g * G);
            __m512 sum = _mm512_setzero_ps();
            for (size_t j = 0; j < n_past; j++) {
                const __m512 p = _mm512_loadu_ps(past + j * G);
                sum = mul_add(_mm512_loadu_ps(w + j * G), p, sum);
                if (j > 0)
                    _mm512_storeu_ps(past + (j - 1) * G, p);
            }
            if (n_past > 0)
                _mm512_storeu_ps(past + (n_past - 1) * G, newest);
            sum = _mm512_add_ps(mul_add(_mm512_loadu_ps(w + n_past * G), newest, sum), b);
            _mm512_storeu_ps(y + t * y_stride + g * G, silu(sum));
        }
        past += n_past * G;
        w += n_conv * G;
    }
}

/* One token of a group: what its states h give, and how they go on. */
SLM_INLINE __m512 advance(float *h, const float *a, size_t n_state, __m512 dt, __m512 x,
                          const float *b, const float *c) {
    const __m512 dtx = _mm512_mul_ps(dt, x);
    __m512 y = _mm512_setzero_ps();
    for (size_t n = 0; n < n_state; n++) {
        const __m512 decay = slm_exp16(_mm512_mul_ps(dt, _mm512_loadu_ps(a + n * G)));
        const __m512 now = _mm512_add_ps(_mm512_mul_ps(decay, _mm512_loadu_ps(h + n * G)),
                                         _mm512_mul_ps(dtx, _mm512_set1_ps(b[n])));
        _mm512_storeu_ps(h + n * G, now);
        y = mul_add(now, _mm512_set1_ps(c[n]), y);
    }
    return y;
}

SLM_REF_SCAN(slm_scan_avx512) {
    const size_t n_state = s->n_state;
    for (size_t g = first; g < first + n_groups; g++) {
        const __m512 bias = _mm512_loadu_ps(s->dt_bias + g * G);
        const __m512 skip = _mm512_loadu_ps(s->skip + g * G);
        const float *a = s->a + g * n_state * G;
        float *h = state + g * n_state * G;
        for (size_t t = 0; t < n_tokens; t++) {
            const __m512 x = _mm512_loadu_ps(s->x + t * s->x_stride + g * G);
            const __m512 dt = _mm512_loadu_ps(s->dt + t * s->dt_stride + g * G);
            const float *b = s->bc + t * s->bc_stride, *c = b + n_state;
            const __m512 y =
                advance(h, a, n_state, softplus(_mm512_add_ps(dt, bias)), x, b, c);
            _mm512_storeu_ps(s->y + t * s->y_stride + g * G, mul_add(skip, x, y));
        }
    }
}
