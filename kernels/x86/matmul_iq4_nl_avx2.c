#include "x86/block32_avx2.h"
#include "x86/iq4_avx2.h"
#include "x86/level_avx2.h"

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_0 *a = act;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i t[4], q0, q1, sum = _mm256_setzero_si256();
    slm_transpose16(t, rows, offset + offsetof(slm_block_iq4_nl, qs));
    SLM_UNROLL
    for (int j = 0; j < 4; j++) {
        slm_iq4_values2(&q0, &q1, t[j]);
        sum = slm_add_madd(sum, slm_products(q0, a->q + 4 * j, 1), ones);
        sum = slm_add_madd(sum, slm_products(q1, a->q + 16 + 4 * j, 1), ones);
    }
    return slm_finish_32(acc, slm_load_halves(rows, offset), sum, a, 0);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {
    for (size_t b = 0; b < n; b++, offset += sizeof(slm_block_iq4_nl)) {
        __m256i t[4], *q = panel->q + 8 * b;
        slm_transpose16(t, rows, offset + offsetof(slm_block_iq4_nl, qs));
        for (int j = 0; j < 4; j++)
            slm_iq4_values2(q + j, q + 4 + j, t[j]);
        panel->d[b] = slm_load_halves(rows, offset);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    slm_multiply_32(acc, panel, prepared, a, a_bytes, n_a, n, 1, 1, 0, 0);
}

SLM_AVX2_MATMUL(slm_matmul_iq4_nl_q8_0_avx2) {
    const slm_panel_type type = {.block = 32,
                                 .block_bytes = sizeof(slm_block_iq4_nl),
                                 .act_bytes = sizeof(slm_act_q8_0),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
