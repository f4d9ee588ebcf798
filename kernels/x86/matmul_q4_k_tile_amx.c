/* Packed Q4_K by tiles of Q8_K. */
#include "x86/level_amx.h"
#include "x86/level_avx512.h"
#include "x86/packed_amx.h"

SLM_PACKED_AMX(Q4_K, slm_matmul_q4_k_q8_k_tile_amx, 256, slm_matmul_q4_k_q8_k_tile_avx512_by16)
