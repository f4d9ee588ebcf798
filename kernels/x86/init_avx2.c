#include "x86/level_avx2.h"

void slm_kernels_init_avx2(slm_kernels *kernels) {
    kernels->matmul[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K] = slm_matmul_q2_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K] = slm_matmul_q3_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K] = slm_matmul_q4_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K] = slm_matmul_q5_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K] = slm_matmul_q6_k_q8_k_avx2;
}
