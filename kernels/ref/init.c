/* The table of the portable level. */
#include "packed.h"
#include "ref.h"

#define BLOCK_TYPE(TYPE, type, ACT, act)                                                           \
    kernels->dequantize[SLM_DTYPE_##TYPE] = slm_dequantize_##type##_ref;                           \
    kernels->matmul[SLM_DTYPE_##TYPE][SLM_ACT_##ACT] = slm_matmul_##type##_##act##_ref;            \
    kernels->matmul[SLM_DTYPE_##TYPE][SLM_ACT_I8_ROW] = slm_matmul_##type##_i8_row_ref
#define PACKED_TYPE(TYPE, type, ACT, act)                                                          \
    kernels->matmul[SLM_DTYPE_##TYPE][SLM_ACT_##ACT##_TILE] = slm_matmul_##type##_##act##_tile_ref

void slm_kernels_init_ref(slm_kernels *kernels) {
    memset(kernels, 0, sizeof *kernels);
    BLOCK_TYPE(F32, f32, F32, f32);
    BLOCK_TYPE(F16, f16, F32, f32);
    BLOCK_TYPE(BF16, bf16, F32, f32);
    BLOCK_TYPE(Q4_0, q4_0, Q8_0, q8_0);
    BLOCK_TYPE(Q4_1, q4_1, Q8_0, q8_0);
    BLOCK_TYPE(Q5_0, q5_0, Q8_0, q8_0);
    BLOCK_TYPE(Q5_1, q5_1, Q8_0, q8_0);
    BLOCK_TYPE(Q8_0, q8_0, Q8_0, q8_0);
    BLOCK_TYPE(IQ4_NL, iq4_nl, Q8_0, q8_0);
    BLOCK_TYPE(Q2_K, q2_k, Q8_K, q8_k);
    BLOCK_TYPE(Q3_K, q3_k, Q8_K, q8_k);
    BLOCK_TYPE(Q4_K, q4_k, Q8_K, q8_k);
    BLOCK_TYPE(Q5_K, q5_k, Q8_K, q8_k);
    BLOCK_TYPE(Q6_K, q6_k, Q8_K, q8_k);
    BLOCK_TYPE(IQ4_XS, iq4_xs, Q8_K, q8_k);
    BLOCK_TYPE(TQ1_0, tq1_0, Q8_K, q8_k);
    BLOCK_TYPE(TQ2_0, tq2_0, Q8_K, q8_k);
    BLOCK_TYPE(I2_S, i2_s, I8_ROW, i8_row);
    PACKED_TYPE(Q2_K, q2_k, Q8_K, q8_k);
    PACKED_TYPE(Q3_K, q3_k, Q8_K, q8_k);
    PACKED_TYPE(Q4_K, q4_k, Q8_K, q8_k);
    PACKED_TYPE(Q5_K, q5_k, Q8_K, q8_k);
    PACKED_TYPE(Q6_K, q6_k, Q8_K, q8_k);
    PACKED_TYPE(Q4_0, q4_0, Q8_0, q8_0);
    PACKED_TYPE(Q8_0, q8_0, Q8_0, q8_0);
    kernels->quantize[SLM_ACT_F32] = slm_quantize_act_f32_ref;
    kernels->quantize[SLM_ACT_Q8_0] = slm_quantize_act_q8_0_ref;
    kernels->quantize[SLM_ACT_Q8_K] = slm_quantize_act_q8_k_ref;
    kernels->quantize[SLM_ACT_I8_ROW] = slm_quantize_act_i8_row_ref;
    kernels->pack_panel = slm_pack_panel;
    kernels->put_row = slm_put_row;
    kernels->rms_norm = slm_rms_norm_ref;
    kernels->layer_norm = slm_layer_norm_ref;
    kernels->conv_silu = slm_conv_silu_ref;
    kernels->scan = slm_scan_ref;
    kernels->kv_store[SLM_KVT_F16] = slm_kv_store_f16_ref;
    kernels->kv_store[SLM_KVT_Q8_0] = slm_kv_store_q8_0_ref;
    kernels->kv_store[SLM_KVT_F32] = slm_kv_store_f32_ref;
    kernels->attend[SLM_KVT_F16] = slm_attend_f16_ref;
    kernels->attend[SLM_KVT_Q8_0] = slm_attend_q8_0_ref;
    kernels->attend[SLM_KVT_F32] = slm_attend_f32_ref;
    kernels->softmax = slm_softmax_ref;
    kernels->max_index = slm_max_index_ref;
    kernels->sum_exp = slm_sum_exp_ref;
    kernels->silu_mul = slm_silu_mul_ref;
    kernels->gelu_mul = slm_gelu_mul_ref;
    kernels->relu2_mul = slm_relu2_mul_ref;
}
