#include "x86/k_quant_avx2.h"

SLM_INLINE void nibbles(__m256i *low, __m256i *high, __m256i t) {
    const __m256i mask = _mm256_set1_epi8(15);
    *low = _mm256_and_si256(t, mask);
    *high = _mm256_and_si256(_mm256_srli_epi16(t, 4), mask);
}

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_k *a = act;
    const slm_scales_k4 s = slm_load_scales_k4(rows, offset);
    __m256i sum = _mm256_setzero_si256();
    SLM_UNROLL
    for (int g = 0; g < 4; g++) { /* 64 weights */
        const int8_t *x = a->q + 64 * g;
        __m256i t[8], q0, q1, sum0 = _mm256_setzero_si256(), sum1 = sum0;
        slm_transpose32(t, rows, offset + offsetof(slm_block_q4_k, qs) + 32 * (size_t)g);
        for (int j = 0; j < 8; j++) { /* 8 * 2 * 15 * 127 fits 16 bits */
            nibbles(&q0, &q1, t[j]);
            sum0 = _mm256_add_epi16(sum0, _mm256_maddubs_epi16(q0, slm_bcast4(x + 4 * j)));
            sum1 = _mm256_add_epi16(sum1, _mm256_maddubs_epi16(q1, slm_bcast4(x + 32 + 4 * j)));
        }
        sum = slm_add_madd(sum, sum0, slm_scale_k4(&s, 2 * g));
        sum = slm_add_madd(sum, sum1, slm_scale_k4(&s, 2 * g + 1));
    }
    return slm_finish_k4(acc, &s, sum, a);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {
    (void)n;
    slm_unpack_scales_k4(panel, rows, offset);
    for (int g = 0; g < 4; g++) {
        __m256i t[8];
        slm_transpose32(t, rows, offset + offsetof(slm_block_q4_k, qs) + 32 * (size_t)g);
        for (int j = 0; j < 8; j++)
            nibbles(panel->q + 16 * g + j, panel->q + 16 * g + 8 + j, t[j]);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    (void)n;
    slm_multiply_k4(acc, panel, prepared, a, a_bytes, n_a, 8);
}

void slm_matmul_q4_k_q8_k_avx2(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w,
                               const void *a, size_t a_bytes, size_t n_a, size_t k) {
    const slm_panel_type type = {256,    sizeof(slm_block_q4_k), sizeof(slm_act_q8_k), dot,
                                 unpack, slm_prepare_k4,         multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
