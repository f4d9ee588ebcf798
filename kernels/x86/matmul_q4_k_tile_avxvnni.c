/* Packed Q4_K by tiles of Q8_K. */
#include "x86/level_avxvnni.h"
#include "x86/packed_avxvnni.h"

SLM_PACKED_MATMUL(Q4_K, slm_matmul_q4_k_q8_k_tile_avxvnni, 256, SLM_PACKED_DIRECT)
