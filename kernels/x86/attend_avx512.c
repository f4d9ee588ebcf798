/* Attention at the AVX-512 level. */
#include "ref/ref.h"
#include "x86/unroll.h"
#include "x86/level_avx512.h"

#include <immintrin.h>

#define VW     16
#define TILE   6
#define TILE_V 4

#define WIDTH(n)     4
#define KEY_WIDTH(n) ((n) > 3 ? 2 : 4)

typedef __m512 vf;
typedef __m512i vi;

SLM_INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
SLM_INLINE vf vf_set(float x) { return _mm512_set1_ps(x); }
SLM_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
SLM_INLINE void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
SLM_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
SLM_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
SLM_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
SLM_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
SLM_INLINE vf vf_halves(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
SLM_INLINE float vf_half(uint16_t h) { return _cvtsh_ss(h); }
SLM_INLINE vf vf_bytes(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
SLM_INLINE vf vf_from(vi v) { return _mm512_cvtepi32_ps(v); }
SLM_INLINE float vf_largest(vf v) { return _mm512_reduce_max_ps(v); }
SLM_INLINE vf vf_mask(vf v, size_t from, size_t to, float x) {
    const __mmask16 keep = (__mmask16)((0xffffu >> (16 - to)) & (0xffffu << from));
    return _mm512_mask_mov_ps(_mm512_set1_ps(x), keep, v);
}
SLM_INLINE vi vi_load(const uint8_t *p) { return _mm512_loadu_si512((const void *)p); }
SLM_INLINE vi vi_dot(vi sum, vi keys, const int8_t *four) {
    int32_t x;
    memcpy(&x, four, 4);
    return _mm512_dpbusd_epi32(sum, keys, _mm512_set1_epi32(x));
}
/* -128 times the sum of the block. */
SLM_INLINE vi vi_start(const slm_act_q8_0 *x) {
    const __m256i q = _mm256_loadu_si256((const __m256i *)(const void *)x->q);
    const __m256i s = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(-128), q);
    __m128i t = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4e));
    t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0xb1));
    return _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_broadcastd_epi32(t));
}

/* The operations of slm_expf in ref/exp.h but for fused multiply-adds, for what is not above 0. */
SLM_INLINE vf vf_exp(vf x) {
    const __m512 magic = _mm512_set1_ps(12582912.0f);
    x = _mm512_max_ps(_mm512_set1_ps(-105.0f), x); /* NaN, the second operand, stays */
    const __m512 n = _mm512_sub_ps(_mm512_fmadd_ps(x, _mm512_set1_ps(0x1.715476p+0f), magic), magic);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 p = _mm512_set1_ps(0x1.6a2434p-10f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.1239e2p-7f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.5558f2p-5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.555492p-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.fffffcp-2f));
    p = _mm512_fmadd_ps(_mm512_mul_ps(p, r), r, r);
    return _mm512_scalef_ps(_mm512_add_ps(p, _mm512_set1_ps(1.0f)), n);
}

#define ATTEND(type) slm_attend_##type##_avx512
#define SLM_ATTEND   SLM_AVX512_ATTEND
#include "attend.h"
