#include "x86/k_quant_avx2.h"
#include "x86/level_avx2.h"

/* Level + 32 of the weights at 32f (f < 4) of a half: l0 and l1 hold nibbles, h two bits each. */
SLM_INLINE __m256i levels(__m256i l0, __m256i l1, __m256i h, int f) {
    const __m256i mask = _mm256_set1_epi8(15), high = _mm256_set1_epi8(48);
    __m256i l = f % 2 ? l1 : l0;
    if (f >= 2)
        l = _mm256_srli_epi16(l, 4);
    h = f == 0 ? _mm256_slli_epi16(h, 4) : f == 1 ? _mm256_slli_epi16(h, 2) : h;
    h = f == 3 ? _mm256_srli_epi16(h, 2) : h;
    return _mm256_or_si256(_mm256_and_si256(l, mask), _mm256_and_si256(h, high));
}

/* Sixteen bytes of each part of half n. */
SLM_INLINE void load_parts(__m256i l0[4], __m256i l1[4], __m256i h[4], const slm_rows8 *rows,
                           size_t offset, int n, int part) {
    const size_t at = 16 * (size_t)part;
    slm_transpose16(l0, rows, offset + offsetof(slm_block_q6_k, ql) + 64 * (size_t)n + at);
    slm_transpose16(l1, rows, offset + offsetof(slm_block_q6_k, ql) + 64 * (size_t)n + 32 + at);
    slm_transpose16(h, rows, offset + offsetof(slm_block_q6_k, qh) + 32 * (size_t)n + at);
}

/* low: scales times activation sums, for the 32 by which the levels are too large. */
SLM_INLINE __m256 finish(__m256 acc, __m256 d, __m256 dmin, __m256i sum, __m256i low,
                         const slm_act_q8_k *a) {
    (void)dmin;
    sum = _mm256_sub_epi32(sum, _mm256_slli_epi32(low, 5));
    return slm_add_scaled(acc, d, _mm256_set1_ps(a->d), sum);
}

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_k *a = act;
    const __m256 d = slm_load_halves(rows, offset + offsetof(slm_block_q6_k, d));
    __m256i scales[4], sum = _mm256_setzero_si256(), low = sum;
    slm_transpose16(scales, rows, offset + offsetof(slm_block_q6_k, scales));
    SLM_UNROLL
    for (int n = 0; n < 2; n++)
        SLM_UNROLL
        for (int part = 0; part < 2; part++) {
            __m256i l0[4], l1[4], h[4];
            load_parts(l0, l1, h, rows, offset, n, part);
            SLM_UNROLL
            for (int f = 0; f < 4; f++) { /* a sub-block; 2 * 2 * 63 * 127 fits 16 bits */
                const int s = 8 * n + 2 * f + part;
                const int8_t *x = a->q + 16 * s;
                const __m256i scale = slm_spread_i8(scales[s / 4], s % 4);
                __m256i sum0 = slm_products(levels(l0[0], l1[0], h[0], f), x, 0);
                __m256i sum1 = slm_products(levels(l0[2], l1[2], h[2], f), x + 8, 0);
                sum0 = slm_add_products(sum0, levels(l0[1], l1[1], h[1], f), x + 4);
                sum1 = slm_add_products(sum1, levels(l0[3], l1[3], h[3], f), x + 12);
                sum = slm_add_madd(sum, sum0, scale);
                sum = slm_add_madd(sum, sum1, scale);
            }
        }
    SLM_UNROLL
    for (int i = 0; i < 8; i++)
        low = slm_add_madd(low, slm_widen_i8(scales[i / 2], 2 * (i % 2)),
                           slm_bcast4(a->bsums + 2 * i));
    return finish(acc, d, d, sum, low, a);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n_blocks) {
    __m256i scales[4];
    (void)n_blocks;
    panel->d[0] = panel->m[0] = slm_load_halves(rows, offset + offsetof(slm_block_q6_k, d));
    slm_transpose16(scales, rows, offset + offsetof(slm_block_q6_k, scales));
    SLM_UNROLL
    for (int s = 0; s < 16; s++)
        panel->scale[s] = slm_spread_i8(scales[s / 4], s % 4);
    SLM_UNROLL
    for (int i = 0; i < 8; i++)
        panel->min[i] = slm_widen_i8(scales[i / 2], 2 * (i % 2));
    SLM_UNROLL
    for (int n = 0; n < 2; n++)
        SLM_UNROLL
        for (int part = 0; part < 2; part++) {
            __m256i l0[4], l1[4], h[4], *q = panel->q + 32 * n + 4 * part;
            load_parts(l0, l1, h, rows, offset, n, part);
            SLM_UNROLL
            for (int f = 0; f < 4; f++)
                for (int j = 0; j < 4; j++)
                    q[8 * f + j] = levels(l0[j], l1[j], h[j], f);
        }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    (void)prepared, (void)n;
    slm_multiply_k16(acc, panel, a, a_bytes, n_a, 2, finish);
}

SLM_AVX2_MATMUL(slm_matmul_q6_k_q8_k_avx2) {
    const slm_panel_type type = {.block = 256,
                                 .block_bytes = sizeof(slm_block_q6_k),
                                 .act_bytes = sizeof(slm_act_q8_k),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
