#include "x86/k_quant_avx2.h"
#include "x86/level_avx2.h"

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_k *a = act;
    const slm_scales_k4 s = slm_load_scales_k4(rows, offset);
    __m256i sum = _mm256_setzero_si256();
    SLM_UNROLL
    for (int g = 0; g < 4; g++) { /* 64 weights */
        const int8_t *x = a->q + 64 * g;
        __m256i t[8], q0, q1, sum0 = _mm256_setzero_si256(), sum1 = sum0;
        slm_transpose32(t, rows, offset + offsetof(slm_block_q4_k, qs) + 32 * (size_t)g);
        SLM_UNROLL
        for (int j = 0; j < 8; j++) { /* 8 * 2 * 15 * 127 fits 16 bits */
            slm_nibbles(&q0, &q1, t[j]);
            sum0 = slm_add_products(sum0, q0, x + 4 * j);
            sum1 = slm_add_products(sum1, q1, x + 32 + 4 * j);
        }
        sum = slm_add_madd(sum, sum0, slm_scale_k4(&s, 2 * g));
        sum = slm_add_madd(sum, sum1, slm_scale_k4(&s, 2 * g + 1));
    }
    return slm_finish_k4(acc, &s, sum, a);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {
    (void)n;
    slm_unpack_scales_k4(panel, rows, offset);
    SLM_UNROLL
    for (int g = 0; g < 4; g++) {
        __m256i t[8], *q = panel->q + 16 * g;
        slm_transpose32(t, rows, offset + offsetof(slm_block_q4_k, qs) + 32 * (size_t)g);
        for (int j = 0; j < 8; j++)
            slm_nibbles(q + j, q + 8 + j, t[j]);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    (void)n;
    slm_multiply_k4(acc, panel, prepared, a, a_bytes, n_a, 8);
}

SLM_AVX2_MATMUL(slm_matmul_q4_k_q8_k_avx2) {
    const slm_panel_type type = {.block = 256,
                                 .block_bytes = sizeof(slm_block_q4_k),
                                 .act_bytes = sizeof(slm_act_q8_k),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .prepare = slm_prepare_k4,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
