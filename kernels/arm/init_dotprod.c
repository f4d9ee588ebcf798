/* What this level improves over the base instructions, which it includes. The rest stays portable:
 * compilers make good vector code of it. */
#include "dotprod.h"
#include "level_arm.h"

void slm_kernels_init_dotprod(slm_kernels *kernels) {
    slm_matmul_fn(*m)[SLM_ACT_LIMIT] = kernels->matmul;
    slm_kernels_init_neon(kernels);
    m[SLM_DTYPE_F32][SLM_ACT_F32] = slm_matmul_f32_f32_dotprod;
    m[SLM_DTYPE_F16][SLM_ACT_F32] = slm_matmul_f16_f32_dotprod;
    m[SLM_DTYPE_BF16][SLM_ACT_F32] = slm_matmul_bf16_f32_dotprod;
    m[SLM_DTYPE_Q4_0][SLM_ACT_Q8_0] = slm_matmul_q4_0_q8_0_dotprod;
    m[SLM_DTYPE_Q4_1][SLM_ACT_Q8_0] = slm_matmul_q4_1_q8_0_dotprod;
    m[SLM_DTYPE_Q5_0][SLM_ACT_Q8_0] = slm_matmul_q5_0_q8_0_dotprod;
    m[SLM_DTYPE_Q5_1][SLM_ACT_Q8_0] = slm_matmul_q5_1_q8_0_dotprod;
    m[SLM_DTYPE_Q8_0][SLM_ACT_Q8_0] = slm_matmul_q8_0_q8_0_dotprod;
    m[SLM_DTYPE_IQ4_NL][SLM_ACT_Q8_0] = slm_matmul_iq4_nl_q8_0_dotprod;
    m[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K] = slm_matmul_q2_k_q8_k_dotprod;
    m[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K] = slm_matmul_q3_k_q8_k_dotprod;
    m[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K] = slm_matmul_q4_k_q8_k_dotprod;
    m[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K] = slm_matmul_q5_k_q8_k_dotprod;
    m[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K] = slm_matmul_q6_k_q8_k_dotprod;
    m[SLM_DTYPE_IQ4_XS][SLM_ACT_Q8_K] = slm_matmul_iq4_xs_q8_k_dotprod;
    m[SLM_DTYPE_TQ1_0][SLM_ACT_Q8_K] = slm_matmul_tq1_0_q8_k_dotprod;
    m[SLM_DTYPE_TQ1_0][SLM_ACT_I8_ROW] = slm_matmul_tq1_0_i8_row_dotprod;
    m[SLM_DTYPE_TQ2_0][SLM_ACT_Q8_K] = slm_matmul_tq2_0_q8_k_dotprod;
    m[SLM_DTYPE_TQ2_0][SLM_ACT_I8_ROW] = slm_matmul_tq2_0_i8_row_dotprod;
    m[SLM_DTYPE_I2_S][SLM_ACT_I8_ROW] = slm_matmul_i2_s_i8_row_dotprod;
    m[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q2_k_q8_k_tile_dotprod;
    m[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q3_k_q8_k_tile_dotprod;
    m[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q4_k_q8_k_tile_dotprod;
    m[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q5_k_q8_k_tile_dotprod;
    m[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q6_k_q8_k_tile_dotprod;
    m[SLM_DTYPE_Q4_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q4_0_q8_0_tile_dotprod;
    m[SLM_DTYPE_Q8_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q8_0_q8_0_tile_dotprod;
    kernels->attend[SLM_KVT_Q8_0] = slm_attend_q8_0_dotprod;
    kernels->crc32c = slm_crc32c_dotprod;
}
