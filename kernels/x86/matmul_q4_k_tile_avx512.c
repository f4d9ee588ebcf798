/* Packed Q4_K by tiles of Q8_K; by16 is for Intel's processors (slm_group_k). */
#include "x86/level_avx512.h"
#include "x86/packed_avx512.h"

SLM_PACKED_MATMUL(k, Q4_K, slm_matmul_q4_k_q8_k_tile_avx512, 256, NULL)
SLM_PACKED_MATMUL(k16, Q4_K, slm_matmul_q4_k_q8_k_tile_avx512_by16, 256, NULL)
