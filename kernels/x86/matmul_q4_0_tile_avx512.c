/* Packed Q4_0 by tiles of Q8_0. */
#include "x86/level_avx512.h"
#include "x86/packed_avx512.h"

SLM_PACKED_MATMUL(0, Q4_0, slm_matmul_q4_0_q8_0_tile_avx512, 32, NULL)
