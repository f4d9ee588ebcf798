/* The kernels of this level. */
#ifndef SLM_X86_LEVEL_AVX2_H
#define SLM_X86_LEVEL_AVX2_H

#include "kernels.h"

#define SLM_AVX2_MATMUL(name)                                                                     \
    void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w,               \
              const void *a, size_t a_bytes, size_t n_a, size_t k)
SLM_AVX2_MATMUL(slm_matmul_q2_k_q8_k_avx2);
SLM_AVX2_MATMUL(slm_matmul_q3_k_q8_k_avx2);
SLM_AVX2_MATMUL(slm_matmul_q4_k_q8_k_avx2);
SLM_AVX2_MATMUL(slm_matmul_q5_k_q8_k_avx2);
SLM_AVX2_MATMUL(slm_matmul_q6_k_q8_k_avx2);
SLM_AVX2_MATMUL(slm_matmul_iq4_xs_q8_k_avx2);
SLM_AVX2_MATMUL(slm_matmul_tq1_0_q8_k_avx2);
SLM_AVX2_MATMUL(slm_matmul_tq2_0_q8_k_avx2);
SLM_AVX2_MATMUL(slm_matmul_q4_0_q8_0_avx2);
SLM_AVX2_MATMUL(slm_matmul_q4_1_q8_0_avx2);
SLM_AVX2_MATMUL(slm_matmul_q5_0_q8_0_avx2);
SLM_AVX2_MATMUL(slm_matmul_q5_1_q8_0_avx2);
SLM_AVX2_MATMUL(slm_matmul_q8_0_q8_0_avx2);
SLM_AVX2_MATMUL(slm_matmul_iq4_nl_q8_0_avx2);
SLM_AVX2_MATMUL(slm_matmul_q2_k_q8_k_tile_avx2);
SLM_AVX2_MATMUL(slm_matmul_q3_k_q8_k_tile_avx2);
SLM_AVX2_MATMUL(slm_matmul_q4_k_q8_k_tile_avx2);
SLM_AVX2_MATMUL(slm_matmul_q5_k_q8_k_tile_avx2);
SLM_AVX2_MATMUL(slm_matmul_q6_k_q8_k_tile_avx2);
SLM_AVX2_MATMUL(slm_matmul_q4_0_q8_0_tile_avx2);
SLM_AVX2_MATMUL(slm_matmul_q8_0_q8_0_tile_avx2);
SLM_AVX2_MATMUL(slm_matmul_tq1_0_i8_row_avx2);
SLM_AVX2_MATMUL(slm_matmul_tq2_0_i8_row_avx2);
SLM_AVX2_MATMUL(slm_matmul_i2_s_i8_row_avx2);
SLM_AVX2_MATMUL(slm_matmul_f32_f32_avx2);
SLM_AVX2_MATMUL(slm_matmul_f16_f32_avx2);
SLM_AVX2_MATMUL(slm_matmul_bf16_f32_avx2);

#define SLM_AVX2_KV_SCORES(name)                                                                  \
    void name(float *s, size_t s_stride, const float *q, size_t q_stride, size_t n_q,             \
              const void *k, size_t k_bytes, size_t n_k, size_t d, float scale)
#define SLM_AVX2_KV_VALUES(name)                                                                  \
    void name(float *o, size_t o_stride, const float *p, size_t p_stride, size_t n_q,             \
              const void *v, size_t v_bytes, size_t n_k, size_t d)
SLM_AVX2_KV_SCORES(slm_kv_scores_f16_avx2);
SLM_AVX2_KV_SCORES(slm_kv_scores_q8_0_avx2);
SLM_AVX2_KV_SCORES(slm_kv_scores_f32_avx2);
SLM_AVX2_KV_VALUES(slm_kv_values_f16_avx2);
SLM_AVX2_KV_VALUES(slm_kv_values_q8_0_avx2);
SLM_AVX2_KV_VALUES(slm_kv_values_f32_avx2);
void slm_kv_store_f16_avx2(void *row, const float *x, size_t d);
void slm_kv_store_q8_0_avx2(void *row, const float *x, size_t d);

void slm_quantize_act_q8_0_avx2(void *a, const float *x, size_t k);
void slm_quantize_act_q8_k_avx2(void *a, const float *x, size_t k);
void slm_quantize_act_i8_row_avx2(void *a, const float *x, size_t k);

void slm_rms_norm_avx2(float *y, const float *x, const float *w, size_t n, float eps);
void slm_softmax_avx2(float *s, size_t n);
float slm_max_index_avx2(const float *x, size_t n, size_t *index, int *finite);
double slm_sum_exp_avx2(const float *x, size_t n, float max);
void slm_silu_mul_avx2(float *h, const float *g, const float *up, size_t n);
void slm_gelu_mul_avx2(float *h, const float *g, const float *up, size_t n);
void slm_relu2_mul_avx2(float *h, const float *g, const float *up, size_t n);

#endif
