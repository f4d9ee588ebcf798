#include "x86/matmul_avx2.h"

void slm_kernels_init_avx2(slm_kernels *kernels) {
    kernels->matmul[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K] = slm_matmul_q4_k_q8_k_avx2;
}
