/* Packed Q8_0 by tiles of Q8_0. */
#include "x86/level_amx.h"
#include "x86/level_avx512.h"
#include "x86/packed_amx.h"

SLM_PACKED_AMX(Q8_0, slm_matmul_q8_0_q8_0_tile_amx, 32, slm_matmul_q8_0_q8_0_tile_avx512)
