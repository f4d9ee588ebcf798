/* Ternary types, by Q8_K or I8_ROW activations. A code c stands for c - 1: the sum of the
 * activations is taken off the sum of the products of the codes. */
#ifndef SLM_X86_TERNARY_AVX2_H
#define SLM_X86_TERNARY_AVX2_H

#include "x86/panel_avx2.h"

/* Sum of the products of the 2-bit codes in 16 bytes of each row, as even + odd / 4. even: 16-bit
 * sums, at most 3 * 2 * 127 * 8 more each time, odd: 32-bit sums times 4. Bits 2f and 2f + 1 of byte
 * i belong to the activation x[step * f + i]. */
SLM_INLINE void slm_dot_codes(__m256i *even, __m256i *odd, const slm_rows8 *rows, size_t offset,
                              const int8_t *x, ptrdiff_t step) {
    const __m256i low = _mm256_set1_epi8(3), high = _mm256_set1_epi8(12);
    __m256i t[4], sum = _mm256_setzero_si256();
    slm_transpose16(t, rows, offset);
    SLM_UNROLL
    for (int j = 0; j < 4; j++) { /* 8 * 2 * 12 * 127 fits 16 bits */
        const __m256i u = _mm256_srli_epi16(t[j], 4);
        *even = slm_add_products(*even, _mm256_and_si256(t[j], low), x + 4 * j);
        sum = slm_add_products(sum, _mm256_and_si256(t[j], high), x + step + 4 * j);
        *even = slm_add_products(*even, _mm256_and_si256(u, low), x + 2 * step + 4 * j);
        sum = slm_add_products(sum, _mm256_and_si256(u, high), x + 3 * step + 4 * j);
    }
    *odd = slm_add_madd(*odd, sum, _mm256_set1_epi16(1));
}

SLM_INLINE __m256i slm_join_codes(__m256i even, __m256i odd) {
    return _mm256_srai_epi32(slm_add_madd(odd, even, _mm256_set1_epi16(4)), 2);
}

/* The codes of field f of four. */
SLM_INLINE __m256i slm_codes(__m256i t, int f) {
    return _mm256_and_si256(_mm256_srli_epi16(t, 2 * f), _mm256_set1_epi8(3));
}

/* The sum of 256 activations in every lane. */
SLM_INLINE __m256i slm_sum_q8_k(const slm_act_q8_k *a) {
    return slm_sum_lanes(_mm256_madd_epi16(slm_load(a->bsums), _mm256_set1_epi16(1)));
}

SLM_INLINE __m256i slm_sum_256(const int8_t *x) {
    const __m256i ones = _mm256_set1_epi8(1);
    __m256i sum = _mm256_maddubs_epi16(ones, slm_load(x));
    for (int i = 32; i < 256; i += 32)
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(ones, slm_load(x + i)));
    return slm_sum_lanes(_mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
}

SLM_INLINE void slm_prepare_ternary_q8_k(slm_prepared *prepared, const void *a, size_t n) {
    (void)n;
    prepared->v[0] = _mm256_cvtsi256_si32(slm_sum_q8_k(a));
}

SLM_INLINE void slm_prepare_ternary_i8_row(slm_prepared *prepared, const void *a, size_t n) {
    (void)n;
    prepared->v[0] = _mm256_cvtsi256_si32(slm_sum_256(a));
}

/* acc += d * sum */
SLM_INLINE __m256 slm_add_ternary(__m256 acc, __m256 d, __m256i sum) {
    return slm_add_product(acc, d, _mm256_cvtepi32_ps(sum));
}

/* Panels of codes. */
SLM_INLINE void slm_multiply_ternary_q8_k(__m256 *acc, const slm_panel *panel,
                                          const slm_prepared *prepared, const uint8_t *a,
                                          size_t a_bytes, size_t n_a, size_t n) {
    const slm_act_q8_k *x[4];
    __m256i sum[4];
    (void)n;
    for (size_t j = 0; j < 4; j++)
        x[j] = (const slm_act_q8_k *)(a + (j < n_a ? j : n_a - 1) * a_bytes);
    slm_dot4(sum, panel->q, NULL, 8, 8, 8, 0, x[0]->q, x[1]->q, x[2]->q, x[3]->q);
    SLM_UNROLL
    for (size_t j = 0; j < n_a; j++) {
        sum[j] = _mm256_sub_epi32(sum[j], _mm256_set1_epi32(prepared[j].v[0]));
        acc[j] = slm_add_scaled(acc[j], panel->d[0], _mm256_set1_ps(x[j]->d), sum[j]);
    }
}

