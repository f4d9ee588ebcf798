#include "x86/level_avx2.h"

void slm_kernels_init_avx2(slm_kernels *kernels) {
    kernels->prefers_packed = 1;
    kernels->matmul[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K] = slm_matmul_q2_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K] = slm_matmul_q3_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K] = slm_matmul_q4_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K] = slm_matmul_q5_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K] = slm_matmul_q6_k_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_IQ4_XS][SLM_ACT_Q8_K] = slm_matmul_iq4_xs_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_TQ1_0][SLM_ACT_Q8_K] = slm_matmul_tq1_0_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_TQ2_0][SLM_ACT_Q8_K] = slm_matmul_tq2_0_q8_k_avx2;
    kernels->matmul[SLM_DTYPE_Q4_0][SLM_ACT_Q8_0] = slm_matmul_q4_0_q8_0_avx2;
    kernels->matmul[SLM_DTYPE_Q4_1][SLM_ACT_Q8_0] = slm_matmul_q4_1_q8_0_avx2;
    kernels->matmul[SLM_DTYPE_Q5_0][SLM_ACT_Q8_0] = slm_matmul_q5_0_q8_0_avx2;
    kernels->matmul[SLM_DTYPE_Q5_1][SLM_ACT_Q8_0] = slm_matmul_q5_1_q8_0_avx2;
    kernels->matmul[SLM_DTYPE_Q8_0][SLM_ACT_Q8_0] = slm_matmul_q8_0_q8_0_avx2;
    kernels->matmul[SLM_DTYPE_IQ4_NL][SLM_ACT_Q8_0] = slm_matmul_iq4_nl_q8_0_avx2;
    kernels->matmul[SLM_DTYPE_Q2_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q2_k_q8_k_tile_avx2;
    kernels->matmul[SLM_DTYPE_Q3_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q3_k_q8_k_tile_avx2;
    kernels->matmul[SLM_DTYPE_Q4_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q4_k_q8_k_tile_avx2;
    kernels->matmul[SLM_DTYPE_Q5_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q5_k_q8_k_tile_avx2;
    kernels->matmul[SLM_DTYPE_Q6_K][SLM_ACT_Q8_K_TILE] = slm_matmul_q6_k_q8_k_tile_avx2;
    kernels->matmul[SLM_DTYPE_Q4_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q4_0_q8_0_tile_avx2;
    kernels->matmul[SLM_DTYPE_Q8_0][SLM_ACT_Q8_0_TILE] = slm_matmul_q8_0_q8_0_tile_avx2;
    kernels->matmul[SLM_DTYPE_TQ1_0][SLM_ACT_I8_ROW] = slm_matmul_tq1_0_i8_row_avx2;
    kernels->matmul[SLM_DTYPE_TQ2_0][SLM_ACT_I8_ROW] = slm_matmul_tq2_0_i8_row_avx2;
    kernels->matmul[SLM_DTYPE_I2_S][SLM_ACT_I8_ROW] = slm_matmul_i2_s_i8_row_avx2;
    kernels->matmul[SLM_DTYPE_F32][SLM_ACT_F32] = slm_matmul_f32_f32_avx2;
    kernels->matmul[SLM_DTYPE_F16][SLM_ACT_F32] = slm_matmul_f16_f32_avx2;
    kernels->matmul[SLM_DTYPE_BF16][SLM_ACT_F32] = slm_matmul_bf16_f32_avx2;
    kernels->quantize[SLM_ACT_Q8_0] = slm_quantize_act_q8_0_avx2;
    kernels->quantize[SLM_ACT_Q8_K] = slm_quantize_act_q8_k_avx2;
    kernels->quantize[SLM_ACT_I8_ROW] = slm_quantize_act_i8_row_avx2;
    kernels->kv_store[SLM_KVT_F16] = slm_kv_store_f16_avx2;
    kernels->kv_store[SLM_KVT_Q8_0] = slm_kv_store_q8_0_avx2;
    kernels->attend[SLM_KVT_F16] = slm_attend_f16_avx2;
    kernels->attend[SLM_KVT_Q8_0] = slm_attend_q8_0_avx2;
    kernels->attend[SLM_KVT_F32] = slm_attend_f32_avx2;
    kernels->pack_panel = slm_pack_panel_avx2;
    kernels->rms_norm = slm_rms_norm_avx2;
    kernels->softmax = slm_softmax_avx2;
    kernels->max_index = slm_max_index_avx2;
    kernels->sum_exp = slm_sum_exp_avx2;
    kernels->silu_mul = slm_silu_mul_avx2;
    kernels->gelu_mul = slm_gelu_mul_avx2;
    kernels->relu2_mul = slm_relu2_mul_avx2;
}
