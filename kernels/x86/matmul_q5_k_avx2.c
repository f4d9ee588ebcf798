#include "x86/k_quant_avx2.h"
#include "x86/level_avx2.h"

/* The levels of sub-blocks 2g and 2g + 1; bit i of a byte of h is the fifth bit of sub-block i. */
SLM_INLINE void levels(__m256i *q0, __m256i *q1, __m256i t, __m256i h, int g) {
    const __m256i bit = _mm256_set1_epi8(16);
    const __m256i h0 = 2 * g < 4 ? _mm256_slli_epi16(h, 4 - 2 * g) : _mm256_srli_epi16(h, 2 * g - 4);
    const __m256i h1 =
        2 * g < 3 ? _mm256_slli_epi16(h, 3 - 2 * g) : _mm256_srli_epi16(h, 2 * g - 3);
    slm_nibbles(q0, q1, t);
    *q0 = _mm256_or_si256(*q0, _mm256_and_si256(h0, bit));
    *q1 = _mm256_or_si256(*q1, _mm256_and_si256(h1, bit));
}

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_k *a = act;
    const slm_scales_k4 s = slm_load_scales_k4(rows, offset);
    __m256i h[8], sum = _mm256_setzero_si256();
    slm_transpose32(h, rows, offset + offsetof(slm_block_q5_k, qh));
    SLM_UNROLL
    for (int g = 0; g < 4; g++) { /* 64 weights */
        const __m256i scale0 = slm_scale_k4(&s, 2 * g), scale1 = slm_scale_k4(&s, 2 * g + 1);
        SLM_UNROLL
        for (int i = 0; i < 8; i += 4) { /* 4 * 2 * 31 * 127 fits 16 bits */
            const int8_t *x = a->q + 64 * g + 4 * i;
            __m256i t[4], q0, q1, sum0 = _mm256_setzero_si256(), sum1 = sum0;
            slm_transpose16(t, rows, offset + offsetof(slm_block_q5_k, qs) + 32 * (size_t)g +
                                         4 * (size_t)i);
            SLM_UNROLL
            for (int j = 0; j < 4; j++) {
                levels(&q0, &q1, t[j], h[i + j], g);
                sum0 = slm_add_products(sum0, q0, x + 4 * j);
                sum1 = slm_add_products(sum1, q1, x + 32 + 4 * j);
            }
            sum = slm_add_madd(sum, sum0, scale0);
            sum = slm_add_madd(sum, sum1, scale1);
        }
    }
    return slm_finish_k4(acc, &s, sum, a);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {
    __m256i h[8];
    (void)n;
    slm_unpack_scales_k4(panel, rows, offset);
    slm_transpose32(h, rows, offset + offsetof(slm_block_q5_k, qh));
    SLM_UNROLL
    for (int g = 0; g < 4; g++) {
        __m256i t[8], *q = panel->q + 16 * g;
        slm_transpose32(t, rows, offset + offsetof(slm_block_q5_k, qs) + 32 * (size_t)g);
        SLM_UNROLL
        for (int j = 0; j < 8; j++)
            levels(q + j, q + 8 + j, t[j], h[j], g);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    (void)n;
    slm_multiply_k4(acc, panel, prepared, a, a_bytes, n_a, 4);
}

SLM_AVX2_MATMUL(slm_matmul_q5_k_q8_k_avx2) {
    const slm_panel_type type = {.block = 256,
                                 .block_bytes = sizeof(slm_block_q5_k),
                                 .act_bytes = sizeof(slm_act_q8_k),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .prepare = slm_prepare_k4,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
