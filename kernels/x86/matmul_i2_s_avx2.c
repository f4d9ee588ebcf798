#include "x86/level_avx2.h"
#include "x86/ternary_avx2.h"

/* The accumulators are integers throughout: the sum over a row is exact. The first 32 weights of a
 * block lie in the highest bits of its bytes. */
SLM_INLINE __m256 add_codes(__m256 acc, __m256i sum) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(acc), sum));
}

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *a) {
    const int8_t *x = (const int8_t *)a + 96;
    __m256i even = _mm256_setzero_si256(), odd = even;
    slm_dot_codes(&even, &odd, rows, offset, x, -32);
    slm_dot_codes(&even, &odd, rows, offset + 16, x + 16, -32);
    return add_codes(acc, slm_join_codes(even, odd));
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {
    for (size_t b = 0; b < n; b++) {
        __m256i t[8], *q = panel->q + 32 * b;
        slm_transpose32(t, rows, offset + sizeof(slm_block_i2_s) * b);
        SLM_UNROLL
        for (int g = 0; g < 4; g++)
            for (int j = 0; j < 8; j++)
                q[8 * g + j] = slm_codes(t[j], 3 - g);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    const int8_t *x[4];
    __m256i sum[4];
    (void)prepared;
    for (size_t j = 0; j < 4; j++)
        x[j] = (const int8_t *)(a + (j < n_a ? j : n_a - 1) * a_bytes);
    slm_dot4(sum, panel->q, NULL, 4 * n, 8, 8, 0, x[0], x[1], x[2], x[3]);
    SLM_UNROLL
    for (size_t j = 0; j < n_a; j++)
        acc[j] = add_codes(acc[j], sum[j]);
}

SLM_INLINE __m256 finish(__m256 acc, const void *a_row) {
    const slm_act_i8_header *h = a_row;
    const __m256i sum = _mm256_sub_epi32(_mm256_castps_si256(acc), _mm256_set1_epi32(h->sum));
    return _mm256_mul_ps(_mm256_set1_ps(h->inv), _mm256_cvtepi32_ps(sum));
}

SLM_AVX2_MATMUL(slm_matmul_i2_s_i8_row_avx2) {
    const slm_panel_type type = {.block = 128,
                                 .block_bytes = sizeof(slm_block_i2_s),
                                 .act_header = sizeof(slm_act_i8_header),
                                 .act_bytes = 128,
                                 .dot = dot,
                                 .unpack = unpack,
                                 .multiply = multiply,
                                 .finish = finish};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
