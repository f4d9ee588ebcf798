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
SLM_AVX2_MATMUL(slm_matmul_tq1_0_i8_row_avx2);
SLM_AVX2_MATMUL(slm_matmul_tq2_0_i8_row_avx2);
SLM_AVX2_MATMUL(slm_matmul_i2_s_i8_row_avx2);

#endif