SLM_INLINE void slm_multiply_ternary_i8_row(__m256 *acc, const slm_panel *panel,
                                            const slm_prepared *prepared, const uint8_t *a,
                                            size_t a_bytes, size_t n_a, size_t n) {
    const int8_t *x[4];
    __m256i sum[4];
    (void)n;
    for (size_t j = 0; j < 4; j++)
        x[j] = (const int8_t *)(a + (j < n_a ? j : n_a - 1) * a_bytes);
    slm_dot4(sum, panel->q, NULL, 8, 8, 8, 0, x[0], x[1], x[2], x[3]);
    SLM_UNROLL
    for (size_t j = 0; j < n_a; j++) {
        sum[j] = _mm256_sub_epi32(sum[j], _mm256_set1_epi32(prepared[j].v[0]));
        acc[j] = slm_add_ternary(acc[j], panel->d[0], sum[j]);
    }
}

SLM_INLINE __m256 slm_finish_i8_row(__m256 acc, const void *a_row) {
    const slm_act_i8_header *h = a_row;
    return _mm256_mul_ps(_mm256_set1_ps(h->inv), acc);
}

/* Both entries of a type: dot_codes gives the sum of the codes times 256 activations. */
#define SLM_AVX2_TERNARY(type_name, dot_codes, unpack_codes)                                       \
    SLM_INLINE __m256 dot_q8_k(__m256 acc, const slm_rows8 *rows, size_t offset,                  \
                               const void *act) {                                                 \
        const slm_act_q8_k *a = act;                                                              \
        const __m256i sum = _mm256_sub_epi32(dot_codes(rows, offset, a->q), slm_sum_q8_k(a));     \
        const __m256 d =                                                                          \
            slm_load_halves(rows, offset + offsetof(slm_block_##type_name, d));                   \
        return slm_add_scaled(acc, d, _mm256_set1_ps(a->d), sum);                                 \
    }                                                                                             \
    SLM_INLINE __m256 dot_i8_row(__m256 acc, const slm_rows8 *rows, size_t offset,                \
                                 const void *a) {                                                 \
        const __m256i sum = _mm256_sub_epi32(dot_codes(rows, offset, a), slm_sum_256(a));         \
        const __m256 d =                                                                          \
            slm_load_halves(rows, offset + offsetof(slm_block_##type_name, d));                   \
        return slm_add_ternary(acc, d, sum);                                                      \
    }                                                                                             \
    SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n) {    \
        (void)n;                                                                                  \
        panel->d[0] = slm_load_halves(rows, offset + offsetof(slm_block_##type_name, d));         \
        unpack_codes(panel->q, rows, offset);                                                     \
    }                                                                                             \
    SLM_AVX2_MATMUL(slm_matmul_##type_name##_q8_k_avx2) {                                         \
        const slm_panel_type type = {.block = 256,                                                \
                                     .block_bytes = sizeof(slm_block_##type_name),                \
                                     .act_bytes = sizeof(slm_act_q8_k),                           \
                                     .dot = dot_q8_k,                                             \
                                     .unpack = unpack,                                            \
                                     .prepare = slm_prepare_ternary_q8_k,                         \
                                     .multiply = slm_multiply_ternary_q8_k};                      \
        slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);                \
    }                                                                                             \
    SLM_AVX2_MATMUL(slm_matmul_##type_name##_i8_row_avx2) {                                       \
        const slm_panel_type type = {.block = 256,                                                \
                                     .block_bytes = sizeof(slm_block_##type_name),                \
                                     .act_header = sizeof(slm_act_i8_header),                     \
                                     .act_bytes = 256,                                            \
                                     .dot = dot_i8_row,                                           \
                                     .unpack = unpack,                                            \
                                     .prepare = slm_prepare_ternary_i8_row,                       \
                                     .multiply = slm_multiply_ternary_i8_row,                     \
                                     .finish = slm_finish_i8_row};                                \
        slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);                \
    }

#endif
