#include "x86/iq4_avx2.h"
#include "x86/level_avx2.h"
#include "x86/panel_avx2.h"

/* Byte s / 2 of each lane of scale[s % 2]: scale s. */
typedef struct scales_t {
    __m256i scale[2];
    __m256 d;
} scales_t;

SLM_INLINE scales_t load_scales(const slm_rows8 *rows, size_t offset) {
    const __m256i even = _mm256_set1_epi16(0x0030), odd = _mm256_set1_epi16(0x3000);
    const __m256i bias = _mm256_set1_epi8(32);
    scales_t s;
    __m256i t[4];
    __m256 other;
    slm_transpose16(t, rows, offset); /* d and scales_h, scales_l, weights */
    slm_split_halves(&s.d, &other, t[0]);
    /* Four bits of scales_h for every byte of scales_l, in its low or its high half. */
    const __m256i h = slm_shuffle4(t[0], 0x03030202u, 0);
    const __m256i h0 = _mm256_or_si256(_mm256_and_si256(_mm256_slli_epi16(h, 4), even),
                                       _mm256_and_si256(h, odd));
    const __m256i h1 = _mm256_or_si256(_mm256_and_si256(_mm256_slli_epi16(h, 2), even),
                                       _mm256_and_si256(_mm256_srli_epi16(h, 2), odd));
    slm_nibbles(s.scale, s.scale + 1, t[1]);
    s.scale[0] = _mm256_sub_epi8(_mm256_or_si256(s.scale[0], h0), bias);
    s.scale[1] = _mm256_sub_epi8(_mm256_or_si256(s.scale[1], h1), bias);
    return s;
}

SLM_INLINE __m256i scale_of(const scales_t *s, int i) {
    return slm_spread_i8(s->scale[i % 2], (uint32_t)i / 2);
}

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_k *a = act;
    const scales_t scales = load_scales(rows, offset);
    __m256i sum = _mm256_setzero_si256();
    SLM_UNROLL
    for (int s = 0; s < 8; s++) {
        const int8_t *x = a->q + 32 * s;
        const __m256i scale = scale_of(&scales, s);
        __m256i t[4], q0, q1;
        slm_transpose16(t, rows, offset + offsetof(slm_block_iq4_xs, qs) + 16 * (size_t)s);
        SLM_UNROLL
        for (int j = 0; j < 4; j++) {
            slm_iq4_values2(&q0, &q1, t[j]);
            sum = slm_add_madd(sum, slm_products(q0, x + 4 * j, 1), scale);
            sum = slm_add_madd(sum, slm_products(q1, x + 16 + 4 * j, 1), scale);
        }
    }
    return slm_add_scaled(acc, scales.d, _mm256_set1_ps(a->d), sum);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {
    const scales_t scales = load_scales(rows, offset);
    (void)n;
    panel->d[0] = scales.d;
    SLM_UNROLL
    for (int s = 0; s < 8; s++) {
        __m256i t[4], *q = panel->q + 8 * s;
        panel->scale[s] = scale_of(&scales, s);
        slm_transpose16(t, rows, offset + offsetof(slm_block_iq4_xs, qs) + 16 * (size_t)s);
        for (int j = 0; j < 4; j++)
            slm_iq4_values2(q + j, q + 4 + j, t[j]);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    const slm_act_q8_k *x[4];
    __m256i sum[4];
    (void)prepared, (void)n;
    for (size_t j = 0; j < 4; j++)
        x[j] = (const slm_act_q8_k *)(a + (j < n_a ? j : n_a - 1) * a_bytes);
    slm_dot4(sum, panel->q, panel->scale, 8, 8, 1, 1, x[0]->q, x[1]->q, x[2]->q, x[3]->q);
    SLM_UNROLL
    for (size_t j = 0; j < n_a; j++)
        acc[j] = slm_add_scaled(acc[j], panel->d[0], _mm256_set1_ps(x[j]->d), sum[j]);
}

SLM_AVX2_MATMUL(slm_matmul_iq4_xs_q8_k_avx2) {
    const slm_panel_type type = {.block = 256,
                                 .block_bytes = sizeof(slm_block_iq4_xs),
                                 .act_bytes = sizeof(slm_act_q8_k),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
