#include "x86/block32_avx2.h"
#include "x86/level_avx2.h"

/* Row by row, the eight sums brought into lanes at the end: fewer operations than turning the
 * weights, where every byte is one weight. */
SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_0 *a = act;
    const __m256i x = slm_load(a->q), ones = _mm256_set1_epi16(1);
    __m256i sum[SLM_PANEL];
    SLM_UNROLL
    for (int r = 0; r < SLM_PANEL; r++) {
        const __m256i q = slm_load(rows->p[r] + offset + offsetof(slm_block_q8_0, qs));
        sum[r] = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q));
        sum[r] = _mm256_madd_epi16(sum[r], ones);
    }
    return slm_finish_32(acc, slm_load_halves(rows, offset), slm_sum_each(sum), a, 0);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {
    for (size_t b = 0; b < n; b++, offset += sizeof(slm_block_q8_0)) {
        slm_transpose32(panel->q + 8 * b, rows, offset + offsetof(slm_block_q8_0, qs));
        panel->d[b] = slm_load_halves(rows, offset);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    slm_multiply_32(acc, panel, prepared, a, a_bytes, n_a, n, 1, 1, 0, 0);
}

SLM_AVX2_MATMUL(slm_matmul_q8_0_q8_0_avx2) {
    const slm_panel_type type = {.block = 32,
                                 .block_bytes = sizeof(slm_block_q8_0),
                                 .act_bytes = sizeof(slm_act_q8_0),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
