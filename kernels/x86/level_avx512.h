/* The kernels of this level. */
#ifndef SLM_X86_LEVEL_AVX512_H
#define SLM_X86_LEVEL_AVX512_H

#include "kernels.h"

#define SLM_AVX512_MATMUL(name)                                                                    \
    void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w, const void *a, \
              size_t a_bytes, size_t n_a, size_t k)
SLM_AVX512_MATMUL(slm_matmul_q2_k_q8_k_tile_avx512);
SLM_AVX512_MATMUL(slm_matmul_q3_k_q8_k_tile_avx512);
SLM_AVX512_MATMUL(slm_matmul_q4_k_q8_k_tile_avx512);
SLM_AVX512_MATMUL(slm_matmul_q4_k_q8_k_tile_avx512_by16);
SLM_AVX512_MATMUL(slm_matmul_q5_k_q8_k_tile_avx512);
SLM_AVX512_MATMUL(slm_matmul_q6_k_q8_k_tile_avx512);
SLM_AVX512_MATMUL(slm_matmul_q4_0_q8_0_tile_avx512);
SLM_AVX512_MATMUL(slm_matmul_q8_0_q8_0_tile_avx512);

#define SLM_AVX512_ATTEND(name)                                                                    \
    void name(const slm_attention *a, size_t first, size_t n, const void *const *k,                \
              const void *const v[4], size_t v_bytes, size_t t0, size_t t1)
SLM_AVX512_ATTEND(slm_attend_f16_avx512);
SLM_AVX512_ATTEND(slm_attend_q8_0_avx512);
SLM_AVX512_ATTEND(slm_attend_f32_avx512);

double slm_sum_exp_avx512(const float *x, size_t n, float max);
void slm_silu_mul_avx512(float *h, const float *g, const float *up, size_t n);
void slm_conv_silu_avx512(float *y, size_t y_stride, const float *x, size_t x_stride,
                          size_t n_tokens, float *past, const float *w, const float *bias,
                          size_t n_conv, size_t n_groups);
void slm_scan_avx512(const slm_scan *s, float *state, size_t first, size_t n_groups,
                     size_t n_tokens);

#endif
