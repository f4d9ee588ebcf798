/* Packed Q6_K by tiles of Q8_K. */
#include "packed_neon.h"

SLM_PACKED_NEON_K(Q6_K, slm_matmul_q6_k_q8_k_tile_neon)
