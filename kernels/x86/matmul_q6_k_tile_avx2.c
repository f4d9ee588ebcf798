/* Packed Q6_K by tiles of Q8_K. */
#include "x86/level_avx2.h"
#include "x86/packed_avx2.h"

SLM_PACKED_MATMUL(Q6_K, slm_matmul_q6_k_q8_k_tile_avx2, 256, SLM_PACKED_UNPACKED)
