/* The kernels of this level. */
#ifndef SLM_X86_LEVEL_AVX2_H
#define SLM_X86_LEVEL_AVX2_H

#include "kernels.h"

#define SLM_AVX2_MATMUL(name)                                                                     \
    void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w,               \
              const void *a, size_t a_bytes, size_t n_a, size_t k)
void slm_pack_panel_avx2(uint32_t type, void *panel, const void *w, size_t w_bytes, size_t n_w,
                         size_t k);

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

#define SLM_AVX2_ATTEND(name)                                                                     \
    void name(const slm_attention *a, size_t first, size_t n, const void *const *k,               \
              const void *const v[4], size_t v_bytes, size_t t0, size_t t1)
SLM_AVX2_ATTEND(slm_attend_f16_avx2);
SLM_AVX2_ATTEND(slm_attend_q8_0_avx2);
SLM_AVX2_ATTEND(slm_attend_f32_avx2);
void slm_conv_silu_avx2(float *y, size_t y_stride, const float *x, size_t x_stride, size_t n_tokens,
                        float *past, const float *w, const float *bias, size_t n_conv,
                        size_t n_groups);
void slm_scan_avx2(const slm_scan *s, float *state, size_t first, size_t n_groups, size_t n_tokens);
void slm_kv_store_f16_avx2(void *row, const float *x, size_t d);
void slm_kv_store_q8_0_avx2(void *row, const float *x, size_t d);

void slm_quantize_act_q8_0_avx2(void *a, const float *x, size_t k);
void slm_quantize_act_q8_k_avx2(void *a, const float *x, size_t k);
void slm_quantize_act_i8_row_avx2(void *a, const float *x, size_t k);

uint32_t slm_crc32c_avx2(const void *data, size_t size, uint32_t crc);

void slm_rms_norm_avx2(float *y, const float *x, const float *w, size_t n, float eps);
void slm_softmax_avx2(float *s, size_t n);
float slm_max_index_avx2(const float *x, size_t n, size_t *index, int *finite);
double slm_sum_exp_avx2(const float *x, size_t n, float max);
void slm_silu_mul_avx2(float *h, const float *g, const float *up, size_t n);
void slm_gelu_mul_avx2(float *h, const float *g, const float *up, size_t n);
void slm_relu2_mul_avx2(float *h, const float *g, const float *up, size_t n);

#endif
