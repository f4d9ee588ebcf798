#include "x86/level_amx.h"

void slm_kernels_init_amx(slm_kernels *kernels) {
    kernels->panels = 16; /* share activations that are read once from a cache further away */
    kernels->put_row = slm_put_row_amx;
    kernels->matmul[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q2_k_q8_k_tile_amx;
    kernels->matmul[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q3_k_q8_k_tile_amx;
    kernels->matmul[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q4_k_q8_k_tile_amx;
    kernels->matmul[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q5_k_q8_k_tile_amx;
    kernels->matmul[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q6_k_q8_k_tile_amx;
    kernels->matmul[SLM_DTYPE_Q4_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q4_0_q8_0_tile_amx;
    kernels->matmul[SLM_DTYPE_Q8_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q8_0_q8_0_tile_amx;
}
