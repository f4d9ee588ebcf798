/* Packed Q2_K by tiles of Q8_K. */
#include "x86/level_avx512.h"
#include "x86/packed_avx512.h"

SLM_PACKED_TILES(Q2_K, slm_matmul_q2_k_q8_k_tile_avx512)
SLM_PACKED_MATMUL(k, Q2_K, slm_matmul_q2_k_q8_k_tile_avx512, 256, slm_matmul_q2_k_q8_k_tile_avx512_tiles)
