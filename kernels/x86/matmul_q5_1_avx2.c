#include "x86/block32_avx2.h"
#include "x86/level_avx2.h"

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_0 *a = act;
    const __m256i h = slm_load_dwords(rows, offset + offsetof(slm_block_q5_1, qh));
    const __m256i h4 = _mm256_slli_epi32(h, 4), ones = _mm256_set1_epi16(1);
    __m256i t[4], q0, q1, sum0 = _mm256_setzero_si256(), sum1 = sum0;
    slm_transpose16(t, rows, offset + offsetof(slm_block_q5_1, qs));
    SLM_UNROLL
    for (int j = 0; j < 4; j++) { /* 4 * 2 * 31 * 127 fits 16 bits */
        slm_nibbles(&q0, &q1, t[j]);
        q0 = _mm256_or_si256(q0, slm_fifth_bits(h, h4, j));
        q1 = _mm256_or_si256(q1, slm_fifth_bits(h, h4, 4 + j));
        sum0 = slm_add_products(sum0, q0, a->q + 4 * j);
        sum1 = slm_add_products(sum1, q1, a->q + 16 + 4 * j);
    }
    const __m256i sum = slm_add_madd(_mm256_madd_epi16(sum0, ones), sum1, ones);
    __m256 d, m;
    slm_split_halves(&d, &m, slm_load_dwords(rows, offset));
    acc = slm_finish_32(acc, d, sum, a, 0);
    return slm_add_product(acc, m, _mm256_set1_ps(a->sum));
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {
    for (size_t b = 0; b < n; b++, offset += sizeof(slm_block_q5_1)) {
        const __m256i h = slm_load_dwords(rows, offset + offsetof(slm_block_q5_1, qh));
        const __m256i h4 = _mm256_slli_epi32(h, 4);
        __m256i t[4], *q = panel->q + 8 * b;
        slm_transpose16(t, rows, offset + offsetof(slm_block_q5_1, qs));
        SLM_UNROLL
        for (int j = 0; j < 4; j++)
            slm_nibbles(q + j, q + 4 + j, t[j]);
        SLM_UNROLL
        for (int j = 0; j < 8; j++)
            q[j] = _mm256_or_si256(q[j], slm_fifth_bits(h, h4, j));
        slm_split_halves(panel->d + b, panel->m + b, slm_load_dwords(rows, offset));
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    slm_multiply_32(acc, panel, prepared, a, a_bytes, n_a, n, 4, 0, 0, 1);
}

SLM_AVX2_MATMUL(slm_matmul_q5_1_q8_0_avx2) {
    const slm_panel_type type = {.block = 32,
                                 .block_bytes = sizeof(slm_block_q5_1),
                                 .act_bytes = sizeof(slm_act_q8_0),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
