/* Packed Q8_0 by tiles of Q8_0. */
#include "x86/level_avx2.h"
#include "x86/packed_avx2.h"

SLM_PACKED_MATMUL(Q8_0, slm_matmul_q8_0_q8_0_tile_avx2, 32, SLM_PACKED_DIRECT)
