/* Attention at the AVX2 level. */
#include "ref/ref.h"
#include "x86/unroll.h"
#include "x86/level_avx2.h"

#include <immintrin.h>

#define VW     8
#define TILE   4
#define TILE_V 4

#define WIDTH(n)     ((n) > 3 ? 2 : 4)
#define KEY_WIDTH(n) ((n) > 2 ? 1 : 2)

typedef __m256 vf;
typedef __m256i vi;

SLM_INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
SLM_INLINE vf vf_set(float x) { return _mm256_set1_ps(x); }
SLM_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
SLM_INLINE void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
SLM_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
SLM_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
SLM_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
SLM_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
SLM_INLINE vf vf_halves(const uint8_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
SLM_INLINE float vf_half(uint16_t h) { return _cvtsh_ss(h); }
SLM_INLINE vf vf_bytes(const uint8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}
SLM_INLINE vf vf_from(vi v) { return _mm256_cvtepi32_ps(v); }
SLM_INLINE float vf_largest(vf v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}
SLM_INLINE vf vf_mask(vf v, size_t from, size_t to, float x) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i low = _mm256_cmpgt_epi32(lane, _mm256_set1_epi32((int)from - 1));
    const __m256i high = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)to), lane);
    return _mm256_blendv_ps(_mm256_set1_ps(x), v,
                            _mm256_castsi256_ps(_mm256_and_si256(low, high)));
}
/* Signed keys times activations: the products of absolute keys and activations with the keys' signs
 * fit 16 bits in pairs, since neither is -128 for both. */
SLM_INLINE vi vi_load(const uint8_t *p) {
    return _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)p),
                            _mm256_set1_epi8(-128));
}
SLM_INLINE vi vi_dot(vi sum, vi keys, const int8_t *four) {
    int32_t x;
    memcpy(&x, four, 4);
    const __m256i pairs =
        _mm256_maddubs_epi16(_mm256_abs_epi8(keys), _mm256_sign_epi8(_mm256_set1_epi32(x), keys));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
SLM_INLINE vi vi_start(const slm_act_q8_0 *x) {
    (void)x;
    return _mm256_setzero_si256();
}

/* The operations of slm_expf in ref/exp.h but for fused multiply-adds, for what is not above 0. */
SLM_INLINE vf vf_exp(vf x) {
    const __m256 magic = _mm256_set1_ps(12582912.0f);
    x = _mm256_max_ps(_mm256_set1_ps(-105.0f), x); /* NaN, the second operand, stays */
    const __m256 t = _mm256_fmadd_ps(x, _mm256_set1_ps(0x1.715476p+0f), magic);
    const __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
    __m256 p = _mm256_set1_ps(0x1.6a2434p-10f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.1239e2p-7f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.5558f2p-5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555492p-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffffcp-2f));
    p = _mm256_fmadd_ps(_mm256_mul_ps(p, r), r, r);
    const __m256i e = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_castps_si256(magic));
    const __m256i half = _mm256_srai_epi32(e, 1), bias = _mm256_set1_epi32(127);
    const __m256i e0 = _mm256_add_epi32(half, bias);
    const __m256i e1 = _mm256_add_epi32(_mm256_sub_epi32(e, half), bias);
    const __m256 s0 = _mm256_castsi256_ps(_mm256_slli_epi32(e0, 23));
    const __m256 s1 = _mm256_castsi256_ps(_mm256_slli_epi32(e1, 23));
    return _mm256_mul_ps(_mm256_fmadd_ps(p, s0, s0), s1);
}

#define ATTEND(type) slm_attend_##type##_avx2
#define SLM_ATTEND   SLM_AVX2_ATTEND
#include "attend.h"
