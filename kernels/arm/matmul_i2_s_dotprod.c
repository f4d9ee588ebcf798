#include "dotprod.h"

/* Codes 0, 1, 2 times the integers, less the sum of the integers: exact, so the same bits as the
 * portable level. Quarter g of 128 weights lies at bits 6 - 2g. */
SLM_INLINE void rows_i2_s(float *y, size_t y_stride, const slm_block_i2_s *row, const uint8_t *a,
                          size_t a_bytes, size_t k, int n) {
    int32x4_t dots[SLM_ROWS];
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    for (size_t b = 0; b < k / 128; b++)
        for (int half = 0; half < 2; half++) {
            uint8x16_t v = vld1q_u8(row[b].qs + 16 * half);
            for (int g = 0; g < 4; g++) {
                int8x16_t q = vreinterpretq_s8_u8(slm_two_bits(v, 6 - 2 * g));
                for (int r = 0; r < n; r++) {
                    const uint8_t *x = a + (size_t)r * a_bytes + sizeof(slm_act_i8_header);
                    const int8_t *at = (const int8_t *)x + 128 * b + 32 * g + 16 * half;
                    dots[r] = vdotq_s32(dots[r], q, vld1q_s8(at));
                }
            }
        }
    for (int r = 0; r < n; r++) {
        const slm_act_i8_header *h = (const void *)(a + (size_t)r * a_bytes);
        y[(size_t)r * y_stride] = h->inv * (float)(vaddvq_s32(dots[r]) - h->sum);
    }
}

SLM_DOTPROD_MATMUL(slm_matmul_i2_s_i8_row_dotprod) {
    const uint8_t *x = a;
    for (size_t i = 0; i < n_w; i++) {
        const slm_block_i2_s *row = (const void *)((const uint8_t *)w + i * w_bytes);
        size_t j = 0;
        for (; j + SLM_ROWS <= n_a; j += SLM_ROWS)
            rows_i2_s(y + j * y_stride + i, y_stride, row, x + j * a_bytes, a_bytes, k, SLM_ROWS);
        for (; j < n_a; j++)
            rows_i2_s(y + j * y_stride + i, y_stride, row, x + j * a_bytes, a_bytes, k, 1);
    }
}
