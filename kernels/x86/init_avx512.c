#include "x86/level_avx512.h"

void slm_kernels_init_avx512(slm_kernels *kernels) {
    kernels->prefers_packed = 1;
    kernels->matmul[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q2_k_q8_k_tile_avx512;
    kernels->matmul[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q3_k_q8_k_tile_avx512;
    kernels->matmul[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K_TILE] = __builtin_cpu_is("intel")
                                                             ? slm_matmul_q4_k_q8_k_tile_avx512_by16
                                                             : slm_matmul_q4_k_q8_k_tile_avx512;
    kernels->matmul[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q5_k_q8_k_tile_avx512;
    kernels->matmul[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q6_k_q8_k_tile_avx512;
    kernels->matmul[SLM_DTYPE_Q4_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q4_0_q8_0_tile_avx512;
    kernels->matmul[SLM_DTYPE_Q8_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q8_0_q8_0_tile_avx512;
    kernels->attend[SLM_KVT_F16] = slm_attend_f16_avx512;
    kernels->attend[SLM_KVT_Q8_0] = slm_attend_q8_0_avx512;
    kernels->attend[SLM_KVT_F32] = slm_attend_f32_avx512;
    kernels->sum_exp = slm_sum_exp_avx512;
    kernels->silu_mul = slm_silu_mul_avx512;
    kernels->conv_silu = slm_conv_silu_avx512;
    kernels->scan = slm_scan_avx512;
}
