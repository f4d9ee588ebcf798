#ifndef SLM_X86_MATMUL_AVX2_H
#define SLM_X86_MATMUL_AVX2_H
#include "kernels.h"
void slm_matmul_q4_k_q8_k_avx2(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w,
                               const void *a, size_t a_bytes, size_t n_a, size_t k);
#endif
