/* The base instructions of 64-bit Arm. Products of rows that are not packed stay portable. */
#include "level_arm.h"

void slm_kernels_init_neon(slm_kernels *kernels) {
    slm_matmul_fn(*m)[SLM_ACT_LIMIT] = kernels->matmul;
    kernels->prefers_packed = 1;
    m[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q2_k_q8_k_tile_neon;
    m[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q3_k_q8_k_tile_neon;
    m[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q4_k_q8_k_tile_neon;
    m[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q5_k_q8_k_tile_neon;
    m[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q6_k_q8_k_tile_neon;
    m[SLM_DTYPE_Q4_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q4_0_q8_0_tile_neon;
    m[SLM_DTYPE_Q8_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q8_0_q8_0_tile_neon;
    kernels->kv_store[SLM_KVT_F16] = slm_kv_store_f16_neon;
    kernels->attend[SLM_KVT_F16] = slm_attend_f16_neon;
    kernels->attend[SLM_KVT_Q8_0] = slm_attend_q8_0_neon;
    kernels->attend[SLM_KVT_F32] = slm_attend_f32_neon;
}
