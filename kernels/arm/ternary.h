/* Ternary types. dot gives the exact integer products of one block of weights with one block of n
 * activation rows; per block d times that is added to one accumulator, as the portable level. */
#ifndef SLM_TERNARY_H
#define SLM_TERNARY_H

#include "dotprod.h"

/* The walk for I8_ROW: fn as in slm_walk; x points at the integers behind the header. */
SLM_INLINE void slm_walk_i8_row(slm_block_fn fn, size_t block, size_t block_bytes, float *y,
                                size_t y_stride, const void *w, size_t w_bytes, size_t n_w,
                                const void *a, size_t a_bytes, size_t n_a, size_t k) {
    slm_walk(fn, block, block_bytes, block, y, y_stride, w, w_bytes, n_w,
             (const uint8_t *)a + sizeof(slm_act_i8_header), a_bytes, n_a, k);
    for (size_t j = 0; j < n_a; j++) {
        const slm_act_i8_header *h = (const void *)((const uint8_t *)a + j * a_bytes);
        for (size_t i = 0; i < n_w; i++)
            y[j * y_stride + i] = h->inv * y[j * y_stride + i];
    }
}

/* block_<type> for both activation formats from dot_<type>(dots, block, q, n). */
#define SLM_DEFINE_TERNARY(type)                                                                   \
    SLM_INLINE void block_##type(float *sums, const void *block, const uint8_t *const *x, int n) { \
        const slm_block_##type *b = block;                                                         \
        int32x4_t dots[SLM_ROWS];                                                                  \
        float d = slm_load_half(b->d);                                                             \
        dot_##type(dots, b, x, n);                                                                 \
        for (int r = 0; r < n; r++)                                                                \
            sums[r] +=                                                                             \
                d * ((const slm_act_q8_k *)(const void *)x[r])->d * (float)vaddvq_s32(dots[r]);    \
    }                                                                                              \
    SLM_INLINE void row_block_##type(float *sums, const void *block, const uint8_t *const *x,      \
                                     int n) {                                                      \
        const slm_block_##type *b = block;                                                         \
        int32x4_t dots[SLM_ROWS];                                                                  \
        float d = slm_load_half(b->d);                                                             \
        dot_##type(dots, b, x, n);                                                                 \
        for (int r = 0; r < n; r++)                                                                \
            sums[r] += d * (float)vaddvq_s32(dots[r]);                                             \
    }                                                                                              \
    SLM_DEFINE_Q8_K(type)                                                                          \
    SLM_DOTPROD_MATMUL(slm_matmul_##type##_i8_row_dotprod) {                                       \
        slm_walk_i8_row(row_block_##type, 256, sizeof(slm_block_##type), y, y_stride, w, w_bytes,  \
                        n_w, a, a_bytes, n_a, k);                                                  \
    }

#endif
