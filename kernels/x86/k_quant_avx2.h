/* Sub-block scales and minima of the K-quants. */
#ifndef SLM_X86_K_QUANT_AVX2_H
#define SLM_X86_K_QUANT_AVX2_H

#include "x86/panel_avx2.h"

/* Q4_K and Q5_K: eight sub-blocks of 32. The header of d, dmin and 12 bytes of packed scales is the
 * same; byte i % 4 of lane r of scale[i / 4] is the 6-bit scale i of row r. */
typedef struct slm_scales_k4 {
    __m256i scale[2], min[2];
    __m256 d, dmin;
} slm_scales_k4;

SLM_INLINE slm_scales_k4 slm_load_scales_k4(const slm_rows8 *rows, size_t offset) {
    const __m256i m15 = _mm256_set1_epi8(15), m48 = _mm256_set1_epi8(48);
    const __m256i m63 = _mm256_set1_epi8(63);
    slm_scales_k4 s;
    __m256i t[4];
    slm_transpose16(t, rows, offset);
    slm_split_halves(&s.d, &s.dmin, t[0]);
    s.scale[0] = _mm256_and_si256(t[1], m63);
    s.scale[1] = _mm256_or_si256(_mm256_and_si256(t[3], m15),
                                 _mm256_and_si256(_mm256_srli_epi16(t[1], 2), m48));
    s.min[0] = _mm256_and_si256(t[2], m63);
    s.min[1] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(t[3], 4), m15),
                               _mm256_and_si256(_mm256_srli_epi16(t[2], 2), m48));
    return s;
}

SLM_INLINE __m256i slm_scale_k4(const slm_scales_k4 *s, int i) {
    return slm_spread_u8(s->scale[i / 4], i % 4);
}

/* Sums of 32 activations as 16-bit pairs: element i holds those of sub-blocks 2i and 2i + 1. */
SLM_INLINE __m256i slm_pair_sums(const slm_act_q8_k *a) {
    const __m256i sums = _mm256_madd_epi16(slm_load(a->bsums), _mm256_set1_epi16(1));
    return _mm256_permutevar8x32_epi32(_mm256_packs_epi32(sums, sums),
                                       _mm256_setr_epi32(0, 1, 4, 5, 0, 1, 4, 5));
}

SLM_INLINE __m256 slm_finish_k4(__m256 acc, const slm_scales_k4 *s, __m256i sum,
                                const slm_act_q8_k *a) {
    const __m256i sums = slm_pair_sums(a);
    const __m256 d = _mm256_set1_ps(a->d);
    __m256i low = _mm256_madd_epi16(slm_widen_u8(s->min[0], 0), _mm256_shuffle_epi32(sums, 0x00));
    low = slm_add_madd(low, slm_widen_u8(s->min[0], 2), _mm256_shuffle_epi32(sums, 0x55));
    low = slm_add_madd(low, slm_widen_u8(s->min[1], 0), _mm256_shuffle_epi32(sums, 0xaa));
    low = slm_add_madd(low, slm_widen_u8(s->min[1], 2), _mm256_shuffle_epi32(sums, 0xff));
    acc = slm_add_scaled(acc, s->d, d, sum);
    return slm_sub_scaled(acc, s->dmin, d, low);
}

SLM_INLINE void slm_unpack_scales_k4(slm_panel *panel, const slm_rows8 *rows, size_t offset) {
    const slm_scales_k4 s = slm_load_scales_k4(rows, offset);
    SLM_UNROLL
    for (int i = 0; i < 8; i++)
        panel->scale[i] = slm_scale_k4(&s, i);
    for (int i = 0; i < 4; i++)
        panel->min[i] = slm_widen_u8(s.min[i / 2], 2 * (i % 2));
    panel->d[0] = s.d;
    panel->m[0] = s.dmin;
}

SLM_INLINE void slm_prepare_k4(slm_prepared *prepared, const void *a, size_t n) {
    (void)n;
    _mm_storeu_si128((__m128i *)prepared->v, _mm256_castsi256_si128(slm_pair_sums(a)));
}

SLM_INLINE void slm_multiply_k4(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                                const uint8_t *a, size_t a_bytes, size_t n_a, int chain) {
    const slm_act_q8_k *x[4];
    __m256i sum[4];
    for (size_t j = 0; j < 4; j++)
        x[j] = (const slm_act_q8_k *)(a + (j < n_a ? j : n_a - 1) * a_bytes);
    slm_dot4(sum, panel->q, panel->scale, 8, 8, chain, 0, x[0]->q, x[1]->q, x[2]->q, x[3]->q);
    SLM_UNROLL
    for (size_t j = 0; j < n_a; j++) {
        const __m256 d = _mm256_set1_ps(x[j]->d);
        __m256i low = _mm256_madd_epi16(panel->min[0], slm_bcast4(prepared[j].v));
        SLM_UNROLL
        for (int i = 1; i < 4; i++)
            low = slm_add_madd(low, panel->min[i], slm_bcast4(prepared[j].v + i));
        acc[j] = slm_add_scaled(acc[j], panel->d[0], d, sum[j]);
        acc[j] = slm_sub_scaled(acc[j], panel->m[0], d, low);
    }
}

/* Q2_K, Q3_K and Q6_K: sixteen sub-blocks of 16. Two sub-block numbers (scales or minima) at a time
 * times the sums of 16 activations. */
SLM_INLINE __m256i slm_madd_sums(const __m256i pairs[8], const slm_act_q8_k *a) {
    __m256i low = _mm256_madd_epi16(pairs[0], slm_bcast4(a->bsums));
    SLM_UNROLL
    for (int i = 1; i < 8; i++)
        low = slm_add_madd(low, pairs[i], slm_bcast4(a->bsums + 2 * i));
    return low;
}

typedef __m256 (*slm_finish_k16_fn)(__m256 acc, __m256 d, __m256 dmin, __m256i sum, __m256i low,
                                    const slm_act_q8_k *a);

SLM_INLINE void slm_multiply_k16(__m256 *acc, const slm_panel *panel, const uint8_t *a,
                                 size_t a_bytes, size_t n_a, int chain, slm_finish_k16_fn finish) {
    const slm_act_q8_k *x[4];
    __m256i sum[4];
    for (size_t j = 0; j < 4; j++)
        x[j] = (const slm_act_q8_k *)(a + (j < n_a ? j : n_a - 1) * a_bytes);
    slm_dot4(sum, panel->q, panel->scale, 16, 4, chain, 0, x[0]->q, x[1]->q, x[2]->q, x[3]->q);
    SLM_UNROLL
    for (size_t j = 0; j < n_a; j++)
        acc[j] = finish(acc[j], panel->d[0], panel->m[0], sum[j], slm_madd_sums(panel->min, x[j]),
                        x[j]);
}

#endif
