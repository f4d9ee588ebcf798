/* Packed Q2_K by tiles of Q8_K. */
#include "packed_dotprod.h"

SLM_PACKED_DOTPROD_K(Q2_K, slm_matmul_q2_k_q8_k_tile_dotprod)
